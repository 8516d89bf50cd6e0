//! How a fake server is to be.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::{clock::Clock, version::Version};

/// How a fake server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which LNbits it behaves like.
    pub version: Version,
    /// The path under which it lives: empty, or something like `/lnbits`, without a slash at the end.
    pub prefix: String,
    /// Where it listens: on this machine only, unless a test has made a network of its own.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// How often sockets are pinged, and how long an answer may take: 20 s as with uvicorn.
    pub ping_every: Duration,
    /// Where row times and `date` headers come from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            version: Version::default(),
            prefix: String::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            ping_every: Duration::from_secs(20),
            clock: Clock::default(),
        }
    }
}

impl Options {
    /// The defaults with this version.
    pub fn version(version: Version) -> Options {
        Options {
            version,
            ..Options::default()
        }
    }
}
