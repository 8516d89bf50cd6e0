//! The window under a Wayland compositor: one that shows what is drawn, and one that does not.

use std::time::Duration;

use tillbell_tests::{Display, PairedShop, Screen, Sound, heavy_test_permit, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(30);

/// A display in a compositor that shows its screen in a window on another one.
struct Counter {
    shop: PairedShop,
    screen: Screen,
    sound: Sound,
    display: Display,
}

impl Counter {
    fn open() -> anyhow::Result<Self> {
        let shop = PairedShop::new("theme = \"dark\"\ndwell_s = 3\nvolume = 80\n")?;
        // The compositor's window has this size.
        let (screen, sound) = (Screen::start(1024, 768)?, Sound::start()?);
        let display = Display::under_cage(&screen, &sound, &shop.profile)?;
        display.until_said("link state=Live", SOON)?;
        let counter = Self {
            shop,
            screen,
            sound,
            display,
        };
        counter.until_glass(true)?;
        Ok(counter)
    }

    /// While it is idle a dark screen is nearly black; a payment is green.
    fn until_glass(&self, idle: bool) -> Result {
        let nearly_black = |edge: [u8; 3]| edge.iter().all(|part| *part < 48);
        until(&format!("an idle glass: {idle}"), SOON, || {
            let shot = self
                .screen
                .shot(if idle { "wayland-idle" } else { "wayland-paid" })?;
            Ok((shot.colours > 20 && nearly_black(shot.edge) == idle).then_some(()))
        })
    }

    fn until_announced(&self, count: usize) -> Result {
        until(&format!("{count} announcements"), SOON, || {
            Ok((self.display.said("outlet=Screens") == count).then_some(()))
        })
    }

    fn until_rung(&self, times: usize) -> Result {
        until(&format!("{times} chimes"), SOON, || {
            Ok((self.sound.onsets().len() == times).then_some(()))
        })
    }
}

#[test]
fn under_a_compositor_that_shows_them_payments_are_shown_rung_and_announced_once() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::open()?;
    for nth in 1..=2 {
        counter.shop.sell(100, "Coffee")?;
        counter.until_glass(false)?;
        counter.until_announced(nth)?;
        counter.until_rung(nth)?;
        counter.until_glass(true)?;
    }
    assert_eq!(counter.display.said("not seen on this screen"), 0);
    Ok(())
}

#[test]
fn what_a_compositor_does_not_show_rings_and_is_announced_once_it_does() -> Result {
    let _permit = heavy_test_permit();
    let mut counter = Counter::open()?;
    counter.display.program().signal("STOP")?;
    counter.shop.sell(100, "Coffee")?;
    counter.until_rung(1)?;
    counter.display.until_said("not seen on this screen", SOON)?;
    assert_eq!(counter.display.said("outlet=Screens"), 0, "nobody has seen it");
    counter.display.program().signal("CONT")?;
    counter.until_announced(1)?;
    counter.until_glass(true)?;
    assert_eq!(counter.sound.onsets().len(), 1, "rung once");
    counter.shop.sell(200, "Tea")?;
    counter.until_glass(false)?;
    counter.until_announced(2)
}
