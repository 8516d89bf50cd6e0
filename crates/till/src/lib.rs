//! The engine of Tillbell: from a hint to a picture and a ring, telling the truth on the way.
//!
//! The data's way through this crate:
//!
//! - [`wallet`]: what to ask, believe and do about what a wallet says. Its proof is a type that nothing else can make.
//! - [`ledger`]: the durable record.
//! - [`screen`]: what displays show, payment by payment.
//! - [`engine`]: the actor that carries out what those pure machines decide.
//!
//! Around it: [`displays`] are those in browsers, [`day`] is when the shop's days begin, [`store`] keeps the pairing, the settings and the keys, [`sentence`] is how things are said to people, [`step`]
//! says how far a payment has come. The crate knows no toolkit.

pub mod clock;
pub mod day;
pub mod dialer;
pub mod displays;
pub mod engine;
pub mod failpoint;
pub mod files;
pub mod ledger;
pub mod log;
pub mod payment;
pub mod screen;
pub mod sentence;
pub mod step;
pub mod store;
pub mod wallet;

pub use engine::{Engine, Options, Outlets, Output};
