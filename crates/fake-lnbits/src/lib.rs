//! An LNbits in memory, on a real socket of this machine.
//!
//! It answers as real servers answer, per [`Version`], with every trap they have. It is the server behind `--demo`, and
//! with the feature `faults` the tests' opposite number: then anybody may say anything on a channel, as on a real
//! server, and things go wrong when told to.
//!
//! Amounts are millisatoshis unless a name says otherwise. There is no Lightning behind it: wallets may owe money,
//! invoices carry no signature, preimages do not hash.

mod bolt11;
mod channels;
mod clock;
pub mod demo;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "without the feature nobody can switch a fault on"
)]
mod faults;
mod ledger;
mod line;
mod requests;
mod routes;
mod server;
mod socket;
mod version;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

pub use crate::{
    channels::Ending,
    clock::Clock,
    ledger::{Payment, Status, Wallet},
    requests::{Path, Requests},
    version::Version,
};
use crate::{channels::Order, server::Server};

/// How a fake server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which LNbits it behaves like.
    pub version: Version,
    /// The path under which it lives: empty, or something like `/lnbits`, without a slash at the end.
    pub prefix: String,
    /// Where it listens: on this machine only, unless a test has made a network of its own.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// How often sockets are pinged, and how long an answer may take: 20 s as with uvicorn.
    pub ping_every: Duration,
    /// Where row times and `date` headers come from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            version: Version::default(),
            prefix: String::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            ping_every: Duration::from_secs(20),
            clock: Clock::default(),
        }
    }
}

impl Options {
    /// The defaults with this version.
    pub fn version(version: Version) -> Options {
        Options {
            version,
            ..Options::default()
        }
    }
}

/// An invoice to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewInvoice {
    /// Millisatoshis.
    pub amount_msat: u64,
    /// What it is for. Without one, or with an empty one, the server writes its own name.
    pub memo: Option<String>,
    /// How long it can be paid, from now; an hour by default.
    pub expiry: Duration,
    /// `comment`, `tip_amount`, `fiat_*`, `tag`.
    pub extra: Map<String, Value>,
}

impl Default for NewInvoice {
    fn default() -> NewInvoice {
        NewInvoice {
            amount_msat: 1_000_000,
            memo: None,
            expiry: Duration::from_secs(3600),
            extra: Map::new(),
        }
    }
}

impl NewInvoice {
    /// An invoice over so many satoshis.
    pub fn sats(sats: u64, memo: &str) -> NewInvoice {
        NewInvoice {
            amount_msat: sats * 1000,
            memo: Some(memo.to_owned()),
            ..NewInvoice::default()
        }
    }
}

/// An invoice that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// 64 hex digits.
    pub payment_hash: String,
    /// The same as the payment hash.
    pub checking_id: String,
    /// Text that looks like a BOLT 11 invoice.
    pub bolt11: String,
    /// Millisatoshis.
    pub amount_msat: u64,
    /// What the server wrote as memo.
    pub memo: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// A row put into a wallet's list without a word on any channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Millisatoshis, negative when outgoing.
    pub amount_msat: i64,
    /// What it was for; `None` is JSON's null.
    pub memo: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When the invoice was made; now if `None`.
    pub created: Option<Timestamp>,
    /// When the row last changed; when it was made if `None`.
    pub updated: Option<Timestamp>,
    /// How long it could be paid.
    pub expiry: Duration,
    /// Its hash; a new one if `None`.
    pub payment_hash: Option<String>,
    /// `comment`, `tip_amount`, `fiat_*`, `tag`.
    pub extra: Map<String, Value>,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            amount_msat: 1_000_000,
            memo: Some("Coffee".to_owned()),
            status: Status::Success,
            created: None,
            updated: None,
            expiry: Duration::from_secs(3600),
            payment_hash: None,
            extra: Map::new(),
        }
    }
}

/// A running fake server. Clones are handles to the same one; with the last handle it ends and closes its sockets.
#[derive(Clone, Debug)]
pub struct FakeLnbits {
    server: Arc<Server>,
    _life: Arc<server::Life>,
}

impl FakeLnbits {
    /// Starts a server.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(options: Options) -> io::Result<FakeLnbits> {
        let server = Server::start(options).await?;
        let life = Arc::new(server::Life(server.clone()));
        Ok(FakeLnbits { server, _life: life })
    }

    /// Ends the server and cuts every connection. Wallets and payments stay for [`FakeLnbits::restart`].
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Serves again, on the same port, with the same wallets and payments.
    ///
    /// # Errors
    /// If somebody else took the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.server.stop().await;
        self.server.serve().await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.server.options.address, self.server.port)
    }

    /// `http://127.0.0.1:PORT` and the prefix, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.addr(), self.server.options.prefix)
    }

    /// The WebSocket's address of a channel: a wallet id, a key, a payment hash, or anything.
    pub fn ws_url(&self, channel: &str) -> String {
        format!(
            "ws://{}{}/api/v1/ws/{channel}",
            self.addr(),
            self.server.options.prefix
        )
    }

    /// Which LNbits it behaves like.
    pub fn version(&self) -> Version {
        self.server.options.version
    }

    /// Adds a wallet with new keys.
    pub fn add_wallet(&self, name: &str) -> Wallet {
        self.server.add_wallet(name)
    }

    /// Gives a wallet new keys. Sockets on the old ones stay connected and silent.
    pub fn rotate_keys(&self, wallet: &Wallet) -> Wallet {
        self.server.rotate_keys(wallet)
    }

    /// Gives a wallet the keys back that stand in `wallet`, after [`FakeLnbits::rotate_keys`].
    pub fn return_keys(&self, wallet: &Wallet) {
        self.server.ledger().replace_wallet(wallet.clone());
    }

    /// What a wallet holds, in millisatoshis.
    pub fn balance_msat(&self, wallet: &Wallet) -> i64 {
        self.server.ledger().balance_msat(&wallet.id)
    }

    /// Makes an invoice for a wallet. No frame tells of it.
    pub fn make_invoice(&self, wallet: &Wallet, invoice: NewInvoice) -> Invoice {
        self.server.make_invoice(&wallet.id, invoice)
    }

    /// Settles an invoice as a payer from outside does. Says whether there was a pending one with this hash: on 1.6 an
    /// expired one that was asked about has failed.
    pub fn settle(&self, payment_hash: &str) -> bool {
        self.server.settle(payment_hash)
    }

    /// Pays an invoice of this server from one of its wallets, the invoice's own included. Says whether there was a
    /// pending one with this hash.
    pub fn pay_between(&self, payer: &Wallet, payment_hash: &str) -> bool {
        self.server.pay_between(&payer.id, payment_hash).is_some()
    }

    /// Pays somebody outside; `amount_msat` is positive.
    pub fn send_outgoing(&self, wallet: &Wallet, amount_msat: u64, memo: &str) -> Payment {
        self.server.send_outgoing(&wallet.id, amount_msat, memo)
    }

    /// Marks every row with this hash as failed, settled ones too; says whether there was one.
    pub fn fail(&self, payment_hash: &str) -> bool {
        self.server.fail(payment_hash)
    }

    /// The documented `pending` frame for an invoice, on the wallet's id. Other versions never say this.
    pub fn push_pending(&self, payment_hash: &str) -> bool {
        self.server.push_pending(payment_hash)
    }

    /// Moves an invoice into the past (or the future): when it was made, and when it expires.
    pub fn backdate(&self, payment_hash: &str, created: Timestamp, expires: Timestamp) -> bool {
        self.server.ledger().redate(payment_hash, created, expires)
    }

    /// Puts rows into a wallet without telling anyone; gives their hashes. Quick enough for 100,000.
    pub fn insert(&self, wallet: &Wallet, entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
        self.server.insert(&wallet.id, entries)
    }

    /// Puts `count` settled or pending rows into a wallet, the first made at `first` and each `step` later.
    pub fn insert_many(
        &self,
        wallet: &Wallet,
        count: u32,
        status: Status,
        first: Timestamp,
        step: SignedDuration,
    ) -> Vec<String> {
        let created = |nth: u32| {
            step.checked_mul(nth as i32)
                .and_then(|late| first.checked_add(late).ok())
        };
        self.insert(
            wallet,
            (0..count).map(|n| Entry {
                status,
                created: created(n),
                ..Entry::default()
            }),
        )
    }

    /// All of a wallet's rows, as they really are, in the order they were made.
    pub fn payments(&self, wallet: &Wallet) -> Vec<Payment> {
        self.server
            .ledger()
            .of_wallet(&wallet.id)
            .map(|row| row.payment.clone())
            .collect()
    }

    /// Lets the server have an exchange rate: satoshis for one unit of a currency such as `EUR`.
    pub fn set_rate(&self, currency: &str, sats_per_unit: f64) {
        self.server.set_rate(currency, sats_per_unit);
    }

    /// How many sockets are connected to a channel.
    pub fn listeners(&self, channel: &str) -> usize {
        self.server.channels.listeners(channel)
    }

    /// Ends all sockets and goes on serving; says how many there were.
    pub fn drop_sockets(&self, ending: Ending) -> usize {
        self.server.channels.send_all(&Order::End(ending))
    }

    /// What clients have asked so far.
    pub fn requests(&self) -> Requests {
        self.server.requests.snapshot()
    }

    /// Begins to count requests anew.
    pub fn reset_requests(&self) {
        self.server.requests.reset();
    }
}

/// What only tests may do.
#[cfg(feature = "faults")]
impl FakeLnbits {
    /// The faults to switch on and off.
    pub fn faults(&self) -> &faults::Faults {
        &self.server.faults
    }

    /// Says any text on a channel, as anyone can who knows its name. Gives the number of sockets that hear it.
    pub fn say(&self, channel: &str, text: &str) -> usize {
        self.server.say(channel, text)
    }

    /// Sends bytes on a channel.
    pub fn say_binary(&self, channel: &str, bytes: &[u8]) -> usize {
        self.server.channels.send(channel, &Order::Binary(bytes.to_vec()))
    }

    /// Says `count` texts on a channel, `per_second` a second (all at once with 0), made from their number.
    pub async fn flood(&self, channel: &str, count: u32, per_second: u32, text: impl Fn(u32) -> String) {
        let start = tokio::time::Instant::now();
        for nth in 0..count {
            if per_second > 0 {
                tokio::time::sleep_until(start + Duration::from_secs(1) * nth / per_second).await;
            }
            self.say(channel, &text(nth));
        }
    }
}
