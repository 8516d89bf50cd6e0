//! The cookie by which a display's browser is known.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use tillbell_till::displays::{Displays, Secret};

/// Browsers keep a cookie no longer than this: 400 days, in seconds.
const LASTS: u32 = 400 * 24 * 60 * 60;

/// The name of our cookie. Ports do not separate cookies, so each profile has its own.
#[derive(Debug, Clone)]
pub(crate) struct Cookie(String);

impl Cookie {
    pub(crate) fn of(displays: &Displays) -> Self {
        let digest = Sha256::digest(displays.path().as_os_str().as_encoded_bytes());
        Self(format!("tillbell_{}", hex::encode(&digest[..4])))
    }

    /// One that was set over TLS is never sent without it.
    fn name(&self, is_encrypted: bool) -> String {
        let prefix = if is_encrypted { "__Host-" } else { "" };
        format!("{prefix}{}", self.0)
    }

    /// What a browser shows; `None` where it shows none of ours.
    pub(crate) fn shown(&self, headers: &HeaderMap, is_encrypted: bool) -> Option<Secret> {
        let ours = self.name(is_encrypted);
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let mut values = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = values.find(|(name, _)| *name == ours)?;
        Secret::parse(value)
    }

    /// For a browser to keep.
    pub(crate) fn to_keep(&self, secret: &Secret, is_encrypted: bool) -> Option<HeaderValue> {
        let (name, secret) = (self.name(is_encrypted), secret.reveal());
        let secure = if is_encrypted { "; Secure" } else { "" };
        let text = format!("{name}={secret}; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Strict{secure}");
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
