//! The tally: the ids of what the ledger has recorded, kept beside it, so that a ledger that is ruined or gone does not
//! take the line between old and new with it.
//!
//! A text file that is begun anew from the ledger at each start and only appended to meanwhile. Its first line says what
//! it counts from; each further line is one id. A line that a power cut has torn says nothing, and the others stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tillbell_lnbits::CheckingId;

use crate::baseline::{Awaited, Baseline};
use crate::profile::replace;

/// So many of the newest payments are counted: what a busy shop sells in three weeks.
pub const COUNTED: u32 = 20_000;

/// What a tally counts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The pairing (`Paired::reference`).
    pub reference: String,
    /// When that pairing's line was drawn (`Baseline::taken`): of another line this tally knows nothing.
    pub taken: Timestamp,
    /// Of the payments whose invoices were made at this time or before, by the server's clock, not all are counted.
    /// `None` where all are.
    pub since: Option<Timestamp>,
    /// Of those invoices, the ones that were still watched.
    pub pending: BTreeMap<CheckingId, Awaited>,
}

/// A tally as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// What it counts from.
    pub start: Start,
    /// What was recorded.
    pub recorded: BTreeSet<CheckingId>,
}

/// An open tally.
#[derive(Debug)]
pub struct Tally {
    file: File,
    /// What could not be written yet.
    owed: String,
}

impl Counted {
    /// The line between old and new for a ledger that begins now: what was recorded is old, and so is what was old for
    /// this pairing.
    #[must_use]
    pub fn line(self, paired: &Baseline) -> Baseline {
        let pending = paired.pending.clone().map(|mut pending| {
            pending.extend(self.start.pending);
            pending.retain(|id, _| !self.recorded.contains(id));
            pending
        });
        let mut settled_lately = paired.settled_lately.clone();
        settled_lately.extend(self.recorded);
        Baseline {
            taken: self.start.since.map_or(paired.taken, |since| {
                let after = since.saturating_add(SignedDuration::from_micros(1));
                after.unwrap_or(since).max(paired.taken)
            }),
            settled_lately,
            pending,
        }
    }
}

impl Tally {
    /// Begins a tally in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written; then there is none, and none that is out of date.
    pub fn begin(
        path: &Path,
        start: &Start,
        recorded: impl IntoIterator<Item = CheckingId>,
    ) -> io::Result<Self> {
        let write = || {
            let mut text = serde_json::to_string(start)?;
            for id in recorded {
                text.push_str(&line_of(&id));
            }
            replace(path, text.as_bytes())?;
            File::options().append(true).open(path)
        };
        match write() {
            Ok(file) => Ok(Self {
                file,
                owed: String::new(),
            }),
            Err(error) => {
                forget(path);
                Err(error)
            }
        }
    }

    /// Adds what was recorded. What cannot be written is written with the next one.
    ///
    /// # Errors
    /// When it cannot be written now.
    pub fn add<'a>(&mut self, recorded: impl IntoIterator<Item = &'a CheckingId>) -> io::Result<()> {
        for id in recorded {
            self.owed.push_str(&line_of(id));
        }
        if !self.owed.is_empty() {
            self.file.write_all(self.owed.as_bytes())?;
            self.owed.clear();
        }
        Ok(())
    }

    /// Reads the tally of a pairing whose line was drawn at `taken`; `None` where there is none that can be understood.
    #[must_use]
    pub fn read(path: &Path, reference: &str, taken: Timestamp) -> Option<Counted> {
        let bytes = fs::read(path).ok()?;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let start: Start = serde_json::from_slice(lines.next()?).ok()?;
        let recorded = lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let fits = start.reference == reference && start.taken == taken;
        fits.then_some(Counted { start, recorded })
    }
}

/// A tally that is not kept must not speak for a ledger that goes on.
pub fn forget(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "an old tally is left");
    }
}

/// The end of the line comes first: one that was torn off before does not spoil this one.
fn line_of(CheckingId(id): &CheckingId) -> String {
    format!("\n{}", serde_json::Value::from(id.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verify::tests::row;

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn start() -> Start {
        Start {
            reference: "wallet-1".to_owned(),
            taken: noon(),
            since: None,
            pending: BTreeMap::new(),
        }
    }

    fn paired() -> Baseline {
        Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        }
    }

    fn id(n: usize) -> CheckingId {
        CheckingId(format!("internal_\n\"{n}"))
    }

    fn read(path: &Path) -> Option<Counted> {
        Tally::read(path, "wallet-1", noon())
    }

    #[test]
    fn a_tally_says_what_it_began_with_and_what_was_added_to_this_line_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        assert_eq!(read(&path), None);
        let mut tally = Tally::begin(&path, &start(), [id(1), id(2)]).unwrap();
        tally.add(&[id(3)]).unwrap();
        tally.add(&[]).unwrap();
        let counted = read(&path).unwrap();
        assert_eq!(counted.start, start());
        assert_eq!(counted.recorded, BTreeSet::from([1, 2, 3].map(id)));
        assert_eq!(Tally::read(&path, "wallet-2", noon()), None);
        assert_eq!(
            Tally::read(&path, "wallet-1", noon() + jiff::SignedDuration::from_secs(1)),
            None
        );
        Tally::begin(&path, &start(), [id(4)]).unwrap();
        let counted = read(&path).unwrap();
        assert_eq!(counted.recorded, BTreeSet::from([id(4)]));
    }

    #[test]
    fn one_that_cannot_be_begun_leaves_none_that_is_out_of_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        Tally::begin(&path, &start(), [id(1)]).unwrap();
        // Where the new one would be written first.
        fs::create_dir(folder.path().join("tally.new")).unwrap();
        assert!(Tally::begin(&path, &start(), [id(2)]).is_err());
        assert_eq!(read(&path), None);
    }

    #[test]
    fn what_was_recorded_is_old_and_what_was_not_is_news() {
        let recorded = BTreeSet::from([row(1).checking_id]);
        let line = Counted {
            start: start(),
            recorded,
        }
        .line(&paired());
        assert!(!line.is_news(&row(1)));
        assert!(line.is_news(&row(2)));
    }

    #[test]
    fn an_invoice_that_waited_is_news_until_it_is_recorded() {
        let early = |n| tillbell_lnbits::PaymentRow {
            created: "2026-11-01T12:00:00Z".parse().unwrap(),
            ..row(n)
        };
        let awaited = |n| (row(n).checking_id, Awaited::of(&early(n), false));
        // One waited at the pairing, one when the tally began to leave out the oldest, one at neither.
        let paired = Baseline {
            pending: Some([awaited(1), awaited(4)].into()),
            ..paired()
        };
        let start = Start {
            since: Some("2026-11-25T12:00:00Z".parse().unwrap()),
            pending: [awaited(2)].into(),
            ..start()
        };
        let recorded = BTreeSet::from([row(4).checking_id]);
        let line = Counted { start, recorded }.line(&paired);
        let news: Vec<_> = (1..=4).filter(|n| line.is_news(&early(*n))).collect();
        assert_eq!(news, [1, 2]);
        assert!(line.taken > "2026-11-25T12:00:00Z".parse().unwrap());
    }

    proptest! {
        #[test]
        fn a_line_that_was_torn_off_costs_that_line_only(ids in 1_usize..20, cut in 1_usize..10, zeros in 0_usize..9) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tally");
            let mut tally = Tally::begin(&path, &start(), []).unwrap();
            for n in 0..ids {
                tally.add(&[id(n)]).unwrap();
            }
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(bytes.len() - cut);
            bytes.extend(std::iter::repeat_n(0, zeros));
            fs::write(&path, bytes).unwrap();
            let mut tally = Tally { file: File::options().append(true).open(&path).unwrap(), owed: String::new() };
            tally.add(&[id(ids)]).unwrap();
            let recorded = read(&path).unwrap().recorded;
            let whole: BTreeSet<_> = (0..ids - 1).chain([ids]).map(id).collect();
            prop_assert_eq!(recorded, whole);
        }
    }
}
