//! Profiles that earlier programs left, and what the wallet's server knew then: the folders under `profiles`.
//!
//! | file | what it is |
//! |---|---|
//! | `settings.toml`, `pairing.json`, `secrets.json`, `tally` | the profile's own |
//! | `ledger.sql` | its ledger, as the statements that make it |
//! | `export.csv` | what the program of then exported |
//! | `server.json` | the server's address, the wallet with its keys, and the wallet's payments |

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};
use tillbell_fake_lnbits::{Entry, FakeLnbits, Status, Version, Wallet};

use crate::{Fake, PairedShop, Profile, ledger};

/// The files that are taken as they are.
const TEXTS: [&str; 4] = ["settings.toml", "pairing.json", "secrets.json", "tally"];

/// A profile that an earlier program left.
#[derive(Debug)]
pub struct OldProfile {
    folder: PathBuf,
    server: Server,
}

/// What a wallet's server knew.
#[derive(Debug)]
pub struct Server {
    /// Where it was: host and port.
    pub address: String,
    /// The wallet.
    pub wallet: Wallet,
    /// Its payments, in the order in which they were made.
    pub payments: Vec<Entry>,
}

impl OldProfile {
    /// The one in the folder of this name: version and commit.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(program: &str) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("profiles")
            .join(program);
        let server = read(&folder.join("server.json"))?;
        let server = Server::from_json(&serde_json::from_str(&server)?).context("server.json")?;
        Ok(Self { folder, server })
    }

    /// The payment hash of the invoice with this memo.
    ///
    /// # Errors
    /// When the server knows of none.
    pub fn hash(&self, memo: &str) -> anyhow::Result<String> {
        let with_memo = |entry: &&Entry| entry.memo.as_deref() == Some(memo);
        let invoice = self.server.payments.iter().find(with_memo);
        invoice
            .and_then(|entry| entry.payment_hash.clone())
            .with_context(|| format!("no invoice is for «{memo}»"))
    }

    /// An invoice is paid while no display runs.
    ///
    /// # Errors
    /// When there is none that is unpaid and has this memo.
    pub fn pay(&mut self, memo: &str) -> anyhow::Result<String> {
        let hash = self.hash(memo)?;
        let invoice = self
            .server
            .payments
            .iter_mut()
            .find(|entry| entry.payment_hash.as_deref() == Some(&hash))
            .filter(|entry| entry.status != Status::Success)
            .with_context(|| format!("«{memo}» is paid already"))?;
        invoice.status = Status::Success;
        invoice.updated = Some(Timestamp::now());
        Ok(hash)
    }

    /// The same files in a new folder, and a server that knows what the one of then knew.
    ///
    /// The server is at another address; the address is changed wherever it stands in the files.
    ///
    /// # Errors
    /// When the files cannot be read or written, or the server does not start.
    pub fn wake(&self) -> anyhow::Result<PairedShop> {
        let server = Fake::start(Version::V1_6)?;
        server.insert_wallet(self.server.wallet.clone());
        server.insert(&self.server.wallet, self.server.payments.iter().cloned());
        let shop = PairedShop {
            server,
            wallet: self.server.wallet.clone(),
            profile: Profile::new()?,
        };
        for file in TEXTS {
            shop.profile.write(file, self.text(file, &shop)?.as_bytes())?;
            keep_private(&shop.profile.place().join(file))?;
        }
        let ledger = shop.profile.place().join(ledger::FILE);
        Connection::open(&ledger)?.execute_batch(&self.text("ledger.sql", &shop)?)?;
        keep_private(&ledger)?;
        Ok(shop)
    }

    /// A file of then, with the address that the server has now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn text(&self, file: &str, now: &PairedShop) -> anyhow::Result<String> {
        let address = now.server.addr().to_string();
        Ok(read(&self.folder.join(file))?.replace(&self.server.address, &address))
    }
}

impl Server {
    /// What a server knows of a wallet.
    #[must_use]
    pub fn now(server: &FakeLnbits, wallet: &Wallet) -> Self {
        let entry = |payment: tillbell_fake_lnbits::Payment| Entry {
            amount_msat: payment.amount_msat,
            memo: payment.memo,
            status: payment.status,
            created: Some(payment.created),
            updated: Some(payment.updated),
            expiry: payment.created.duration_until(payment.expires).unsigned_abs(),
            payment_hash: Some(payment.payment_hash),
            extra: payment.extra,
        };
        Self {
            address: server.addr().to_string(),
            wallet: wallet.clone(),
            payments: server.payments(wallet).into_iter().map(entry).collect(),
        }
    }

    /// As `server.json` has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let payment = |entry: &Entry| {
            json!({
                "payment_hash": entry.payment_hash,
                "amount_msat": entry.amount_msat,
                "memo": entry.memo,
                "status": entry.status,
                "created": entry.created.map(|at| at.to_string()),
                "updated": entry.updated.map(|at| at.to_string()),
                "expiry_s": entry.expiry.as_secs(),
                "extra": entry.extra,
            })
        };
        json!({
            "address": self.address,
            "wallet": {
                "id": self.wallet.id,
                "name": self.wallet.name,
                "invoice_key": self.wallet.invoice_key,
                "admin_key": self.wallet.admin_key,
            },
            "payments": self.payments.iter().map(payment).collect::<Vec<_>>(),
        })
    }

    fn from_json(json: &Value) -> anyhow::Result<Self> {
        let wallet = &json["wallet"];
        let payments = json["payments"].as_array().context("payments")?;
        Ok(Self {
            address: text(&json["address"])?,
            wallet: Wallet {
                id: text(&wallet["id"])?,
                name: text(&wallet["name"])?,
                invoice_key: text(&wallet["invoice_key"])?,
                admin_key: text(&wallet["admin_key"])?,
            },
            payments: payments.iter().map(entry).collect::<Result<_, _>>()?,
        })
    }
}

fn entry(json: &Value) -> anyhow::Result<Entry> {
    let expiry = json["expiry_s"].as_i64().map(SignedDuration::from_secs);
    Ok(Entry {
        amount_msat: json["amount_msat"].as_i64().context("amount_msat")?,
        memo: json["memo"].as_str().map(str::to_owned),
        status: serde_json::from_value(json["status"].clone())?,
        created: Some(text(&json["created"])?.parse()?),
        updated: Some(text(&json["updated"])?.parse()?),
        expiry: expiry.context("expiry_s")?.unsigned_abs(),
        payment_hash: Some(text(&json["payment_hash"])?),
        extra: json["extra"].as_object().context("extra")?.clone(),
    })
}

fn text(json: &Value) -> anyhow::Result<String> {
    let text = json.as_str().with_context(|| format!("{json} is no text"))?;
    Ok(text.to_owned())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn keep_private(file: &Path) -> anyhow::Result<()> {
    Ok(std::fs::set_permissions(
        file,
        std::fs::Permissions::from_mode(0o600),
    )?)
}
