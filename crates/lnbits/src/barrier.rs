//! What answers in LNbits' place, or shows that LNbits is not ready: on REST and on the socket's upgrade alike.

use http::StatusCode;
use http::header::{self, HeaderMap};
use serde::Serialize;

use crate::headers::text_of;

/// What answered in LNbits' place; each says what to do about it. Serialises as a code and its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Barrier {
    /// LNbits before its first start sends every question to its page for that (307).
    #[error(
        "This LNbits has not been set up yet: open its address in a browser, finish its first installation, and try again."
    )]
    FirstInstall,
    /// `cf-mitigated: challenge`: a page that only a browser gets past.
    #[error(
        "Cloudflare asks for a human before it lets anybody through: have a rule made there that asks for none below /api/v1/."
    )]
    CloudflareChallenge,
    /// 401 with a scheme that browsers ask a password for.
    #[error(
        "Something before LNbits asks for a password of its own: have its proxy let /api/v1/ through without one."
    )]
    ProxyPassword,
    /// 403 or 406, and not in LNbits' words.
    #[error(
        "Something before LNbits blocks this display ({status}), a firewall perhaps: have it let /api/v1/ through."
    )]
    Blocked {
        /// The HTTP status.
        status: u16,
    },
    /// 502, 503, 504, or Cloudflare's 520 to 530, and not in LNbits' words.
    #[error(
        "The proxy before LNbits cannot reach it ({status}): start LNbits there, or wait until it has started."
    )]
    #[serde(rename = "proxy-error")]
    Unreached {
        /// The HTTP status.
        status: u16,
    },
}

impl Barrier {
    /// What a refusal's status and headers show; `None` for a refusal that may be LNbits' own. For one that is not in LNbits' words.
    pub(crate) fn before(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        // It comes with 403, 429 or 503.
        if headers.get("cf-mitigated").is_some_and(|how| how == "challenge") {
            return Some(Self::CloudflareChallenge);
        }
        let text = |name| text_of(headers, name).unwrap_or_default().to_ascii_lowercase();
        match status.as_u16() {
            300..=399 if is_first_install(&text(header::LOCATION)) => Some(Self::FirstInstall),
            401 if ["basic", "digest"]
                .iter()
                .any(|scheme| text(header::WWW_AUTHENTICATE).starts_with(scheme)) =>
            {
                Some(Self::ProxyPassword)
            }
            status @ (502..=504 | 520..=530) => Some(Self::Unreached { status }),
            _ => None,
        }
    }

    /// True when it would answer the same again, until somebody changes something.
    pub(crate) const fn is_final(self) -> bool {
        match self {
            Self::FirstInstall | Self::CloudflareChallenge | Self::ProxyPassword | Self::Blocked { .. } => {
                true
            }
            Self::Unreached { .. } => false,
        }
    }
}

/// LNbits writes `/first_install`; a proxy may put its prefix, or the whole address, before it.
fn is_first_install(location: &str) -> bool {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').ends_with("/first_install")
}
