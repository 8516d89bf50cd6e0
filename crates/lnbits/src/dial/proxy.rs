//! The way through a proxy: SOCKS5, which Tor speaks, or HTTP's CONNECT. Names are always looked up by the proxy, never here.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::Socks5Stream;

use super::error::DialError;

/// The environment's variables that name a proxy for us, and the one that takes hosts out. `HTTP_PROXY` is not among them: what is
/// spoken to in the clear lies on this machine or in its network.
pub const VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The longest head of a proxy's answer that is read.
const MAX_HEAD: usize = 8 * 1024;

/// Which hosts are reached through which proxy. `Debug` shows no password.
///
/// This machine and what lies in its own network (private addresses, `.local`, names without a dot) are always reached directly.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    matcher: Option<Arc<Matcher>>,
    unusable: bool,
}

impl Proxies {
    /// The proxy of the settings, such as `socks5h://127.0.0.1:9050`, for every host; where that is empty, those of the environment
    /// (`variable` looks one up), as curl takes them: `HTTPS_PROXY`, `ALL_PROXY`, and `NO_PROXY`, also in small letters.
    pub fn chosen(setting: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        let setting = setting.trim();
        let (matcher, named) = if setting.is_empty() {
            let first = |names: [&str; 2]| {
                let found = names.into_iter().find_map(&variable);
                found.map(|text| text.trim().to_owned()).unwrap_or_default()
            };
            let (https, all) = (
                first(["HTTPS_PROXY", "https_proxy"]),
                first(["ALL_PROXY", "all_proxy"]),
            );
            let named = !https.is_empty() || !all.is_empty();
            let no = first(["NO_PROXY", "no_proxy"]);
            (Matcher::builder().https(https).all(all).no(no).build(), named)
        } else {
            // Without a scheme it would be taken for HTTP's; what is meant is Tor nearly always.
            let all = if setting.contains("://") { setting } else { "" };
            (Matcher::builder().all(all).build(), true)
        };
        Self {
            unusable: !setting.is_empty()
                && matcher
                    .intercept(&hyper::Uri::from_static("http://h.example/"))
                    .is_none(),
            matcher: named.then(|| Arc::new(matcher)),
        }
    }

    /// The proxy that leads to this host; `None` for the direct way.
    pub(super) fn way_to(&self, host: &str, secure: bool) -> Result<Option<Proxy>, DialError> {
        if is_near(host) {
            return Ok(None);
        }
        if self.unusable {
            return Err(DialError::ProxyUnusable);
        }
        let scheme = if secure { "https" } else { "http" };
        let uri = format!("{scheme}://{host}/").parse().ok();
        let found = self.matcher.as_deref().zip(uri);
        let proxy = found
            .and_then(|(matcher, uri)| matcher.intercept(&uri))
            .map(|intercept| Proxy::read(&intercept))
            .transpose()?;
        // No name server may learn of it (RFC 7686), nor may a proxy that would ask one.
        let through_socks = proxy
            .as_ref()
            .is_some_and(|proxy| matches!(proxy.kind, Kind::Socks5(_)));
        if is_onion(host) && !through_socks {
            return Err(DialError::NeedsTor {
                host: host.to_owned(),
            });
        }
        Ok(proxy)
    }
}

/// One proxy.
pub(super) struct Proxy {
    host: String,
    port: u16,
    kind: Kind,
}

enum Kind {
    /// With user and password, where they were given.
    Socks5(Option<(String, String)>),
    /// With the header that holds them.
    Connect(Option<String>),
}

impl Proxy {
    fn read(intercept: &Intercept) -> Result<Self, DialError> {
        let uri = intercept.uri();
        let owned = |(user, password): (&str, &str)| (user.to_owned(), password.to_owned());
        let (kind, port) = match uri.scheme_str() {
            Some("socks5" | "socks5h") => (Kind::Socks5(intercept.raw_auth().map(owned)), 1080),
            Some("http") => {
                let login = intercept.basic_auth().and_then(|login| login.to_str().ok());
                (Kind::Connect(login.map(str::to_owned)), 80)
            }
            Some(_) | None => return Err(DialError::ProxyUnusable),
        };
        Ok(Self {
            host: uri.host().unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or(port),
            kind,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Asks the proxy at the other end of `tcp` for a way to this host.
    pub(super) async fn tunnel(&self, tcp: TcpStream, host: &str, port: u16) -> Result<TcpStream, DialError> {
        // Tor knows no name that ends in a dot, and nobody an address in brackets.
        let host = host.trim_end_matches('.').trim_matches(['[', ']']);
        match &self.kind {
            Kind::Socks5(login) => self.socks5(tcp, host, port, login.as_ref()).await,
            Kind::Connect(login) => self.connect(tcp, host, port, login.as_deref()).await,
        }
    }

    async fn socks5(
        &self,
        tcp: TcpStream,
        host: &str,
        port: u16,
        login: Option<&(String, String)>,
    ) -> Result<TcpStream, DialError> {
        let tunnelled = match login {
            None => Socks5Stream::connect_with_socket(tcp, (host, port)).await,
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(tcp, (host, port), user, password).await
            }
        };
        tunnelled
            .map(Socks5Stream::into_inner)
            .map_err(|error| self.refused(&error, host))
    }

    fn refused(&self, error: &SocksError, host: &str) -> DialError {
        let (proxy, host) = (self.to_string(), host.to_owned());
        match error {
            SocksError::GeneralSocksServerFailure
            | SocksError::NetworkUnreachable
            | SocksError::HostUnreachable
            | SocksError::ConnectionRefused
            | SocksError::TtlExpired
            | SocksError::UnknownError => DialError::ProxyNoWay { proxy, host },
            // This is what a code comes as that RFC 1928 does not have: Tor has some for onions that are gone.
            SocksError::UnknownAuthMethod => DialError::ProxyNoWay { proxy, host },
            SocksError::ConnectionNotAllowedByRuleset
            | SocksError::CommandNotSupported
            | SocksError::AddressTypeNotSupported => DialError::ProxyRefuses { proxy, host },
            SocksError::NoAcceptableAuthMethods
            | SocksError::PasswordAuthFailure(_)
            | SocksError::InvalidAuthValues(_)
            | SocksError::AuthorizationRequired
            | SocksError::IdentdAuthFailure
            | SocksError::InvalidUserIdAuthFailure => DialError::ProxyLogin { proxy },
            SocksError::InvalidTargetAddress(_) => DialError::NoSuchHost { host },
            SocksError::Io(_) => DialError::ProxyHungUp { proxy },
            SocksError::InvalidResponseVersion
            | SocksError::InvalidReservedByte
            | SocksError::UnknownAddressType
            | SocksError::ParseError(_)
            | SocksError::ProxyServerUnreachable => DialError::NotAProxy { proxy },
        }
    }

    async fn connect(
        &self,
        mut tcp: TcpStream,
        host: &str,
        port: u16,
        login: Option<&str>,
    ) -> Result<TcpStream, DialError> {
        let proxy = || self.to_string();
        let to = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let login = login.map_or_else(String::new, |login| format!("Proxy-Authorization: {login}\r\n"));
        let question = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n");
        let mut head = Vec::new();
        let asked = async {
            tcp.write_all(question.as_bytes()).await?;
            // Byte by byte: what follows belongs to the server.
            while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
                head.push(tcp.read_u8().await?);
            }
            std::io::Result::Ok(())
        };
        if asked.await.is_err() && head.is_empty() {
            return Err(DialError::ProxyHungUp { proxy: proxy() });
        }
        let host = host.to_owned();
        match status(&head) {
            Some(200..300) if head.ends_with(b"\r\n\r\n") => Ok(tcp),
            Some(407) => Err(DialError::ProxyLogin { proxy: proxy() }),
            Some(500..600) => Err(DialError::ProxyNoWay { proxy: proxy(), host }),
            Some(300..500) => Err(DialError::ProxyRefuses { proxy: proxy(), host }),
            Some(_) | None => Err(DialError::NotAProxy { proxy: proxy() }),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The status of an answer that begins `HTTP/1.1 200 …`.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split(' ');
    words.nth(1)?.parse().ok()
}

/// A name that only Tor can look up, however it is written.
pub(crate) fn is_onion(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.ends_with(".onion") || host == "onion"
}

/// This machine, and what lies in its own network: no proxy leads there.
fn is_near(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || is_near_v6(ip),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.') && name != "onion" || name.ends_with(".localhost") || name.ends_with(".local")
        }
    }
}

fn is_near_v6(ip: Ipv6Addr) -> bool {
    let mapped = ip.to_ipv4_mapped();
    ip.is_unique_local()
        || ip.is_unicast_link_local()
        || mapped.is_some_and(|ip| ip.is_loopback() || ip.is_private())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a host is reached under these variables: directly, or through which proxy.
    fn way(setting: &str, variables: &[(&str, &str)], host: &str, secure: bool) -> String {
        let variable = |name: &str| {
            let set = variables.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        match Proxies::chosen(setting, variable).way_to(host, secure) {
            Ok(None) => "directly".to_owned(),
            Ok(Some(proxy)) => proxy.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environments_proxies_are_taken_as_curl_takes_them() {
        let https = ("HTTPS_PROXY", "http://a.example:3128");
        let all = ("all_proxy", "socks5h://b.example");
        let no = ("no_proxy", "shop.example, 198.51.100.0/24");
        for (variables, host, secure, found) in [
            (&[https][..], "shop.example", true, "a.example:3128"),
            (&[https], "shop.example", false, "directly"),
            (&[https, all], "shop.example", true, "a.example:3128"),
            (&[https, all], "shop.example", false, "b.example:1080"),
            (&[https, no], "shop.example", true, "directly"),
            (&[https, no], "pay.shop.example", true, "directly"),
            (&[https, no], "198.51.100.7", true, "directly"),
            (&[https, no], "other.example", true, "a.example:3128"),
            (
                &[("https_proxy", "c.example:8080")],
                "shop.example",
                true,
                "c.example:8080",
            ),
            (&[("HTTPS_PROXY", "")], "shop.example", true, "directly"),
            (
                &[("HTTP_PROXY", "http://a.example")],
                "shop.example",
                false,
                "directly",
            ),
            (&[], "shop.example", true, "directly"),
        ] {
            assert_eq!(way("", variables, host, secure), found, "{variables:?} {host}");
        }
    }

    #[test]
    fn the_settings_proxy_goes_before_the_environments() {
        let variables = [("HTTPS_PROXY", "http://a.example:3128"), ("NO_PROXY", "*")];
        let found = way("socks5h://127.0.0.1:9050", &variables, "shop.example", true);
        assert_eq!(found, "127.0.0.1:9050");
    }

    #[test]
    fn what_lies_in_this_network_is_reached_directly() {
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "192.168.1.5",
            "10.0.0.2",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:192.168.1.5]",
            "umbrel",
            "umbrel.local",
            "UMBREL.LOCAL.",
        ] {
            assert_eq!(
                way("socks5h://127.0.0.1:9050", &[], host, true),
                "directly",
                "{host}"
            );
        }
        for host in [
            "8.8.8.8",
            "[2001:db8::1]",
            "shop.example",
            "x.onion",
            "local.example",
        ] {
            assert_ne!(
                way("socks5h://127.0.0.1:9050", &[], host, true),
                "directly",
                "{host}"
            );
        }
    }
}
