//! The durable record of payments on this machine. What is not in it is not on the screen as paid.
//!
//! SQLite in WAL mode with `synchronous=NORMAL`: a commit survives any crash of ours. [`Upkeep`] brings it to
//! the disk within a second after, so that only a power cut in that second can repeat an announcement; and it keeps a
//! checked copy, which takes the place of a ledger that is ruined or gone.

mod entry;
mod error;
mod read;
mod record;
mod restore;
mod schema;
mod snapshot;
mod upkeep;

pub use entry::{Entry, Outlet, Seq, Sum, WalletRow, WalletState};
pub use error::{Advice, LedgerError};
pub use read::{FiatSum, MethodSum, Page, Reader, Search, Sums, Wanted};
pub use record::Ledger;
pub(crate) use record::reference_of;
pub use restore::{Loss, Place, open_or_restore, replace};
pub use snapshot::Snapshot;
pub use upkeep::{Copied, Upkeep, copy};
