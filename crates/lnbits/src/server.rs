//! A server's address, and the URLs built from it.

use std::fmt;
use std::iter::successors;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use crate::InvoiceKey;
use crate::dial::is_onion;

/// Where an LNbits lives: scheme, host, port and path prefix; never a user, a password, a query or a key.
///
/// Always `http:` or `https:`; an international host name is kept, and shown, in its ASCII form, so that
/// look-alike letters give themselves away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server(Url);

/// Why a text is no server's address. Never repeats the text: it may hold a secret. Serialises as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum ServerError {
    /// Nothing was given.
    #[error("Enter the server's address; it looks like https://lnbits.example.com.")]
    #[serde(rename = "server-missing")]
    Empty,
    /// It cannot be read as an address.
    #[error("This is not a server's address; it looks like https://lnbits.example.com.")]
    NotAnAddress,
    /// A scheme that is neither of the web nor of WebSockets.
    #[error("A server's address begins with https:// (or http:// for a server on this machine).")]
    NotWeb,
}

impl Server {
    /// Takes the server out of any address on it: of a wallet's page, of the API, of a socket. User,
    /// password, query and fragment are dropped, and with them the tails that LNbits puts below its own
    /// address; what stands before them is the prefix that a reverse proxy gave it.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotWeb`] for a scheme other than `http`, `https`, `ws` and `wss`.
    pub fn from_url(url: &Url) -> Result<Self, ServerError> {
        let scheme = match url.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(ServerError::NotWeb),
        };
        let host = url.host().ok_or(ServerError::NotAnAddress)?;
        // Built anew from the parts that are wanted, rather than by removing those that are not.
        let mut server = Url::parse(&format!("{scheme}://{host}")).map_err(|_| ServerError::NotAnAddress)?;
        server
            .set_port(url.port_or_known_default())
            .map_err(|()| ServerError::NotAnAddress)?;
        let prefix = prefix(url);
        if !prefix.is_empty() {
            server.set_path(&prefix.join("/"));
        }
        Ok(Self(server))
    }

    /// The address without a trailing slash, safe to show and to store: `https://pay.example.com/lnbits`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The host's name or number, as it stands in a URL.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// This address, and each one above it, up to the host's own. Of an address that was pasted nobody knows where the proxy's
    /// prefix ends and LNbits' own path begins.
    pub fn and_above(&self) -> impl Iterator<Item = Self> {
        successors(Some(self.clone()), |below| {
            let mut url = below.0.clone();
            if url.path() == "/" {
                return None;
            }
            url.path_segments_mut().ok()?.pop();
            Some(Self(url))
        })
    }

    /// True for this machine itself: `localhost` and names below it (RFC 6761), 127.0.0.0/8, ::1.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(|host| is_loopback(&host))
    }

    /// True when others on the way can read the traffic: `http:` to a host that is neither loopback nor a `.onion`, to which Tor
    /// encrypts from end to end.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.0.scheme() == "http" && !self.is_loopback() && !is_onion(self.host())
    }

    /// The WebSocket address of a channel: `wss://host/prefix/api/v1/ws/{id}`. It holds the id, which may be
    /// a key: for the dialler, never for a log.
    #[must_use]
    pub fn ws_url(&self, id: &str) -> Url {
        let mut url = self.below(["api", "v1", "ws", id].into_iter());
        let scheme = if self.0.scheme() == "http" { "ws" } else { "wss" };
        // Cannot fail: all four schemes are of the same class.
        let _ = url.set_scheme(scheme);
        url
    }

    /// The address of a path below the prefix, such as `api/v1/wallet`; each segment and each value is
    /// escaped.
    #[must_use]
    pub fn rest_url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.below(path.split('/').filter(|segment| !segment.is_empty()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn below<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // Cannot fail: http(s) addresses always have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Server {
    type Err = ServerError;

    /// Where the scheme is missing it is `https`, and `http` on this machine itself.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        Self::from_url(&address(text)?)
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Reads an address that people type or paste; a missing scheme is supplied.
pub(crate) fn address(text: &str) -> Result<Url, ServerError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ServerError::Empty);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(ServerError::NotAnAddress);
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if path.matches("://").count() > 1 {
        // Two addresses, pasted one after the other.
        return Err(ServerError::NotAnAddress);
    }
    if path.contains("://") {
        return Url::parse(text).map_err(|_| ServerError::NotAnAddress);
    }
    let with =
        |scheme: &str| Url::parse(&format!("{scheme}://{text}")).map_err(|_| ServerError::NotAnAddress);
    let url = with("https")?;
    let host = url.host().ok_or(ServerError::NotAnAddress)?;
    let typed = text.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_deliberate(&host, typed) {
        return Err(ServerError::NotAnAddress);
    }
    if is_loopback(&host) { with("http") } else { Ok(url) }
}

/// Any word can be a host's name, and `12.5` is one way to write an IPv4 address: without a scheme an
/// address must look like one.
fn is_deliberate(host: &Host<&str>, typed: &str) -> bool {
    match host {
        Host::Domain(name) => name.contains('.') || typed.contains(':') || *name == "localhost",
        Host::Ipv4(ip) => typed
            .split(':')
            .next()
            .is_some_and(|host| host.parse::<Ipv4Addr>().as_ref() == Ok(ip)),
        Host::Ipv6(_) => true,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

/// The path's segments up to the first that belongs to LNbits itself, or looks like a key: no proxy's prefix
/// does, and what is kept here is shown and stored. Compared without case, for codes that were printed in
/// capitals.
fn prefix(url: &Url) -> Vec<&str> {
    let segments: Vec<&str> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|s| !s.is_empty())
        .collect();
    let is = |at: usize, word: &str| segments.get(at).is_some_and(|s| s.eq_ignore_ascii_case(word));
    let own = (0..segments.len()).find(|&at| {
        let left = segments.len() - at;
        (is(at, "api") && is(at + 1, "v1"))
            || (is(at, "lndhub") && (left == 1 || is(at + 1, "ext")))
            || (is(at, "wallet") && left <= 2 && !is(at + 1, "wallet"))
            || (is(at, "docs") && left == 1)
            || segments.get(at).is_some_and(|s| s.parse::<InvoiceKey>().is_ok())
    });
    segments.into_iter().take(own.unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(text: &str) -> Server {
        text.parse().unwrap()
    }

    #[test]
    fn only_scheme_host_port_and_prefix_are_kept() {
        for (text, kept) in [
            ("https://pay.example.com", "https://pay.example.com"),
            ("https://pay.example.com/", "https://pay.example.com"),
            (
                "HTTPS://Pay.Example.COM:443/lnbits//",
                "https://pay.example.com/lnbits",
            ),
            (
                "https://user:secret@pay.example.com:8443/a/b?usr=secret#secret",
                "https://pay.example.com:8443/a/b",
            ),
            ("wss://pay.example.com/x", "https://pay.example.com/x"),
            ("ws://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:5000/", "http://[::1]:5000"),
        ] {
            assert_eq!(server(text).as_str(), kept, "{text}");
        }
    }

    #[test]
    fn the_tails_of_lnbits_are_not_part_of_its_address() {
        let key = "0123456789abcdef0123456789abcdef";
        for tail in [
            "/wallet",
            "/wallet/",
            "/wallet?usr=1&wal=2",
            &format!("/wallet/{key}"),
            "/wallet/4d1e8b1e-0d1d-4c55-9f4e-000000000000",
            "/lndhub/ext/",
            "/LNDHUB/EXT/",
            "/lndhub/ext/getinfo",
            "/lndhub/?usr=1",
            "/api/v1/payments/paginated",
            &format!("/api/v1/ws/{key}"),
            "/docs",
            &format!("/{key}"),
            &format!("/{key}/x"),
        ] {
            assert_eq!(
                server(&format!("https://h.example{tail}")).as_str(),
                "https://h.example",
                "{tail}"
            );
            assert_eq!(
                server(&format!("https://h.example/ln/x{tail}")).as_str(),
                "https://h.example/ln/x",
                "{tail}"
            );
        }
        assert_eq!(
            server("https://h.example/wallet/wallet?usr=1").as_str(),
            "https://h.example/wallet"
        );
    }

    #[test]
    fn a_missing_scheme_is_https_and_http_on_this_machine() {
        for (text, kept) in [
            ("pay.example.com", "https://pay.example.com"),
            (" pay.example.com/lnbits \n", "https://pay.example.com/lnbits"),
            ("umbrel:5000", "https://umbrel:5000"),
            ("192.168.1.5", "https://192.168.1.5"),
            ("localhost", "http://localhost"),
            ("localhost:5000", "http://localhost:5000"),
            ("shop.localhost:5000", "http://shop.localhost:5000"),
            ("127.0.0.1:5000/x", "http://127.0.0.1:5000/x"),
            ("[::1]:5000", "http://[::1]:5000"),
        ] {
            assert_eq!(server(text).as_str(), kept, "{text}");
        }
    }

    #[test]
    fn words_and_numbers_are_no_address() {
        for text in [
            "coffee",
            "12.5",
            "1000",
            "two words",
            "a.example b",
            "https://",
            "://",
            "https://a b",
        ] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::NotAnAddress), "{text}");
        }
        assert_eq!(" ".parse::<Server>(), Err(ServerError::Empty));
        for text in [
            "ftp://h.example",
            "file:///etc/passwd",
            "javascript://h.example/%0aalert(1)",
        ] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::NotWeb), "{text}");
        }
    }

    #[test]
    fn plain_http_is_insecure_unless_it_stays_on_this_machine() {
        for text in [
            "http://pay.example.com",
            "http://192.168.1.5:5000",
            "http://notlocalhost",
            "http://0.0.0.0",
            "http://x.onion.example",
            "http://xonion",
        ] {
            assert!(server(text).is_insecure(), "{text}");
        }
        for text in [
            "https://pay.example.com",
            "http://localhost",
            "http://LOCALHOST.:5000",
            "http://shop.localhost",
            "http://127.1.2.3",
            "http://x.onion",
            "http://lnbits.X.Onion.:5000",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(!server(text).is_insecure(), "{text}");
        }
    }

    #[test]
    fn above_an_address_lie_its_prefixes_and_then_the_host_alone() {
        for (text, all) in [
            ("https://h.example", &["https://h.example"][..]),
            (
                "https://h.example:8443/lnbits/tpos/AbC123?usr=1#x",
                &[
                    "https://h.example:8443/lnbits/tpos/AbC123",
                    "https://h.example:8443/lnbits/tpos",
                    "https://h.example:8443/lnbits",
                    "https://h.example:8443",
                ],
            ),
        ] {
            let found: Vec<_> = server(text).and_above().map(|above| above.to_string()).collect();
            assert_eq!(found, all);
        }
    }

    #[test]
    fn sockets_and_questions_go_below_the_prefix() {
        let plain = server("http://127.0.0.1:5000");
        assert_eq!(plain.ws_url("abc").as_str(), "ws://127.0.0.1:5000/api/v1/ws/abc");
        assert_eq!(
            plain.rest_url("/api/v1/wallet", &[]).as_str(),
            "http://127.0.0.1:5000/api/v1/wallet"
        );
        let proxied = server("https://h.example/lnbits");
        assert_eq!(
            proxied.ws_url("a/b?c#d%").as_str(),
            "wss://h.example/lnbits/api/v1/ws/a%2Fb%3Fc%23d%25"
        );
        assert_eq!(
            proxied
                .rest_url(
                    "api/v1/payments/paginated",
                    &[("limit", "10"), ("search", "a&b c")]
                )
                .as_str(),
            "https://h.example/lnbits/api/v1/payments/paginated?limit=10&search=a%26b+c"
        );
    }

    #[test]
    fn what_is_stored_is_checked_when_it_is_read() {
        let stored = serde_json::to_string(&server("https://h.example/lnbits/")).unwrap();
        assert_eq!(stored, r#""https://h.example/lnbits""#);
        assert_eq!(
            serde_json::from_str::<Server>(&stored).unwrap(),
            server("https://h.example/lnbits")
        );
        let error = serde_json::from_str::<Server>(r#""ftp://user:hunter2@h.example""#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn a_server_reads_back_as_itself(text in "(https?|wss?)://[a-zé.]{1,12}(:[0-9]{1,4})?(/[a-zA-Z0-9%é ._~-]{0,6}){0,4}") {
            if let Ok(server) = text.parse::<Server>() {
                prop_assert_eq!(server.as_str().parse::<Server>().unwrap(), server);
            }
        }

        #[test]
        fn any_text_is_a_server_or_an_error(text in any::<String>()) {
            let _ = text.parse::<Server>();
        }
    }
}
