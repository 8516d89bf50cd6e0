//! The HTTP headers that REST and the socket's upgrade have in common.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use url::Url;

/// `User-Agent`: what we call ourselves.
pub(crate) const USER_AGENT_TEXT: &str = concat!("tillbell/", env!("CARGO_PKG_VERSION"));

/// The longest `Retry-After` believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

pub(crate) fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// The server's clock (1 s resolution).
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text_of(headers, header::DATE)?)
}

/// `Retry-After` in seconds, or as a date measured by the answer's own `Date`: our clock may be wrong.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_of(headers, header::RETRY_AFTER)?;
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = http_date(text)?.duration_since(date(headers)?);
            Duration::try_from(until).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The origin of `Location`; never its path, which may hold a key.
pub(crate) fn redirect_target(headers: &HeaderMap) -> Option<String> {
    let url = Url::parse(text_of(headers, header::LOCATION)?).ok()?;
    let origin = url.origin();
    (origin.is_tuple() && matches!(url.scheme(), "http" | "https" | "ws" | "wss"))
        .then(|| origin.ascii_serialization())
        .filter(|origin| origin.len() <= 255)
}

/// For a sentence: " (to https://host)", or nothing.
pub(crate) fn elsewhere(to: &Option<String>) -> String {
    to.as_ref().map(|to| format!(" (to {to})")).unwrap_or_default()
}
