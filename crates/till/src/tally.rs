//! The tally: where the line between old and new runs, and the ids of what the ledger has recorded since, kept beside it:
//! a ledger that is ruined or gone does not take that with it.
//!
//! A text file. Its first line holds the line as it ran when the tally was begun, each further one an id. One that a power
//! cut has torn says nothing, and the others stand.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tillbell_lnbits::CheckingId;

use crate::files::replace;
use crate::wallet::baseline::Baseline;

/// One is begun with so many of the newest payments at most: what a busy shop sells in three weeks.
pub const COUNTED: u32 = 20_000;
/// One that has grown by so many is begun anew, when a run has moved the line.
const LONG: usize = 1_000;

/// A tally as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    line: Baseline,
    recorded: BTreeSet<CheckingId>,
}

/// An open tally.
#[derive(Debug)]
pub struct Tally {
    path: PathBuf,
    file: File,
    added: usize,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Start {
    /// The pairing (`Paired::reference`).
    reference: String,
    line: Baseline,
}

impl Counted {
    /// One that begins with this line.
    #[must_use]
    pub const fn since(line: Baseline) -> Self {
        Self {
            line,
            recorded: BTreeSet::new(),
        }
    }

    /// Counts what was recorded.
    pub fn count(&mut self, recorded: CheckingId) {
        self.recorded.insert(recorded);
    }

    /// The line as it runs now: what was recorded is old.
    #[must_use]
    pub fn line(self) -> Baseline {
        let mut line = self.line;
        if let Some(pending) = &mut line.pending {
            pending.retain(|id, _| !self.recorded.contains(id));
        }
        line.settled_lately.extend(self.recorded);
        line
    }
}

impl Tally {
    /// Begins a tally in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written; then there is none, and none that is out of date.
    pub fn begin(path: &Path, reference: &str, line: Baseline) -> io::Result<Self> {
        let start = Start {
            reference: reference.to_owned(),
            line,
        };
        let written = serde_json::to_vec(&start)
            .map_err(io::Error::from)
            .and_then(|text| replace(path, &text))
            .and_then(|()| File::options().append(true).open(path));
        match written {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
                added: 0,
            }),
            Err(error) => {
                forget(path);
                Err(error)
            }
        }
    }

    /// Adds what was recorded.
    ///
    /// # Errors
    /// When it cannot be written; then there is none any more.
    pub fn count(mut self, recorded: &[CheckingId]) -> io::Result<Self> {
        // The end of the line comes first: one that was torn off does not spoil the next.
        let lines: String = recorded
            .iter()
            .map(|CheckingId(id)| format!("\n{}", serde_json::Value::from(id.as_str())))
            .collect();
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            forget(&self.path);
            return Err(error);
        }
        self.added += recorded.len();
        Ok(self)
    }

    /// True when it has grown enough to be begun anew.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.added >= LONG
    }

    /// Reads the tally of a pairing; `None` where there is none that can be understood.
    #[must_use]
    pub fn read(path: &Path, reference: &str) -> Option<Counted> {
        let bytes = fs::read(path).ok()?;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let start: Start = serde_json::from_slice(lines.next()?).ok()?;
        let mut counted = Counted::since(start.line);
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .for_each(|id| counted.count(id));
        (start.reference == reference).then_some(counted)
    }
}

/// Removes a tally, or at least what it says: one that is not kept must not speak for a ledger that goes on.
pub fn forget(path: &Path) {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => File::options().write(true).truncate(true).open(path).map(drop),
        Ok(()) => Ok(()),
    };
    if let Err(error) = removed {
        tracing::warn!(%error, "a tally that is out of date is left");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::wallet::baseline::Awaited;
    use crate::wallet::verify::tests::row;

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn line() -> Baseline {
        Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        }
    }

    fn id(n: usize) -> CheckingId {
        CheckingId(format!("internal_\n\"{n}"))
    }

    /// A tally that counts these, one after the other.
    fn tally(path: &Path, ids: std::ops::Range<usize>) -> Tally {
        let tally = Tally::begin(path, "wallet-1", line()).unwrap();
        ids.fold(tally, |tally, n| tally.count(&[id(n)]).unwrap())
    }

    fn recorded(path: &Path) -> Option<BTreeSet<CheckingId>> {
        Tally::read(path, "wallet-1").map(|counted| counted.recorded)
    }

    #[test]
    fn a_tally_says_where_it_began_and_what_was_added_and_to_this_pairing_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        assert_eq!(Tally::read(&path, "wallet-1"), None);
        tally(&path, 1..4).count(&[id(4), id(5)]).unwrap();
        assert_eq!(recorded(&path), Some((1..6).map(id).collect()));
        assert_eq!(Tally::read(&path, "wallet-1").unwrap().line.taken, noon());
        assert_eq!(Tally::read(&path, "wallet-2"), None);
        tally(&path, 7..8);
        assert_eq!(recorded(&path), Some([id(7)].into()), "begun anew");
    }

    #[test]
    fn one_that_cannot_be_begun_leaves_none_that_is_out_of_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        tally(&path, 1..2);
        // Where the new one would be written first.
        fs::create_dir(folder.path().join("tally.new")).unwrap();
        assert!(Tally::begin(&path, "wallet-1", line()).is_err());
        assert_eq!(recorded(&path), None);
    }

    #[test]
    fn one_that_cannot_be_added_to_leaves_none_that_is_out_of_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        let tally = tally(&path, 1..2);
        let for_reading = File::open(&path).unwrap();
        let tally = Tally {
            file: for_reading,
            ..tally
        };
        assert!(tally.count(&[id(2)]).is_err());
        assert_eq!(recorded(&path), None);
    }

    #[test]
    fn it_is_long_after_a_thousand() {
        let folder = tempfile::tempdir().unwrap();
        let tally = tally(&folder.path().join("tally"), 0..999);
        assert!(!tally.is_long());
        assert!(tally.count(&[id(999)]).unwrap().is_long());
    }

    #[test]
    fn what_was_recorded_is_old_and_what_was_not_is_news() {
        let mut counted = Counted::since(line());
        counted.count(row(1).checking_id);
        let line = counted.line();
        assert!(!line.is_news(&row(1)));
        assert!(line.is_news(&row(2)));
    }

    #[test]
    fn an_old_invoice_that_waited_is_news_until_it_is_recorded() {
        let old = |n| tillbell_lnbits::PaymentRow {
            created: "2026-11-01T12:00:00Z".parse().unwrap(),
            ..row(n)
        };
        let awaited = |n| (row(n).checking_id, Awaited::of(&old(n), false));
        let mut counted = Counted::since(Baseline {
            pending: Some([awaited(1), awaited(2)].into()),
            ..line()
        });
        counted.count(row(2).checking_id);
        let line = counted.line();
        let news: Vec<_> = (1..=3).filter(|n| line.is_news(&old(*n))).collect();
        assert_eq!(news, [1]);
    }

    proptest! {
        #[test]
        fn a_line_that_was_torn_off_costs_that_line_only(ids in 1_usize..20, cut in 1_usize..10, zeros in 0_usize..9) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tally");
            let tally = tally(&path, 0..ids);
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(bytes.len() - cut);
            bytes.extend(std::iter::repeat_n(0, zeros));
            fs::write(&path, bytes).unwrap();
            tally.count(&[id(ids)]).unwrap();
            let whole: BTreeSet<_> = (0..ids - 1).chain([ids]).map(id).collect();
            prop_assert_eq!(recorded(&path), Some(whole));
        }
    }
}
