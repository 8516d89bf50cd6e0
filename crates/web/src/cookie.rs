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

    /// What a browser shows; `None` where it shows none of ours.
    pub(crate) fn shown(&self, headers: &HeaderMap) -> Option<Secret> {
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let mut values = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = values.find(|(name, _)| *name == self.0)?;
        Secret::parse(value)
    }

    /// For a browser to keep.
    pub(crate) fn to_keep(&self, secret: &Secret) -> Option<HeaderValue> {
        let secret = secret.reveal();
        let text = format!(
            "{}={secret}; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Strict",
            self.0
        );
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
