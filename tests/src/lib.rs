//! What the tests between processes need: a real LNbits, a line that can be cut, Tillbell's two programs,
//! and a screen and a sound card that are not there.
//!
//! Everything here blocks with a deadline and answers with an error that says what was awaited. Whatever is
//! started ends when its handle is dropped, and with this process at the latest.

mod bus;
mod channel_listener;
mod clock;
mod display;
mod fake;
mod faulty_window;
pub mod figures;
mod hand;
mod headless;
mod heavy_test;
mod http;
mod idle;
mod keyring;
mod ledger;
mod lnbits;
mod names;
mod namespace;
mod old_profile;
mod paired_shop;
mod process;
mod profile;
pub mod promises;
mod relay;
mod release;
mod screen;
mod screen_probe;
mod self_signed;
mod socks;
mod sound;
mod spreadsheet;
pub mod steps;
mod tls_front;
pub mod tree;
mod wait;
mod webdriver;
mod window;
mod world;

pub use bus::{Bus, Keeper};
pub use channel_listener::ChannelListener;
pub use clock::FakedClock;
pub use display::Display;
pub use fake::Fake;
pub use faulty_window::FaultyWindow;
pub use hand::{Button, Hand, Key};
pub use headless::{Said, Watch, headless, headless_being_told, headless_told, headless_traced};
pub use heavy_test::{HeavyTestPermit, heavy_test_permit};
pub use http::{Answer, Http};
pub use idle::{Alive, IdleProxy};
pub use keyring::{Keyring, SessionBus};
pub use ledger::{Held, Ledger};
pub use lnbits::{Invoice, RealLnbits, SharedWallet, Tender, Wallet};
pub use names::{NameServer, Names};
pub use namespace::Namespace;
pub use old_profile::{OldProfile, Server};
pub use paired_shop::PairedShop;
pub use process::{Running, signal};
pub use profile::Profile;
pub use relay::{Passed, Relay};
pub use release::Release;
pub use screen::{Picture, Screen, Shot};
pub use screen_probe::ScreenProbe;
pub use self_signed::SelfSigned;
pub use socks::Socks;
pub use sound::Sound;
pub use spreadsheet::{Cell, open_as_german};
pub use tls_front::{Shows, TlsFront};
pub use wait::until;
pub use window::{Shown, Window};
pub use world::{Way, World, in_a_world_of_its_own};
