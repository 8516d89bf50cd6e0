//! The fake server against a real client, over its real socket.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not want of other people's enums fails it"
)]

#[cfg(test)]
mod client;
#[cfg(all(test, feature = "faults"))]
mod faults;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod traps;
