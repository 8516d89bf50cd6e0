//! What the ledger holds, row by row.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use tillbell_lnbits::{Fiat, Method, Msat, PaymentHash};

use crate::payment::{Found, Kind, Verdict};

/// The ledger's order of payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

/// A payment as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The wallet that it arrived in.
    pub wallet: WalletRow,
    /// How sure we are.
    pub verdict: Verdict,
    /// When it was found.
    pub kind: Kind,
    /// How it was paid.
    pub method: Method,
    /// How much.
    pub amount: Msat,
    /// How much that is in fiat, where the wallet says.
    pub fiat: Option<Fiat>,
    /// What it was for; clean, may be empty.
    pub memo: String,
    /// What the payer wrote; clean.
    pub comment: Option<String>,
    /// The payment hash.
    pub payment_hash: PaymentHash,
    /// The server's name for it; `None` for a reported payment.
    pub checking_id: Option<String>,
    /// When the invoice was made, by the server.
    pub created_at: Option<Timestamp>,
    /// When it settled, by the server, where it says.
    pub settled_at: Option<Timestamp>,
    /// When this display heard of it.
    pub heard_at: Timestamp,
    /// When it was announced, if it was.
    pub announced_at: Option<Timestamp>,
}

impl Entry {
    /// How much fiat the customer paid; `None` where they paid sats, whatever those are worth.
    #[must_use]
    pub const fn customers_fiat(&self) -> Option<Fiat> {
        match self.method {
            Method::Lightning => None,
            Method::Card | Method::Cash | Method::Other => self.fiat,
        }
    }

    /// The best word on when it arrived: the server's, else the invoice's making for what we slept through, else ours.
    #[must_use]
    pub fn arrived_at(&self) -> Timestamp {
        let made = match self.kind {
            Kind::Late => self.created_at,
            Kind::Live => None,
        };
        self.settled_at.or(made).unwrap_or(self.heard_at)
    }
}

/// What a ledger knows of a wallet beside its payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletState {
    /// How much of the server's count is explained, where that is known.
    pub explained: Option<u64>,
    /// When the wallet was last heard.
    pub alive: Option<Timestamp>,
    /// This ledger is a copy that took a ruined one's place: the last sign of life before that.
    pub restoring: Option<Timestamp>,
    /// Until it is known how much is explained: an earlier version waited for an invoice as old as this.
    pub oldest_open: Option<Timestamp>,
}

/// Something that payments are delivered to, each with its own acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outlet {
    /// All displays together.
    Screens,
    /// The bell.
    Bell,
    /// Lines in a terminal.
    Terminal,
}

impl Outlet {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Screens => "screens",
            Self::Bell => "bell",
            Self::Terminal => "terminal",
        }
    }
}

/// Payments that are recorded and not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// So many of them were not paid with Lightning.
    pub otherwise: u64,
    /// What came with Lightning, in millisatoshis.
    pub total: Msat,
}

/// Names a wallet within a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletRow(pub i64);

/// Stores an enum by the name that its JSON has.
macro_rules! stored_by_name {
    ($type:ty, $($variant:path => $name:literal),+) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(match self { $($variant => $name),+ }.into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($name => Ok($variant),)+
                    _ => Err(FromSqlError::InvalidType),
                }
            }
        }
    };
}

stored_by_name!(Verdict, Self::Verified => "verified", Self::Reported => "reported");
stored_by_name!(Found, Self::Live => "live", Self::Late => "late", Self::Silently => "silently");
