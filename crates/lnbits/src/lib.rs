//! Talking to an LNbits wallet, the way real servers of every version behave.
//!
//! The data's way through this crate:
//!
//! - [`pairing`]: what a merchant can paste, parsed into a [`Pairing`].
//! - [`server`]: a server's address, and the URLs built from it.
//! - [`dial`]: one connector for sockets and REST: DNS, TCP, TLS under time budgets, each failure with its own sentence.
//! - [`link`]: holds the wallet's WebSocket and tells what it hears.
//! - [`frame`]: one text message decoded into a [`Hint`]. A hint is never proof.
//! - [`barrier`]: what answers in LNbits' place.
//! - [`rest`]: asking the server; [`payment`]: what it answers.
//! - [`step`]: the first event of a payment's way, for who measures.
//!
//! It knows no ledger and no screen.

pub mod barrier;
mod channel;
pub mod dial;
pub mod failpoint;
pub mod fiat;
pub mod frame;
mod headers;
pub mod ids;
mod json;
pub mod link;
pub mod money;
pub mod pairing;
pub mod payment;
pub mod rest;
pub mod server;
pub mod step;
pub mod text;

pub use fiat::{Currency, Fiat};
pub use frame::{Claim, ClaimedAmount, Hint, Reading};
pub use ids::{CheckingId, InvoiceKey, PaymentHash, WalletId};
pub use money::{Msat, Sat};
pub use pairing::Pairing;
pub use payment::{Direction, Method, PaymentRow, RowPart, Status, UnreadableRow};
pub use rest::Rest;
pub use server::Server;
pub use text::Text;
