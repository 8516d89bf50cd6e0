//! Why no connection came to be.

use std::error::Error;
use std::fmt;

use serde::Serialize;

use crate::Text;

/// A step of making a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Connecting to the address.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "opening the socket",
        })
    }
}

/// Why no connection came to be; each says what to do about it. Names the host, never a path: a path may
/// hold a key. Serialises as a code and its arguments: `{"code":"no-such-host","host":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum DialError {
    /// The name has no address, or there is no network to ask for it: the system does not tell these apart.
    #[error("No server called {host} was found: check the address, and that this machine is online.")]
    NoSuchHost {
        /// The host's name.
        host: String,
    },
    /// The system's resolver did not answer within the budget.
    #[error("Looking up {host} takes too long: check this machine's network and its DNS server.")]
    ResolverSilent {
        /// The host's name.
        host: String,
    },
    /// Something answered that nothing listens there.
    #[error("{host} refuses connections: is LNbits running there, on this port?")]
    #[serde(rename = "connection-refused")]
    Refused {
        /// The host's name.
        host: String,
    },
    /// There is no way to the address.
    #[error("There is no way to {host} from here: check this machine's network.")]
    Unreachable {
        /// The host's name.
        host: String,
    },
    /// Nobody answered within the budget.
    #[error("{host} did not answer in time ({step}): check that the server is up.")]
    #[serde(rename = "no-connection-in-time")]
    TimedOut {
        /// The host's name.
        host: String,
        /// What was going on.
        step: Step,
    },
    /// The server ended the connection in the middle of the TLS handshake.
    #[error(
        "{host} hung up before the connection was secure: check the server, and the port in the address."
    )]
    HungUp {
        /// The host's name.
        host: String,
    },
    /// What answered does not speak TLS.
    #[error("{host} does not speak TLS on this port: check the port in the address.")]
    NotTls {
        /// The host's name.
        host: String,
    },
    /// The certificate's time is over, or this machine's clock is ahead.
    #[error(
        "The certificate of {host} has expired: check this machine's date and time, then have the server's \
         certificate renewed."
    )]
    CertificateExpired {
        /// The host's name.
        host: String,
    },
    /// The certificate's time has not begun: nearly always this machine's clock.
    #[error("The certificate of {host} is not valid yet: check this machine's date and time.")]
    CertificateNotYetValid {
        /// The host's name.
        host: String,
    },
    /// The certificate was made for another name.
    #[error("The certificate shown is not that of {host}: check the address for a slip.")]
    WrongHost {
        /// The host's name.
        host: String,
    },
    /// Self-signed, or signed by an authority that this machine does not know.
    #[error(
        "The certificate of {host} comes from nobody this machine trusts: have the server use a public \
         certificate, or install its authority on this machine."
    )]
    UnknownIssuer {
        /// The host's name.
        host: String,
    },
    /// The server sends its own certificate, and not the one that signed it.
    #[error(
        "{host} does not send its whole chain: the certificate of the authority that signed its own is missing, and this \
         machine does not have it. Have the server send it too (its “full chain”), or install it on this machine."
    )]
    ChainIncomplete {
        /// The host's name.
        host: String,
    },
    /// The server shows the certificate of an authority, made to sign others, which this machine does not itself trust.
    #[error(
        "{host} shows a certificate that is made to sign others (CA:TRUE): have the server use one that is made for it, or \
         install exactly this one on this machine."
    )]
    AuthorityAsServer {
        /// The host's name.
        host: String,
    },
    /// The certificate's extended key usage does not name servers.
    #[error(
        "The certificate of {host} is not made for a server (extended key usage): have it made anew for one."
    )]
    WrongPurpose {
        /// The host's name.
        host: String,
    },
    /// The certificate, or one above it, is signed with what nobody trusts any more: SHA-1, MD5, a short key.
    #[error(
        "The certificate of {host} is signed too weakly to be trusted: have it made anew, with SHA-256 or better."
    )]
    WeakSignature {
        /// The host's name.
        host: String,
    },
    /// Its authority took the certificate back.
    #[error("The certificate of {host} has been revoked: have the server get a new one.")]
    CertificateRevoked {
        /// The host's name.
        host: String,
    },
    /// The certificate is older in form than X.509 version 3, so that it can name no host.
    #[error("The certificate of {host} is of an old form (X.509 version 1): have it made anew as version 3.")]
    CertificateTooOld {
        /// The host's name.
        host: String,
    },
    /// The certificate names no host at all where hosts are named today.
    #[error(
        "The certificate of {host} names no host (it has no “subject alternative name”): have it made anew with the name in it."
    )]
    CertificateNameless {
        /// The host's name.
        host: String,
    },
    /// The server knows no version of TLS, or no cipher, that is still safe.
    #[error("{host} speaks only a TLS that is no longer safe: have the server updated to TLS 1.2 or 1.3.")]
    TlsTooOld {
        /// The host's name.
        host: String,
    },
    /// Any other failure of TLS.
    #[error("No secure connection to {host}: {reason}.")]
    TlsOther {
        /// The host's name.
        host: String,
        /// The reason in the words of the TLS library, cleaned.
        reason: Text,
    },
    /// Only Tor finds this name, and no proxy for it is set.
    #[error(
        "{host} is reached through Tor only: install Tor on this machine, and write \
         proxy = \"socks5h://127.0.0.1:9050\" into settings.toml."
    )]
    NeedsTor {
        /// The host's name.
        host: String,
    },
    /// The proxy that is set is of a kind that we do not speak, or cannot be read.
    #[error(
        "The proxy that is set cannot be used: write it like socks5h://127.0.0.1:9050 or http://proxy.example:3128, \
         in settings.toml or in HTTPS_PROXY."
    )]
    ProxyUnusable,
    /// Nobody answers where the proxy should be.
    #[error("The proxy {proxy} cannot be reached: check that it (Tor, perhaps) is running, and its address.")]
    ProxyDown {
        /// Its host and port.
        proxy: String,
    },
    /// The proxy took the connection, and then nothing.
    #[error("The proxy {proxy} does not answer in time: check that it is connected, or restart it.")]
    ProxySilent {
        /// Its host and port.
        proxy: String,
    },
    /// The proxy ended the connection instead of answering.
    #[error("The proxy {proxy} hung up: check its address and kind (socks5h:// or http://).")]
    ProxyHungUp {
        /// Its host and port.
        proxy: String,
    },
    /// What answers there is no proxy, or one of the other kind.
    #[error(
        "What listens at {proxy} is no proxy of this kind: check its address and kind (socks5h:// or http://)."
    )]
    NotAProxy {
        /// Its host and port.
        proxy: String,
    },
    /// The proxy wants a user and a password, or others.
    #[error("The proxy {proxy} wants a login: write it as socks5h://USER:PASSWORD@HOST:PORT (or http://…).")]
    ProxyLogin {
        /// Its host and port.
        proxy: String,
    },
    /// The proxy does not let us through.
    #[error("The proxy {proxy} does not let us through to {host}: have whoever runs it allow that.")]
    ProxyRefuses {
        /// Its host and port.
        proxy: String,
        /// The host's name.
        host: String,
    },
    /// The proxy cannot reach the host.
    #[error("The proxy {proxy} finds no way to {host}: check the address, and that the server is up.")]
    ProxyNoWay {
        /// Its host and port.
        proxy: String,
        /// The host's name.
        host: String,
    },
    /// This machine's own certificate authorities cannot be loaded, so that no server can be trusted.
    #[error("This machine has no certificate authorities to trust: install its package of CA certificates.")]
    NoAuthorities,
}

/// The first error of type `E` in the chain of causes.
pub(crate) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
