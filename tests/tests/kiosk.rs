//! The window and the screen that it stands on: none, another size, another monitor; and the hands that reach for it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tillbell_machine::renderer::{self, Found};
use tillbell_tests::{
    Button, Hand, Key, PairedShop, Profile, Running, Screen, Window, headless, headless_told,
    heavy_test_permit, until,
};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);

// ── No screen ──────────────────────────────────────────────────────────────────────────────────────

/// Starts the window where it cannot open, and wants one sentence with these words, and nothing else.
fn says_in_one_sentence(environment: &[(&str, &str)], arguments: &[&str], words: &[&str]) -> Result {
    let profile = Profile::new()?;
    let mut command = profile.command("tillbell");
    command
        .env("NO_AT_BRIDGE", "1")
        .envs(environment.iter().copied())
        .arg("--profile")
        .arg(profile.path())
        .args(arguments);
    let mut window = Running::start("tillbell", command)?;
    let status = window.wait(SOON)?;
    let said = window.stderr();
    assert_eq!(status.code(), Some(1), "{environment:?}: {status}\n{said}");
    assert_eq!(said.lines().count(), 1, "{environment:?}:\n{said}");
    assert_eq!(window.stdout(), "");
    for words in words {
        assert!(said.contains(words), "{environment:?}: {said}");
    }
    Ok(())
}

const INSTEAD: &str = "`tillbell-headless watch` in a terminal";

#[test]
fn without_a_screen_it_says_so_in_one_sentence_and_ends() -> Result {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_str().context("no name")?;
    let wrong_wayland = [("WAYLAND_DISPLAY", "wayland-77"), ("XDG_RUNTIME_DIR", folder)];
    let cases: [(&[_], &str); 6] = [
        (&[], "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (&[("DISPLAY", "")], "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (&[("DISPLAY", ":7777")], "X11, :7777"),
        (&[("DISPLAY", "nonsense")], "X11, nonsense"),
        (&wrong_wayland, "Wayland, wayland-77"),
        (
            &[wrong_wayland[0], wrong_wayland[1], ("DISPLAY", ":7777")],
            "X11, :7777",
        ),
    ];
    for (environment, words) in cases {
        for arguments in [&[][..], &["--kiosk"], &["--demo"]] {
            says_in_one_sentence(environment, arguments, &[words, INSTEAD])?;
        }
    }
    Ok(())
}

#[test]
fn a_screen_that_this_user_may_not_draw_on_is_said_in_one_sentence() -> Result {
    let folder = tempfile::tempdir()?;
    let right = folder.path().join("right");
    write_right(&right)?;
    let right = right.to_str().context("no name")?;
    let screen = Screen::start_with(640, 480, &["-auth", right])?;
    let name = screen.name();
    let without = [("DISPLAY", name.as_str()), ("XAUTHORITY", "/nowhere")];
    says_in_one_sentence(&without, &[], &[&name, "this user may draw on it", INSTEAD])
}

/// A file for `-auth`: the right to draw for whoever knows sixteen bytes, whatever the screen's number.
fn write_right(file: &Path) -> Result {
    let mut entry = vec![0xff, 0xff];
    for part in [&b""[..], b"", b"MIT-MAGIC-COOKIE-1", &[7; 16]] {
        entry.extend(u16::try_from(part.len())?.to_be_bytes());
        entry.extend(part);
    }
    Ok(std::fs::write(file, entry)?)
}

// ── How it draws ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn webkit_is_told_how_this_machine_can_draw() -> Result {
    let (screen, profile) = (Screen::start(640, 480)?, Profile::new()?);
    let mut command = profile.command("tillbell");
    screen.dress(&mut command);
    // What whoever runs the tests has chosen would stay.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEBKIT_")) {
        command.env_remove(name);
    }
    command
        .env("NO_AT_BRIDGE", "1")
        .arg("--profile")
        .arg(profile.path());
    let window = Running::start("tillbell", command)?;
    let environment = until("its environment", SOON, || {
        let environment = std::fs::read(format!("/proc/{}/environ", window.id()))?;
        let variables: Vec<_> = String::from_utf8_lossy(&environment)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect();
        let is_prepared = variables.contains(&"TILLBELL_WEBKIT_PREPARED=1".to_owned());
        Ok(is_prepared.then_some(variables))
    })?;
    let told: Vec<_> = environment
        .iter()
        .filter(|variable| variable.starts_with("WEBKIT_"))
        .filter_map(|variable| variable.split_once('='))
        .collect();
    let machine = Found {
        chosen: None,
        ..renderer::find()
    };
    let wanted = machine.renderer().variable();
    assert_eq!(told, Vec::from_iter(wanted));
    Ok(())
}

// ── Which screen, and how large ────────────────────────────────────────────────────────────────────

fn until_size(window: &Window, width: u32, height: u32) -> Result {
    until(&format!("a page of {width}x{height}"), SOON, || {
        let size = window.run("return [innerWidth, innerHeight]")?;
        anyhow::ensure!(size == json!([width, height]), "the page has {size}");
        Ok(Some(()))
    })
}

#[test]
fn a_window_fills_a_screen_that_changes_its_size_without_a_window_manager() -> Result {
    let _permit = heavy_test_permit();
    for arguments in [&["--kiosk"][..], &[]] {
        let (shop, screen) = (PairedShop::new("")?, Screen::start(1280, 800)?);
        let hand = Hand::at(&screen)?;
        let window = Window::open(&screen, None, &shop.profile, arguments)?;
        for (width, height) in [(800, 480), (1280, 720), (480, 800), (1280, 800)] {
            hand.resizes(width, height)?;
            until_size(&window, width.into(), height.into())?;
        }
    }
    Ok(())
}

#[test]
fn a_screen_that_is_not_there_is_said_in_one_sentence() -> Result {
    let screen = Screen::start(640, 480)?;
    let name = screen.name();
    let environment = [("DISPLAY", name.as_str()), ("GDK_BACKEND", "x11")];
    for wanted in ["0", "2", "99"] {
        let words = format!("there is no screen {wanted}: choose --screen 1, or leave --screen out");
        says_in_one_sentence(&environment, &["--screen", wanted, "--kiosk"], &[&words])?;
    }
    Ok(())
}

#[test]
fn a_window_opens_on_the_screen_that_is_chosen() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (PairedShop::new("")?, Screen::start(1280, 800)?);
    // Filled, or it does not open.
    let window = Window::open(&screen, None, &shop.profile, &["--kiosk", "--screen", "1"])?;
    window.until_live()
}

// ── Hands ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_pointer_is_never_seen_in_a_kiosk_and_in_a_window_not_once_it_rests() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (PairedShop::new("")?, Screen::start(1280, 800)?);
    let hand = Hand::at(&screen)?;
    let until_seen = |seen: bool| {
        until(&format!("a pointer that is seen: {seen}"), SOON, || {
            Ok((hand.sees_pointer()? == seen).then_some(()))
        })
    };
    // In the middle, where it is after a start, and nobody touches it.
    hand.moves_to(640, 400)?;
    {
        let window = Window::open(&screen, None, &shop.profile, &["--kiosk"])?;
        window.until_live()?;
        until_seen(false)?;
        for x in 0..20 {
            hand.moves_to(600 + x, 300)?;
            window.on_glass()?;
            assert!(!hand.sees_pointer()?, "not while it moves either");
        }
    }
    let window = Window::open(&screen, None, &shop.profile, &[])?;
    window.until_live()?;
    hand.moves_to(700, 400)?;
    until_seen(true)?;
    until_seen(false)?;
    hand.moves_to(500, 300)?;
    until_seen(true)
}

#[test]
fn in_a_kiosk_hands_get_no_menu_no_larger_page_and_no_selection() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (
        PairedShop::new("pay_code = \"till@shop.example\"\n")?,
        Screen::start(1280, 800)?,
    );
    let hand = Hand::at(&screen)?;
    let window = Window::open(&screen, None, &shop.profile, &["--kiosk"])?;
    window.until_live()?;
    hand.moves_to(640, 400)?;
    let before = hand.windows()?;
    window.run(
        "window.came = [];
         for (const name of ['contextmenu', 'wheel', 'keyup'])
           addEventListener(name, (event) => window.came.push(name === 'keyup' ? event.code : name));",
    )?;
    hand.clicks(Button::Right, &[])?;
    hand.clicks(Button::WheelUp, &[Key::Control])?;
    for key in [Key::Plus, Key::Minus, Key::A] {
        hand.presses(&[Key::Control, key])?;
    }
    until("all of that in the page", SOON, || {
        let came = window.run("return [...new Set(window.came)].sort()")?;
        let wanted = ["ControlLeft", "Equal", "KeyA", "Minus", "contextmenu", "wheel"];
        anyhow::ensure!(
            wanted
                .iter()
                .all(|name| came.as_array().is_some_and(|came| came.contains(&json!(name)))),
            "{came}"
        );
        Ok(Some(()))
    })?;
    window.on_glass()?;
    assert_eq!(hand.windows()?, before, "no menu");
    let page = window.run(
        "return [innerWidth, innerHeight, devicePixelRatio, visualViewport.scale, `${getSelection()}`]",
    )?;
    assert_eq!(page, json!([1280, 800, 1, 1, ""]));
    Ok(())
}

#[test]
fn what_is_dropped_on_the_page_leads_nowhere() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (PairedShop::new("dwell_s = 2\n")?, Screen::start(1280, 800)?);
    let window = Window::open(&screen, None, &shop.profile, &["--kiosk"])?;
    window.until_live()?;
    let refused = window.run(
        "const over = new DragEvent('dragover', { bubbles: true, cancelable: true });
         const drop = new DragEvent('drop', { bubbles: true, cancelable: true });
         return [over, drop].map((event) => !document.querySelector('main').dispatchEvent(event));",
    )?;
    assert_eq!(refused, json!([true, true]));
    // A link that got through all the same.
    for elsewhere in [shop.server.base_url(), "file:///etc/hostname".to_owned()] {
        window.run(&format!("location.href = '{elsewhere}'"))?;
    }
    shop.sell(100, "still here")?;
    window.until_paid(100_000, SOON).map(drop)
}

// ── Without a keyboard ─────────────────────────────────────────────────────────────────────────────

#[test]
fn a_kiosk_without_a_keyboard_is_paired_from_a_terminal_while_it_runs() -> Result {
    let _permit = heavy_test_permit();
    let (shop, screen) = (PairedShop::new("dwell_s = 2\n")?, Screen::start(800, 480)?);
    let profile = Profile::new()?;
    let window = Window::open(&screen, None, &profile, &["--kiosk"])?;
    window.until_scene("welcome", SOON)?;
    assert!(window.text("not-paired")?.contains("tillbell-headless pair -"));
    window.on_glass()?;
    screen.shot("kiosk-not-paired")?;
    headless_told(&profile, &["pair", "-"], &shop.pairing())?.well()?;
    window.until_live()?;
    window.until_scene("idle", SOON)?;
    shop.sell(100, "Coffee")?;
    window.until_paid(100_000, SOON)?;
    assert!(headless(&profile, &["wallets"])?.well()?.stdout.contains("shop"));
    Ok(())
}
