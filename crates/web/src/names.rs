//! The names by which this machine may be called, and its address. A page of another name that leads here would otherwise be let in by the browser
//! as its own (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Names that are ours, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Those of this machine.
    pub(crate) fn of_this_machine() -> Self {
        let host = hostname().to_ascii_lowercase();
        let short = host.split('.').next().unwrap_or_default().to_owned();
        let mut names = vec!["localhost".to_owned(), format!("{short}.local"), short, host];
        names.retain(|name| !name.is_empty() && name != ".local");
        Self(names)
    }

    /// One more, under which it is found.
    pub(crate) fn with(mut self, name: &str) -> Self {
        self.0.push(name.to_owned());
        self
    }

    /// Each of them.
    pub(crate) fn all(&self) -> &[String] {
        &self.0
    }

    /// True for what a `Host` header may say: any address, for rebinding needs a name, and our own names.
    pub(crate) fn are_ours(&self, host: &str) -> bool {
        let host = without_port(host);
        address(host).is_some() || self.0.contains(&host.to_ascii_lowercase())
    }
}

/// True for a `Host` header that can only mean this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = without_port(host);
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address without a port ends with its bracket.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(six) => six.parse::<Ipv6Addr>().ok().map(Into::into),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// This machine's address in its network: that from which it would send something out. Nothing is sent.
pub(crate) fn in_the_network() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nobody's address (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(unix)]
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn hostname() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_our_own_names_are_ours_and_no_other_is() {
        let names = Names(vec![
            "localhost".to_owned(),
            "till".to_owned(),
            "till.local".to_owned(),
        ]);
        for ours in [
            "127.0.0.1:7878",
            "192.168.1.5",
            "[::1]:7878",
            "[fe80::1]",
            "localhost:7878",
            "Till.local:7878",
            "till",
        ] {
            assert!(names.are_ours(ours), "{ours}");
        }
        for other in [
            "evil.example:7878",
            "till.evil.example",
            "",
            ":7878",
            "::1",
            "127.0.0.1.evil.example",
            "[evil]",
        ] {
            assert!(!names.are_ours(other), "{other}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for here in ["127.0.0.1:7878", "127.1.2.3", "[::1]:80", "LOCALHOST"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["192.168.1.5:7878", "till.local", "localhost.evil.example", ""] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
