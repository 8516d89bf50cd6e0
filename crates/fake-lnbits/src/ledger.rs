//! The wallets and their payments: plain data and plain rules, no sockets, no versions.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// A wallet of the fake server, with both of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The wallet's id, 32 hex digits. Part of wallet URLs, so no secret.
    pub id: String,
    /// The key that may read and make invoices, 32 hex digits.
    pub invoice_key: String,
    /// The key that may also spend, 32 hex digits.
    pub admin_key: String,
    /// What its owner called it.
    pub name: String,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not settled yet.
    Pending,
    /// Settled.
    Success,
    /// Given up, as far as this server knows.
    Failed,
}

impl Status {
    /// As LNbits writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Success => "success",
            Status::Failed => "failed",
        }
    }
}

/// One row of a wallet's payments. Incoming and outgoing side of an internal payment are two rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// The wallet that this row belongs to.
    pub wallet_id: String,
    /// 64 hex digits; both sides of an internal payment share it.
    pub payment_hash: String,
    /// The payment hash, or `internal_<hash>` for the outgoing side of an internal payment, `fiat_…` for a card and
    /// `internal_cash_…` for cash.
    pub checking_id: String,
    /// Millisatoshis, negative when outgoing.
    pub amount_msat: i64,
    /// What it was for; `None` is JSON's null.
    pub memo: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When the *invoice* was made.
    pub created: Timestamp,
    /// When the row last changed, on servers that keep count of it.
    pub updated: Timestamp,
    /// When the invoice expires.
    pub expires: Timestamp,
    /// The server's `extra`: `comment`, `tip_amount`, `fiat_*`, `tag`.
    pub extra: Map<String, Value>,
    /// Fields of its row that take the place of the server's own.
    pub fields: Map<String, Value>,
}

/// What unlocks a wallet, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Invoice,
    Admin,
}

/// A row as it is kept: the payment, and what REST knew of it before it last changed.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) payment: Payment,
    changed: Instant,
    /// `None`: there was no such row.
    before: Option<(Status, Timestamp)>,
}

impl Row {
    /// The status and `updated` that REST knows, when it is behind.
    pub(crate) fn seen(&self, lag: Option<Lag>) -> Option<(Status, Timestamp)> {
        match lag {
            Some(Lag { now, by }) if now.saturating_duration_since(self.changed) < by => self.before,
            Some(_) | None => Some((self.payment.status, self.payment.updated)),
        }
    }
}

/// How far REST is behind what frames have told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lag {
    pub(crate) now: Instant,
    pub(crate) by: Duration,
}

#[derive(Debug)]
struct Account {
    wallet: Wallet,
    /// Further invoice keys of it.
    shared: Vec<String>,
    balance_msat: i64,
    rows: Vec<usize>,
}

/// How a page of a list is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    pub(crate) sort: Option<Sort>,
    pub(crate) descending: bool,
    pub(crate) status: Option<String>,
    pub(crate) payment_hash: Option<String>,
    pub(crate) checking_id: Option<String>,
    /// Only rows with a larger amount.
    pub(crate) above_msat: Option<i64>,
}

/// The columns that a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Created,
    Updated,
    Amount,
}

/// Everything the server remembers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: Vec<Account>,
    rows: Vec<Row>,
    by_hash: HashMap<String, Vec<usize>>,
}

impl Ledger {
    pub(crate) fn add_wallet(&mut self, wallet: Wallet) {
        self.accounts.push(Account {
            wallet,
            shared: Vec::new(),
            balance_msat: 0,
            rows: Vec::new(),
        });
    }

    /// The wallet as it is now, by its id.
    pub(crate) fn wallet(&self, id: &str) -> Option<&Wallet> {
        self.accounts
            .iter()
            .map(|account| &account.wallet)
            .find(|wallet| wallet.id == id)
    }

    /// Puts a wallet in place of the one with the same id.
    pub(crate) fn replace_wallet(&mut self, wallet: Wallet) {
        if let Some(account) = self
            .accounts
            .iter_mut()
            .find(|account| account.wallet.id == wallet.id)
        {
            account.wallet = wallet;
        }
    }

    /// Lets a further invoice key open a wallet.
    pub(crate) fn share(&mut self, wallet_id: &str, key: String) {
        if let Some(account) = self
            .accounts
            .iter_mut()
            .find(|account| account.wallet.id == wallet_id)
        {
            account.shared.push(key);
        }
    }

    /// The wallet that a key opens. A wallet's id is no key.
    pub(crate) fn unlock(&self, key: &str) -> Option<(&Wallet, Key)> {
        self.accounts.iter().find_map(|Account { wallet, shared, .. }| {
            if wallet.admin_key == key {
                Some((wallet, Key::Admin))
            } else if wallet.invoice_key == key || shared.iter().any(|shared| shared == key) {
                Some((wallet, Key::Invoice))
            } else {
                None
            }
        })
    }

    /// Settled money, in millisatoshis.
    pub(crate) fn balance_msat(&self, wallet_id: &str) -> i64 {
        self.account(wallet_id).map_or(0, |account| account.balance_msat)
    }

    /// Adds a row. A wallet that is not of this server gets nothing.
    pub(crate) fn insert(&mut self, payment: Payment, now: Instant) {
        let Some(position) = self
            .accounts
            .iter()
            .position(|a| a.wallet.id == payment.wallet_id)
        else {
            return;
        };
        let row = self.rows.len();
        self.accounts[position].rows.push(row);
        if payment.status == Status::Success {
            self.accounts[position].balance_msat += payment.amount_msat;
        }
        self.by_hash
            .entry(payment.payment_hash.clone())
            .or_default()
            .push(row);
        self.rows.push(Row {
            payment,
            changed: now,
            before: None,
        });
    }

    /// The row that `/payments/{hash}` is about: of one wallet if a key was given, the smallest amount first,
    /// so that the outgoing side hides the incoming one.
    pub(crate) fn standalone(&self, hash: &str, wallet_id: Option<&str>) -> Option<&Row> {
        self.with_hash(hash)
            .filter(|row| wallet_id.is_none_or(|id| row.payment.wallet_id == id))
            .min_by_key(|row| row.payment.amount_msat)
    }

    /// The incoming row with this hash.
    pub(crate) fn incoming(&self, hash: &str) -> Option<&Row> {
        self.with_hash(hash).find(|row| row.payment.amount_msat > 0)
    }

    /// Moves an incoming payment from `pending` to another status; `updated` only if the server keeps count.
    /// Says whether there was one to move.
    pub(crate) fn conclude(
        &mut self,
        hash: &str,
        status: Status,
        updated: Option<Timestamp>,
        now: Instant,
    ) -> bool {
        let Some(row) = self.by_hash.get(hash).into_iter().flatten().copied().find(|row| {
            let payment = &self.rows[*row].payment;
            payment.amount_msat > 0 && payment.status == Status::Pending
        }) else {
            return false;
        };
        self.change(row, status, updated, now);
        true
    }

    /// Moves every row with this hash to `failed`, whatever it was; says whether there was one.
    pub(crate) fn fail(&mut self, hash: &str, updated: Option<Timestamp>, now: Instant) -> bool {
        let rows = self.by_hash.get(hash).cloned().unwrap_or_default();
        for row in &rows {
            self.change(*row, Status::Failed, updated, now);
        }
        !rows.is_empty()
    }

    /// Moves an invoice in time: when it was made and when it expires.
    pub(crate) fn redate(&mut self, hash: &str, created: Timestamp, expires: Timestamp) -> bool {
        let rows = self.by_hash.get(hash).cloned().unwrap_or_default();
        for row in &rows {
            let payment = &mut self.rows[*row].payment;
            payment.created = created;
            payment.updated = created;
            payment.expires = expires;
        }
        !rows.is_empty()
    }

    /// All of a wallet's rows in the order they were made.
    pub(crate) fn of_wallet(&self, wallet_id: &str) -> impl Iterator<Item = &Row> {
        self.account(wallet_id)
            .into_iter()
            .flat_map(|account| account.rows.iter())
            .map(|row| &self.rows[*row])
    }

    /// One page of what REST knows: the rows with their status and `updated`, and how many match in all.
    /// Like the real one it leaves out what failed.
    pub(crate) fn page(&self, wallet_id: &str, page: &Page, lag: Option<Lag>) -> (Vec<Seen<'_>>, usize) {
        let mut rows: Vec<Seen<'_>> = self
            .of_wallet(wallet_id)
            .filter_map(|row| {
                row.seen(lag)
                    .map(|(status, updated)| (&row.payment, status, updated))
            })
            .filter(|(payment, status, _)| {
                *status != Status::Failed
                    && page.above_msat.is_none_or(|least| payment.amount_msat > least)
                    && page
                        .status
                        .as_deref()
                        .is_none_or(|wanted| wanted == status.as_str())
                    && page
                        .payment_hash
                        .as_deref()
                        .is_none_or(|wanted| wanted == payment.payment_hash)
                    && page
                        .checking_id
                        .as_deref()
                        .is_none_or(|wanted| wanted == payment.checking_id)
            })
            .collect();
        match page.sort {
            Some(Sort::Created) => rows.sort_by_key(|(payment, ..)| payment.created),
            Some(Sort::Updated) => rows.sort_by_key(|(_, _, updated)| *updated),
            Some(Sort::Amount) => rows.sort_by_key(|(payment, ..)| payment.amount_msat),
            None => {}
        }
        if page.descending {
            rows.reverse();
        }
        let total = rows.len();
        let limit = page.limit.unwrap_or(usize::MAX);
        (rows.into_iter().skip(page.offset).take(limit).collect(), total)
    }

    fn account(&self, wallet_id: &str) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|account| account.wallet.id == wallet_id)
    }

    fn with_hash(&self, hash: &str) -> impl Iterator<Item = &Row> {
        self.by_hash
            .get(hash)
            .into_iter()
            .flatten()
            .map(|row| &self.rows[*row])
    }

    fn change(&mut self, row: usize, status: Status, updated: Option<Timestamp>, now: Instant) {
        let Row {
            payment,
            changed,
            before,
        } = &mut self.rows[row];
        *before = Some((payment.status, payment.updated));
        *changed = now;
        let counted = |status: Status| {
            if status == Status::Success {
                payment.amount_msat
            } else {
                0
            }
        };
        let moved = counted(status) - counted(payment.status);
        payment.status = status;
        if let Some(updated) = updated {
            payment.updated = updated;
        }
        if let Some(account) = self
            .accounts
            .iter_mut()
            .find(|a| a.wallet.id == payment.wallet_id)
        {
            account.balance_msat += moved;
        }
    }
}

/// A payment with the status and `updated` that REST knows of it.
pub(crate) type Seen<'a> = (&'a Payment, Status, Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for name in ["shop", "customer"] {
            ledger.add_wallet(Wallet {
                id: name.into(),
                invoice_key: format!("{name}-in"),
                admin_key: format!("{name}-admin"),
                name: name.into(),
            });
        }
        ledger
    }

    fn payment(wallet: &str, hash: &str, amount_msat: i64, status: Status) -> Payment {
        Payment {
            wallet_id: wallet.into(),
            payment_hash: hash.into(),
            checking_id: hash.into(),
            amount_msat,
            memo: None,
            status,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            expires: Timestamp::UNIX_EPOCH,
            extra: Map::new(),
            fields: Map::new(),
        }
    }

    #[test]
    fn only_settled_money_counts_in_the_balance() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.insert(payment("shop", "a", 1_000, Status::Pending), now);
        assert_eq!(ledger.balance_msat("shop"), 0);
        assert!(ledger.conclude("a", Status::Success, None, now));
        assert_eq!(ledger.balance_msat("shop"), 1_000);
        assert!(
            !ledger.conclude("a", Status::Success, None, now),
            "it settles once"
        );
        assert!(ledger.fail("a", None, now));
        assert_eq!(ledger.balance_msat("shop"), 0);
    }

    #[test]
    fn the_outgoing_side_hides_the_incoming_one() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.insert(payment("shop", "a", 1_000, Status::Success), now);
        ledger.insert(payment("shop", "a", -1_000, Status::Success), now);
        assert_eq!(
            ledger.standalone("a", Some("shop")).unwrap().payment.amount_msat,
            -1_000
        );
        assert_eq!(ledger.page("shop", &Page::default(), None).1, 2);
        assert!(ledger.standalone("a", Some("customer")).is_none());
    }

    #[test]
    fn while_it_lags_rest_knows_the_old_status() {
        let (mut ledger, start) = (ledger(), Instant::now());
        ledger.insert(payment("shop", "a", 1_000, Status::Pending), start);
        ledger.conclude("a", Status::Success, None, start + Duration::from_secs(2));
        let seen = |second: u64| {
            let lag = Lag {
                now: start + Duration::from_secs(second),
                by: Duration::from_secs(1),
            };
            ledger.incoming("a").unwrap().seen(Some(lag)).map(|seen| seen.0)
        };
        assert_eq!(seen(2), Some(Status::Pending));
        assert_eq!(seen(3), Some(Status::Success));
    }

    #[test]
    fn an_id_is_no_key() {
        let ledger = ledger();
        assert!(ledger.unlock("shop").is_none());
        assert_eq!(ledger.unlock("shop-in").unwrap().1, Key::Invoice);
        assert_eq!(ledger.unlock("shop-admin").unwrap().1, Key::Admin);
    }
}
