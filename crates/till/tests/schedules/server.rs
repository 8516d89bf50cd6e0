//! The model's LNbits: what is true, and what its REST interface says of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::sample::Index;
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Looked, Page, PageQuery};
use tillbell_lnbits::{CheckingId, Direction, Msat, PaymentHash, PaymentRow, Status, Text, WalletId};
use tillbell_till::baseline::{Awaited, Baseline, LAST_MINUTE};

/// A wallet on a server.
pub(crate) struct Server {
    pub(crate) dialect: Dialect,
    pub(crate) rows: Vec<PaymentRow>,
    /// Paid, but REST does not know yet: from when on it does, in milliseconds, and which row.
    late: Vec<(u64, usize)>,
    /// So many payments more arrive without a word after each page that is read.
    pub(crate) shifting: usize,
    start: Timestamp,
    ms: u64,
}

impl Server {
    /// A wallet with some history: two of three invoices paid.
    pub(crate) fn new(dialect: Dialect, start: Timestamp, history: usize) -> Self {
        let mut server = Self {
            dialect,
            rows: Vec::new(),
            late: Vec::new(),
            shifting: 0,
            start,
            ms: 0,
        };
        for n in 0..history {
            let row = server.invoice();
            let age = 30 * i64::try_from(history - n).unwrap();
            server.rows[row].created = start - SignedDuration::from_secs(age);
            if n % 3 != 0 {
                server.rows[row].status = Status::Settled;
            }
        }
        server
    }

    /// Its clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.start + SignedDuration::from_millis(i64::try_from(self.ms).unwrap())
    }

    /// Time went on.
    pub(crate) fn at(&mut self, ms: u64) {
        self.ms = ms;
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(due, _)| *due <= ms);
        self.late = later;
        for (_, row) in due {
            self.rows[row].status = Status::Settled;
        }
    }

    /// Makes an invoice and says which row it is.
    pub(crate) fn invoice(&mut self) -> usize {
        let number = self.rows.len() as u64 + 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let payment_hash = PaymentHash(bytes);
        self.rows.push(PaymentRow {
            checking_id: CheckingId(payment_hash.to_string()),
            payment_hash,
            wallet_id: WalletId::new("shop").unwrap(),
            direction: Direction::Incoming,
            amount: Msat(1_000 * number),
            status: Status::Pending,
            memo: Text::clean("Coffee"),
            comment: None,
            created: self.now(),
            settled: None,
            expires: None,
        });
        self.rows.len() - 1
    }

    /// One of the invoices that nobody has paid yet, failed ones too.
    pub(crate) fn unpaid(&self, which: &Index) -> Option<usize> {
        let unpaid: Vec<_> = (0..self.rows.len())
            .filter(|row| {
                self.rows[*row].direction == Direction::Incoming
                    && self.rows[*row].status != Status::Settled
                    && self.late.iter().all(|(_, late)| late != row)
            })
            .collect();
        (!unpaid.is_empty()).then(|| unpaid[which.index(unpaid.len())])
    }

    /// Somebody pays this row; REST knows `lag_ms` later.
    pub(crate) fn pay(&mut self, row: usize, lag_ms: u64) -> PaymentHash {
        if lag_ms == 0 {
            self.rows[row].status = Status::Settled;
        } else {
            self.late.push((self.ms + lag_ms, row));
        }
        self.rows[row].payment_hash
    }

    /// Money leaves the wallet: the other side of one of its own invoices, or to a stranger.
    pub(crate) fn spend(&mut self, own: Option<usize>) {
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

    /// `GET /payments/paginated`.
    pub(crate) fn list(&mut self, query: &PageQuery) -> Answer<Page> {
        let mut rows: Vec<&PaymentRow> = self
            .rows
            .iter()
            .filter(|row| row.status != Status::Failed)
            .filter(|row| match (query.filter, self.dialect) {
                (Filter::All, _) | (Filter::Pending, Dialect::V0_12) => true,
                (Filter::Pending, Dialect::V1) => row.status == Status::Pending,
                (Filter::Hash(hash), _) => row.payment_hash == hash,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.payment_hash)));
        let page: Vec<_> = rows
            .into_iter()
            .skip(query.offset as usize)
            .take(query.limit as usize)
            .cloned()
            .collect();
        for _ in 0..self.shifting {
            let row = self.invoice();
            self.pay(row, 0);
        }
        Answer {
            value: Page {
                sent: u32::try_from(page.len()).unwrap(),
                rows: page,
                total: None,
            },
            server_time: Some(self.now()),
        }
    }

    /// `GET /payments/{hash}`. An outgoing side hides the incoming one, as on real servers when a wallet pays itself.
    pub(crate) fn look_up(&self, hash: PaymentHash) -> Looked {
        let mut ours: Vec<_> = self.rows.iter().filter(|row| row.payment_hash == hash).collect();
        ours.sort_by_key(|row| row.direction == Direction::Incoming);
        ours.first()
            .map_or(Looked::NotOurs, |row| Looked::Ours(Box::new((*row).clone())))
    }

    /// What a pairing (or one who had to set the ledger aside) writes down.
    pub(crate) fn baseline(&self) -> Baseline {
        let pending = self.rows.iter().filter(|row| row.status == Status::Pending);
        let pending: BTreeMap<_, _> = pending
            .map(|row| (row.checking_id.clone(), Awaited::of(row, false)))
            .collect();
        let taken = self.now();
        let settled_lately: BTreeSet<_> = self
            .rows
            .iter()
            .filter(|row| row.status == Status::Settled && row.created >= taken - LAST_MINUTE)
            .map(|row| row.checking_id.clone())
            .collect();
        Baseline {
            taken,
            settled_lately,
            pending: Some(pending),
        }
    }

    /// What the server has given up on; it may still be paid, and no list shows it.
    pub(crate) fn failed(&self) -> impl Iterator<Item = CheckingId> {
        let failed = self.rows.iter().filter(|row| row.status == Status::Failed);
        failed.map(|row| row.checking_id.clone())
    }

    /// What has really arrived, and with how much.
    pub(crate) fn arrived(&self) -> BTreeMap<CheckingId, Msat> {
        let arrived = self
            .rows
            .iter()
            .filter(|row| row.direction == Direction::Incoming && row.status == Status::Settled);
        arrived.map(|row| (row.checking_id.clone(), row.amount)).collect()
    }
}
