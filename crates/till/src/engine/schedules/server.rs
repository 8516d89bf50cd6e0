//! The model's LNbits: what is true, and what its REST interface says of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::sample::Index;
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Looked, Order, Page, PageQuery};
use tillbell_lnbits::{
    CheckingId, Currency, Direction, Fiat, Method, Msat, PaymentHash, PaymentRow, Status, Text, WalletId,
};

use crate::wallet::baseline::{Awaited, Baseline, LAST_MINUTE};

/// The wallets' names, and their ids on the server.
pub(super) const NAMES: [&str; 3] = ["shop", "bar", "kiosk"];

/// Every third invoice expires so soon, in seconds.
const SHORT_LIVED: i64 = 90;
/// A pairing puts its line so much before the `Date` of the answer.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(2);

/// What becomes of unpaid invoices while pages are read, after each page; the newest first, so that the next page
/// begins further down in the list than it would have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaving {
    /// So many are paid without a word: they leave the list of the pending.
    Paid(u8),
    /// So many fail: they leave every list.
    Failed(u8),
}

/// A payment of a wallet: its row's number. Every wallet has one of each number, with the same hash and the same name on the
/// server, and with another amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Payment(u64);

impl Payment {
    pub(super) fn of(hash: PaymentHash) -> Self {
        Self(u64::from_be_bytes(hash.0[..8].try_into().unwrap()))
    }
}

/// A wallet on a server.
pub(super) struct Server {
    wallet: usize,
    pub(super) dialect: Dialect,
    pub(super) rows: Vec<PaymentRow>,
    /// It sorts by what changed last.
    pub(super) sorts_by_change: bool,
    /// The rows that have settled, in that order, and the place of each row in it.
    settled: Vec<usize>,
    places: Vec<Option<usize>>,
    /// Paid, but REST does not know yet: from when on it does, in milliseconds, and which row.
    late: Vec<(u64, usize)>,
    /// So many payments more arrive without a word after each page that is read.
    pub(super) shifting: usize,
    pub(super) leaving: Option<Leaving>,
    /// Rows that settled or failed by themselves; the world takes them.
    pub(super) changed: Vec<usize>,
    /// How far the clock behind `Date` is off from the one that stamps the rows.
    pub(super) date_off: SignedDuration,
    start: Timestamp,
    ms: u64,
}

impl Server {
    /// A wallet with some history: two of three invoices paid.
    pub(super) fn new(wallet: usize, dialect: Dialect, start: Timestamp, history: usize) -> Self {
        let mut server = Self {
            wallet,
            dialect,
            rows: Vec::new(),
            sorts_by_change: true,
            settled: Vec::new(),
            places: Vec::new(),
            late: Vec::new(),
            shifting: 0,
            leaving: None,
            changed: Vec::new(),
            date_off: SignedDuration::ZERO,
            start,
            ms: 0,
        };
        for n in 0..history {
            let row = server.invoice();
            let age = 30 * i64::try_from(history - n).unwrap();
            server.rows[row].created = start - SignedDuration::from_secs(age);
            if n % 3 != 0 {
                server.settle(row);
            }
        }
        server
    }

    /// Its clock.
    pub(super) fn now(&self) -> Timestamp {
        self.start + SignedDuration::from_millis(i64::try_from(self.ms).unwrap())
    }

    /// What an answer's `Date` says, in whole seconds.
    fn date(&self, off: SignedDuration) -> Timestamp {
        Timestamp::from_second((self.now() + off).as_second()).unwrap()
    }

    /// Time went on.
    pub(super) fn at(&mut self, ms: u64) {
        self.ms = ms;
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(due, _)| *due <= ms);
        self.late = later;
        for (_, row) in due {
            self.settle(row);
            self.changed.push(row);
        }
    }

    fn settle(&mut self, row: usize) {
        self.rows[row].status = Status::Settled;
        self.places[row] = Some(self.settled.len());
        self.settled.push(row);
        // As LNbits 1.5 and later have it.
        if self.sorts_by_change {
            self.rows[row].settled = Some(self.now()).filter(|now| *now > self.rows[row].created);
        }
    }

    /// Makes an invoice and says which row it is.
    pub(super) fn invoice(&mut self) -> usize {
        let number = self.rows.len() as u64 + 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let payment_hash = PaymentHash(bytes);
        self.places.push(None);
        self.rows.push(PaymentRow {
            checking_id: CheckingId(payment_hash.to_string()),
            payment_hash,
            wallet_id: WalletId::new(NAMES[self.wallet]).unwrap(),
            direction: Direction::Incoming,
            // Every fifth is paid by card, every seventh with cash.
            method: match number {
                _ if number.is_multiple_of(5) => Method::Card,
                _ if number.is_multiple_of(7) => Method::Cash,
                _ => Method::Lightning,
            },
            fiat: Currency::new("EUR").and_then(|euro| Fiat::new(euro, &number.to_string())),
            amount: Msat(1_000 * number + self.wallet as u64),
            status: Status::Pending,
            memo: Text::clean("Coffee"),
            comment: None,
            created: self.now(),
            settled: None,
            expires: number
                .is_multiple_of(3)
                .then(|| self.now() + SignedDuration::from_secs(SHORT_LIVED)),
        });
        self.rows.len() - 1
    }

    /// One of the invoices that nobody has paid yet, failed ones too.
    pub(super) fn unpaid(&self, which: &Index) -> Option<usize> {
        let unpaid: Vec<_> = (0..self.rows.len()).filter(|row| self.is_unpaid(*row)).collect();
        (!unpaid.is_empty()).then(|| unpaid[which.index(unpaid.len())])
    }

    fn is_unpaid(&self, row: usize) -> bool {
        self.rows[row].direction == Direction::Incoming
            && self.rows[row].status != Status::Settled
            && self.late.iter().all(|(_, late)| *late != row)
    }

    /// Some of the pending leave, as they do while pages are read.
    fn leave(&mut self) {
        let (count, becomes) = match self.leaving {
            None => return,
            Some(Leaving::Paid(count)) => (count, Status::Settled),
            Some(Leaving::Failed(count)) => (count, Status::Failed),
        };
        let pending = |row: &usize| self.rows[*row].status == Status::Pending && self.is_unpaid(*row);
        let leave: Vec<_> = (0..self.rows.len())
            .rev()
            .filter(pending)
            .take(count.into())
            .collect();
        for row in leave {
            if becomes == Status::Settled {
                self.settle(row);
            }
            self.rows[row].status = becomes;
            self.changed.push(row);
        }
    }

    /// Somebody pays this row; REST knows `lag_ms` later.
    pub(super) fn pay(&mut self, row: usize, lag_ms: u64) -> PaymentHash {
        if lag_ms == 0 {
            self.settle(row);
        } else {
            self.late.push((self.ms + lag_ms, row));
        }
        self.rows[row].payment_hash
    }

    /// Money leaves the wallet: the other side of one of its own invoices, or to a stranger.
    pub(super) fn spend(&mut self, own: Option<usize>) {
        let row = self.invoice();
        let own = own.map(|own| (self.rows[own].payment_hash, self.rows[own].amount));
        let spent = &mut self.rows[row];
        spent.direction = Direction::Outgoing;
        spent.status = Status::Settled;
        if let Some((payment_hash, amount)) = own {
            spent.payment_hash = payment_hash;
            spent.amount = amount;
        }
        spent.checking_id = CheckingId(format!("internal_{}", spent.payment_hash));
    }

    /// True for a question at which a 0.12 drops the connection.
    pub(super) fn drops(&self, query: &PageQuery) -> bool {
        let knows = !matches!(query.filter, Filter::Hash(_)) && query.order != Order::Changed;
        self.dialect == Dialect::V0_12 && !knows
    }

    /// True for an order that it does not know.
    pub(super) fn refuses(&self, query: &PageQuery) -> bool {
        query.order == Order::Changed && !self.sorts_by_change
    }

    /// `GET /wallet`.
    pub(super) fn balance(&self) -> Msat {
        let settled = self.rows.iter().filter(|row| row.status == Status::Settled);
        // On a 0.12 it stands for a count, so what leaves must move it. Later it is what the rows make it.
        let before = match self.dialect {
            Dialect::V0_12 => 1_000_000_000_u64,
            Dialect::V1 => 0,
        };
        let balance = settled.fold(before, |balance, row| match row.direction {
            Direction::Incoming => balance + row.amount.0,
            Direction::Outgoing => balance.saturating_sub(row.amount.0),
        });
        Msat(balance)
    }

    /// `GET /payments/paginated`.
    pub(super) fn list(&mut self, query: &PageQuery) -> Answer<Page> {
        let listed = |row: &PaymentRow| match (query.filter, self.dialect) {
            _ if row.status == Status::Failed => false,
            (Filter::All, _) | (Filter::Pending, Dialect::V0_12) => true,
            (Filter::Pending, Dialect::V1) => row.status == Status::Pending,
            (Filter::Arrived, Dialect::V0_12) => row.direction == Direction::Incoming,
            (Filter::Arrived, Dialect::V1) => {
                row.direction == Direction::Incoming && row.status == Status::Settled
            }
            (Filter::Hash(hash), _) => row.payment_hash == hash,
        };
        let mut rows: Vec<_> = (0..self.rows.len())
            .filter(|row| listed(&self.rows[*row]))
            .collect();
        match query.order {
            // The oldest first, as 1.6.2 has it.
            Order::Any => {}
            Order::Made => rows.sort_unstable_by_key(|row| {
                std::cmp::Reverse((self.rows[*row].created, self.rows[*row].payment_hash))
            }),
            Order::Changed => rows.sort_by_key(|row| std::cmp::Reverse(self.places[*row])),
        }
        let total = rows.len() as u64;
        let page: Vec<_> = rows
            .into_iter()
            .skip(query.offset as usize)
            .take(query.limit as usize)
            .map(|row| self.rows[row].clone())
            .collect();
        for _ in 0..self.shifting {
            let row = self.invoice();
            self.pay(row, 0);
        }
        self.leave();
        Answer {
            value: Page {
                sent: u32::try_from(page.len()).unwrap(),
                rows: page,
                total: Some(total),
                ..Page::default()
            },
            server_time: Some(self.date(self.date_off)),
        }
    }

    /// `GET /payments/{hash}`. An outgoing side hides the incoming one, as on real servers when a wallet pays itself;
    /// and the question itself makes an invoice that has expired a failed one.
    pub(super) fn look_up(&mut self, hash: PaymentHash) -> Looked {
        let now = self.now();
        for row in 0..self.rows.len() {
            let asked = &self.rows[row];
            let expired = asked.expires.is_some_and(|expires| expires <= now);
            if asked.payment_hash == hash && expired && asked.status == Status::Pending && self.is_unpaid(row)
            {
                self.rows[row].status = Status::Failed;
                self.changed.push(row);
            }
        }
        let mut ours: Vec<_> = self.rows.iter().filter(|row| row.payment_hash == hash).collect();
        ours.sort_by_key(|row| row.direction == Direction::Incoming);
        ours.first()
            .map_or(Looked::NotOurs, |row| Looked::Ours(Box::new((*row).clone())))
    }

    /// What a pairing (or one who had to set the ledger aside) writes down. What a 0.12 is waiting for is gathered later,
    /// unless it was taken for a newer one. A `Date` that is ahead of the rows by more than the slack is beyond what a
    /// pairing can know, so none is here.
    pub(super) fn baseline(&self, dialect: Dialect) -> Baseline {
        let pending = self.rows.iter().filter(|row| row.status == Status::Pending);
        let pending: BTreeMap<_, _> = pending
            .map(|row| (row.checking_id.clone(), Awaited::of(row)))
            .collect();
        let date = self.date(self.date_off.min(CLOCK_SLACK));
        let settled_lately: BTreeSet<_> = self
            .rows
            .iter()
            .filter(|row| row.status == Status::Settled && row.created >= date - LAST_MINUTE)
            .map(|row| row.checking_id.clone())
            .collect();
        Baseline {
            taken: date - CLOCK_SLACK,
            settled_lately,
            pending: match dialect {
                Dialect::V0_12 => None,
                Dialect::V1 => Some(pending),
            },
        }
    }

    /// What the server has given up on; it may still be paid, and no list shows it.
    pub(super) fn failed(&self) -> impl Iterator<Item = Payment> {
        let failed = self.rows.iter().filter(|row| row.status == Status::Failed);
        failed.map(|row| Payment::of(row.payment_hash))
    }

    /// What has really arrived.
    pub(super) fn paid(&self) -> impl Iterator<Item = Payment> {
        let paid = self.rows.iter().filter(|row| is_paid(row));
        paid.map(|row| Payment::of(row.payment_hash))
    }

    /// How much arrived by this payment, if it did.
    pub(super) fn amount(&self, payment: Payment) -> Option<Msat> {
        let row = usize::try_from(payment.0).ok()?.checked_sub(1)?;
        self.rows
            .get(row)
            .filter(|row| is_paid(row))
            .map(|row| row.amount)
    }
}

fn is_paid(row: &PaymentRow) -> bool {
    row.direction == Direction::Incoming && row.status == Status::Settled
}
