//! The first frame of a payment, which the shell draws before the page has drawn its own.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tillbell_tests::{Display, PairedShop, Picture, Screen, Window, heavy_test_permit, signal, tree, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);
/// What WebKit calls the process that holds a page.
const PAGE: &str = "WebKitWebProcess";
/// A payment's ground in the light look, and what the page has at the middle of the upper edge, where one of its bands lies.
const GROUND: [u8; 3] = [0x34, 0xd6, 0x7c];
const PAINTED: [u8; 3] = [0x60, 0xe6, 0x9b];
const CALM: [u8; 3] = [0xf7, 0xf2, 0xe7];
/// So far may the amount move when the page takes over, in pixels.
const TOLERANCE: usize = 2;

const SETTINGS: &str = "theme = \"light\"\ndwell_s = 4\n";

/// A display in the light look and without WebDriver, which has shown a payment already: its page has said where it draws.
fn counter(shop: &PairedShop) -> anyhow::Result<(Screen, Display)> {
    let screen = Screen::start(1280, 800)?;
    let display = Display::live(&screen, None, &shop.profile)?;
    shop.sell(100, "the first")?;
    until_edge(&screen, PAINTED)?;
    until_edge(&screen, CALM)?;
    display.until_said("outlet=Screens", SOON)?;
    Ok((screen, display))
}

fn until_edge(screen: &Screen, colour: [u8; 3]) -> Result {
    until(&format!("{colour:?} on the glass"), SOON, || {
        let edge = screen.picture()?.edge();
        ensure!(edge == colour, "{edge:?}");
        Ok(Some(()))
    })
}

/// Every page that there is now: WebKit may keep another at hand.
fn signal_pages(display: &Display, name: &str) -> Result {
    display
        .pages()?
        .into_iter()
        .try_for_each(|page| signal(page, name))
}

#[test]
fn a_page_that_is_slow_has_the_glass_back_and_its_payment_counts_once_it_is_painted() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new(SETTINGS)?;
    let (screen, display) = counter(&shop)?;
    signal_pages(&display, "STOP")?;
    shop.sell(21_000, "while the page is slow")?;
    until_edge(&screen, GROUND)?;
    until_edge(&screen, CALM)?;
    assert_eq!(
        display.said("outlet=Screens"),
        1,
        "what the shell drew does not count"
    );
    signal_pages(&display, "CONT")?;
    until_edge(&screen, PAINTED)?;
    until("a payment that counts", SOON, || {
        Ok((display.said("outlet=Screens") == 2).then_some(()))
    })
}

#[test]
fn a_page_whose_process_ends_takes_the_first_frame_with_it() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new(SETTINGS)?;
    let (screen, display) = counter(&shop)?;
    signal_pages(&display, "STOP")?;
    shop.sell(21_000, "while the page is slow")?;
    until_edge(&screen, GROUND)?;
    signal_pages(&display, "KILL")?;
    until("a glass without a page", SOON, || {
        let edge = screen.picture()?.edge();
        ensure!(edge != PAINTED, "the next page was there first");
        Ok((edge != GROUND).then_some(()))
    })?;
    until_edge(&screen, PAINTED)
}

#[test]
fn where_webkit_draws_in_another_way_the_page_is_all_there_is() -> Result {
    let _permit = heavy_test_permit();
    let mut shop = PairedShop::new(SETTINGS)?;
    shop.profile.set("WEBKIT_DMABUF_RENDERER_FORCE_SHM", "1");
    shop.profile.set("WEBKIT_DISABLE_DMABUF_RENDERER", "0");
    let (screen, display) = counter(&shop)?;
    signal_pages(&display, "STOP")?;
    shop.sell(21_000, "while the page is slow")?;
    until("the payment in the ledger", SOON, || {
        let recorded = tillbell_tests::Ledger::of(&shop.profile)?.hashes()?;
        Ok((recorded.len() == 2).then_some(()))
    })?;
    for _ in 0..50 {
        assert_eq!(screen.picture()?.edge(), CALM);
    }
    signal_pages(&display, "CONT")?;
    until_edge(&screen, PAINTED)
}

#[test]
fn the_shell_draws_the_amount_as_the_page_does() -> Result {
    let _permit = heavy_test_permit();
    for (width, height) in [(800, 480), (1280, 800), (1920, 1080), (800, 1280)] {
        let shop = PairedShop::new("dwell_s = 2\n")?;
        let screen = Screen::start(width, height)?;
        let window = Window::open(&screen, None, &shop.profile, &[])?;
        window.until_live()?;
        // They come after the first frame and lie under the amount.
        window.run("document.querySelector('.bands').style.display = 'none'")?;
        for theme in ["light", "dark"] {
            window.run(&format!(
                "const request = {{ ask: 'change-settings', form: {{ theme: '{theme}' }} }};
                 window.__TAURI_INTERNALS__.invoke('ask', {{ request }})"
            ))?;
            until("the theme", SOON, || {
                let now = window.run("return document.documentElement.dataset.theme")?;
                Ok((now == theme).then_some(()))
            })?;
            for sats in [1, 21_000, 2_100_000_000] {
                both_draw(&shop, &screen, &window, sats)
                    .with_context(|| format!("{sats} sats, {theme}, {width}×{height}"))?;
            }
        }
    }
    Ok(())
}

/// Sells while the page hangs, and compares what the shell draws with what the page draws once it goes on.
fn both_draw(shop: &PairedShop, screen: &Screen, window: &Window, sats: u64) -> Result {
    window.until_scene("idle", SOON)?;
    window.on_glass()?;
    let calm = screen.picture()?.edge();
    let pages = tree::named(window.program_id()?, PAGE)?;
    for page in &pages {
        signal(*page, "STOP")?;
    }
    let shell = shop.sell(sats, "2 × flat white").and_then(|_| {
        until("the shell's frame", SOON, || {
            let picture = screen.picture()?;
            Ok((picture.edge() != calm).then_some(picture))
        })
    });
    for page in &pages {
        signal(*page, "CONT")?;
    }
    let shell = shell?;
    window.until_paid(sats * 1_000, SOON)?;
    until("a picture that stands still", SOON, || {
        let still = window.run(
            "return document.querySelector('.ring') !== null && document.getAnimations().length === 0",
        )?;
        Ok((still == true).then_some(()))
    })?;
    window.on_glass()?;
    let page = screen.picture()?;
    let place = window.run(
        "const { left, top, right, bottom } = document.querySelector('.sum').getBoundingClientRect();
         return [left, top, right, bottom].map(Math.round)",
    )?;
    let place: Vec<_> = place
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .filter_map(|pixels| usize::try_from(pixels).ok())
        .collect();
    let [left, top, right, bottom] = place[..] else {
        anyhow::bail!("the amount is nowhere: {place:?}")
    };
    shell.keep("first-frame-shell")?;
    page.keep("first-frame-page")?;
    ensure!(
        shell.edge() == page.edge(),
        "the grounds are {:?} and {:?}",
        shell.edge(),
        page.edge()
    );
    let (ours, theirs) = (Ink::of(&shell, page.edge()), Ink::of(&page, page.edge()));
    let within = (left..right, top..bottom);
    let (our_colour, their_colour) = (ours.colour(&within), theirs.colour(&within));
    ensure!(
        our_colour == their_colour,
        "the inks are {our_colour:?} and {their_colour:?}"
    );
    let (more, less) = (ours.beyond(&theirs, &within), theirs.beyond(&ours, &within));
    ensure!(
        (more, less) == (0, 0),
        "{more} points are written by the shell alone, {less} by the page alone"
    );
    Ok(())
}

/// What is written on a picture.
struct Ink<'a> {
    picture: &'a Picture,
    ground: [u8; 3],
}

type Place = (std::ops::Range<usize>, std::ops::Range<usize>);

impl<'a> Ink<'a> {
    const fn of(picture: &'a Picture, ground: [u8; 3]) -> Self {
        Self { picture, ground }
    }

    /// Letters have soft edges: more than half of the way from the ground to black or white is ink.
    fn is_at(&self, x: usize, y: usize) -> bool {
        let colour = self.picture.at(x, y);
        let far: u32 = colour
            .iter()
            .zip(self.ground)
            .map(|(one, other)| u32::from(one.abs_diff(other)))
            .sum();
        far > 120
    }

    /// The colour that most of it has.
    fn colour(&self, (columns, rows): &Place) -> Option<[u8; 3]> {
        let mut counts = std::collections::BTreeMap::<[u8; 3], u32>::new();
        for y in rows.clone() {
            for x in columns.clone().filter(|x| self.is_at(*x, y)) {
                *counts.entry(self.picture.at(x, y)).or_default() += 1;
            }
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(colour, _)| colour)
    }

    /// How many of its points have none of the other's nearby.
    fn beyond(&self, other: &Ink<'_>, (columns, rows): &Place) -> usize {
        let near = |at: usize| at.saturating_sub(TOLERANCE)..=at + TOLERANCE;
        let is_alone =
            |x: usize, y: usize| self.is_at(x, y) && !near(y).any(|y| near(x).any(|x| other.is_at(x, y)));
        rows.clone()
            .map(|y| columns.clone().filter(|x| is_alone(*x, y)).count())
            .sum()
    }
}
