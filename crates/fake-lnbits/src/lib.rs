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
mod invoice;
mod ledger;
mod line;
mod options;
mod requests;
mod routes;
mod running;
mod server;
mod socket;
mod version;

#[cfg(feature = "faults")]
use std::time::Duration;
use std::{io, net::SocketAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};

pub use crate::{
    channels::Ending,
    clock::Clock,
    invoice::{Entry, Invoice, NewInvoice},
    ledger::{Payment, Status, Wallet},
    options::Options,
    requests::{Path, Requests},
    version::Version,
};
use crate::{channels::Order, running::Running, server::Server};

/// A running fake server. Clones are handles to the same one; with the last handle it ends and closes its sockets.
#[derive(Clone, Debug)]
pub struct FakeLnbits {
    server: Arc<Server>,
    running: Arc<Running>,
}

impl FakeLnbits {
    /// Starts a server.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(options: Options) -> io::Result<FakeLnbits> {
        let running = Arc::new(Running::start(options).await?);
        Ok(FakeLnbits {
            server: running.server().clone(),
            running,
        })
    }

    /// Ends the server and cuts every connection. Wallets and payments stay for [`FakeLnbits::restart`].
    pub async fn stop(&self) {
        self.running.stop().await;
    }

    /// Serves again, on the same port, with the same wallets and payments.
    ///
    /// # Errors
    /// If somebody else took the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.running.stop().await;
        self.running.serve().await
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

    /// Adds a wallet that has its id and its keys already: one from another server.
    pub fn insert_wallet(&self, wallet: Wallet) {
        self.server.ledger().add_wallet(wallet);
    }

    /// Gives a wallet new keys. Sockets on the old ones stay connected and silent.
    pub fn rotate_keys(&self, wallet: &Wallet) -> Wallet {
        self.server.rotate_keys(wallet)
    }

    /// Gives a wallet a further invoice key, as LNbits does when it is shared with another user. Nothing is pushed to it.
    pub fn share(&self, wallet: &Wallet) -> Wallet {
        self.server.share(wallet)
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
