//! A real LNbits, of any release that shops run, with a wallet backend that plays Lightning.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, program};
use crate::{Http, Release, until};

/// A running server with its own data.
#[derive(Debug)]
pub struct RealLnbits {
    release: Release,
    /// Requests that it allows a minute, an address and a path.
    limit: u32,
    venv: PathBuf,
    data: TempDir,
    port: u16,
    http: Http,
    token: String,
    process: Mutex<Option<Running>>,
}

/// As good as no limit: many tests ask at the same time.
const UNLIMITED: u32 = 100_000;

/// A wallet on it.
#[derive(Debug, Clone)]
pub struct Wallet {
    /// Stands in the wallet's own address, so it is no secret.
    pub id: String,
    /// May read and make invoices: what a display is paired with.
    pub invoice_key: String,
    /// May spend: what a display must refuse.
    pub admin_key: String,
}

/// What a customer pays with where it is not Lightning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tender {
    /// A card, held to a terminal of Stripe's.
    Card,
    /// Coins, which a TPoS takes.
    Cash,
}

/// A wallet that two users see.
#[derive(Debug, Clone)]
pub struct SharedWallet {
    /// As its owner has it: its invoices are paid.
    pub own: Wallet,
    /// As the guest has it: its key is the guest's.
    pub guests: Wallet,
    guest: String,
}

/// An invoice that the server made.
#[derive(Debug, Clone)]
pub struct Invoice {
    /// What a customer pays.
    pub bolt11: String,
    /// Its hash, 64 hex digits.
    pub payment_hash: String,
}

impl RealLnbits {
    /// The current release, which the tests of a file share; each makes its own wallets on it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn shared() -> anyhow::Result<&'static Self> {
        Self::shared_of(Release::CURRENT)
    }

    /// A release, shared like [`RealLnbits::shared`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn shared_of(release: Release) -> anyhow::Result<&'static Self> {
        static SHARED: [OnceLock<Result<RealLnbits, String>>; Release::ALL.len()] =
            [const { OnceLock::new() }; Release::ALL.len()];
        let shared = SHARED[release as usize]
            .get_or_init(|| Self::start_of(release).map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// A new one of the current release with nothing in it but its owner.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_of(Release::CURRENT)
    }

    /// A new one of the current release that allows so many requests a minute, an address and a path.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start_limited(limit: u32) -> anyhow::Result<Self> {
        Self::start_with(Release::CURRENT, limit)
    }

    /// A new one of this release with nothing in it but its owner.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start_of(release: Release) -> anyhow::Result<Self> {
        Self::start_with(release, UNLIMITED)
    }

    fn start_with(release: Release, limit: u32) -> anyhow::Result<Self> {
        let mut server = Self {
            venv: release.venv()?,
            release,
            limit,
            data: tempfile::tempdir()?,
            port: free_port()?,
            http: Http::new(Duration::from_secs(30)),
            token: String::new(),
            process: Mutex::default(),
        };
        server.launch()?;
        let owner = json!({"username": "owner", "password": "owner-of-it", "password_repeat": "owner-of-it"});
        server
            .http
            .get_done("PUT", &server.at("/api/v1/auth/first_install"), &[], Some(&owner))?;
        server.healthy(200)?;
        let owner = json!({"username": "owner", "password": "owner-of-it"});
        let session = server
            .http
            .get_done("POST", &server.at("/api/v1/auth"), &[], Some(&owner))?;
        server.token = text(&session, "access_token")?;
        Ok(server)
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Which LNbits it is.
    #[must_use]
    pub fn release(&self) -> Release {
        self.release
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new wallet with nothing in it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn wallet(&self, name: &str) -> anyhow::Result<Wallet> {
        let made = self.http.get_done(
            "POST",
            &self.at("/api/v1/account"),
            &[],
            Some(&json!({"name": name})),
        )?;
        Wallet::of(&made)
    }

    /// A new wallet that can pay.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn customer(&self) -> anyhow::Result<Wallet> {
        let wallet = self.wallet("customer")?;
        self.fund(&wallet, 1_000_000)?;
        Ok(wallet)
    }

    /// A wallet that its owner shares with another user, who may do this with it: `view-payments`, `receive-payments`. Needs
    /// a release that knows shared wallets (1.4 or later).
    ///
    /// # Errors
    /// When the server refuses.
    pub fn shared_wallet(&self, permissions: &[&str]) -> anyhow::Result<SharedWallet> {
        static GUESTS: AtomicU32 = AtomicU32::new(0);
        let guest = format!("guest{}", GUESTS.fetch_add(1, Ordering::Relaxed));
        let ask = |method, path, header: (&str, &str), body| {
            self.http.get_done(method, &self.at(path), &[header], Some(&body))
        };
        let bearer = format!("Bearer {}", self.token);
        let owners = ("authorization", bearer.as_str());
        let made = ask("POST", "/api/v1/wallet", owners, json!({"name": "shop"}))?;
        let own = Wallet::of(&made)?;
        let account = json!({"username": guest, "password": "guest-of-it", "password_repeat": "guest-of-it"});
        ask("POST", "/users/api/v1/user", owners, account)?;
        let login = json!({"username": guest, "password": "guest-of-it"});
        let session = self
            .http
            .get_done("POST", &self.at("/api/v1/auth"), &[], Some(&login))?;
        let bearer = format!("Bearer {}", text(&session, "access_token")?);
        let invite = json!({"username": guest, "permissions": permissions, "status": "invite_sent"});
        let key = ("x-api-key", own.admin_key.as_str());
        ask("PUT", "/api/v1/wallet/share/invite", key, invite)?;
        let mirror = json!({"wallet_type": "lightning-shared", "shared_wallet_id": own.id});
        let made = ask("POST", "/api/v1/wallet", ("authorization", &bearer), mirror)?;
        let shared = SharedWallet {
            guests: Wallet::of(&made)?,
            own,
            guest,
        };
        self.allow(&shared, permissions)?;
        Ok(shared)
    }

    /// From now on the guest may do this with a shared wallet.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn allow(&self, shared: &SharedWallet, permissions: &[&str]) -> anyhow::Result<()> {
        let body = json!({
            "username": shared.guest,
            "shared_with_wallet_id": shared.guests.id,
            "permissions": permissions,
            "status": "approved",
        });
        let key = [("x-api-key", shared.own.admin_key.as_str())];
        self.http
            .get_done("PUT", &self.at("/api/v1/wallet/share"), &key, Some(&body))?;
        Ok(())
    }

    /// Puts money into a wallet out of nowhere.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fund(&self, wallet: &Wallet, sats: u64) -> anyhow::Result<()> {
        let bearer = format!("Bearer {}", self.token);
        let body = json!({"id": wallet.id, "amount": sats});
        self.http.get_done(
            "PUT",
            &self.at(self.release.top_up()),
            &[("authorization", &bearer)],
            Some(&body),
        )?;
        Ok(())
    }

    /// An invoice for `wallet`.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn invoice(&self, wallet: &Wallet, sats: u64, memo: &str) -> anyhow::Result<Invoice> {
        self.invoice_for(wallet, sats, memo, Duration::from_secs(60 * 60))
    }

    /// An invoice for `wallet` that was made `ago` and may be paid for a week from now on.
    ///
    /// # Errors
    /// When the server refuses or its data cannot be written to.
    pub fn old_invoice(
        &self,
        wallet: &Wallet,
        sats: u64,
        memo: &str,
        ago: Duration,
    ) -> anyhow::Result<Invoice> {
        let invoice = self.invoice_for(wallet, sats, memo, Duration::from_secs(7 * 24 * 60 * 60))?;
        let columns: Vec<_> = self
            .release
            .birth()
            .iter()
            .map(|column| format!("{column} = {column} - {}", ago.as_secs()))
            .collect();
        let script = "import sqlite3, sys\n\
            data, columns, hash = sys.argv[1:]\n\
            with sqlite3.connect(data + '/database.sqlite3', timeout=20) as db:\n    \
            done = db.execute(f'UPDATE apipayments SET {columns} WHERE checking_id = ?', (hash,))\n    \
            assert done.rowcount == 1, done.rowcount\n";
        let done = std::process::Command::new(self.venv.join("bin/python"))
            .args(["-c", script])
            .arg(self.data.path())
            .args([&columns.join(", "), &invoice.payment_hash])
            .output()?;
        anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(invoice)
    }

    /// An invoice for `wallet` over 1.50 EUR, to be paid by card or in cash. The server writes it down; what only its providers
    /// and extensions may write is written as they do (`create_fiat_invoice`; TPoS, `api_tpos_create_invoice`).
    ///
    /// # Errors
    /// When the server refuses or its data cannot be written to.
    pub fn fiat_invoice(
        &self,
        wallet: &Wallet,
        tender: Tender,
        sats: u64,
        memo: &str,
    ) -> anyhow::Result<Invoice> {
        let (method, provider, labels) = match tender {
            Tender::Card => ("terminal", Some("stripe"), json!([])),
            Tender::Cash => ("cash", None, json!(["cash"])),
        };
        let body = json!({
            "out": false, "amount": sats, "unit": "sat", "memo": memo, "internal": true, "labels": labels,
            "extra": {
                "tag": "tpos", "tip_amount": 0, "paid_in_fiat": true, "fiat_method": method,
                "fiat_currency": "EUR", "fiat_amount": 1.5, "fiat_rate": sats as f64 / 1.5,
            },
        });
        let key = [("x-api-key", wallet.invoice_key.as_str())];
        let made = self
            .http
            .get_done("POST", &self.at("/api/v1/payments"), &key, Some(&body))?;
        let invoice = Invoice {
            bolt11: text(&made, self.release.invoice())?,
            payment_hash: text(&made, "payment_hash")?,
        };
        let hash = &invoice.payment_hash;
        let id = match tender {
            Tender::Card => format!("fiat_stripe_pi_{}", &hash[..16]),
            Tender::Cash => format!("internal_cash_{hash}"),
        };
        self.write_row(
            "UPDATE apipayments SET checking_id = ?2, fiat_provider = ?3 WHERE payment_hash = ?1",
            (hash, id, provider),
        )?;
        Ok(invoice)
    }

    /// Books such an invoice as paid, as the server does when Stripe or the shop says that it is. Nobody is told.
    ///
    /// # Errors
    /// When its data cannot be written to.
    pub fn book(&self, invoice: &Invoice) -> anyhow::Result<()> {
        self.write_row(
            "UPDATE apipayments SET status = 'success', updated_at = unixepoch() WHERE payment_hash = ?1",
            [&invoice.payment_hash],
        )
    }

    /// The frame that the server sends of a payment when it has booked it.
    ///
    /// # Errors
    /// When the server does not show it to the wallet.
    pub fn frame(&self, wallet: &Wallet, invoice: &Invoice) -> anyhow::Result<String> {
        let path = format!("/api/v1/payments/{}", invoice.payment_hash);
        let key = [("x-api-key", wallet.invoice_key.as_str())];
        let seen = self.http.get_done("GET", &self.at(&path), &key, None)?;
        Ok(json!({"wallet_balance": 0, "payment": seen["details"]}).to_string())
    }

    fn write_row(&self, sql: &str, row: impl rusqlite::Params) -> anyhow::Result<()> {
        let books = Connection::open(self.data.path().join("database.sqlite3"))?;
        books.busy_timeout(Duration::from_secs(20))?;
        let written = books.execute(sql, row)?;
        anyhow::ensure!(written == 1, "{written} rows were written");
        Ok(())
    }

    fn invoice_for(
        &self,
        wallet: &Wallet,
        sats: u64,
        memo: &str,
        expiry: Duration,
    ) -> anyhow::Result<Invoice> {
        let body =
            json!({"out": false, "amount": sats, "unit": "sat", "memo": memo, "expiry": expiry.as_secs()});
        let key = [("x-api-key", wallet.invoice_key.as_str())];
        let made = self
            .http
            .get_done("POST", &self.at("/api/v1/payments"), &key, Some(&body))?;
        Ok(Invoice {
            bolt11: text(&made, self.release.invoice())?,
            payment_hash: text(&made, "payment_hash")?,
        })
    }

    /// Pays an invoice out of `payer`.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn pay(&self, payer: &Wallet, invoice: &Invoice) -> anyhow::Result<()> {
        let body = json!({"out": true, "bolt11": invoice.bolt11});
        let key = [("x-api-key", payer.admin_key.as_str())];
        self.http
            .get_done("POST", &self.at("/api/v1/payments"), &key, Some(&body))?;
        Ok(())
    }

    /// A payment from `payer` to `payee`, from the invoice on.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn sell(&self, payee: &Wallet, payer: &Wallet, sats: u64, memo: &str) -> anyhow::Result<Invoice> {
        let invoice = self.invoice(payee, sats, memo)?;
        self.pay(payer, &invoice)?;
        Ok(invoice)
    }

    /// Whether an invoice stands as paid in the server's own books, whatever it has told anybody yet. Asks nobody.
    ///
    /// # Errors
    /// When its data cannot be read.
    pub fn has_booked(&self, invoice: &Invoice) -> anyhow::Result<bool> {
        let books = Connection::open_with_flags(
            self.data.path().join("database.sqlite3"),
            OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
        let booked = "SELECT EXISTS (SELECT 1 FROM apipayments
                                     WHERE payment_hash = ?1 AND amount > 0 AND status = 'success')";
        Ok(books.query_row(booked, [&invoice.payment_hash], |row| row.get(0))?)
    }

    /// Says something on a channel as anybody can.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn say(&self, channel: &str, text: &str) -> anyhow::Result<()> {
        let url = format!(
            "{}?data={}",
            self.at(&format!("/api/v1/ws/{channel}")),
            percent_encoded(text)
        );
        self.http.get_done("POST", &url, &[], None)?;
        Ok(())
    }

    /// Asks for a wallet's payments, whatever the answer.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn list(&self, wallet: &Wallet) -> anyhow::Result<()> {
        let url = self.at("/api/v1/payments/paginated");
        let key = [("X-Api-Key", wallet.invoice_key.as_str())];
        self.http.ask("GET", &url, &key, None)?;
        Ok(())
    }

    /// Ends the server at once; its data stay.
    pub fn kill(&self) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts it again at the same address with the same data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub fn launch(&self) -> anyhow::Result<()> {
        // Its own command serves from a second process that would outlive the first.
        let mut command = program(self.venv.join("bin/uvicorn"));
        command.args([
            "lnbits.__main__:app",
            "--host",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
        ]);
        command.args([
            "--loop",
            "uvloop",
            "--ws-ping-timeout",
            "60",
            "--ws-max-queue",
            "128",
        ]);
        // It looks for its pages relative to where it stands; what it would write there goes to its data.
        command.current_dir(self.packages()?);
        std::fs::create_dir_all(self.data.path().join("extensions"))?;
        // What it may try to reach on the internet is answered at once: there is nobody.
        for proxy in [
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(proxy);
        }
        command
            .env("HOST", "127.0.0.1")
            .env("PORT", self.port.to_string())
            .env("LNBITS_DATA_FOLDER", self.data.path())
            .env("LNBITS_EXTENSIONS_PATH", self.data.path())
            .env("LNBITS_BACKEND_WALLET_CLASS", "FakeWallet")
            .env("LNBITS_ADMIN_UI", "true")
            .env("LNBITS_ALLOW_NEW_ACCOUNTS", "true")
            .env("AUTH_ALLOWED_METHODS", "user-id-only,username-password")
            .env("LNBITS_EXTENSIONS_DEFAULT_INSTALL", "")
            .env("LNBITS_RATE_LIMIT_NO", self.limit.to_string())
            // Some releases ask every exchange at every payment.
            .env("LNBITS_EXCHANGE_RATE_PROVIDERS", "[]")
            .env("LNBITS_PRICE_AGGREGATOR_ENABLED", "false")
            .env("ENABLE_LOG_TO_FILE", "false");
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Running::start("LNbits", command)?);
        // Before its first installation it sends every visitor there.
        self.healthy(307)
    }

    /// Lets it hang (`STOP`) and go on (`CONT`): connections stay open and nothing is answered.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().context("LNbits is not running")?.signal(signal)
    }

    /// How often it was asked for something below this path, and how often it answered 429, by its own log.
    #[must_use]
    pub fn asked(&self, path: &str) -> (usize, usize) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let log = process
            .as_ref()
            .map(|process| process.stdout() + &process.stderr());
        let log = log.unwrap_or_default();
        let asked: Vec<_> = log.lines().filter(|line| line.contains(path)).collect();
        let refused = asked.iter().filter(|line| line.contains("\" 429")).count();
        (asked.len(), refused)
    }

    fn healthy(&self, also: u16) -> anyhow::Result<()> {
        let brief = Http::new(Duration::from_secs(2));
        let healthy = until("a healthy LNbits", Duration::from_secs(90), || {
            let answer = brief.ask("GET", &self.at("/api/v1/health"), &[], None)?;
            Ok((answer.status == 200 || answer.status == also).then_some(()))
        });
        healthy.with_context(|| {
            let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            process.as_ref().map(Running::last_words).unwrap_or_default()
        })
    }

    fn packages(&self) -> anyhow::Result<PathBuf> {
        let library = self.venv.join("lib");
        for entry in std::fs::read_dir(&library).with_context(|| format!("{}", library.display()))? {
            let packages = entry?.path().join("site-packages");
            if packages.join("lnbits").is_dir() {
                return Ok(packages);
            }
        }
        anyhow::bail!("there is no LNbits in {}", self.venv.display())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }
}

impl Wallet {
    fn of(made: &Value) -> anyhow::Result<Self> {
        Ok(Self {
            id: text(made, "id")?,
            invoice_key: text(made, "inkey")?,
            admin_key: text(made, "adminkey")?,
        })
    }

    /// What a merchant copies from the LNDhub extension's page.
    #[must_use]
    pub fn lndhub(&self, server: &str) -> String {
        format!("lndhub://invoice:{}@{server}/lndhub/ext/", self.invoice_key)
    }

    /// The address of the wallet's page; the user id in it is a password.
    #[must_use]
    pub fn page(&self, server: &str) -> String {
        format!(
            "{server}/wallet?usr=0123456789abcdef0123456789abcdef&wal={}",
            self.id
        )
    }
}

/// A port that nothing listens on.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    let text = value[field]
        .as_str()
        .with_context(|| format!("no {field} in {value}"))?;
    Ok(text.to_owned())
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::RealLnbits;

    #[test]
    fn a_customer_pays_and_a_restart_forgets_nothing() {
        let lnbits = RealLnbits::start().unwrap();
        let (shop, customer) = (lnbits.wallet("shop").unwrap(), lnbits.customer().unwrap());
        lnbits.sell(&shop, &customer, 20, "☕").unwrap();
        lnbits.say(&shop.invoice_key, "{\"anything\": true}").unwrap();
        lnbits.kill();
        assert!(lnbits.invoice(&shop, 21, "nobody there").is_err());
        lnbits.launch().unwrap();
        // Its wallet backend forgets open invoices, so one that is to be paid is made anew.
        let sold = lnbits.sell(&shop, &customer, 21, "🥐").unwrap();
        assert!(lnbits.pay(&customer, &sold).is_err(), "it is paid once");
    }
}
