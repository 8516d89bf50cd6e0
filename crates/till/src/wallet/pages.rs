//! Reading a list page by page while it changes.
//!
//! Offsets shift while payments arrive, or while rows leave a list. Pages overlap; a page that does not overlap with
//! the one before it starts the reading anew.

use std::collections::BTreeSet;

use tillbell_lnbits::rest::{Filter, Order, Page, PageQuery, RestError};
use tillbell_lnbits::{CheckingId, Direction};

/// Rows of the first page: a quiet shop needs no more. No page is asked for with fewer.
pub(crate) const FIRST_PAGE: u32 = 50;
/// Each further page is so many times as long …
pub(crate) const LONGER: u32 = 4;
/// … up to this many rows: LNbits caps there. Where that is too long for the line or for us, up to fewer.
pub(crate) const FULL_PAGE: u32 = 1_000;
/// Rows that two pages share, so that rows which shift between them are not lost.
pub(crate) const OVERLAP: u32 = 10;
/// How often a reading may start anew before it is left torn.
const RESTARTS: u8 = 3;

/// Whether a page without an answer was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// That was not why.
    Fine,
    /// It may have been: the answer took too long, or broke off.
    Suspect,
    /// It was: more bytes came than are taken.
    TooLong,
}

impl Length {
    /// What the lack of an answer says about the page that was asked for.
    #[must_use]
    pub const fn of(error: &RestError) -> Self {
        match error {
            RestError::TooLarge => Self::TooLong,
            RestError::TimedOut | RestError::Cut => Self::Suspect,
            RestError::Barrier(_)
            | RestError::Dial(_)
            | RestError::KeyRefused
            | RestError::Busy { .. }
            | RestError::Redirected { .. }
            | RestError::NotLnbits
            | RestError::Refused { .. }
            | RestError::ServerError { .. }
            | RestError::Unreadable => Self::Fine,
        }
    }
}

/// Where a reading is in its pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    offset: u32,
    limit: u32,
    /// The highest limit.
    full: u32,
    previous: BTreeSet<(CheckingId, Direction)>,
    restarts: u8,
    /// It was started anew often enough, and is torn nevertheless.
    pub(crate) torn: bool,
}

pub(crate) enum NextPage {
    Read,
    /// From the top once more: what was read until now does not hang together.
    ReadAnew,
    End,
}

impl Pages {
    /// A reading whose first page has `limit` rows, and no page more than `full`.
    pub(crate) fn from_top(limit: u32, full: u32) -> Self {
        Self {
            limit,
            full,
            ..Self::default()
        }
    }

    pub(crate) const fn query(&self, filter: Filter, order: Order) -> PageQuery {
        PageQuery {
            filter,
            order,
            limit: self.limit,
            offset: self.offset,
        }
    }

    /// Rows of a full page after one without an answer; `None` if its length was not why, or cannot be less.
    pub(crate) fn shorter(&self, length: Length) -> Option<u32> {
        (length != Length::Fine && self.limit > FIRST_PAGE).then(|| (self.limit / 2).max(FIRST_PAGE))
    }

    /// Asks once more for the page that did not come, and for no page with more than `full` rows from now on.
    pub(crate) fn shorten(&mut self, full: u32) {
        self.full = full;
        self.limit = self.limit.min(full);
    }

    /// Moves on after `page`.
    pub(crate) fn turn(&mut self, page: &Page) -> NextPage {
        let ids: BTreeSet<_> = page
            .rows
            .iter()
            .map(|row| (row.checking_id.clone(), row.direction))
            .collect();
        // A page that overlaps is never empty. One that cannot be read proves nothing.
        let unreadable = page.sent > 0 && ids.is_empty();
        if !self.previous.is_empty() && self.previous.is_disjoint(&ids) && !unreadable {
            if self.restarts < RESTARTS {
                *self = Self {
                    restarts: self.restarts + 1,
                    ..Self::from_top(self.full, self.full)
                };
                return NextPage::ReadAnew;
            }
            self.torn = true;
        }
        if page.sent < self.limit {
            return NextPage::End;
        }
        self.offset = self
            .offset
            .saturating_add(page.sent.saturating_sub(OVERLAP).max(1));
        self.limit = self.limit.saturating_mul(LONGER).min(self.full);
        self.previous = ids;
        NextPage::Read
    }
}
