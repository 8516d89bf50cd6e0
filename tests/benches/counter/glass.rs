//! What a payment looks like on the glass: which points tell, and in what colour.

use std::time::{Duration, Instant};

use tillbell_tests::ScreenProbe;

/// Points that nobody writes on, from the upper edge to the lower.
pub(crate) const EDGES: [Point; 5] = [(8, 8), (640, 4), (1271, 8), (8, 791), (1271, 791)];
/// Along here lies the dot that says how the link is, and its colour when that is well (`LinkState.svelte`).
pub(crate) const DOT: [Point; 5] = [(48, 752), (51, 752), (54, 752), (57, 752), (60, 752)];
pub(crate) const LIVE: Colour = [0x1d, 0x9e, 0x57];
/// Down through the tick mark beside “Paid” (`Paid.svelte`), which only Tillbell's page paints: never the shell before it.
pub(crate) const MARK: [Point; 5] = [(497, 195), (497, 203), (497, 211), (497, 219), (497, 227)];

/// A payment's ground.
const PAID: Colour = [0x34, 0xd6, 0x7c];
/// Two colours that lie further apart than this, in one of the three, are two.
const ALIKE: u8 = 24;

pub(crate) type Point = (u32, u32);
pub(crate) type Colour = [u8; 3];

/// When a payment was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// A first point at the edges had changed.
    pub(crate) first: Option<Instant>,
    /// The page itself had painted.
    pub(crate) own: Option<Instant>,
    /// All points at the edges had changed.
    pub(crate) whole: Option<Instant>,
}

impl Seen {
    /// Looks once. `own`: points that tell of the page's own frame, with their colours before; without any, the first point does.
    pub(crate) fn look(&mut self, probe: &mut ScreenProbe, own: &[(Point, Colour)]) -> anyhow::Result<()> {
        if self.whole.is_none() {
            let mut changed = 0;
            for point in EDGES {
                changed += usize::from(is_paid(probe.colour(point)?));
            }
            let now = Instant::now();
            self.first = self.first.or((changed > 0).then_some(now));
            self.whole = (changed == EDGES.len()).then_some(now);
        }
        if own.is_empty() {
            self.own = self.first;
        }
        for (point, before) in own.iter().filter(|_| self.own.is_none()) {
            let colour = probe.colour(*point)?;
            if unlike(colour, *before) && unlike(colour, PAID) {
                self.own = Some(Instant::now());
                break;
            }
        }
        Ok(())
    }

    /// There is nothing more to see.
    pub(crate) fn is_over(&self) -> bool {
        self.own.is_some() && self.whole.is_some()
    }
}

/// Their colours now.
pub(crate) fn colours(probe: &mut ScreenProbe, points: &[Point]) -> anyhow::Result<Vec<(Point, Colour)>> {
    points
        .iter()
        .map(|point| Ok((*point, probe.colour(*point)?)))
        .collect()
}

/// Waits until a point at the edges tells of a payment.
pub(crate) fn until_paid(probe: &mut ScreenProbe, within: Duration) -> anyhow::Result<()> {
    probe
        .until("a payment", within, |probe| any(probe, &EDGES, is_paid))
        .map(drop)
}

/// Waits until no point at the edges tells of a payment.
pub(crate) fn until_calm(probe: &mut ScreenProbe, within: Duration) -> anyhow::Result<()> {
    probe
        .until("the calm screen", within, |probe| {
            all(probe, &EDGES, |colour| !is_paid(colour))
        })
        .map(drop)
}

pub(crate) fn any(
    probe: &mut ScreenProbe,
    points: &[Point],
    like: impl Fn(Colour) -> bool,
) -> anyhow::Result<bool> {
    for point in points {
        if like(probe.colour(*point)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn all(
    probe: &mut ScreenProbe,
    points: &[Point],
    like: impl Fn(Colour) -> bool,
) -> anyhow::Result<bool> {
    any(probe, points, |colour| !like(colour)).map(|unlike| !unlike)
}

/// Every green of a verified payment, and nothing else that any of these screens has at its edges.
fn is_paid([red, green, blue]: Colour) -> bool {
    green > red.saturating_add(40) && green > blue.saturating_add(40)
}

fn unlike(one: Colour, other: Colour) -> bool {
    one.iter()
        .zip(other)
        .any(|(one, other)| one.abs_diff(other) > ALIKE)
}
