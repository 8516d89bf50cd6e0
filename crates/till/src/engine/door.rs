//! The control door: how other programs of this user reach the engine that works on a profile.
//!
//! The engine listens on a loopback port. It writes port and a random word into the profile's file `front-door`, so that
//! whoever can read the profile may ask. Example of the file: `40123 9f86d0…` (64 hex digits).
//!
//! The word itself is never sent: a port may have been given to another program since. Each side sends random bytes, and
//! proves with them that it knows the word, the engine first:
//!
//! ```text
//! asker:  32 random bytes
//! engine: 32 random bytes, proof of the engine
//! asker:  proof of the asker, message
//! ```
//!
//! A proof is `HMAC-SHA256(word, side, the asker's bytes, the engine's bytes)`; the side is the letter `e` or `a`.
//!
//! A message is its length in bytes (four bytes, the highest first), then JSON. Whoever asks gets one message back in the same
//! form. While a wallet is paired it gets one for each step before that.
//!
//! Messages may hold a key: neither they nor what is wrong with them is ever logged.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::Engine;
use super::request::{Reply, Request};
use super::words::Refusal;
use crate::files::replace;
use crate::screen::view::{PairingForm, PairingProgress, Role};
use crate::store::profile::Profile;

/// The word's hex digits.
const WORD: usize = 64;
/// Random bytes of one side for one conversation.
type Nonce = [u8; 32];
/// What shows that one side knows the word.
type Proof = [u8; 32];
/// Whoever asks has said everything after this, and has taken each message after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many may ask at the same time; more are turned away.
const AT_ONCE: usize = 8;
/// A question is no longer than this, in bytes.
const LONGEST_ASKED: usize = 64 * 1024;
/// Nor is an answer longer than this: it may list many wallets.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// When nobody can be let in (no file handles, say), it is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// A loopback port is answered at once, or not at all.
const CONNECT: Duration = Duration::from_secs(1);
/// An engine answers within this …
const ANSWER: Duration = Duration::from_secs(10);
/// … but for a step of a pairing, which may wait for a server, or for a person who unlocks the keyring.
const STEP: Duration = Duration::from_secs(120);

/// Shows the window. False where there is none.
pub type Show = Box<dyn Fn() -> bool + Send + Sync>;

// ── The engine's side ──────────────────────────────────────────────────────────────────────────────

/// An open door. Dropped, it is closed, and whoever is being answered is let go.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    sign: String,
    listening: JoinHandle<()>,
}

/// Who answers.
struct Host {
    word: [u8; WORD],
    engine: Engine,
    show: Show,
    /// One wallet is paired at a time: who asks later waits.
    pairing: Mutex<()>,
}

impl Door {
    /// Opens it for this engine, which has the lock of the profile.
    ///
    /// # Errors
    /// When there is no port, or the profile cannot be written.
    pub async fn open(profile: &Profile, engine: Engine, show: Show) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let word = random_word();
        let path = profile.front_door_file();
        let sign = format!(
            "{} {}",
            listener.local_addr()?.port(),
            String::from_utf8_lossy(&word)
        );
        replace(&path, sign.as_bytes())?;
        let host = Host {
            word,
            engine,
            show,
            pairing: Mutex::default(),
        };
        let listening = tokio::spawn(listen(listener, Arc::new(host)));
        Ok(Self {
            path,
            sign,
            listening,
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listening.abort();
        // Unless the next engine has put up its own.
        if std::fs::read_to_string(&self.path).is_ok_and(|sign| sign == self.sign) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn random_word() -> [u8; WORD] {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |digit| digit as u8);
    let mut word = [0; WORD];
    for (pair, byte) in word.chunks_exact_mut(2).zip(rand::random::<[u8; WORD / 2]>()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    word
}

async fn listen(listener: TcpListener, host: Arc<Host>) {
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((guest, _)) if guests.len() < AT_ONCE => {
                    guests.spawn(receive(guest, host.clone()));
                }
                Ok(_) => tracing::debug!("too many ask at the front door"),
                Err(_) => tokio::time::sleep(RETRY).await,
            },
            Some(ended) = guests.join_next() => match ended {
                // Whoever asked is gone, or had the wrong word.
                Ok(Ok(()) | Err(_)) => {}
                Err(error) => tracing::warn!(%error, "a question at the front door was not answered"),
            },
        }
    }
}

async fn receive(mut guest: TcpStream, host: Arc<Host>) -> io::Result<()> {
    let message = timeout(PATIENCE, hear(&mut guest, &host.word)).await??;
    // The reason why it is not understood may repeat a key.
    let answer = match serde_json::from_slice(&message) {
        Ok(Request::Pair { form }) => match host.pair(form, &mut guest).await? {
            Some(answer) => answer,
            None => return Ok(()),
        },
        Ok(request) => host.answer(request).await,
        Err(_) => Reply::refused(&Refusal::NotUnderstood),
    };
    tell(&mut guest, &answer).await
}

/// Both must know the word before anything else is read.
async fn hear(guest: &mut TcpStream, word: &[u8; WORD]) -> io::Result<Vec<u8>> {
    let mut asker = Nonce::default();
    guest.read_exact(&mut asker).await?;
    let nonces = Nonces {
        asker,
        engine: rand::random(),
    };
    let known = nonces.proof(Side::Engine, word);
    guest.write_all(&[nonces.engine, known].concat()).await?;
    nonces.check(Side::Asker, word, guest).await?;
    read(guest, LONGEST_ASKED).await
}

async fn tell(guest: &mut TcpStream, reply: &Reply) -> io::Result<()> {
    timeout(PATIENCE, write(guest, reply, LONGEST_ANSWER)).await?
}

impl Host {
    /// Whoever reaches this door is the shop's own.
    async fn answer(&self, request: Request) -> Reply {
        if matches!(request, Request::Show) && (self.show)() {
            return Reply::Done;
        }
        self.engine.ask(Role::Operator, request).await
    }

    /// Pairs, and tells of each step. `None` when whoever asked has gone: then the pairing is given up.
    async fn pair(&self, form: PairingForm, guest: &mut TcpStream) -> io::Result<Option<Reply>> {
        let (steps, mut told) = mpsc::channel(32);
        let mut pairing = pin!(async {
            let _turn = self.pairing.lock().await;
            self.engine.pair_and_wait(form, steps).await
        });
        let mut more = [0];
        let end = loop {
            tokio::select! {
                biased;
                Some(progress) = told.recv() => tell(guest, &Reply::Progress { progress }).await?,
                end = &mut pairing => break end,
                _ = guest.read(&mut more) => return Ok(None),
            }
        };
        while let Ok(progress) = told.try_recv() {
            tell(guest, &Reply::Progress { progress }).await?;
        }
        Ok(Some(end))
    }
}

// ── The side of whoever asks ───────────────────────────────────────────────────────────────────────

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Nobody listens there (yet, or any more).
    #[error(
        "Another Tillbell is running with this profile ({0}) and does not answer. Close it, and try again, or choose another \
         profile with --profile."
    )]
    Nobody(PathBuf),
    /// Somebody listens and says nothing more.
    #[error(
        "The Tillbell that runs with this profile has stopped answering. See with `wallets` what became of it, and try again."
    )]
    Silent,
    /// The question does not fit.
    #[error("This is too long for a pairing. Paste the wallet's address or its LNDhub code from LNbits.")]
    TooLong,
    /// Another version.
    #[error(
        "The Tillbell that runs with this profile is another version and answers in another way. Close it, or use the program \
         that came with it."
    )]
    OtherVersion,
}

/// Asks the engine that has this profile. `step` hears of each step of a pairing.
///
/// # Errors
/// When there is no answer. An answer may be a refusal.
pub async fn ask(
    profile: &Profile,
    request: &Request,
    step: &mut (dyn FnMut(&PairingProgress) + Send),
) -> Result<Reply, DoorError> {
    let nobody = || DoorError::Nobody(profile.folder().to_owned());
    let sign = std::fs::read_to_string(profile.front_door_file()).map_err(|_| nobody())?;
    let (port, word) = sign.split_once(' ').ok_or_else(nobody)?;
    let port: u16 = port.parse().map_err(|_| nobody())?;
    let word = word.as_bytes().try_into().map_err(|_| nobody())?;
    let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let mut door = in_time(CONNECT, connecting).await.ok_or_else(nobody)?;
    in_time(CONNECT, greet(&mut door, word))
        .await
        .ok_or_else(nobody)?;
    match timeout(PATIENCE, write(&mut door, request, LONGEST_ASKED)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => return Err(DoorError::TooLong),
        Ok(Err(_)) | Err(_) => return Err(nobody()),
    }
    let patience = if matches!(request, Request::Pair { .. }) {
        STEP
    } else {
        ANSWER
    };
    let mut heard = false;
    loop {
        let message = match timeout(patience, read(&mut door, LONGEST_ANSWER)).await {
            Ok(Ok(message)) => message,
            // Turned away, or it was somebody else's port.
            Ok(Err(_)) if !heard => return Err(nobody()),
            Ok(Err(_)) | Err(_) => return Err(DoorError::Silent),
        };
        heard = true;
        match serde_json::from_slice(&message) {
            Ok(Reply::Progress { progress }) => step(&progress),
            Ok(Reply::Unknown) | Err(_) => return Err(DoorError::OtherVersion),
            Ok(answer) => return Ok(answer),
        }
    }
}

/// The engine proves that it knows the word before it hears a word of ours.
async fn greet(door: &mut TcpStream, word: &[u8; WORD]) -> io::Result<()> {
    let asker: Nonce = rand::random();
    door.write_all(&asker).await?;
    let mut engine = Nonce::default();
    door.read_exact(&mut engine).await?;
    let nonces = Nonces { asker, engine };
    nonces.check(Side::Engine, word, door).await?;
    door.write_all(&nonces.proof(Side::Asker, word)).await
}

async fn in_time<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> Option<T> {
    timeout(limit, doing).await.ok()?.ok()
}

// ── Who knows the word ─────────────────────────────────────────────────────────────────────────────

/// Who proves something. The two proofs differ, so that none can be sent back as the other.
#[derive(Debug, Clone, Copy)]
enum Side {
    Engine,
    Asker,
}

/// What both sides drew for one conversation: no proof counts in another.
struct Nonces {
    asker: Nonce,
    engine: Nonce,
}

impl Nonces {
    fn mac(&self, side: Side, word: &[u8; WORD]) -> Hmac<Sha256> {
        let side = match side {
            Side::Engine => b"e",
            Side::Asker => b"a",
        };
        Hmac::<Sha256>::new(word.into())
            .chain_update(side)
            .chain_update(self.asker)
            .chain_update(self.engine)
    }

    fn proof(&self, side: Side, word: &[u8; WORD]) -> Proof {
        self.mac(side, word).finalize().into_bytes().into()
    }

    /// Reads the other side's proof, which must be right.
    async fn check(&self, side: Side, word: &[u8; WORD], from: &mut TcpStream) -> io::Result<()> {
        let mut said = Proof::default();
        from.read_exact(&mut said).await?;
        // Takes as long wherever they differ.
        let right = self.mac(side, word).verify((&said).into());
        right.map_err(|_| io::ErrorKind::PermissionDenied.into())
    }
}

// ── Messages ───────────────────────────────────────────────────────────────────────────────────────

async fn read(from: &mut (impl AsyncRead + Unpin), longest: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length > longest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
    longest: usize,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= longest);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    to.write_all(&[&length.to_be_bytes()[..], &text].concat()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn pair() -> Request {
        let form = PairingForm {
            pairing: format!("lndhub://invoice:{KEY}@https://pay.example.com/lndhub/ext/"),
            invoice_key: Some(KEY.to_owned()),
            name: Some("shop".to_owned()),
            allow_insecure: false,
        };
        Request::Pair { form }
    }

    #[test]
    fn questions_have_the_documented_form() {
        let json = |asked: &Request| serde_json::to_string(asked).unwrap();
        assert_eq!(json(&Request::Show), r#"{"ask":"show"}"#);
        assert_eq!(json(&Request::Wallets), r#"{"ask":"wallets"}"#);
        let unpair = Request::Unpair {
            name: "shop".to_owned(),
        };
        assert_eq!(json(&unpair), r#"{"ask":"unpair","name":"shop"}"#);
        let rename = Request::Rename {
            name: "shop".to_owned(),
            to: "bar".to_owned(),
        };
        assert_eq!(json(&rename), r#"{"ask":"rename","name":"shop","to":"bar"}"#);
        assert!(json(&pair()).starts_with(r#"{"ask":"pair","form":{"pairing":"lndhub:"#));
    }

    #[test]
    fn what_another_version_asks_is_understood_as_that() {
        for text in [r#"{"ask":"serve"}"#, r#"{"ask":"serve","at":{"port":1}}"#] {
            assert!(
                matches!(serde_json::from_str(text), Ok(Request::Unknown)),
                "{text}"
            );
        }
        let more = r#"{"ask":"unpair","name":"shop","and":"more"}"#;
        assert!(matches!(serde_json::from_str(more), Ok(Request::Unpair { .. })));
        let answer = r#"{"answer":"later","in":5}"#;
        assert_eq!(serde_json::from_str::<Reply>(answer).unwrap(), Reply::Unknown);
    }

    #[test]
    fn no_debug_output_holds_the_key() {
        assert!(!format!("{:?}", pair()).contains(KEY));
    }

    #[test]
    fn every_word_is_another_one() {
        let (one, other) = (random_word(), random_word());
        assert!(one.iter().all(u8::is_ascii_hexdigit));
        assert_ne!(one, other);
    }

    #[test]
    fn a_proof_is_of_one_word_one_side_and_one_conversation() {
        let nonces = |asker, engine| Nonces {
            asker: [asker; 32],
            engine: [engine; 32],
        };
        let proof = nonces(1, 2).proof(Side::Engine, &[b'0'; WORD]);
        let others = [
            nonces(1, 2).proof(Side::Asker, &[b'0'; WORD]),
            nonces(1, 2).proof(Side::Engine, &[b'1'; WORD]),
            nonces(2, 2).proof(Side::Engine, &[b'0'; WORD]),
            nonces(1, 1).proof(Side::Engine, &[b'0'; WORD]),
            nonces(2, 1).proof(Side::Engine, &[b'0'; WORD]),
        ];
        assert!(!others.contains(&proof));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_neither_sent_nor_read() {
        let mut sent = Vec::new();
        let error = write(&mut sent, &"x".repeat(9), 10).await.unwrap_err();
        assert_eq!((error.kind(), sent.len()), (io::ErrorKind::InvalidData, 0));
        write(&mut sent, &"x".repeat(8), 10).await.unwrap();
        assert_eq!(read(&mut sent.as_slice(), 10).await.unwrap(), b"\"xxxxxxxx\"");
        let error = read(&mut sent.as_slice(), 9).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
