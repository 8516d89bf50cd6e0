//! What was there before: the line between a wallet's history and what this display announces.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tillbell_lnbits::{CheckingId, PaymentHash, PaymentRow};

/// An invoice is watched this long past the later of its creation and its expiry: expiry is not the end, and
/// hold invoices and last-second payments sit exactly there.
pub const WATCHED_PAST_EXPIRY: SignedDuration = SignedDuration::from_hours(15 * 24);

/// The span before a baseline's T whose settled ids are remembered, so that a payment whose row was made
/// around T is old exactly if it had settled when we looked.
pub const LAST_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// Stored durably by a pairing, outside the ledger, so that it outlives one that must be set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// T, by the server's clock.
    pub taken: Timestamp,
    /// Ids that had settled and whose rows were made in T's last minute or later.
    pub settled_lately: BTreeSet<CheckingId>,
    /// Invoices pending at T. `None` while they are still being gathered (0.12): until then nothing that was
    /// created before T is announced.
    pub pending: Option<BTreeMap<CheckingId, Awaited>>,
}

/// An invoice that may still be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// When it was made.
    pub created: Timestamp,
    /// When watching it ends.
    pub until: Timestamp,
    /// True once the server called it failed; it may still be paid.
    #[serde(default)]
    pub failed: bool,
}

impl Awaited {
    /// What to watch of an unpaid row.
    #[must_use]
    pub fn of(row: &PaymentRow, failed: bool) -> Self {
        let end = row
            .expires
            .map_or(row.created, |expires| expires.max(row.created));
        Self {
            payment_hash: row.payment_hash,
            created: row.created,
            until: end.checked_add(WATCHED_PAST_EXPIRY).unwrap_or(Timestamp::MAX),
            failed,
        }
    }
}

impl Baseline {
    /// True when a settled row is news: created since T and not settled by then, or pending at T.
    #[must_use]
    pub fn is_news(&self, row: &PaymentRow) -> bool {
        self.is_news_once_paid(&row.checking_id, row.created)
    }

    /// True when this invoice, made at `created`, is news as soon as it is paid.
    #[must_use]
    pub fn is_news_once_paid(&self, id: &CheckingId, created: Timestamp) -> bool {
        let was_pending = || {
            self.pending
                .as_ref()
                .is_some_and(|pending| pending.contains_key(id))
        };
        (created >= self.taken && !self.settled_lately.contains(id)) || was_pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::row;

    fn baseline() -> Baseline {
        Baseline {
            taken: "2026-11-24T12:00:00Z".parse().unwrap(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        }
    }

    #[test]
    fn what_was_made_after_the_baseline_is_news() {
        assert!(baseline().is_news(&row(1)));
    }

    #[test]
    fn what_was_made_before_it_is_old_unless_it_was_pending_then() {
        let old = PaymentRow {
            created: "2026-11-24T11:59:59Z".parse().unwrap(),
            ..row(1)
        };
        let mut baseline = baseline();
        assert!(!baseline.is_news(&old));
        baseline.pending = Some(BTreeMap::from([(
            old.checking_id.clone(),
            Awaited::of(&old, false),
        )]));
        assert!(baseline.is_news(&old));
    }

    #[test]
    fn what_had_settled_around_the_baseline_is_old() {
        let mut baseline = baseline();
        baseline.settled_lately.insert(row(1).checking_id);
        assert!(!baseline.is_news(&row(1)));
    }

    #[test]
    fn an_invoice_is_watched_fifteen_days_past_its_expiry() {
        let expires = "2026-12-01T00:00:00Z".parse().unwrap();
        let awaited = Awaited::of(
            &PaymentRow {
                expires: Some(expires),
                ..row(1)
            },
            false,
        );
        assert_eq!(awaited.until, "2026-12-16T00:00:00Z".parse().unwrap());
    }
}
