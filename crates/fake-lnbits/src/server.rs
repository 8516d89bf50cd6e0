//! The server's state: what it remembers, and what happens when a payment moves.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    bolt11,
    channels::{Channels, Order},
    faults::Faults,
    invoice::{Entry, Invoice, NewInvoice},
    ledger::{Lag, Ledger, Payment, Status, Wallet},
    line::Lines,
    options::Options,
    requests::Counters,
    version::{Frame, Told, Version},
};

/// How much later 1.6 says the same again.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) port: u16,
    pub(crate) started: Timestamp,
    pub(crate) channels: Channels,
    pub(crate) faults: Faults,
    pub(crate) requests: Counters,
    pub(crate) lines: Lines,
    pub(crate) runtime: Handle,
    ledger: Mutex<Ledger>,
    rates: Mutex<BTreeMap<String, f64>>,
}

impl Server {
    /// A server that listens on `port` of this address. Nobody serves it yet.
    pub(crate) fn new(options: Options, port: u16) -> Server {
        Server {
            port,
            started: options.clock.now(),
            options,
            channels: Channels::default(),
            faults: Faults::default(),
            requests: Counters::default(),
            lines: Lines::default(),
            runtime: Handle::current(),
            ledger: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn version(&self) -> Version {
        self.options.version
    }

    /// The time of day as this server has it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.options.clock.now();
        let now = now.checked_add(self.faults.clock_offset()).unwrap_or(now);
        // Databases keep microseconds.
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// How far REST is behind.
    pub(crate) fn lag(&self) -> Option<Lag> {
        self.faults.rest_lag().map(|by| Lag {
            now: Instant::now(),
            by,
        })
    }

    pub(crate) fn set_rate(&self, currency: &str, sats: f64) {
        self.rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(currency.to_uppercase(), sats);
    }

    pub(crate) fn rate(&self, currency: &str) -> Option<f64> {
        self.rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&currency.to_uppercase())
            .copied()
    }

    pub(crate) fn add_wallet(&self, name: &str) -> Wallet {
        let [id, invoice_key, admin_key] = [(); 3].map(|()| hex::encode(rand::random::<[u8; 16]>()));
        let wallet = Wallet {
            id,
            invoice_key,
            admin_key,
            name: name.to_owned(),
        };
        self.ledger().add_wallet(wallet.clone());
        wallet
    }

    pub(crate) fn rotate_keys(&self, wallet: &Wallet) -> Wallet {
        let [invoice_key, admin_key] = [(); 2].map(|()| hex::encode(rand::random::<[u8; 16]>()));
        let rotated = Wallet {
            invoice_key,
            admin_key,
            ..wallet.clone()
        };
        self.ledger().replace_wallet(rotated.clone());
        rotated
    }

    pub(crate) fn share(&self, wallet: &Wallet) -> Wallet {
        let invoice_key = hex::encode(rand::random::<[u8; 16]>());
        self.ledger().share(&wallet.id, invoice_key.clone());
        Wallet {
            invoice_key,
            ..wallet.clone()
        }
    }

    pub(crate) fn make_invoice(&self, wallet_id: &str, new: NewInvoice) -> Invoice {
        let created = self.now();
        let memo = self.version().kept_memo(new.memo.as_deref());
        let payment_hash = new_hash();
        let checking_id = format!("{}{payment_hash}", new.id_prefix);
        let payment = Payment {
            wallet_id: wallet_id.to_owned(),
            payment_hash: payment_hash.clone(),
            checking_id: checking_id.clone(),
            amount_msat: i64::try_from(new.amount_msat).unwrap_or(i64::MAX),
            memo: Some(memo.clone()),
            status: Status::Pending,
            created,
            updated: created,
            expires: later(created, new.expiry),
            extra: new.extra,
            fields: new.fields,
        };
        let expires = payment.expires;
        self.ledger().insert(payment, Instant::now());
        Invoice {
            checking_id,
            bolt11: bolt11::encode(&payment_hash, new.amount_msat),
            payment_hash,
            amount_msat: new.amount_msat,
            memo,
            created,
            expires,
        }
    }

    pub(crate) fn insert(&self, wallet_id: &str, entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
        let (now, instant) = (self.now(), Instant::now());
        let mut ledger = self.ledger();
        let mut insert = |entry: Entry| {
            let created = entry.created.unwrap_or(now);
            let payment_hash = entry.payment_hash.unwrap_or_else(new_hash);
            let payment = Payment {
                wallet_id: wallet_id.to_owned(),
                payment_hash: payment_hash.clone(),
                checking_id: payment_hash.clone(),
                amount_msat: entry.amount_msat,
                memo: entry.memo,
                status: entry.status,
                created,
                updated: entry.updated.unwrap_or(created),
                expires: later(created, entry.expiry),
                extra: entry.extra,
                fields: Map::new(),
            };
            ledger.insert(payment, instant);
            payment_hash
        };
        entries.into_iter().map(&mut insert).collect()
    }

    pub(crate) fn settle(&self, payment_hash: &str) -> bool {
        let Some(frames) = self.receive(payment_hash) else {
            return false;
        };
        self.push(frames);
        true
    }

    pub(crate) fn pay_between(&self, payer_id: &str, payment_hash: &str) -> Option<Payment> {
        let invoice = self.ledger().incoming(payment_hash)?.payment.clone();
        let received = self.receive(payment_hash)?;
        let paid = self.spend(Payment {
            wallet_id: payer_id.to_owned(),
            checking_id: format!("internal_{payment_hash}"),
            amount_msat: -invoice.amount_msat,
            ..invoice
        });
        self.push(self.frames(&paid, Told::Fresh));
        self.push(received.clone());
        if self.version().tells_twice() {
            self.push_after(AGAIN, received);
        }
        Some(paid)
    }

    pub(crate) fn send_outgoing(&self, wallet_id: &str, amount_msat: u64, memo: &str) -> Payment {
        let now = self.now();
        let payment_hash = new_hash();
        let paid = self.spend(Payment {
            wallet_id: wallet_id.to_owned(),
            checking_id: payment_hash.clone(),
            payment_hash,
            amount_msat: -i64::try_from(amount_msat).unwrap_or(i64::MAX),
            memo: Some(self.version().kept_memo(Some(memo))),
            status: Status::Success,
            created: now,
            updated: now,
            expires: later(now, Duration::from_secs(3600)),
            extra: Map::new(),
            fields: Map::new(),
        });
        self.push(self.frames(&paid, Told::Outside));
        paid
    }

    pub(crate) fn fail(&self, payment_hash: &str) -> bool {
        let updated = self.version().keeps_updated().then(|| self.now());
        self.ledger().fail(payment_hash, updated, Instant::now())
    }

    /// Writes `failed` for an invoice that expired, if this server does so when asked about it.
    pub(crate) fn expire_if_asked(&self, payment_hash: &str) {
        let now = self.now();
        let mut ledger = self.ledger();
        let expired = ledger
            .incoming(payment_hash)
            .is_some_and(|row| row.payment.status == Status::Pending && row.payment.expires < now);
        if expired && self.version().fails_expired() {
            ledger.conclude(payment_hash, Status::Failed, Some(now), Instant::now());
        }
    }

    pub(crate) fn push_pending(&self, payment_hash: &str) -> bool {
        if self.version() != Version::Documented {
            return false;
        }
        let Some(payment) = self
            .ledger()
            .incoming(payment_hash)
            .map(|row| row.payment.clone())
        else {
            return false;
        };
        self.push(self.frames(
            &Payment {
                status: Status::Pending,
                ..payment
            },
            Told::Stored,
        ));
        true
    }

    /// Says a text on a channel; gives the number of sockets there.
    pub(crate) fn say(&self, channel: &str, text: &str) -> usize {
        if self.faults.push_dead() {
            return self.channels.listeners(channel);
        }
        let order = Order::Text(text.to_owned());
        let Some(delay) = self.faults.frame_delay() else {
            return self.channels.send(channel, &order);
        };
        let (channels, channel_name) = (self.channels.clone(), channel.to_owned());
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            channels.send(&channel_name, &order);
        });
        self.channels.listeners(channel)
    }

    /// Settles the incoming row, and gives the frames that tell of it.
    fn receive(&self, payment_hash: &str) -> Option<Vec<Frame>> {
        let updated = self.version().keeps_updated().then(|| self.now());
        let mut ledger = self.ledger();
        if !ledger.conclude(payment_hash, Status::Success, updated, Instant::now()) {
            return None;
        }
        let payment = ledger.incoming(payment_hash)?.payment.clone();
        drop(ledger);
        Some(self.frames(&payment, Told::Stored))
    }

    fn spend(&self, paid: Payment) -> Payment {
        let now = self.now();
        let paid = Payment {
            status: Status::Success,
            created: now,
            updated: now,
            ..paid
        };
        self.ledger().insert(paid.clone(), Instant::now());
        paid
    }

    fn frames(&self, payment: &Payment, told: Told) -> Vec<Frame> {
        let ledger = self.ledger();
        let Some(wallet) = ledger.wallet(&payment.wallet_id) else {
            return Vec::new();
        };
        let mut balance_msat = ledger.balance_msat(&wallet.id);
        // Before 1.6 the frame of an outgoing payment has the balance from before it.
        if payment.amount_msat < 0 && !self.version().keeps_updated() {
            balance_msat -= payment.amount_msat;
        }
        self.version().frames(wallet, payment, balance_msat, told)
    }

    fn push(&self, frames: Vec<Frame>) {
        for frame in frames {
            for _ in 0..self.faults.copies() {
                self.say(&frame.channel, &frame.text);
            }
        }
    }

    fn push_after(&self, delay: Duration, frames: Vec<Frame>) {
        let (channels, faults) = (self.channels.clone(), self.faults.clone());
        let delay = delay + faults.frame_delay().unwrap_or_default();
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            for frame in frames.into_iter().filter(|_| !faults.push_dead()) {
                for _ in 0..faults.copies() {
                    channels.send(&frame.channel, &Order::Text(frame.text.clone()));
                }
            }
        });
    }
}

fn new_hash() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
