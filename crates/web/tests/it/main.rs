//! The web server over a real engine on a fake LNbits, spoken to in raw HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod announced;
mod api;
mod bad_input;
mod browser;
mod displays;
mod phone;
mod shop;
mod sound;
mod tls;
