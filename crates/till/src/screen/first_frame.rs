//! The first frame of a payment: its ground and what was paid, for a shell that draws them before its page has.
//!
//! The page measures where it would draw them and says so in a [`FlashLayout`]. Everything here is arithmetic: whoever draws needs
//! no CSS, and fonts alone are left to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tillbell_lnbits::Method;
use ts_rs::TS;

use super::view::{FiatAmount, Paid, Verdict};

/// Characters narrower than a digit. The page has the same list (`lib/amount.ts`).
const NARROW: &str = " \u{a0}\u{202f}.,'’·٫٬،-\u{200e}\u{200f}\u{61c}";

/// Where and how the page draws the amount of a payment. Lengths are CSS pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct FlashLayout {
    /// The page's width.
    pub width: f64,
    /// The page's height. A payment fills the page.
    pub height: f64,
    /// The box in whose middle the amount stands, whatever stands beside it.
    pub place: Place,
    /// An amount is as large, in whole pixels, as lets it be so wide …
    pub fill: f64,
    /// … counting so many em for what stands beside its digits …
    pub beside_em: f64,
    /// … and at most so large.
    pub most: f64,
    /// How "sats" is drawn.
    pub unit: UnitLayout,
    /// CSS font families, the first one that exists is used.
    pub families: String,
    /// The weight of the amount, 1 to 1,000.
    pub weight: u16,
    /// Colours by what is shown.
    pub colours: FlashColours,
    /// How the page writes amounts.
    pub writing: Writing,
}

/// A rectangle of the page, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Place {
    /// From the left edge of the page.
    pub x: f64,
    /// From its upper edge.
    pub y: f64,
    /// How wide.
    pub width: f64,
    /// How high.
    pub height: f64,
}

/// How the word behind the number is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct UnitLayout {
    /// Its size, of the number's …
    pub share: f64,
    /// … and at least so many CSS pixels.
    pub least: f64,
    /// Its weight, 1 to 1,000.
    pub weight: u16,
    /// It stands on a line of its own below the number, so many of its own em away; `None` when it follows the number.
    pub below: Option<f64>,
}

/// The colours of each kind of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FlashColours {
    /// By Lightning, confirmed.
    pub lightning: Colours,
    /// By card.
    pub card: Colours,
    /// In cash.
    pub cash: Colours,
    /// Another way.
    pub other: Colours,
    /// Not confirmed by the wallet.
    pub reported: Colours,
}

/// Red, green and blue, each 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Colours {
    /// Of the whole screen.
    pub ground: [u8; 3],
    /// Of what is written.
    pub ink: [u8; 3],
}

/// How the page's language writes amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Writing {
    /// Sats.
    pub sats: Figures,
    /// Currencies.
    pub fiat: Figures,
    /// The unit of 1 sat.
    pub one: String,
    /// The unit of any other number of sats.
    pub many: String,
    /// What stands before and behind an amount of each currency. One that is not here is not written.
    pub currencies: BTreeMap<String, Around>,
}

/// How a number is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Figures {
    /// The ten digits, from 0 to 9.
    pub digits: String,
    /// Between two groups of digits.
    pub group: String,
    /// Before the fraction.
    pub point: String,
    /// How many digits the last group has.
    pub last: u8,
    /// How many each other group has.
    pub others: u8,
    /// A whole part of fewer digits has no groups.
    pub least: u8,
}

/// What stands before and behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Around {
    /// Before it.
    pub before: String,
    /// Behind it.
    pub behind: String,
}

/// What to draw. Lengths are CSS pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstFrame {
    /// Which showing it begins.
    pub showing: u64,
    /// The page's size.
    pub width: f64,
    /// As above.
    pub height: f64,
    /// Its colours.
    pub colours: Colours,
    /// Font families, as in the layout.
    pub families: String,
    /// The lines of the amount, each to be centred at [`FirstFrame::middle`].
    pub lines: Vec<AmountLine>,
    /// From the left edge.
    pub middle: f64,
}

/// A line of the amount.
#[derive(Debug, Clone, PartialEq)]
pub struct AmountLine {
    /// Its upper edge.
    pub top: f64,
    /// How high it is: its first run's size, for its line height is 1.
    pub height: f64,
    /// What stands on it, on one base line.
    pub runs: Vec<Run>,
}

/// Text of one size and weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The text.
    pub text: String,
    /// Its size.
    pub size: f64,
    /// Its weight, 1 to 1,000.
    pub weight: u16,
}

impl FlashLayout {
    /// The first frame of this payment; `None` when the page does not say how to write its amount.
    #[must_use]
    pub fn first_frame(&self, paid: &Paid) -> Option<FirstFrame> {
        Some(FirstFrame {
            showing: paid.showing,
            width: self.width,
            height: self.height,
            colours: self.colours.of(paid),
            families: self.families.clone(),
            lines: self.lines(paid)?,
            middle: self.place.x + self.place.width / 2.0,
        })
    }

    fn lines(&self, paid: &Paid) -> Option<Vec<AmountLine>> {
        // By card and in cash the customer paid fiat, where the wallet says how much.
        if let Some(fiat) = paid.fiat.as_ref().filter(|_| paid.method != Method::Lightning) {
            let number = self.number(self.writing.fiat(fiat)?);
            return Some(self.placed(vec![(0.0, vec![number])]));
        }
        let number = self.number(self.writing.number(paid.amount_msat));
        let mut unit = Run {
            text: self.writing.unit(paid.amount_msat).to_owned(),
            size: (number.size * self.unit.share).max(self.unit.least).floor(),
            weight: self.unit.weight,
        };
        let lines = match self.unit.below {
            Some(gap) => vec![(0.0, vec![number]), (gap * unit.size, vec![unit])],
            None => {
                unit.text.insert(0, '\u{a0}');
                vec![(0.0, vec![number, unit])]
            }
        };
        Some(self.placed(lines))
    }

    /// As large as its box lets it be, in whole pixels.
    fn number(&self, text: String) -> Run {
        Run {
            size: (self.fill / (width_in_em(&text) + self.beside_em))
                .min(self.most)
                .floor(),
            weight: self.weight,
            text,
        }
    }

    /// Lines below each other, each with the gap above it, in the middle of their box.
    fn placed(&self, lines: Vec<(f64, Vec<Run>)>) -> Vec<AmountLine> {
        let height_of = |runs: &[Run]| runs.first().map_or(0.0, |run| run.size);
        let height: f64 = lines.iter().map(|(gap, runs)| gap + height_of(runs)).sum();
        let mut next = self.place.y + (self.place.height - height) / 2.0;
        let place = |(gap, runs): (f64, Vec<Run>)| {
            let (top, height) = (next + gap, height_of(&runs));
            next = top + height;
            AmountLine { top, height, runs }
        };
        lines.into_iter().map(place).collect()
    }
}

impl FlashColours {
    const fn of(&self, paid: &Paid) -> Colours {
        match (paid.verdict, paid.method) {
            (Verdict::Reported, _) => self.reported,
            (Verdict::Verified, Method::Lightning) => self.lightning,
            (Verdict::Verified, Method::Card) => self.card,
            (Verdict::Verified, Method::Cash) => self.cash,
            (Verdict::Verified, Method::Other) => self.other,
        }
    }
}

impl Writing {
    /// Millisatoshis in sats, with at most three digits of a fraction.
    fn number(&self, msat: u64) -> String {
        let fraction = format!("{:03}", msat % 1_000);
        self.sats
            .write(&(msat / 1_000).to_string(), fraction.trim_end_matches('0'))
    }

    fn unit(&self, msat: u64) -> &str {
        match msat {
            1_000 => &self.one,
            _ => &self.many,
        }
    }

    /// An amount of a currency, with all the digits that it has.
    fn fiat(&self, fiat: &FiatAmount) -> Option<String> {
        let Around { before, behind } = self.currencies.get(&fiat.currency)?;
        let (whole, fraction) = fiat.amount.split_once('.').unwrap_or((&fiat.amount, ""));
        Some(format!("{before}{}{behind}", self.fiat.write(whole, fraction)))
    }
}

impl Figures {
    /// The whole part and the fraction of a number, each in the digits from 0 to 9.
    fn write(&self, whole: &str, fraction: &str) -> String {
        let digits = |digit: char| {
            let at = digit.to_digit(10).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| self.digits.chars().nth(at)).unwrap_or(digit)
        };
        let mut written = String::new();
        for (nth, digit) in whole.chars().enumerate() {
            if nth > 0 && whole.len() >= usize::from(self.least) && self.ends_group(whole.len() - nth) {
                written += &self.group;
            }
            written.push(digits(digit));
        }
        if !fraction.is_empty() {
            written += &self.point;
            written.extend(fraction.chars().map(digits));
        }
        written
    }

    /// True where so many digits follow a group.
    fn ends_group(&self, follow: usize) -> bool {
        let (last, others) = (usize::from(self.last), usize::from(self.others.max(1)));
        follow >= last && (follow - last).is_multiple_of(others)
    }
}

/// How wide a text is at most, in em, as the page reckons (`lib/amount.ts`).
fn width_in_em(text: &str) -> f64 {
    let width = |char: char| match char {
        char if NARROW.contains(char) => 0.38,
        char if char.is_alphabetic() => 0.9,
        _ => 0.7,
    };
    text.chars().map(width).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::payment::Kind;

    /// Amounts as pages in several languages write them; the page's tests (`lib/amount.test.ts`) have the same.
    const CASES: &str = include_str!("../../../../ui/src/lib/amount.cases.json");

    fn cases() -> Vec<Value> {
        serde_json::from_str(CASES).unwrap()
    }

    fn paid(amount_msat: u64) -> Paid {
        Paid {
            showing: 7,
            method: Method::Lightning,
            amount_msat,
            fiat: None,
            memo: "Coffee".to_owned(),
            comment: None,
            wallet: None,
            verdict: Verdict::Verified,
            kind: Kind::Live,
            at: "2026-11-24T14:03:00Z".to_owned(),
            more: None,
        }
    }

    fn layout(below: Option<f64>) -> FlashLayout {
        let colour = |shade| Colours {
            ground: [shade; 3],
            ink: [shade + 1; 3],
        };
        FlashLayout {
            width: 1_280.0,
            height: 800.0,
            place: Place {
                x: 64.0,
                y: 200.0,
                width: 1_152.0,
                height: 216.0,
            },
            fill: 1_152.0,
            beside_em: 1.5,
            most: 216.0,
            unit: UnitLayout {
                share: 0.36,
                least: 28.0,
                weight: 700,
                below,
            },
            families: "sans".to_owned(),
            weight: 800,
            colours: FlashColours {
                lightning: colour(10),
                card: colour(20),
                cash: colour(30),
                other: colour(40),
                reported: colour(50),
            },
            writing: serde_json::from_value(cases()[0]["writing"].clone()).unwrap(),
        }
    }

    #[test]
    fn amounts_are_written_as_the_page_writes_them() {
        for case in cases() {
            let writing: Writing = serde_json::from_value(case["writing"].clone()).unwrap();
            for sats in case["sats"].as_array().unwrap() {
                let msat = sats["msat"].as_u64().unwrap();
                let text = format!("{}\u{a0}{}", writing.number(msat), writing.unit(msat));
                assert_eq!(text, sats["text"].as_str().unwrap(), "{}", case["locale"]);
                let em = width_in_em(&writing.number(msat));
                assert!((em - sats["em"].as_f64().unwrap()).abs() < 0.001, "{text}: {em}");
            }
            for fiat in case["fiat"].as_array().unwrap() {
                let amount = FiatAmount {
                    currency: fiat["currency"].as_str().unwrap().to_owned(),
                    amount: fiat["amount"].as_str().unwrap().to_owned(),
                };
                let text = writing.fiat(&amount).unwrap();
                assert_eq!(text, fiat["text"].as_str().unwrap(), "{}", case["locale"]);
                let em = width_in_em(&text);
                assert!((em - fiat["em"].as_f64().unwrap()).abs() < 0.001, "{text}: {em}");
            }
        }
    }

    #[test]
    fn a_small_amount_is_as_large_as_its_box_and_a_long_one_as_wide() {
        let layout = layout(None);
        let size = |sats: u64| layout.first_frame(&paid(sats * 1_000)).unwrap().lines[0].height;
        assert_eq!(size(1), 216.0);
        assert_eq!(size(21_000), 214.0, "1,152 / (5 × 0.7 + 0.38 + 1.5)");
        assert!(size(2_100_000_000) < size(21_000));
    }

    #[test]
    fn the_amount_stands_in_the_middle_of_its_box() {
        let frame = layout(None).first_frame(&paid(21_000_000)).unwrap();
        let [line] = &frame.lines[..] else {
            panic!("one line, not {:?}", frame.lines)
        };
        assert_eq!(frame.middle, 640.0);
        assert!((line.top + line.height / 2.0 - 308.0).abs() < 0.001);
        let texts: Vec<_> = line.runs.iter().map(|run| &*run.text).collect();
        assert_eq!(texts, ["21,000", "\u{a0}sats"]);
        assert_eq!(line.runs[1].size, 77.0);
    }

    #[test]
    fn on_a_narrow_screen_the_unit_stands_below_and_both_in_the_middle() {
        let frame = layout(Some(0.15)).first_frame(&paid(1_000)).unwrap();
        let [number, unit] = &frame.lines[..] else {
            panic!("two lines, not {:?}", frame.lines)
        };
        assert_eq!((&*number.runs[0].text, &*unit.runs[0].text), ("1", "sat"));
        let gap = unit.top - number.top - number.height;
        assert!((gap - 0.15 * unit.height).abs() < 0.001);
        let middle = f64::midpoint(number.top, unit.top + unit.height);
        assert!((middle - 308.0).abs() < 0.001);
    }

    #[test]
    fn a_unit_is_never_too_small_to_be_read() {
        let frame = layout(None).first_frame(&paid(u64::MAX)).unwrap();
        assert_eq!(frame.lines[0].runs[1].size, 28.0);
    }

    #[test]
    fn what_was_paid_in_fiat_stands_there_as_fiat_and_what_was_not_as_sats() {
        let layout = layout(None);
        let first = |method, fiat: Option<(&str, &str)>| {
            let fiat = fiat.map(|(currency, amount)| FiatAmount {
                currency: currency.to_owned(),
                amount: amount.to_owned(),
            });
            let paid = Paid {
                method,
                fiat,
                ..paid(2_000)
            };
            let frame = layout.first_frame(&paid)?;
            Some(frame.lines[0].runs[0].text.clone())
        };
        assert_eq!(
            first(Method::Card, Some(("EUR", "1.50"))).as_deref(),
            Some("€1.50")
        );
        assert_eq!(first(Method::Cash, None).as_deref(), Some("2"));
        assert_eq!(
            first(Method::Lightning, Some(("EUR", "1.50"))).as_deref(),
            Some("2")
        );
        assert_eq!(
            first(Method::Card, Some(("XXB", "1.50"))),
            None,
            "nobody says how"
        );
    }

    #[test]
    fn each_kind_of_payment_has_its_colours_and_what_is_not_confirmed_has_its_own() {
        let colours = layout(None).colours;
        let shade = |method, verdict| {
            colours
                .of(&Paid {
                    method,
                    verdict,
                    ..paid(1)
                })
                .ground[0]
        };
        let methods = [Method::Lightning, Method::Card, Method::Cash, Method::Other];
        assert_eq!(
            methods.map(|method| shade(method, Verdict::Verified)),
            [10, 20, 30, 40]
        );
        assert_eq!(methods.map(|method| shade(method, Verdict::Reported)), [50; 4]);
    }
}
