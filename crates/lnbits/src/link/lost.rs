//! Why there is no socket, in words that say what to do.

use std::io;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::barrier::Barrier;
use crate::dial::DialError;
use crate::headers::{elsewhere, redirect_target, retry_after};

/// Why there is no socket. Names hosts, never a path: the path holds the channel's id, which may be a key. Serialises as a code
/// and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Lost {
    /// What answered is no WebSocket server: a page instead of an upgrade, or no HTTP at all.
    #[error(
        "What answers there is not LNbits: check the address, or sign in to this network if it asks you to."
    )]
    NotASocket,
    /// The server sends us elsewhere; we do not follow.
    #[error("The server sends us elsewhere{}: pair again with the address it uses now.", elsewhere(.to))]
    Redirected {
        /// Where to, as `scheme://host[:port]`, if it said another place than itself.
        to: Option<String>,
    },
    /// The upgrade was refused (4xx).
    #[error(
        "The server refuses the socket ({status}): have its proxy let WebSockets through to /api/v1/ws/ (the headers “Upgrade” \
         and “Connection”)."
    )]
    #[serde(rename = "socket-refused")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// 429.
    #[error("The server asks us to slow down.")]
    Busy {
        /// `Retry-After`, where it came.
        #[serde(skip)]
        retry_after: Option<Duration>,
    },
    /// The upgrade failed on the server's side (5xx).
    #[error("The server has a problem of its own ({status}): is LNbits running behind its proxy?")]
    #[serde(rename = "proxy-error")]
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// The server closed the socket.
    #[error("The server closed the socket ({code}).")]
    #[serde(rename = "socket-closed")]
    Closed {
        /// The code of its close frame: 1001 and 1012 when it restarts, 1005 when it gave none (RFC 6455, 7.4).
        #[serde(rename = "status")]
        code: u16,
    },
    /// The connection was reset.
    #[error("The connection was reset.")]
    Reset,
    /// The connection ended without a close frame.
    #[error("The connection ended without a word.")]
    Vanished,
    /// A ping had no answer.
    #[error("The server fell silent.")]
    Silent,
    /// A message larger than any that LNbits sends by far.
    #[error("The server sent an enormous message.")]
    #[serde(rename = "message-too-large")]
    TooLarge,
    /// The server broke the WebSocket protocol.
    #[error("The server's messages make no sense.")]
    Garbled,
    /// Something else answered, or LNbits is not ready.
    #[error(transparent)]
    #[serde(untagged)]
    Barrier(#[from] Barrier),
    /// It could not be dialled, or the upgrade was not answered in time.
    #[error(transparent)]
    #[serde(untagged)]
    Dial(#[from] DialError),
}

impl Lost {
    /// True when it will not pass by itself: somebody has to look at the address, the server or this machine.
    #[must_use]
    pub fn needs_somebody(&self) -> bool {
        match self {
            Self::Dial(error) => match error {
                DialError::NotTls { .. }
                | DialError::CertificateExpired { .. }
                | DialError::CertificateNotYetValid { .. }
                | DialError::WrongHost { .. }
                | DialError::UnknownIssuer { .. }
                | DialError::ChainIncomplete { .. }
                | DialError::AuthorityAsServer { .. }
                | DialError::WrongPurpose { .. }
                | DialError::WeakSignature { .. }
                | DialError::CertificateRevoked { .. }
                | DialError::CertificateTooOld { .. }
                | DialError::CertificateNameless { .. }
                | DialError::TlsTooOld { .. }
                | DialError::NeedsTor { .. }
                | DialError::ProxyUnusable
                | DialError::NotAProxy { .. }
                | DialError::ProxyLogin { .. }
                | DialError::ProxyRefuses { .. }
                | DialError::TlsOther { .. }
                | DialError::NoAuthorities => true,
                DialError::NoSuchHost { .. }
                | DialError::ResolverSilent { .. }
                | DialError::Refused { .. }
                | DialError::Unreachable { .. }
                | DialError::TimedOut { .. }
                | DialError::HungUp { .. }
                | DialError::ProxyDown { .. }
                | DialError::ProxySilent { .. }
                | DialError::ProxyHungUp { .. }
                | DialError::ProxyNoWay { .. } => false,
            },
            Self::Barrier(barrier) => barrier.is_final(),
            Self::NotASocket | Self::Redirected { .. } | Self::Refused { .. } => true,
            Self::Busy { .. }
            | Self::ServerError { .. }
            | Self::Closed { .. }
            | Self::Reset
            | Self::Vanished
            | Self::Silent
            | Self::TooLarge
            | Self::Garbled => false,
        }
    }

    /// How long the server asked us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after } = self {
            *retry_after
        } else {
            None
        }
    }

    /// From an upgrade that failed.
    pub(super) fn from_upgrade(error: &WsError) -> Self {
        match error {
            WsError::Http(answer) => {
                let (status, headers) = (answer.status(), answer.headers());
                if let Some(barrier) = Barrier::before(status, headers) {
                    return barrier.into();
                }
                match status {
                    StatusCode::TOO_MANY_REQUESTS => Self::Busy {
                        retry_after: retry_after(headers),
                    },
                    _ if status.is_redirection() => Self::Redirected {
                        to: redirect_target(headers),
                    },
                    _ if status.is_client_error() => Self::Refused {
                        status: status.as_u16(),
                    },
                    _ if status.is_server_error() => Self::ServerError {
                        status: status.as_u16(),
                    },
                    _ => Self::NotASocket,
                }
            }
            // The server hung up in the middle.
            WsError::Protocol(ProtocolError::HandshakeIncomplete) => Self::Vanished,
            WsError::Io(error) => Self::from_io(error),
            WsError::Protocol(_)
            | WsError::Capacity(_)
            | WsError::Utf8(_)
            | WsError::HttpFormat(_)
            | WsError::AttackAttempt
            | WsError::Url(_)
            | WsError::Tls(_)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::WriteBufferFull(_) => Self::NotASocket,
        }
    }

    /// From an open socket that failed.
    pub(super) fn from_socket(error: &WsError) -> Self {
        match error {
            WsError::Io(error) => Self::from_io(error),
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed => Self::Vanished,
            WsError::Capacity(_) => Self::TooLarge,
            // Our pings fill no buffer unless the server reads nothing.
            WsError::WriteBufferFull(_) => Self::Silent,
            WsError::Protocol(_)
            | WsError::Utf8(_)
            | WsError::AttackAttempt
            | WsError::Http(_)
            | WsError::HttpFormat(_)
            | WsError::Url(_)
            | WsError::Tls(_) => Self::Garbled,
        }
    }

    fn from_io(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Vanished
        } else if error.kind() == io::ErrorKind::TimedOut {
            // TCP's own keepalive gave up.
            Self::Silent
        } else {
            Self::Reset
        }
    }
}
