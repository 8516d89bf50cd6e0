//! What the tests between processes need: a real LNbits, a line that can be cut, Tillbell's two programs,
//! and a screen and a sound card that are not there.
//!
//! Everything here blocks with a deadline and answers with an error that says what was awaited. Whatever is
//! started ends when its handle is dropped, and with this process at the latest.

mod clerk;
mod clock;
mod counter;
mod display;
mod ear;
mod eye;
mod fake;
mod headless;
mod http;
mod idle;
mod keyring;
mod ledger;
mod lnbits;
mod names;
mod namespace;
mod process;
mod profile;
pub mod promises;
mod relay;
mod release;
mod screen;
mod self_signed;
mod sound;
mod tls_front;
pub mod tree;
mod turn;
mod wait;
mod webdriver;
mod window;
mod world;

pub use clerk::Clerk;
pub use clock::FakedClock;
pub use counter::Counter;
pub use display::Display;
pub use ear::Ear;
pub use eye::Eye;
pub use fake::Fake;
pub use headless::{Said, Watch, headless, headless_traced};
pub use http::{Answer, Http};
pub use idle::{Alive, IdleProxy};
pub use keyring::{Keyring, SessionBus};
pub use ledger::{Held, Ledger};
pub use lnbits::{Invoice, RealLnbits, Wallet};
pub use names::{NameServer, Names};
pub use namespace::Namespace;
pub use process::{Running, signal};
pub use profile::Profile;
pub use relay::Relay;
pub use release::Release;
pub use screen::{Screen, Shot};
pub use self_signed::SelfSigned;
pub use sound::Sound;
pub use tls_front::{Shows, TlsFront};
pub use turn::{Turn, turn};
pub use wait::until;
pub use window::{Shown, Window};
pub use world::{Way, World, in_a_world_of_its_own};
