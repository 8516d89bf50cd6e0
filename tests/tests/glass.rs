//! What goes wrong on the shop's own machine, as the glass shows it: the window, the loudspeaker, the second start.

use std::time::{Duration, Instant};

use serde_json::json;
use tillbell_tests::{
    Display, Ledger, PairedShop, Screen, Sound, Window, headless, heavy_test_permit, signal, tree, until,
};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);
/// Chimes ring out within this time, and what is not rung by then is not rung.
const RUNG_OUT: Duration = Duration::from_secs(3);

/// A display that has heard nothing says so after 20 s; the look for it and a busy machine come on top.
const CUT_OFF: Duration = Duration::from_secs(25);

/// Waits until the recorder has heard so much more.
fn hear(sound: &Sound, time: Duration) -> Result {
    let until_now = sound.recorded();
    until("the recording", time + SOON, || {
        Ok((sound.recorded() > until_now + time).then_some(()))
    })
}

/// The colour at the upper edge, once it has been the same for a while.
fn edge(screen: &Screen, name: &str) -> anyhow::Result<[u8; 3]> {
    let mut last = screen.shot(name)?.edge;
    let mut since = Instant::now();
    until("a calm picture", SOON, || {
        let now = screen.shot(name)?.edge;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok((since.elapsed() > Duration::from_millis(500)).then_some(now))
    })
}

/// A display that has these settings and listens, in a window on a screen of its own.
fn live_window(settings: &str) -> anyhow::Result<(PairedShop, Screen, Window)> {
    let shop = PairedShop::new(settings)?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    window.until_live()?;
    Ok((shop, screen, window))
}

/// A display in the dark look without WebDriver, and what its glass shows while it is idle and while it shows a payment.
struct Counter {
    shop: PairedShop,
    screen: Screen,
    sound: Sound,
    display: Display,
    idle: [u8; 3],
    paid: [u8; 3],
}

impl Counter {
    /// Opens it and sells once, to see what that looks like.
    fn open(name: &str) -> anyhow::Result<Self> {
        let shop = PairedShop::new("theme = \"dark\"\ndwell_s = 4\nvolume = 80\n")?;
        let screen = Screen::start(1280, 800)?;
        let sound = Sound::start()?;
        let display = Display::live(&screen, Some(&sound), &shop.profile)?;
        let name = format!("glass-{name}");
        let idle = edge(&screen, &name)?;
        shop.sell(100, "the first")?;
        until("the first payment on the glass", SOON, || {
            Ok((screen.shot(&name)?.edge != idle).then_some(()))
        })?;
        let paid = edge(&screen, &name)?;
        assert_ne!(idle, paid, "a payment is seen at the edge");
        let counter = Self {
            shop,
            screen,
            sound,
            display,
            idle,
            paid,
        };
        counter.until_edge(counter.idle, SOON, &name)?;
        hear(&counter.sound, RUNG_OUT)?;
        assert_eq!(counter.sound.onsets().len(), 1);
        Ok(counter)
    }

    fn until_edge(&self, colour: [u8; 3], within: Duration, name: &str) -> Result {
        until(&format!("{colour:?} on the glass"), within, || {
            let shot = self.screen.shot(name)?;
            anyhow::ensure!(shot.edge == colour && shot.colours > 20, "{shot:?}");
            Ok(Some(()))
        })
    }

    /// Sells while the page cannot show it, and wants the payment on the glass `within` this time, one chime in all,
    /// and afterwards a display that works as before.
    fn a_payment_comes_through(&self, within: Duration, name: &str) -> Result {
        let name = format!("glass-{name}");
        self.shop.sell(200, "meanwhile")?;
        self.until_edge(self.paid, within, &name)?;
        self.until_edge(self.idle, SOON, &name)?;
        hear(&self.sound, RUNG_OUT)?;
        assert_eq!(self.sound.onsets().len(), 2, "rung once");
        // It is not shown again once its time is over.
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            assert_eq!(self.screen.shot(&name)?.edge, self.idle, "shown once");
        }
        self.shop.sell(300, "afterwards")?;
        self.until_edge(self.paid, SOON, &name)?;
        hear(&self.sound, RUNG_OUT)?;
        assert_eq!(self.sound.onsets().len(), 3);
        Ok(())
    }
}

#[test]
fn a_page_whose_process_is_killed_is_back_at_once_and_shows_what_was_paid() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::open("killed")?;
    let page = counter.display.page()?;
    signal(page, "KILL")?;
    // Sooner than the heartbeat could have noticed.
    counter.a_payment_comes_through(Duration::from_secs(8), "killed")?;
    assert_ne!(counter.display.page()?, page);
    assert_eq!(counter.display.said("the page's process has ended"), 1);
    Ok(())
}

#[test]
fn a_loudspeaker_that_is_pulled_out_costs_no_core_and_rings_again_when_it_is_back() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 2\nvolume = 80\n")?;
    let screen = Screen::start(1280, 800)?;
    let mut sound = Sound::start()?;
    let window = Window::open(&screen, Some(&sound), &shop.profile, &[])?;
    window.until_live()?;
    shop.sell(100, "with sound")?;
    window.until_paid(100_000, SOON)?;
    until("the chime", SOON, || {
        Ok((!sound.onsets().is_empty()).then_some(()))
    })?;
    window.until_scene("idle", SOON)?;

    sound.unplug()?;
    shop.sell(200, "without")?;
    window.until_paid(200_000, SOON)?;
    window.until_scene("idle", SOON)?;
    until("the screen to say so", SOON, || {
        Ok((window.attribute("sound", "data-state")?.as_deref() == Some("missing")).then_some(()))
    })?;
    let program = window.program_id()?;
    let before = (Instant::now(), tree::taken_alone(program)?);
    shop.sell(300, "still without")?;
    window.until_paid(300_000, SOON)?;
    window.until_scene("idle", SOON)?;
    let spent = tree::taken_alone(program)? - before.1;
    let share = spent.as_secs_f64() / before.0.elapsed().as_secs_f64();
    println!("{share} of a core without a loudspeaker");
    assert!(share < 0.2, "{share} of a core without a loudspeaker");

    sound.plug_in()?;
    until("the screen without a complaint", SOON, || {
        Ok((!window.has("sound")?).then_some(()))
    })?;
    shop.sell(400, "with sound again")?;
    window.until_paid(400_000, SOON)?;
    until("the chime", SOON, || {
        Ok((!sound.onsets().is_empty()).then_some(()))
    })?;
    hear(&sound, RUNG_OUT)?;
    assert_eq!(sound.onsets().len(), 1, "what could not ring does not ring later");
    let paid: Vec<_> = window
        .paid()?
        .iter()
        .filter_map(|shown| shown.amount_msat)
        .collect();
    assert_eq!(paid, [100_000, 200_000, 300_000, 400_000], "each is shown once");
    Ok(())
}

#[test]
fn a_loudspeaker_that_is_chosen_while_the_bell_waits_has_the_next_chime() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 2\nvolume = 80\n")?;
    let screen = Screen::start(640, 480)?;
    let mut sound = Sound::start()?;
    let _display = Display::live(&screen, Some(&sound), &shop.profile)?;
    let rings = |sound: &Sound, times: usize| {
        shop.sell(100, "Coffee")?;
        until("the chime", SOON, || {
            Ok((sound.onsets().len() >= times).then_some(()))
        })?;
        hear(sound, RUNG_OUT)?;
        anyhow::ensure!(sound.onsets().len() == times, "rung once");
        anyhow::Ok(())
    };
    rings(&sound, 1)?;
    sound.choose_another()?;
    rings(&sound, 1)?;
    rings(&sound, 2)
}

#[test]
fn a_second_start_says_so_and_brings_the_first_window_to_the_front() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("theme = \"dark\"\n")?;
    let other = PairedShop::new("theme = \"light\"\n")?;
    let screen = Screen::start(1280, 800)?;
    let _first = Display::live(&screen, None, &shop.profile)?;
    let until_dark = |what: &str, wanted: bool| {
        until(what, SOON, || {
            let dark = screen
                .shot("glass-second")?
                .edge
                .iter()
                .all(|colour| *colour < 64);
            Ok((dark == wanted).then_some(()))
        })
    };
    until_dark("the first window", true)?;
    let _above = Display::live(&screen, None, &other.profile)?;
    until_dark("another window above", false)?;

    let mut second = Display::start(&screen, None, &shop.profile, &[])?;
    let status = second.program().wait(SOON)?;
    assert!(status.success(), "{status}");
    let said = second.program().stderr();
    assert!(said.contains("running already"), "{said}");
    until_dark("the first window in front", true)?;
    // A terminal on the same profile is told, too.
    let said = headless(&shop.profile, &["watch", "--json"])?;
    assert!(
        !said.status.success() && said.stderr.contains("already running"),
        "{}",
        said.read()
    );
    Ok(())
}

#[test]
fn a_window_on_a_profile_that_a_terminal_has_says_so_and_ends() -> Result {
    let shop = PairedShop::new("")?;
    let watch = tillbell_tests::Watch::live(&shop.profile)?;
    let screen = Screen::start(640, 480)?;
    let mut window = Display::start(&screen, None, &shop.profile, &[])?;
    let status = window.program().wait(SOON)?;
    assert!(!status.success());
    let said = window.program().stderr();
    assert!(
        said.contains("already running") && said.contains("--profile"),
        "{said}"
    );
    watch.stop()
}

#[test]
fn a_display_that_is_cut_off_says_so_in_place_of_the_pay_code_and_comes_back_by_itself() -> Result {
    let _permit = heavy_test_permit();
    let sizes = [(1280, 800), (1920, 1080), (800, 1280)];
    let counters = sizes
        .into_iter()
        .map(|(width, height)| -> anyhow::Result<_> {
            let shop = PairedShop::new("pay_code = \"till@shop.example\"\ndwell_s = 2\n")?;
            let screen = Screen::start(width, height)?;
            let window = Window::open(&screen, None, &shop.profile, &[])?;
            window.until_live()?;
            Ok((shop, screen, window))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    for (shop, screen, window) in &counters {
        window.text("pay-code")?;
        screen.shot(&format!("trusted-{}x{}", screen.size().0, screen.size().1))?;
        shop.server.go_away();
    }
    let gone = Instant::now();
    for (shop, screen, window) in &counters {
        // A display that has only just lost its server is still right about everything before.
        until("the alarm", CUT_OFF, || {
            Ok(window.has("untrusted")?.then_some(()))
        })?;
        assert!(
            gone.elapsed() > Duration::from_secs(15),
            "a short outage alarms nobody"
        );
        let (width, height) = screen.size();
        let words = window.text("untrusted")?;
        assert!(words.contains("Not connected since "), "{words}");
        assert!(words.contains("Do not rely on this display"), "{words}");
        assert!(!window.has("pay-code")?, "nobody is asked to pay");
        let letters = window.run(
            "const it = document.querySelector(`[data-role='untrusted'] h1`), box = it.getBoundingClientRect();
             return { size: parseFloat(getComputedStyle(it).fontSize) / Math.min(innerWidth, innerHeight),
                      inside: box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight };",
        )?;
        assert!(
            letters["size"].as_f64() > Some(0.1) && letters["inside"] == json!(true),
            "read from three metres: {letters}"
        );
        window.on_glass()?;
        screen.shot(&format!("untrusted-{width}x{height}"))?;
        shop.server.come_back()?;
    }
    for (shop, _screen, window) in &counters {
        window.until_live()?;
        until("the pay code", SOON, || {
            Ok((window.has("pay-code")? && !window.has("untrusted")?).then_some(()))
        })?;
        shop.sell(100, "as before")?;
        window.until_paid(100_000, SOON)?;
    }
    Ok(())
}

#[test]
fn a_key_that_is_gone_is_said_in_place_of_the_pay_code() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("pay_code = \"till@shop.example\"\n")?;
    shop.profile.write("secrets.json", b"{}")?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    until("the sentence", SOON, || {
        Ok(window.document()?.contains("pair again").then_some(()))
    })?;
    assert!(
        !window.has("pay-code")?,
        "nobody is asked to pay a display that is deaf"
    );
    Ok(())
}

/// Wants the screen that cannot be trusted, with these words, in place of a pay code; then `mend`s it, and wants it back
/// as it was, by itself.
fn is_not_to_be_relied_on(window: &Window, screen: &Screen, words: [&str; 2], mend: impl FnOnce()) -> Result {
    until("the alarm", CUT_OFF, || {
        Ok(window.has("untrusted")?.then_some(()))
    })?;
    let said = window.text("untrusted")?;
    assert!(said.contains("Do not rely on this display"), "{said}");
    for words in words {
        assert!(said.contains(words), "{said}");
    }
    assert!(!window.has("pay-code")?, "nobody is asked to pay");
    window.on_glass()?;
    screen.shot(&format!("untrusted-{}", words[1].replace(' ', "-")))?;
    mend();
    until("the pay code", SOON, || {
        Ok((window.has("pay-code")? && !window.has("untrusted")?).then_some(()))
    })
}

#[test]
fn a_key_that_the_server_does_not_know_is_said_in_place_of_the_pay_code_until_it_does() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen, window) = live_window("pay_code = \"till@shop.example\"\ndwell_s = 2\n")?;
    window.text("pay-code")?;
    shop.server.rotate_keys(&shop.wallet);
    shop.sell(100, "while the key was unknown")?;
    is_not_to_be_relied_on(&window, &screen, ["Not connected", "pair again"], || {
        shop.server.return_keys(&shop.wallet);
    })?;
    assert!(window.until_paid(100_000, SOON)?.late);
    shop.sell(200, "as before")?;
    assert!(!window.until_paid(200_000, SOON)?.late);
    Ok(())
}

#[test]
fn a_ledger_that_cannot_be_written_is_said_in_place_of_the_pay_code_until_it_can() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen, window) = live_window("pay_code = \"till@shop.example\"\ndwell_s = 2\n")?;
    window.text("pay-code")?;
    let ledger = Ledger::of(&shop.profile)?;
    let held = ledger.hold()?;
    shop.sell(100, "unwritten")?;
    is_not_to_be_relied_on(&window, &screen, ["Not reliable", "cannot be recorded"], || {
        drop(held)
    })?;
    window.until_paid(100_000, SOON)?;
    let paid = window.paid()?;
    assert_eq!(paid.len(), 1, "not before it was written, and once: {paid:?}");
    Ok(())
}

#[test]
fn a_pairing_that_cannot_be_read_is_said_where_one_pairs() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("")?;
    shop.profile.write("pairings.json", b"{\"version\": 1, ")?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    window.until_scene("welcome", SOON)?;
    until("the notice", SOON, || {
        let page = window.document()?;
        Ok((page.contains("set aside") && page.contains("Pair again")).then_some(()))
    })
}

#[test]
fn a_ledger_that_was_set_aside_is_said_on_the_screen() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 2\n")?;
    shop.profile.write("ledger.sqlite3", &[0xAA; 4096])?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    until("the notice", SOON, || {
        let page = window.document()?;
        Ok((page.contains("set aside") && page.contains("check your wallet")).then_some(()))
    })?;
    window.until_live()?;
    shop.sell(100, "in the new ledger")?;
    window.until_paid(100_000, SOON)?;
    // Nobody has read it yet.
    window.until_scene("idle", SOON)?;
    assert!(window.document()?.contains("set aside"), "it stays");
    Ok(())
}

#[test]
fn a_hostile_memo_stays_text_within_the_page() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen, window) = live_window("dwell_s = 6\n")?;
    let zalgo: String = "Coffee"
        .chars()
        .flat_map(|c| {
            std::iter::once(c).chain((0..60).map(|n| char::from_u32(0x300 + n).unwrap_or('\u{300}')))
        })
        .collect();
    let memos = [
        ("markup", "<img src=x onerror=\"document.title='owned'\"><style>*{display:none}</style></div><script>document.title='owned'</script>".to_owned()),
        ("bidi", "\u{202e}0001 diap\u{202c} \u{2066}left\u{2069} \u{200f}right".to_owned()),
        ("one-word", "W".repeat(640)),
        ("many-lines", "a\n".repeat(320)),
        ("zalgo", zalgo),
        ("wide", "\u{fdfd}".repeat(200)),
    ];
    for (nth, (name, memo)) in memos.iter().enumerate() {
        let sats = 1_000 + nth as u64;
        shop.sell(sats, memo)?;
        let shown = window.until_paid(sats * 1_000, SOON)?;
        assert_eq!(shown.verdict.as_deref(), Some("verified"), "{name}");
        window.on_glass()?;
        screen.shot(&format!("memo-{name}"))?;
        let seen = window.run(
            "const it = document.querySelector(`[data-role='memo']`), box = it.getBoundingClientRect();
             // Its line: the letters' own box has room for accents that no number has.
             const amount = document.querySelector(`[data-role='amount']`).parentElement.getBoundingClientRect();
             const page = document.scrollingElement;
             return {
               elements: it.querySelectorAll('img, script, style').length,
               strangers: document.querySelectorAll('body img, body style, body script:not([src])').length,
               title: document.title,
               inside: box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight && box.height > 0,
               amountInside: amount.left >= 0 && amount.right <= innerWidth && amount.top >= 0 && amount.bottom <= innerHeight && amount.height > 40,
               apart: amount.bottom <= box.top + 1 || box.bottom <= amount.top + 1,
               scrolls: page.scrollWidth > innerWidth || page.scrollHeight > innerHeight,
               text: it.textContent,
             };",
        )?;
        assert_eq!(seen["elements"], json!(0), "{name}: {seen}");
        assert_eq!(seen["strangers"], json!(0), "{name}: {seen}");
        assert_ne!(seen["title"], json!("owned"), "{name}");
        for wanted in ["inside", "amountInside", "apart"] {
            assert_eq!(seen[wanted], json!(true), "{name}: {wanted}: {seen}");
        }
        assert_eq!(seen["scrolls"], json!(false), "{name}: {seen}");
        let text = seen["text"].as_str().unwrap_or_default();
        assert!(!text.contains(['\u{202e}', '\u{2066}']), "{name}: {text:?}");
        window.until_scene("idle", SOON)?;
    }
    Ok(())
}
