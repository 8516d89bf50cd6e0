//! Whether a payment is missing, without reading a list: what the server counts, against what is explained.
//!
//! From LNbits 1.0 on the server counts the wallet's settled incoming rows. Each of them is old (it had settled before the
//! pairing) or in our ledger, so the count goes up by one for each payment that we record. Equal: nothing is missing.
//! Example: 60 rows are explained, a payment is recorded (61), the server counts 62: one payment is missing.
//!
//! 0.12 cannot count; there the balance in msat stands for it. It also moves when money leaves, so a difference
//! there says only that the list is to be read.

/// What is explained of what the server counts. Rows from 1.0 on, msat on 0.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// `None` until a whole reading of the list lay between two equal counts.
    explained: Option<u64>,
    /// A difference that remained although the whole list was read. It stays a difference: it is never counted as explained.
    missing: u64,
    /// So many rows cannot be read: no more of what is missing is a riddle than goes beyond them.
    unreadable: u64,
    /// So much more than that was missing when it was last said.
    said: u64,
    /// Recorded since the count that is on its way was asked for: it may be in that count or not.
    unsure: u64,
}

/// What a count shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Nothing is missing.
    Nothing,
    /// Nothing seems to be missing; something was recorded meanwhile, so only the next count is exact.
    NothingYet,
    /// More is counted than is explained.
    More,
    /// Less is counted: rows are gone.
    Less,
    /// There were rows, and now there is none.
    NoneOfMany,
    /// Nobody knows yet what is explained.
    Unknown,
}

impl Count {
    /// A count of which so much is explained, as stored.
    #[must_use]
    pub const fn new(explained: Option<u64>) -> Self {
        Self {
            explained,
            missing: 0,
            unreadable: 0,
            said: 0,
            unsure: 0,
        }
    }

    /// What is explained, to be stored. Each payment that the ledger records adds to it.
    #[must_use]
    pub const fn explained(&self) -> Option<u64> {
        self.explained
    }

    /// How much could not be explained.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// How much of that is no row that cannot be read.
    #[must_use]
    pub const fn riddles(&self) -> u64 {
        self.missing.saturating_sub(self.unreadable)
    }

    /// The list shows so many rows that are counted, and that cannot be read.
    pub const fn cannot_read(&mut self, rows: u64) {
        self.unreadable = rows;
    }

    /// The server is asked to count.
    pub const fn asked(&mut self) {
        self.unsure = 0;
    }

    /// True when nothing was recorded since the server was asked.
    #[must_use]
    pub const fn is_sure(&self) -> bool {
        self.unsure == 0
    }

    /// The ledger has recorded so much more.
    pub fn recorded(&mut self, more: u64) {
        self.unsure += more;
        if let Some(explained) = &mut self.explained {
            *explained += more;
        }
    }

    /// The server has counted.
    pub fn answered(&mut self, counted: u64) -> Shows {
        let Some(explained) = self.explained else {
            return Shows::Unknown;
        };
        let least = explained.saturating_sub(self.unsure);
        if counted == 0 && least > 0 {
            return Shows::NoneOfMany;
        }
        if counted > explained + self.missing {
            return Shows::More;
        }
        if counted < least {
            return Shows::Less;
        }
        // A row that could not be explained may have been taken away.
        self.missing = self.missing.min(counted.saturating_sub(least));
        self.said = self.said.min(self.riddles());
        if self.is_sure() {
            Shows::Nothing
        } else {
            Shows::NothingYet
        }
    }

    /// True while not all of this count is explained.
    #[must_use]
    pub fn lacks(&self, counted: u64) -> bool {
        self.explained
            .is_none_or(|explained| explained + self.missing < counted)
    }

    /// The whole list was read, and some of this count is still not explained. Returns how much of it is new, and no row that
    /// cannot be read.
    pub fn give_up(&mut self, counted: u64) -> u64 {
        let missing = counted.saturating_sub(self.explained.unwrap_or(counted));
        self.missing = self.missing.max(missing);
        let more = self.riddles().saturating_sub(self.said);
        self.said += more;
        more
    }

    /// The whole list was read between two equal counts, and nothing was recorded since the second was asked for: all of it is
    /// explained, but for what remained unexplained before.
    pub fn refer(&mut self, counted: u64) {
        // What was missing may have been found.
        if let Some(unexplained) = self
            .explained
            .and_then(|explained| counted.checked_sub(explained))
        {
            self.missing = self.missing.min(unexplained);
            self.said = self.said.min(self.riddles());
        }
        self.explained = Some(counted.saturating_sub(self.missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(explained: u64) -> Count {
        Count::new(Some(explained))
    }

    #[test]
    fn each_recorded_payment_explains_one_more() {
        let mut count = count(60);
        count.recorded(1);
        count.asked();
        assert_eq!(count.answered(61), Shows::Nothing);
        assert_eq!(count.answered(62), Shows::More);
        assert_eq!(count.answered(60), Shows::Less);
    }

    #[test]
    fn what_is_recorded_while_the_server_counts_may_be_in_the_count_or_not() {
        let mut count = count(60);
        count.asked();
        count.recorded(1);
        assert_eq!(count.answered(60), Shows::NothingYet);
        assert_eq!(count.answered(61), Shows::NothingYet);
        assert_eq!(count.answered(62), Shows::More);
        assert_eq!(count.answered(59), Shows::Less);
        count.asked();
        assert_eq!(count.answered(60), Shows::Less, "the next count is exact");
    }

    #[test]
    fn before_the_first_whole_reading_nothing_is_known() {
        let mut count = Count::default();
        assert_eq!(count.answered(7), Shows::Unknown);
        count.refer(7);
        assert_eq!(count.answered(7), Shows::Nothing);
    }

    #[test]
    fn a_difference_that_stays_is_kept_as_one_and_hides_no_other() {
        let mut count = count(60);
        assert_eq!(count.answered(62), Shows::More);
        assert_eq!(count.give_up(62), 2);
        assert_eq!(count.answered(62), Shows::Nothing);
        assert_eq!((count.explained(), count.missing()), (Some(60), 2));
        assert_eq!(count.answered(63), Shows::More);
        count.recorded(1);
        count.asked();
        assert_eq!(count.answered(63), Shows::Nothing);
        assert_eq!(count.give_up(63), 0, "it was said before");
    }

    #[test]
    fn a_row_that_could_not_be_explained_and_is_taken_away_is_no_difference_any_more() {
        let mut count = count(60);
        count.give_up(61);
        assert_eq!(count.answered(60), Shows::Nothing);
        assert_eq!(count.missing(), 0);
        assert_eq!(count.answered(61), Shows::More);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_missing_and_no_riddle() {
        let mut count = count(60);
        assert_eq!(count.answered(61), Shows::More);
        count.cannot_read(1);
        assert_eq!(count.give_up(61), 0);
        assert_eq!((count.missing(), count.riddles()), (1, 0));
        assert_eq!(
            count.answered(61),
            Shows::Nothing,
            "it is not looked for any more"
        );
        assert_eq!(count.answered(62), Shows::More);
        assert_eq!(count.give_up(62), 1, "the other one is");
        count.cannot_read(2);
        assert_eq!(count.give_up(63), 0, "it was said, and the third cannot be read");
    }

    #[test]
    fn a_wallet_that_shows_none_of_its_rows_is_not_an_empty_one() {
        assert_eq!(count(60).answered(0), Shows::NoneOfMany);
        assert_eq!(count(0).answered(0), Shows::Nothing);
    }

    #[test]
    fn what_was_missing_and_is_found_by_a_whole_reading_is_missing_no_more() {
        let mut count = count(60);
        count.cannot_read(1);
        count.give_up(61);
        count.recorded(1);
        count.cannot_read(0);
        count.refer(61);
        assert_eq!((count.explained(), count.missing()), (Some(61), 0));
        assert_eq!(count.give_up(62), 1, "it hides no other");
    }

    #[test]
    fn a_whole_reading_does_not_make_explained_what_could_not_be() {
        let mut count = count(60);
        count.give_up(61);
        count.refer(58);
        assert_eq!((count.explained(), count.missing()), (Some(57), 1));
    }
}
