//! What is kept in the profile's folder beside the ledger: the pairing, settings, secrets.

pub mod alive;
mod keyring;
pub mod pairings;
pub mod profile;
pub mod secrets;
pub mod settings;
