//! What keeps the screen awake, and what `doctor` finds of the machine around a display.

use std::time::Duration;

use tillbell_tests::{
    Bus, Display, Hand, Keeper, PairedShop, Screen, Sound, Window, headless, heavy_test_permit, until,
};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);
/// Each way is tried every 15 s.
const TRIED_AGAIN: Duration = Duration::from_secs(40);
/// An X server that has no screen saver of its own.
const NO_SAVER: [&str; 2] = ["-extension", "MIT-SCREEN-SAVER"];

/// A paired shop whose programs find these buses.
fn shop_with(session: &Bus, system: &Bus) -> anyhow::Result<PairedShop> {
    let mut shop = PairedShop::new("")?;
    shop.profile.set("DBUS_SESSION_BUS_ADDRESS", &session.address());
    shop.profile.set("DBUS_SYSTEM_BUS_ADDRESS", &system.address());
    Ok(shop)
}

fn until_asked(keeper: &Keeper, times: usize, words: &str) -> Result {
    until(&format!("{times} questions"), TRIED_AGAIN, || {
        let asked = keeper.asked();
        anyhow::ensure!(
            asked.len() == times && asked.iter().all(|asked| asked.contains(words)),
            "{asked:?}"
        );
        Ok(Some(()))
    })
}

fn until_told(window: &Window, dark: bool) -> Result {
    until(&format!("told that it may go dark: {dark}"), TRIED_AGAIN, || {
        Ok((window.document()?.contains("may go dark") == dark).then_some(()))
    })
}

#[test]
fn on_a_bus_without_a_screen_saver_the_login_manager_keeps_the_screen_awake_until_the_end() -> Result {
    let _permit = heavy_test_permit();
    let (session, system) = (Bus::start()?, Bus::start()?);
    let logind = Keeper::login_manager(&system)?;
    let shop = shop_with(&session, &system)?;
    let screen = Screen::start_with(1280, 800, &NO_SAVER)?;
    let display = Display::live(&screen, None, &shop.profile)?;
    until_asked(&logind, 1, "idle, Tillbell, a shop's display, block")?;
    assert_eq!(display.said("may go dark"), 0, "one way is enough");
    drop(display);
    logind.until_let_go()
}

#[test]
fn without_a_session_bus_the_x_server_keeps_its_screen_awake() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (PairedShop::new("")?, Screen::start(1280, 800)?);
    let hand = Hand::at(&screen)?;
    hand.lets_it_go_dark_after(Duration::from_secs(1))?;
    until("a screen that goes dark", SOON, || {
        Ok(hand.sees_dark()?.0.then_some(()))
    })?;
    hand.moves_to(10, 10)?;
    let display = Display::live(&screen, None, &shop.profile)?;
    display.until_said("way=the X server", SOON)?;
    hand.moves_to(20, 20)?;
    until("a rest that was long enough to go dark", SOON, || {
        let (dark, rest) = hand.sees_dark()?;
        assert!(!dark, "after {rest:?}");
        Ok((rest > Duration::from_secs(4)).then_some(()))
    })?;
    drop(display);
    until("a screen that goes dark again", SOON, || {
        Ok(hand.sees_dark()?.0.then_some(()))
    })
}

#[test]
fn where_nothing_keeps_the_screen_awake_the_merchant_is_told_until_something_does() -> Result {
    let _permit = heavy_test_permit();
    let (mut session, system) = (Bus::away()?, Bus::away()?);
    let shop = shop_with(&session, &system)?;
    let screen = Screen::start_with(1280, 800, &NO_SAVER)?;
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    window.until_live()?;
    until_told(&window, true)?;
    window.on_glass()?;
    screen.shot("may-go-dark")?;
    let said = headless(&shop.profile, &["doctor"])?.well()?.stdout;
    assert!(
        said.contains("warning keep awake: this screen may go dark"),
        "{said}"
    );

    // The desktop's session comes late; its screen saver is replaced once.
    session.begin()?;
    let first = Keeper::screen_saver(&session)?;
    until_told(&window, false)?;
    until_asked(&first, 1, "a shop's display")?;
    drop(first);
    let second = Keeper::screen_saver(&session)?;
    until_asked(&second, 1, "a shop's display")
}

#[test]
fn the_doctor_says_what_it_finds_of_the_machine_and_what_is_missing() -> Result {
    let _permit = heavy_test_permit();
    let (session, system) = (Bus::start()?, Bus::start()?);
    let mut shop = shop_with(&session, &system)?;
    let said = headless(&shop.profile, &["doctor"])?.well()?.stdout;
    for missing in [
        "warning screen: there is no screen to open a window on",
        "warning sound: there is no sound server and no sound card",
        "warning keep awake: this screen may go dark",
    ] {
        assert!(said.contains(missing), "no «{missing}» in\n{said}");
    }

    let (screen, sound) = (Screen::start(640, 480)?, Sound::start()?);
    let _saver = Keeper::screen_saver(&session)?;
    shop.profile.set("DISPLAY", &screen.name());
    shop.profile.set("PULSE_SERVER", &sound.server());
    let said = headless(&shop.profile, &["doctor"])?.well()?.stdout;
    for found in [
        format!("ok      screen: X11, {}", screen.name()),
        "ok      drawing: by ".to_owned(),
        "ok      sound: a sound server".to_owned(),
        "ok      fonts: ".to_owned(),
        "ok      keep awake: by the desktop's screen saver, the X server".to_owned(),
    ] {
        assert!(said.contains(&found), "no «{found}» in\n{said}");
    }
    Ok(())
}
