//! What is kept in the profile's folder beside the ledger: the pairing, settings, secrets.

mod keyring;
pub mod paired;
pub mod profile;
pub mod secrets;
pub mod settings;
