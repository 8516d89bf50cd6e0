//! Pairing from the phone: a page for one phone, on a port of its own that is open for as long as a code is shown.
//!
//! The code says `http://…/pair#` and 48 bytes in base64url: a public key (32) and a token (16), both made for this one time. The page
//! seals what the merchant pastes to that key (libsodium's sealed box), so that nobody who listens in the network learns the wallet's
//! key; the token is inside the sealed text, too. Both sides show six digits of `SHA-256(public key, sealed text)`, and nothing is
//! stored before somebody at the display has confirmed them: a bystander who photographs the code would pair his own wallet. What is
//! sent must hold, sealed, a secret of the phone that opened the page, whose digest it said then: who only listens cannot send
//! something of his own that has the same digits.
//!
//! Who can change what is on its way (and not only read it) can change the page, too: see docs/security.md.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tillbell_till::Engine;
use tillbell_till::engine::{PhoneDeed, PhoneNews, Reply};
use tillbell_till::screen::view::{PairingForm, PairingProgress};
use tillbell_till::sentence::Say as _;
use tokio::sync::watch;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::accept::Gate;
use crate::names::{Names, in_the_network};
use crate::refusal::Refusal;
use crate::server::{bind, run};
use crate::{border, pages};

/// A code is good for this long.
pub const LASTS: Duration = Duration::from_secs(10 * 60);
/// A phone asks each second, and has heard how it ended by then.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Why a phone may pair no more.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Ending {
    #[error(
        "A second phone has opened this code, so it is no longer good. If that was not you, see who can see this screen."
    )]
    SecondPhone,
    #[error("This code was good for ten minutes, and no phone has paired: begin again.")]
    TooOld,
}

/// Why no phone may pair.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Unopened {
    #[error("No phone can be let in: {error}")]
    NoPhonePage { error: String },
}

/// What the phone's page is answered from.
struct Site {
    engine: Engine,
    secret: SecretKey,
    token: [u8; 16],
    /// What only the phone knows that opened the page first.
    phone: Mutex<Option<String>>,
    /// The number of what it sent last.
    sent: Mutex<Option<String>>,
    news: watch::Receiver<PhoneNews>,
}

/// Lets a phone in this network pair for ten minutes; its code is in the pictures from now on.
pub async fn pair_by_phone(engine: &Engine) -> Reply {
    pair_by_phone_within(engine, LASTS).await
}

/// Lets a phone pair for so long.
pub async fn pair_by_phone_within(engine: &Engine, lasts: Duration) -> Reply {
    match open(engine.clone(), lasts).await {
        Ok(()) => Reply::Done,
        Err(error) => Reply::refused(&Unopened::NoPhonePage { error }),
    }
}

async fn open(engine: Engine, lasts: Duration) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let (listener, address) = bind((Ipv4Addr::UNSPECIFIED, 0).into()).map_err(|error| said(&error))?;
    let secret = SecretKey::generate(&mut OsRng);
    let token: [u8; 16] = rand::random();
    let fragment = [&secret.public_key().as_bytes()[..], &token].concat();
    let ip = in_the_network().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let url = format!(
        "http://{}/pair#{}",
        SocketAddr::new(ip, address.port()),
        URL_SAFE_NO_PAD.encode(fragment)
    );
    let news = engine.let_phone_pair(url).await.map_err(|error| said(&error))?;
    let over = until_over(engine.clone(), news.clone(), lasts);
    let gate = Gate::new(Names::of_this_machine(), None, None);
    let site = Site {
        engine,
        secret,
        token,
        phone: Mutex::default(),
        sent: Mutex::default(),
        news,
    };
    run(listener, gate.clone(), routes(Arc::new(site), gate), over).map_err(|error| said(&error))
}

async fn until_over(engine: Engine, mut news: watch::Receiver<PhoneNews>, lasts: Duration) {
    let ends = async { while news.changed().await.is_ok() {} };
    tokio::select! {
        () = ends => {}
        () = sleep(lasts) => {
            // An engine that has ended has let go of it.
            let _ = engine.phone(PhoneDeed::Ended(Ending::TooOld.say())).await;
        }
    }
    sleep(LAST_WORD).await;
}

fn routes(site: Arc<Site>, gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/pair", get(page))
        .route("/assets/{name}", get(pages::part))
        .route("/pair/claim", post(claim))
        .route("/pair/send", post(send))
        .route("/pair/news", post(news))
        .fallback(|| async { Refusal::NoSuchPath })
        .layer(middleware::from_fn_with_state(gate, border::pass))
        .with_state(site)
}

impl Site {
    fn phone(&self) -> MutexGuard<'_, Option<String>> {
        self.phone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False for what was sent before: its answer was lost.
    fn is_new(&self, number: &str) -> bool {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.replace(number.to_owned()).as_deref() != Some(number)
    }

    /// Somebody has paired, given up, or come too late.
    fn is_over(&self) -> bool {
        self.news.has_changed().is_err()
    }

    /// Only the phone that opened the page first, and only until it is over.
    fn admit(&self, nonce: &str) -> Result<(), Refusal> {
        match self.phone().as_deref() == Some(nonce) && !self.is_over() {
            true => Ok(()),
            false => Err(Refusal::PhoneOver),
        }
    }
}

async fn page(State(site): State<Arc<Site>>) -> Result<Response, Refusal> {
    if site.is_over() {
        return Err(Refusal::PhoneOver);
    }
    pages::phone_page()
}

#[derive(Deserialize)]
struct Claim {
    /// SHA-256 of the token, in hex.
    claim: String,
    nonce: String,
}

/// The first phone that opens the page has it; a second one ends the attempt.
async fn claim(State(site): State<Arc<Site>>, request: HttpRequest) -> Result<StatusCode, Refusal> {
    let Claim { claim, nonce } = border::said(request).await?;
    if claim != hex::encode(Sha256::digest(site.token)) {
        return Err(Refusal::WrongToken);
    }
    if site.is_over() {
        return Err(Refusal::PhoneOver);
    }
    let first = site.phone().get_or_insert_with(|| nonce.clone()).clone();
    let deed = match first == nonce {
        true => PhoneDeed::Opened,
        false => PhoneDeed::Ended(Ending::SecondPhone.say()),
    };
    site.engine.phone(deed).await.map_err(|_| Refusal::Ended)?;
    match first == nonce {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::PhoneOver),
    }
}

#[derive(Deserialize)]
struct Sent {
    nonce: String,
    sealed: String,
}

#[derive(Deserialize)]
struct Unsealed {
    token: String,
    /// In hex; its SHA-256 is the nonce.
    secret: String,
    form: PairingForm,
}

/// A wallet, sealed to our key.
async fn send(State(site): State<Arc<Site>>, request: HttpRequest) -> Result<StatusCode, Refusal> {
    let Sent { nonce, sealed } = border::said(request).await?;
    site.admit(&nonce)?;
    let sealed = URL_SAFE_NO_PAD
        .decode(sealed)
        .map_err(|_| Refusal::NotUnderstood)?;
    let opened = site.secret.unseal(&sealed).map_err(|_| Refusal::NotUnderstood)?;
    let opened = Zeroizing::new(opened);
    // What is wrong with it may repeat the key.
    let Unsealed { token, secret, form } =
        serde_json::from_slice(&opened).map_err(|_| Refusal::NotUnderstood)?;
    let is_the_phone = hex::decode(secret).is_ok_and(|secret| hex::encode(Sha256::digest(secret)) == nonce);
    if token != URL_SAFE_NO_PAD.encode(site.token) || !is_the_phone {
        return Err(Refusal::WrongToken);
    }
    let number = number(site.secret.public_key().as_bytes(), &sealed);
    if !site.is_new(&number) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let deed = PhoneDeed::Sent(form, number);
    site.engine.phone(deed).await.map_err(|_| Refusal::Ended)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Six digits that both sides show.
fn number(key: &[u8; 32], sealed: &[u8]) -> String {
    let digest = Sha256::new().chain_update(key).chain_update(sealed).finalize();
    let first = digest
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", first % 1_000_000)
}

#[derive(Deserialize)]
struct Asked {
    nonce: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News {
    progress: Option<PairingProgress>,
    to_confirm: bool,
}

/// How far it is. How it ended is told for a moment after that.
async fn news(State(site): State<Arc<Site>>, request: HttpRequest) -> Result<Json<News>, Refusal> {
    let Asked { nonce } = border::said(request).await?;
    let news = site.news.borrow().clone();
    let is_paired = news
        .progress
        .as_ref()
        .is_some_and(|progress| progress.outcome.is_some());
    if site.phone().as_deref() != Some(&nonce) || site.is_over() && !is_paired {
        return Err(Refusal::PhoneOver);
    }
    Ok(Json(News {
        progress: news.progress,
        to_confirm: news.is_to_confirm,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_has_six_digits_and_is_that_of_key_and_sealed_text() {
        assert_eq!(number(&[0; 32], b""), "123181");
        assert_ne!(number(&[0; 32], b"a"), number(&[1; 32], b"a"));
        for nth in 0..200_u8 {
            assert_eq!(number(&[nth; 32], b"sealed").len(), 6);
        }
    }
}
