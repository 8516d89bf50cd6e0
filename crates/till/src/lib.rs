//! The engine of Tillbell: from a hint to a picture and a ring, telling the truth on the way.
//!
//! The data's way through this crate:
//!
//! - [`session`]: what to ask, believe and do about what a wallet says; with [`hints`] (look-ups under
//!   attack), [`reconcile`] (what no frame told us; [`pages`] holds its pages together) and
//!   [`trust`] (how well we hear).
//! - [`verify`]: what counts as money that arrived, in types that nothing else can make; [`baseline`]: what is news.
//! - [`ledger`]: the durable record; [`tally`]: what is old, should the ledger be ruined.
//! - [`stage`]: what is on the screen, payment by payment; [`view`]: pictures for displays.
//! - [`engine`]: the actor that carries out what those pure machines decide.
//!
//! Around it: [`enrol`] pairs, [`paired`] stores what binds us to a wallet, [`profile`], [`settings`] and
//! [`secrets`] keep the rest. It knows no toolkit.

pub mod baseline;
pub mod clock;
pub mod engine;
pub mod enrol;
pub mod failpoint;
pub mod hints;
mod keyring;
pub mod ledger;
pub mod log;
pub mod pages;
pub mod paired;
pub mod pay_code;
pub mod profile;
pub mod reconcile;
pub mod secrets;
pub mod session;
pub mod settings;
pub mod stage;
pub mod tally;
pub mod trust;
pub mod verify;
pub mod view;

pub use engine::{Engine, Options, Outlets, Output};
