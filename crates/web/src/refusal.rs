//! What is refused, and how that is said: `{"error":{"code","message"}}`.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tillbell_till::displays::DisplayError;

use crate::parameter::BadParameter;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("This browser is no display: open its link, or let somebody allow the letters that it shows.")]
    Unknown,
    #[error("This link was used already, or is too old: ask for a new one.")]
    WrongToken,
    #[error("Too many wrong tokens came from this address: wait a minute.")]
    TooManyGuesses,
    #[error("Too many screens ask at this moment: wait a minute.")]
    TooManyAsk,
    #[error("Too many displays are connected: close one that is not used.")]
    TooManyDisplays,
    #[error("This display may not do that.")]
    NotAllowed,
    #[error(
        "An operator's display works on the computer that runs Tillbell only, because this network could read along: open it there."
    )]
    NotPrivate,
    #[error("There is nothing at this address.")]
    NoSuchPath,
    #[error("This is not the name of the computer that runs Tillbell: use its address.")]
    ForeignHost,
    #[error("This was asked by a page that is not Tillbell's.")]
    ForeignOrigin,
    #[error("This is too long.")]
    TooLong,
    #[error("This came too slowly.")]
    TooSlow,
    #[error("This is not what Tillbell understands: use programs and pages of the same version.")]
    NotUnderstood,
    #[error(
        "This code was used by another phone, or is too old: begin again at the display, and scan its new code."
    )]
    PhoneOver,
    #[error("Tillbell has ended: start it again.")]
    Ended,
    #[error("{0}")]
    NotStored(DisplayError),
    #[error(
        "This is for programs: send the token of one as `Authorization: Bearer TOKEN`. `tillbell-headless displays add --role program` \
         makes one."
    )]
    NoToken,
    #[error(
        "This token is no program's, or was revoked: `tillbell-headless displays add --role program` makes a new one."
    )]
    UnknownToken,
    #[error("A demo is being played, and nothing of it is recorded: pair a wallet first.")]
    DemoPlays,
    #[error("The payment record cannot be read at this moment ({error}): try again.")]
    NotRead { error: String },
    #[error(transparent)]
    BadParameter(#[from] BadParameter),
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Unknown | Self::WrongToken | Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::NotAllowed | Self::NotPrivate | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotUnderstood => StatusCode::BAD_REQUEST,
            Self::TooManyGuesses | Self::TooManyAsk | Self::TooManyDisplays => StatusCode::TOO_MANY_REQUESTS,
            Self::PhoneOver => StatusCode::GONE,
            Self::Ended | Self::DemoPlays | Self::NotRead { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadParameter(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotStored(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// It stays the same from version to version.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "no-display",
            Self::WrongToken => "wrong-token",
            Self::TooManyGuesses => "too-many-guesses",
            Self::TooManyAsk => "too-many-ask",
            Self::TooManyDisplays => "too-many-displays",
            Self::NotAllowed => "not-allowed",
            Self::NotPrivate => "not-private",
            Self::NoSuchPath => "no-such-path",
            Self::ForeignHost => "foreign-host",
            Self::ForeignOrigin => "foreign-origin",
            Self::TooLong => "too-long",
            Self::TooSlow => "too-slow",
            Self::NotUnderstood => "not-understood",
            Self::PhoneOver => "phone-over",
            Self::Ended => "ended",
            Self::NotStored(_) => "not-stored",
            Self::NoToken => "no-token",
            Self::UnknownToken => "unknown-token",
            Self::DemoPlays => "demo",
            Self::NotRead { .. } => "record-not-read",
            Self::BadParameter(_) => "bad-parameter",
        }
    }
}

/// For a program that showed no token, or a wrong one.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// Stands beside an answer that refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code(), "a browser's request was refused");
        let mut said = json!({"error": {"code": self.code(), "message": self.to_string()}});
        if let Self::BadParameter(why) = &self {
            said["error"]["args"] = json!({"name": why.name()});
        }
        let mut response = (self.status(), Json(said)).into_response();
        if matches!(self, Self::NoToken | Self::UnknownToken) {
            response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        // For whoever counts.
        response.extensions_mut().insert(Refused(self.code()));
        response
    }
}
