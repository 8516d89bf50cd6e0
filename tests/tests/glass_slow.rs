//! Pages that hang or lose themselves: what is found out by their silence, and so takes its time.

use std::time::{Duration, Instant};

use tillbell_tests::{Display, PairedShop, Screen, Sound, Window, heavy_test_permit, signal, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);
/// Three missed beats, the look for them, and the page's own start.
const ONE_SILENCE: Duration = Duration::from_secs(30);
/// As long again, until the window itself is made anew.
const TWO_SILENCES: Duration = Duration::from_secs(60);

/// Waits until the edge of the glass has had another colour for a while, and answers with that: scenes fade in.
fn until_other(screen: &Screen, than: [u8; 3], within: Duration) -> anyhow::Result<[u8; 3]> {
    let mut last = (than, Instant::now());
    until("another picture on the glass", within, || {
        let shot = screen.shot("glass-slow")?;
        if shot.edge != last.0 {
            last = (shot.edge, Instant::now());
        }
        let stays = last.1.elapsed() > Duration::from_millis(500);
        Ok((stays && shot.edge != than && shot.colours > 20).then_some(shot.edge))
    })
}

/// Waits until the edge of the glass has this colour.
fn until_edge(screen: &Screen, colour: [u8; 3], within: Duration) -> Result {
    until(&format!("{colour:?} on the glass"), within, || {
        let shot = screen.shot("glass-slow")?;
        anyhow::ensure!(shot.edge == colour && shot.colours > 20, "{shot:?}");
        Ok(Some(()))
    })
}

fn idle(screen: &Screen) -> anyhow::Result<[u8; 3]> {
    until("the idle screen", SOON, || {
        let shot = screen.shot("glass-slow")?;
        Ok((shot.colours > 20).then_some(shot.edge))
    })
}

#[test]
fn a_page_that_hangs_is_loaded_anew_and_shows_what_was_paid() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("theme = \"dark\"\ndwell_s = 60\nvolume = 80\n")?;
    let (screen, sound) = (Screen::start(1280, 800)?, Sound::start()?);
    let display = Display::live(&screen, Some(&sound), &shop.profile)?;
    let calm = idle(&screen)?;
    let page = display.page()?;
    signal(page, "STOP")?;
    shop.sell(100, "while it hangs")?;
    until("the chime, which needs no page", SOON, || {
        Ok((!sound.onsets().is_empty()).then_some(()))
    })?;
    // Until then the glass has the shell's own first frame, for a second.
    display.until_said("loading it anew", ONE_SILENCE)?;
    until_other(&screen, calm, SOON)?;
    assert_eq!(display.said("loading it anew"), 1);
    assert_eq!(display.said("opening its window anew"), 0, "the same window");
    assert!(!display.pages()?.contains(&page), "the one that hung is gone");
    assert_eq!(sound.onsets().len(), 1, "rung once");
    Ok(())
}

#[test]
fn a_page_that_never_comes_back_gets_a_new_window_that_shows_what_was_paid() -> Result {
    let _permit = heavy_test_permit();
    // Without a sound: nothing counts as announced that was not painted.
    let shop = PairedShop::new("theme = \"dark\"\ndwell_s = 4\n")?;
    let screen = Screen::start(1280, 800)?;
    let mut display = Display::live(&screen, None, &shop.profile)?;
    let calm = idle(&screen)?;
    shop.sell(100, "while all is well")?;
    let paid = until_other(&screen, calm, SOON)?;
    until_edge(&screen, calm, SOON)?;
    until_announced(&display, 1)?;

    stop(&display)?;
    shop.sell(200, "while nothing works")?;
    until("a window made anew", TWO_SILENCES, || {
        if display.said("opening its window anew") > 0 {
            return Ok(Some(()));
        }
        // Whatever page is there hangs, the one that was loaded anew, too.
        stop(&display)?;
        Ok(None)
    })?;
    assert_eq!(display.said("outlet=Screens"), 1, "nothing could be painted");
    // The last one that was stopped may be the new window's: it is found out like any other.
    until_edge(&screen, paid, TWO_SILENCES)?;
    until_announced(&display, 2)?;
    until_edge(&screen, calm, SOON)?;
    shop.sell(300, "in the new window")?;
    until_edge(&screen, paid, SOON)?;
    until_announced(&display, 3)?;
    until_edge(&screen, calm, SOON)?;
    assert_eq!(display.said("outlet=Screens"), 3, "each once");
    assert!(display.program().ended()?.is_none(), "the program goes on");
    Ok(())
}

/// Waits until the log has so many announcements.
fn until_announced(display: &Display, count: usize) -> Result {
    until(&format!("{count} announcements"), SOON, || {
        Ok((display.said("outlet=Screens") == count).then_some(()))
    })
}

/// Every page that is there now hangs from now on.
fn stop(display: &Display) -> Result {
    for page in display.pages()? {
        // It may have been ended meanwhile.
        let _ = signal(page, "STOP");
    }
    Ok(())
}

#[test]
fn a_page_that_lost_itself_is_loaded_anew() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 2\n")?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    window.until_live()?;
    let calm = idle(&screen)?;
    window.run("location.replace('about:blank')")?;
    until("a blank page", SOON, || {
        Ok((screen.shot("glass-slow")?.colours < 3).then_some(()))
    })?;
    // The page's process is another one then, so its driver has lost it: the glass tells.
    until("the idle screen", ONE_SILENCE, || {
        let shot = screen.shot("glass-slow")?;
        Ok((shot.edge == calm && shot.colours > 20).then_some(()))
    })?;
    shop.sell(100, "afterwards")?;
    until_other(&screen, calm, SOON).map(drop)
}
