//! What the tests between processes need: a real LNbits, a line that can be cut, Tillbell's two programs,
//! and a screen and a sound card that are not there.
//!
//! Everything here blocks with a deadline and answers with an error that says what was awaited. Whatever is
//! started ends when its handle is dropped, and with this process at the latest.

mod clerk;
mod clock;
mod display;
mod eye;
mod fake;
mod headless;
mod http;
mod keyring;
mod lnbits;
mod namespace;
mod proc;
mod process;
mod profile;
mod relay;
mod screen;
mod self_signed;
mod sound;
pub mod tree;
mod turn;
mod wait;
mod webdriver;
mod window;

pub use clerk::Clerk;
pub use clock::FakedClock;
pub use display::Display;
pub use eye::Eye;
pub use fake::Fake;
pub use headless::{Said, Watch, headless, headless_traced};
pub use http::{Answer, Http};
pub use keyring::{Keyring, SessionBus};
pub use lnbits::{Invoice, RealLnbits, Wallet};
pub use namespace::Namespace;
pub use proc::{descendants, processor_time, signal};
pub use process::Running;
pub use profile::Profile;
pub use relay::Relay;
pub use screen::{Screen, Shot};
pub use self_signed::SelfSigned;
pub use sound::Sound;
pub use turn::{Turn, turn};
pub use wait::until;
pub use window::{Shown, Window};
