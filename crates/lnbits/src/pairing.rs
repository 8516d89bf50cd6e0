//! What a merchant can copy or scan, parsed.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::server::{ServerError, address};
use crate::{InvoiceKey, Server, Text, WalletId};

/// A text that binds (or begins to bind) a display to a wallet. `Debug` shows no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The server.
    pub server: Server,
    /// What names the wallet.
    pub credential: Credential,
    /// The name that came with it.
    pub name: Option<Text>,
    /// What kind of text it was.
    pub source: Source,
    /// A password stood in the text and was dropped: `usr=`, `user:password@` or `api-key=`. Whoever copied
    /// it should know that it can do more than a display needs.
    pub dropped_password: bool,
}

/// What names the wallet in a pairing text. `Debug` shows no key, nor an id that may be one.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The invoice key.
    Key(InvoiceKey),
    /// The id of a `ws:`/`wss:` address: tried as a key first, then as a wallet id.
    KeyOrWalletId(InvoiceKey, WalletId),
    /// A wallet id only (`--wallet-id`, or a socket address whose id cannot be a key).
    WalletId(WalletId),
    /// Nothing: the invoice key must still be asked for.
    Missing,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(…)"),
            Self::KeyOrWalletId(..) => f.write_str("KeyOrWalletId(…)"),
            Self::WalletId(id) => f.debug_tuple("WalletId").field(id).finish(),
            Self::Missing => f.write_str("Missing"),
        }
    }
}

/// What kind of text a pairing was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `lndhub://invoice:KEY@https://host/lndhub/ext/`
    Lndhub,
    /// A wallet page's URL, or the server's own.
    WalletPage,
    /// `wss://host/api/v1/ws/ID`
    Socket,
    /// `tillbell:pair?server=…&key=…&name=…`
    Tillbell,
    /// `--server` with `--key` or `--wallet-id`.
    Parts,
}

/// What kind of text pairs. Serialises as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Kind {
    /// An LNDhub code without its key.
    #[display("an LNDhub code; the invoice key is still missing")]
    HubWithoutKey,
    /// An LNDhub code.
    #[display("an LNDhub code with an invoice key")]
    Hub,
    /// A page's address.
    #[display("a server's address; the invoice key is still missing")]
    Address,
    /// A socket's address, which names a wallet.
    #[display("a WebSocket address with a wallet id")]
    SocketOfWallet,
    /// A socket's address.
    #[display("a WebSocket address")]
    Socket,
    /// Its parts.
    #[display("a server and an invoice key")]
    ServerAndKey,
    /// Its parts.
    #[display("a server and a wallet id")]
    ServerAndWallet,
    /// Its parts, of which one may be either.
    #[display("a server and an invoice key or wallet id")]
    ServerAndEither,
    /// One of its parts.
    #[display("a server; the invoice key is still missing")]
    Server,
}

/// Why a text pairs with nothing; each says what to paste instead. Never repeats the text: it may be a secret. Serialises as a
/// code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum PairingError {
    /// Nothing was pasted.
    #[error(
        "Paste the wallet's address or its LNDhub code: in LNbits, open the wallet and look under API info."
    )]
    #[serde(rename = "pairing-missing")]
    Empty,
    /// It is nothing we know.
    #[error("This is not a pairing code. Paste the wallet's address or its LNDhub code from LNbits.")]
    #[serde(rename = "not-a-pairing")]
    NotUnderstood,
    /// No server stands in it.
    #[error(
        "This code does not say where the wallet is. Copy the whole code, up to and with the address after the @."
    )]
    #[serde(rename = "pairing-without-server")]
    NoServer,
    /// A key alone.
    #[error(
        "This is a key without its server. Paste the server's address first, or the LNDhub code, which holds both."
    )]
    KeyAlone,
    /// The key's part is no key.
    #[error(
        "The invoice key is not whole: it has 32 characters from 0-9 and a-f. Copy it again from API info."
    )]
    BadKey,
    /// The wallet id could not be one.
    #[error("This is not a wallet id. Copy it again from the wallet's API info.")]
    BadWalletId,
    /// Both a key and a wallet id.
    #[error("Give either the invoice key or the wallet id, not both.")]
    KeyAndWalletId,
    /// A key that can spend, by its own name.
    #[error("This is the admin key, which can spend. A display needs only the invoice key: copy that one.")]
    AdminKey,
    /// A login of an LNDhub that is not LNbits.
    #[error(
        "This is a login of another kind of hub. Tillbell pairs with LNbits: copy the LNDhub invoice code there."
    )]
    OtherHub,
    /// A socket address without an id.
    #[error("This address does not name a wallet: it must end in /api/v1/ws/ and the wallet's invoice key.")]
    #[serde(rename = "socket-without-wallet")]
    NoChannel,
    /// BOLT11.
    #[error(
        "This is an invoice, to be paid once. Paste the address of the wallet that made it, from LNbits."
    )]
    #[serde(rename = "pasted-invoice")]
    Invoice,
    /// BOLT12.
    #[error("This is an offer, to be paid. Paste the address of the wallet behind it, from LNbits.")]
    #[serde(rename = "pasted-offer")]
    Offer,
    /// LNURL in any spelling.
    #[error(
        "This is an LNURL, to be paid or withdrawn. Paste the address of the wallet behind it, from LNbits."
    )]
    #[serde(rename = "pasted-lnurl")]
    Lnurl,
    /// `name@host`: a Lightning address or an e-mail address.
    #[error(
        "This looks like a Lightning address or an e-mail address. Paste the wallet's own address from LNbits."
    )]
    #[serde(rename = "pasted-name-at-host")]
    NameAtHost,
    /// An on-chain address or payment request.
    #[error("This is a Bitcoin address. Paste the address of a Lightning wallet's page in LNbits.")]
    #[serde(rename = "pasted-bitcoin-address")]
    Bitcoin,
    /// Nostr Wallet Connect, lndconnect and the like.
    #[error(
        "This connects another kind of wallet. Tillbell pairs with LNbits: paste a wallet's address from there."
    )]
    OtherWallet,
    /// A seed phrase, an extended private key, a Nostr secret key.
    #[error(
        "This secret gives away a whole wallet: paste it nowhere. Tillbell needs an invoice key from LNbits."
    )]
    #[serde(rename = "pasted-secret")]
    Secret,
    /// The key stands in the server's address, too, which is shown and stored.
    #[error(
        "The key stands in the server's address, too: was the code pasted twice? Paste it once, and nothing else."
    )]
    KeyInAddress,
    /// Others could read the key on its way.
    #[error(
        "This address begins with http: or ws:, so others on the way can read the key. Use https:, or allow it \
         (--allow-insecure) if you trust every machine in between."
    )]
    #[serde(rename = "insecure-address")]
    Insecure,
    /// The server's part cannot be read.
    #[error(transparent)]
    #[serde(untagged)]
    Server(#[from] ServerError),
}

impl Pairing {
    /// A pairing from what stands in separate fields or flags. The server may be any address on it.
    ///
    /// # Errors
    ///
    /// A [`PairingError`] that names the part that is wrong, without repeating it.
    pub fn from_parts(
        server: &str,
        key: Option<&str>,
        wallet_id: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, PairingError> {
        let credential = match (key, wallet_id) {
            (Some(_), Some(_)) => return Err(PairingError::KeyAndWalletId),
            (Some(key), None) => Credential::Key(tidy(key).parse().map_err(|_| PairingError::BadKey)?),
            (None, Some(id)) => {
                Credential::WalletId(WalletId::new(&tidy(id)).ok_or(PairingError::BadWalletId)?)
            }
            (None, None) => Credential::Missing,
        };
        let url = address(&tidy(server))?;
        let pairing = Self {
            server: Server::from_url(&url)?,
            credential,
            name: display_name(name),
            source: Source::Parts,
            dropped_password: holds_password(&url),
        };
        pairing.keeps_its_key_apart()
    }

    /// A server's address goes into logs, files and onto the screen: the key may not stand in it.
    fn keeps_its_key_apart(self) -> Result<Self, PairingError> {
        let address = self.server.as_str().to_ascii_lowercase();
        let holds = |key: &InvoiceKey| address.contains(&*Zeroizing::new(key.reveal().to_ascii_lowercase()));
        match &self.credential {
            Credential::Key(key) | Credential::KeyOrWalletId(key, _) if holds(key) => {
                Err(PairingError::KeyInAddress)
            }
            Credential::Key(_)
            | Credential::KeyOrWalletId(..)
            | Credential::WalletId(_)
            | Credential::Missing => Ok(self),
        }
    }

    /// Adds the invoice key that the text did not hold. A text that names its wallet keeps what it names.
    ///
    /// # Errors
    ///
    /// [`PairingError::BadKey`], [`PairingError::KeyInAddress`].
    pub fn complete(&mut self, key: &str) -> Result<(), PairingError> {
        match self.credential {
            Credential::Missing => {
                let key = Credential::Key(tidy(key).parse().map_err(|_| PairingError::BadKey)?);
                *self = Self {
                    credential: key,
                    ..self.clone()
                }
                .keeps_its_key_apart()?;
            }
            Credential::Key(_) | Credential::KeyOrWalletId(..) | Credential::WalletId(_) => {}
        }
        Ok(())
    }

    /// True when others on the way could read the key: see [`Server::is_insecure`].
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.server.is_insecure()
    }

    /// The one place that decides about `http:` and `ws:`: for loopback always, elsewhere only when somebody
    /// said so.
    ///
    /// # Errors
    ///
    /// [`PairingError::Insecure`].
    pub fn allow(&self, insecure_ok: bool) -> Result<(), PairingError> {
        if self.is_insecure() && !insecure_ok {
            Err(PairingError::Insecure)
        } else {
            Ok(())
        }
    }

    /// What kind of text it was.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match (self.source, &self.credential) {
            (Source::Lndhub, Credential::Missing) => Kind::HubWithoutKey,
            (Source::Lndhub, _) => Kind::Hub,
            (Source::WalletPage, _) => Kind::Address,
            (Source::Socket, Credential::WalletId(_)) => Kind::SocketOfWallet,
            (Source::Socket, _) => Kind::Socket,
            (Source::Tillbell | Source::Parts, Credential::Key(_)) => Kind::ServerAndKey,
            (Source::Tillbell | Source::Parts, Credential::WalletId(_)) => Kind::ServerAndWallet,
            (Source::Tillbell | Source::Parts, Credential::KeyOrWalletId(..)) => Kind::ServerAndEither,
            (Source::Tillbell | Source::Parts, Credential::Missing) => Kind::Server,
        }
    }

    /// Tillbell's own pairing text, which reads back as the same server, credential and name: to move them to
    /// another display. It holds the key.
    #[must_use]
    pub fn to_tillbell_uri(&self) -> Zeroizing<String> {
        let start = "tillbell:pair?";
        let mut query = form_urlencoded::Serializer::for_suffix(start.to_owned(), start.len());
        query.append_pair("server", self.server.as_str());
        match &self.credential {
            Credential::Key(key) => query.append_pair("key", key.reveal()),
            Credential::KeyOrWalletId(_, id) => query.append_pair("id", id.as_str()),
            Credential::WalletId(id) => query.append_pair("wallet_id", id.as_str()),
            Credential::Missing => &mut query,
        };
        if let Some(name) = &self.name {
            query.append_pair("name", name.as_str());
        }
        Zeroizing::new(query.finish())
    }
}

impl FromStr for Pairing {
    type Err = PairingError;

    /// Reads whatever a merchant may have copied or scanned: with quotes or brackets around it, broken over
    /// lines, in capitals, with invisible characters in it.
    fn from_str(raw: &str) -> Result<Self, PairingError> {
        if raw.len() > MAX_BYTES {
            return Err(PairingError::NotUnderstood);
        }
        let mut text = tidy(raw);
        if text.is_empty() {
            return Err(PairingError::Empty);
        }
        if ["lndhub%3a", "tillbell%3a", "https%3a", "wss%3a"]
            .iter()
            .any(|scheme| strip_ci(&text, scheme).is_some())
        {
            text = unescape(&text);
        }
        if let Some(mistake) = mistake(raw, &text) {
            return Err(mistake);
        }
        read(&text)?.keeps_its_key_apart()
    }
}

/// Reads a text that has been tidied and is no common mistake.
fn read(text: &str) -> Result<Pairing, PairingError> {
    if let Some(code) = strip_ci(text, "lndhub:") {
        return lndhub(code.trim_start_matches('/'));
    }
    if strip_ci(text, "invoice:").or(strip_ci(text, "admin:")).is_some() {
        return lndhub(text);
    }
    if let Some(rest) = strip_ci(text, "tillbell:") {
        return tillbell(rest.trim_start_matches('/'));
    }
    page_or_socket(text)
}

/// The longest text looked at, in bytes: more than any code holds, less than a novel.
const MAX_BYTES: usize = 8 * 1024;

/// `LOGIN:PASSWORD@ADDRESS`, as BlueWallet and LNbits write it after `lndhub://`.
fn lndhub(code: &str) -> Result<Pairing, PairingError> {
    let code = unescape(code);
    // LNbits writes the address with its scheme; a password of another hub may hold an @ itself.
    let lower = Zeroizing::new(code.to_ascii_lowercase());
    let at = lower.find("@http").or_else(|| lower.rfind('@'));
    let (login, server) = match at {
        Some(at) => (&code[..at], &code[at + 1..]),
        None => (&**code, ""),
    };
    let Some((user, password)) = login.split_once(':') else {
        return Err(PairingError::NotUnderstood);
    };
    if user.eq_ignore_ascii_case("admin") {
        return Err(PairingError::AdminKey);
    }
    if !user.eq_ignore_ascii_case("invoice") {
        return Err(PairingError::OtherHub);
    }
    let key: InvoiceKey = password.parse().map_err(|_| PairingError::BadKey)?;
    if server.is_empty() {
        return Err(PairingError::NoServer);
    }
    let url = address(server)?;
    Ok(Pairing {
        server: Server::from_url(&url)?,
        credential: Credential::Key(key),
        name: None,
        source: Source::Lndhub,
        dropped_password: holds_password(&url),
    })
}

/// `pair?server=…&key=…&name=…`; in the place of `key` also `wallet_id` or, for either of them, `id`.
fn tillbell(rest: &str) -> Result<Pairing, PairingError> {
    let query = strip_ci(rest, "pair")
        .map(|rest| rest.trim_start_matches('/'))
        .and_then(|rest| rest.strip_prefix('?'))
        .ok_or(PairingError::NotUnderstood)?;
    let field = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
            .map(|(_, value)| Zeroizing::new(value.into_owned()))
    };
    let server = field("server").ok_or(PairingError::NoServer)?;
    let (key, wallet_id, name) = (field("key"), field("wallet_id"), field("name"));
    let mut pairing = Pairing::from_parts(
        &server,
        key.as_ref().map(|key| key.as_str()),
        wallet_id.as_ref().map(|id| id.as_str()),
        name.as_ref().map(|name| name.as_str()),
    )?;
    pairing.source = Source::Tillbell;
    if let Some(id) = field("id") {
        if pairing.credential != Credential::Missing {
            return Err(PairingError::KeyAndWalletId);
        }
        pairing.credential = channel(&tidy(&id))?;
    }
    Ok(pairing)
}

/// An address of the web or of a socket. What follows `/api/v1/ws/` names the wallet, whatever the scheme.
fn page_or_socket(text: &str) -> Result<Pairing, PairingError> {
    let has_scheme = text.contains("://");
    if text.contains('@') && !has_scheme {
        return Err(PairingError::NameAtHost);
    }
    let understood = |error: ServerError| {
        if has_scheme && error == ServerError::NotAnAddress {
            error.into()
        } else {
            PairingError::NotUnderstood
        }
    };
    let url = address(text).map_err(understood)?;
    let server = Server::from_url(&url).map_err(understood)?;
    if url
        .query_pairs()
        .any(|(name, _)| name.eq_ignore_ascii_case("lightning"))
    {
        return Err(PairingError::Lnurl);
    }
    let segments: Vec<&str> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|s| !s.is_empty())
        .collect();
    let socket = segments.windows(3).position(|three| {
        let [api, version, ws] = three else { return false };
        api.eq_ignore_ascii_case("api") && version.eq_ignore_ascii_case("v1") && ws.eq_ignore_ascii_case("ws")
    });
    let (credential, source) = match socket {
        Some(at) => {
            let id = segments.get(at + 3).ok_or(PairingError::NoChannel)?;
            (channel(id)?, Source::Socket)
        }
        None if matches!(url.scheme(), "ws" | "wss") => return Err(PairingError::NoChannel),
        None => (Credential::Missing, Source::WalletPage),
    };
    Ok(Pairing {
        server,
        credential,
        name: None,
        source,
        dropped_password: holds_password(&url),
    })
}

/// A channel's id: what looks like a key may also be a wallet id, for LNbits makes both alike.
fn channel(id: &str) -> Result<Credential, PairingError> {
    let wallet_id = WalletId::new(id).ok_or(PairingError::BadWalletId)?;
    Ok(match id.parse() {
        Ok(key) => Credential::KeyOrWalletId(key, wallet_id),
        Err(_) => Credential::WalletId(wallet_id),
    })
}

/// What people copy by mistake, recognised by how it begins.
fn mistake(raw: &str, text: &str) -> Option<PairingError> {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    let inner = ["web+lightning:", "lightning:"]
        .iter()
        .find_map(|scheme| lower.strip_prefix(scheme));
    let inner = inner.map_or(&**lower, |inner| inner.trim_start_matches('/'));
    // A host's name may begin like anything, but it has a dot.
    let code = |starts: &[&str]| !inner.contains('.') && starts.iter().any(|start| inner.starts_with(start));
    if is_seed_phrase(raw)
        || code(&[
            "xprv",
            "yprv",
            "zprv",
            "tprv",
            "uprv",
            "vprv",
            "nsec1",
            "ncryptsec1",
        ])
    {
        Some(PairingError::Secret)
    } else if begins(&[
        "nostr+walletconnect:",
        "nostrwalletconnect:",
        "lndconnect:",
        "clnrest:",
    ]) {
        Some(PairingError::OtherWallet)
    } else if begins(&["lnurlp:", "lnurlw:", "lnurlc:", "keyauth:"]) || code(&["lnurl1"]) {
        Some(PairingError::Lnurl)
    } else if code(&["lno1", "lni1", "lnr1"]) {
        Some(PairingError::Offer)
    } else if code(&["lnbc", "lntb", "lnsb", "lnbcrt"]) {
        Some(PairingError::Invoice)
    } else if begins(&["bitcoin:"]) || code(&["bc1", "tb1", "bcrt1"]) {
        Some(PairingError::Bitcoin)
    } else if begins(&["mailto:"]) {
        Some(PairingError::NameAtHost)
    } else if text.parse::<InvoiceKey>().is_ok() {
        Some(PairingError::KeyAlone)
    } else {
        None
    }
}

/// True for 12, 15, 18, 21 or 24 short words, numbered or not: the secret of a whole wallet (BIP 39).
#[must_use]
pub fn is_seed_phrase(raw: &str) -> bool {
    let words = raw
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(|word| (3..=8).contains(&word.chars().count()));
    let (count, all_short) = words.fold((0, true), |(count, all), short| (count + 1, all && short));
    let only_words = !raw.contains([':', '/', '@', '=']);
    only_words && all_short && matches!(count, 12 | 15 | 18 | 21 | 24)
}

/// True when an address carries what opens more than a display needs: LNbits takes `usr=` as a login.
fn holds_password(url: &Url) -> bool {
    let secret = |name: &str| {
        ["usr", "api-key", "api_key"]
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret))
    };
    !url.username().is_empty() || url.password().is_some() || url.query_pairs().any(|(name, _)| secret(&name))
}

fn display_name(name: Option<&str>) -> Option<Text> {
    name.map(|name| Text::clean_to(name, Text::MAX_NAME))
        .filter(|name| !name.is_empty())
}

/// What copying adds: invisible characters, line breaks with their indentation, quotes, brackets.
fn tidy(raw: &str) -> Zeroizing<String> {
    let invisible = |c: &char| {
        matches!(
            c.general_category(),
            GeneralCategory::Format | GeneralCategory::PrivateUse
        )
    };
    let visible: Zeroizing<String> = Zeroizing::new(raw.chars().filter(|c| !invisible(c)).collect());
    let line: Zeroizing<String> = Zeroizing::new(visible.split(char::is_control).map(str::trim).collect());
    let around = |c: char| c.is_whitespace() || "\"'`<>«»‹›“”„‘’‚".contains(c);
    Zeroizing::new(line.trim_matches(around).to_owned())
}

/// The rest of `text` after `prefix`, which may be written in capitals (a QR code of capitals is smaller).
fn strip_ci<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Undoes percent-encoding; what is not UTF-8 then is no code of ours and becomes a replacement character.
fn unescape(text: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let mut byte = [0];
        match after.split_at_checked(2) {
            Some((digits, after)) if first == b'%' && hex::decode_to_slice(digits, &mut byte).is_ok() => {
                bytes.push(byte[0]);
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    /// A text in which `KEY` stands for a key.
    fn parse(text: &str) -> Result<Pairing, PairingError> {
        text.replace("KEY", KEY).parse()
    }

    fn pairing(text: &str) -> Pairing {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn key() -> Credential {
        Credential::Key(KEY.parse().unwrap())
    }

    #[test]
    fn a_code_that_was_pasted_twice_puts_its_key_into_no_address() {
        // The fuzzer's find.
        let found = "lndhub://invoice:KEY@https:/56/lnb://invoice:KEY@https:/56/lnbits.example/ln.dhubext/";
        assert_eq!(parse(found), Err(PairingError::KeyInAddress));
        for text in [
            "wss://h.example/KEY/api/v1/ws/KEY",
            "tillbell:pair?server=https%3A%2F%2Fh.example%2Fx%2FKEY%2Fy&key=KEY",
        ] {
            match parse(text) {
                Ok(pairing) => assert!(!pairing.server.as_str().contains(KEY), "{text}"),
                Err(error) => assert_eq!(error, PairingError::KeyInAddress, "{text}"),
            }
        }
    }

    #[test]
    fn an_lndhub_code_holds_server_and_key() {
        for (text, server) in [
            (
                "lndhub://invoice:KEY@https://h.example/lndhub/ext/",
                "https://h.example",
            ),
            (
                "lndhub://invoice:KEY@https://h.example/lnbits/lndhub/ext/",
                "https://h.example/lnbits",
            ),
            ("lndhub://invoice:KEY@https://h.example", "https://h.example"),
            ("lndhub://invoice:KEY@h.example:8443", "https://h.example:8443"),
            (
                "lndhub://invoice:KEY@http://127.0.0.1:5000/lndhub/ext/",
                "http://127.0.0.1:5000",
            ),
            (
                "LNDHUB://INVOICE:KEY@HTTPS://H.EXAMPLE/LNDHUB/EXT/",
                "https://h.example",
            ),
            (
                "lndhub:invoice:KEY@https://h.example/lndhub/ext/",
                "https://h.example",
            ),
            (
                "lndhub://invoice:KEY@https%3A%2F%2Fh.example%2Flndhub%2Fext%2F",
                "https://h.example",
            ),
            (
                "lndhub%3A%2F%2Finvoice%3AKEY%40https%3A%2F%2Fh.example%2Flndhub%2Fext%2F",
                "https://h.example",
            ),
            ("invoice:KEY@https://h.example/lndhub/ext/", "https://h.example"),
        ] {
            let read = pairing(text);
            assert_eq!(
                (read.server.as_str(), &read.credential, read.source),
                (server, &key(), Source::Lndhub),
                "{text}"
            );
            assert!(!read.dropped_password);
        }
        assert_eq!(
            pairing(&format!(
                "lndhub://invoice:{}@https://h.example",
                KEY.to_uppercase()
            ))
            .credential,
            key()
        );
    }

    #[test]
    fn an_admin_key_is_refused_by_its_name() {
        for text in [
            "lndhub://admin:KEY@https://h.example/lndhub/ext/",
            "LNDHUB://ADMIN:KEY@HTTPS://H.EXAMPLE/LNDHUB/EXT/",
            "lndhub%3A%2F%2Fadmin%3AKEY%40https%3A%2F%2Fh.example",
            "lndhub://admin:KEY",
            "admin:KEY@https://h.example",
        ] {
            assert_eq!(parse(text), Err(PairingError::AdminKey), "{text}");
        }
    }

    #[test]
    fn a_page_gives_the_server_and_drops_the_password() {
        for (text, server, dropped) in [
            (
                "https://h.example/wallet?usr=KEY&wal=KEY",
                "https://h.example",
                true,
            ),
            (
                "https://h.example/lnbits/wallet?wal=KEY",
                "https://h.example/lnbits",
                false,
            ),
            ("https://h.example/wallet/KEY", "https://h.example", false),
            ("https://user:KEY@h.example/", "https://h.example", true),
            ("https://h.example", "https://h.example", false),
            ("h.example", "https://h.example", false),
            ("localhost:5000", "http://localhost:5000", false),
            (
                "http://127.0.0.1:5000/wallet?usr=KEY",
                "http://127.0.0.1:5000",
                true,
            ),
            ("https://h.example/lndhub/ext/", "https://h.example", false),
            ("https://h.example/docs#/", "https://h.example", false),
        ] {
            let read = pairing(text);
            assert_eq!(
                (read.server.as_str(), read.dropped_password),
                (server, dropped),
                "{text}"
            );
            assert_eq!(
                (read.credential, read.source),
                (Credential::Missing, Source::WalletPage),
                "{text}"
            );
        }
    }

    #[test]
    fn a_socket_address_names_the_wallet_by_key_or_id() {
        let read = pairing("wss://h.example/lnbits/api/v1/ws/KEY");
        assert_eq!(read.server.as_str(), "https://h.example/lnbits");
        assert_eq!(
            read.credential,
            Credential::KeyOrWalletId(KEY.parse().unwrap(), WalletId::new(KEY).unwrap())
        );
        assert_eq!(read.source, Source::Socket);
        let read = pairing("WSS://h.example/api/v1/ws/4d1e8b1e-0d1d-4c55-9f4e-000000000000/");
        assert_eq!(
            read.credential,
            Credential::WalletId(WalletId::new("4d1e8b1e-0d1d-4c55-9f4e-000000000000").unwrap())
        );
        assert_eq!(pairing("https://h.example/api/v1/ws/KEY").source, Source::Socket);
        assert!(
            pairing("wss://h.example/api/v1/ws/abc?api-key=KEY").dropped_password,
            "the guide puts an admin key there"
        );
        for text in [
            "wss://h.example",
            "wss://h.example/",
            "wss://h.example/api/v1/ws/",
            "https://h.example/api/v1/ws",
        ] {
            assert_eq!(parse(text), Err(PairingError::NoChannel), "{text}");
        }
        assert_eq!(
            parse("wss://h.example/api/v1/ws/a%20b"),
            Err(PairingError::BadWalletId)
        );
    }

    #[test]
    fn tillbells_own_code_holds_everything() {
        for text in [
            "tillbell:pair?server=https%3A%2F%2Fh.example%2Flnbits&key=KEY&name=Caf%C3%A9%20%26%20Bar",
            "tillbell://pair?name=Caf%C3%A9+%26+Bar&server=https://h.example/lnbits&key=KEY&later=1",
            "TILLBELL:PAIR?SERVER=h.example/lnbits&KEY=KEY&name=Cafe%CC%81%20%26%20Bar",
            "tillbell%3Apair%3Fserver%3Dhttps://h.example/lnbits&key=KEY&name=Café+%26+Bar"
                .replace("%26", "%2526")
                .as_str(),
        ] {
            let text = text.replace("&KEY=", "&key=");
            let read = pairing(&text);
            assert_eq!(
                (read.server.as_str(), &read.credential),
                ("https://h.example/lnbits", &key()),
                "{text}"
            );
            assert_eq!(read.name.unwrap().as_str(), "Café & Bar");
            assert_eq!(read.source, Source::Tillbell);
        }
        assert_eq!(
            pairing("tillbell:pair?server=h.example").credential,
            Credential::Missing
        );
        assert!(pairing("tillbell:pair?server=https://h.example/wallet%3Fusr=1&key=KEY").dropped_password);
        for (text, error) in [
            ("tillbell:pair?key=KEY", PairingError::NoServer),
            ("tillbell:pair?server=&key=KEY", PairingError::NoServer),
            ("tillbell:pair?server=h.example&key=abc", PairingError::BadKey),
            (
                "tillbell:pair?server=h.example&wallet_id=a/b",
                PairingError::BadWalletId,
            ),
            (
                "tillbell:pair?server=h.example&key=KEY&wallet_id=abc",
                PairingError::KeyAndWalletId,
            ),
            (
                "tillbell:pair?server=h.example&key=KEY&id=KEY",
                PairingError::KeyAndWalletId,
            ),
            (
                "tillbell:pair?server=coffee&key=KEY",
                PairingError::Server(ServerError::NotAnAddress),
            ),
            (
                "tillbell:ring?server=h.example&key=KEY",
                PairingError::NotUnderstood,
            ),
            ("tillbell:", PairingError::NotUnderstood),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn copying_adds_things_that_do_not_matter() {
        for text in [
            "  lndhub://invoice:KEY@https://h.example/lndhub/ext/ \n",
            "\"lndhub://invoice:KEY@https://h.example/lndhub/ext/\"",
            "<lndhub://invoice:KEY@https://h.example/lndhub/ext/>",
            " “lndhub://invoice:KEY@https://h.example/lndhub/ext/” ",
            "lndhub://invoice:KEY@https://h.ex\r\n   ample/lndhub/ext/",
            "\u{feff}lndhub://invoice:KEY@\u{200b}https://h.example/lndhub/ext/\u{202c}",
            "lndhub://invoice:01234567\n89abcdef0123456789abcdef@https://h.example",
        ] {
            let read = pairing(text);
            assert_eq!(
                (read.server.as_str(), read.credential),
                ("https://h.example", key()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn separate_parts_pair_too() {
        let read = Pairing::from_parts(
            " https://h.example/wallet?usr=1 ",
            Some(KEY),
            None,
            Some(" Bar\n"),
        )
        .unwrap();
        assert_eq!(
            (read.server.as_str(), &read.credential, read.source),
            ("https://h.example", &key(), Source::Parts)
        );
        assert!(read.dropped_password);
        assert_eq!(read.name.unwrap().as_str(), "Bar");
        let by_id = Pairing::from_parts("h.example", None, Some("39cd"), None).unwrap();
        assert_eq!(
            by_id.credential,
            Credential::WalletId(WalletId::new("39cd").unwrap())
        );
        assert_eq!(
            Pairing::from_parts("h.example", None, None, Some(""))
                .unwrap()
                .name,
            None
        );
        for (server, key, id, error) in [
            ("h.example", Some("abc"), None, PairingError::BadKey),
            ("h.example", None, Some("../x"), PairingError::BadWalletId),
            ("h.example", Some(KEY), Some("39cd"), PairingError::KeyAndWalletId),
            ("", Some(KEY), None, PairingError::Server(ServerError::Empty)),
            (
                "ftp://h.example",
                Some(KEY),
                None,
                PairingError::Server(ServerError::NotWeb),
            ),
        ] {
            assert_eq!(Pairing::from_parts(server, key, id, None), Err(error), "{server}");
        }
    }

    #[test]
    fn every_mistake_has_its_own_answer() {
        let seed = "abandon ".repeat(11) + "about";
        let numbered = (1..=12).map(|n| format!("{n}. abandon\n")).collect::<String>();
        for (text, error) in [
            ("", PairingError::Empty),
            (" \u{200b}\n\"\" ", PairingError::Empty),
            ("KEY", PairingError::KeyAlone),
            (
                "lnbc10u1p4sf9l9dq2gdhkven9v5xqrrsssp5yp58pk7",
                PairingError::Invoice,
            ),
            (
                "LIGHTNING:LNBC10U1P4SF9L9DQ2GDHKVEN9V5XQRR",
                PairingError::Invoice,
            ),
            ("lnbcrt1p4sf9l9dq2", PairingError::Invoice),
            (
                "lno1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7msjzfpy7nz5yqcn",
                PairingError::Offer,
            ),
            (
                "LNURL1DP68GURN8GHJ7MRWW4EXCTNZD9NHXATW9EU8J730D3H82UNV94C8YMMRV4EHX0M0W36R6",
                PairingError::Lnurl,
            ),
            ("lightning:lnurl1dp68gurn8ghj7", PairingError::Lnurl),
            ("lnurlp://h.example/lnurlp/abc", PairingError::Lnurl),
            (
                "https://h.example/lnurlp/link/abc?lightning=LNURL1DP68",
                PairingError::Lnurl,
            ),
            ("shop@h.example", PairingError::NameAtHost),
            ("mailto:shop@h.example", PairingError::NameAtHost),
            (
                "bitcoin:bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh?amount=1",
                PairingError::Bitcoin,
            ),
            (
                "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh",
                PairingError::Bitcoin,
            ),
            (
                "nostr+walletconnect://KEYKEY?relay=wss://r.example&secret=KEYKEY",
                PairingError::OtherWallet,
            ),
            (
                "lndconnect://h.example:10009?cert=abc&macaroon=abc",
                PairingError::OtherWallet,
            ),
            (seed.as_str(), PairingError::Secret),
            (numbered.as_str(), PairingError::Secret),
            (
                "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
                PairingError::Secret,
            ),
            (
                "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5",
                PairingError::Secret,
            ),
            ("lndhub://invoice:KEY", PairingError::NoServer),
            ("lndhub://invoice:KEY@", PairingError::NoServer),
            ("lndhub://invoice:abc@https://h.example", PairingError::BadKey),
            ("lndhub://invoice:@https://h.example", PairingError::BadKey),
            (
                "lndhub://1a2b3c:p@ssword@https://lndhub.example",
                PairingError::OtherHub,
            ),
            ("lndhub://1a2b3c:password", PairingError::OtherHub),
            ("lndhub://KEY", PairingError::NotUnderstood),
            (
                "lndhub://invoice:KEY@coffee",
                PairingError::Server(ServerError::NotAnAddress),
            ),
            (
                "lndhub://invoice:KEY@https://a.example\nhttps://b.example",
                PairingError::Server(ServerError::NotAnAddress),
            ),
            (
                "https://a.example\nhttps://b.example",
                PairingError::Server(ServerError::NotAnAddress),
            ),
            ("https://", PairingError::Server(ServerError::NotAnAddress)),
            (
                "KEY@https://h.example",
                PairingError::Server(ServerError::NotAnAddress),
            ),
            ("ftp://h.example/KEY", PairingError::NotUnderstood),
            ("javascript:alert(1)", PairingError::NotUnderstood),
            ("coffee", PairingError::NotUnderstood),
            ("please pair h.example", PairingError::NotUnderstood),
            ("1000", PairingError::NotUnderstood),
            ("😀", PairingError::NotUnderstood),
            ("KEYKEY", PairingError::NotUnderstood),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse(&"x".repeat(100_000)), Err(PairingError::NotUnderstood));
    }

    #[test]
    fn a_server_whose_name_begins_like_a_code_is_still_a_server() {
        for host in [
            "lnbc.example",
            "lno1.example",
            "lnurl1.example",
            "bc1.example",
            "nsec1.example",
            "invoice.example",
        ] {
            assert_eq!(pairing(host).server.as_str(), format!("https://{host}"));
        }
    }

    #[test]
    fn unencrypted_addresses_of_others_need_permission() {
        for text in [
            "http://192.168.1.5:5000",
            "ws://h.example/api/v1/ws/KEY",
            "lndhub://invoice:KEY@http://umbrel.local:3007/lndhub/ext/",
        ] {
            let read = pairing(text);
            assert!(read.is_insecure(), "{text}");
            assert_eq!(read.allow(false), Err(PairingError::Insecure), "{text}");
            assert_eq!(read.allow(true), Ok(()), "{text}");
        }
        for text in [
            "ws://127.0.0.1:5000/api/v1/ws/KEY",
            "https://h.example",
            "http://localhost:5000",
        ] {
            assert_eq!(pairing(text).allow(false), Ok(()), "{text}");
        }
    }

    #[test]
    fn no_debug_output_and_no_error_holds_the_key() {
        // Where the key stands wrongly, it must not be taken for a part of the address either.
        for text in [
            "KEY",
            "lndhub://invoice:KEY@https://h.example/lndhub/ext/",
            "lndhub://invoice:KEYx@https://h.example",
            "lndhub://KEY@https://h.example",
            "lndhub://invoice:KEY@https://KEY:KEY@h.example/KEY?KEY#KEY",
            "lndhub://invoice:KEY@ftp://h.example",
            "lndhub://invoice:KEY@",
            "lndhub://admin:KEY@https://h.example",
            "tillbell:pair?server=https://h.example/KEY/x&key=KEY",
            "tillbell:pair?server=KEY&key=KEY",
            "tillbell:pair?serve=KEY",
            "https://h.example/KEY",
            "https://h.example/x/KEY/y?usr=KEY",
            "https://h.example/wallet/KEY",
            "https://KEY@h.example",
            "https://h.example:KEY/",
            "wss://h.example/KEY",
            "wss://h.example/api/v1/ws/KEY",
            "X-Api-Key: KEY",
            "mailto:KEY@h.example",
        ] {
            let said = match parse(text) {
                Ok(read) => format!("{read:?} {} {}", read.server, read.kind()),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!said.contains(KEY), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn tillbells_own_code_reads_back(
            prefix in "(/[a-z&=%?#]{0,5}){0,2}",
            name in proptest::option::of(any::<String>()),
            credential in 0..4,
        ) {
            let Ok(server) = format!("https://h.example{prefix}").parse::<Server>() else { return Ok(()) };
            let id = WalletId::new(KEY).unwrap();
            let original = Pairing {
                server,
                credential: match credential {
                    0 => key(),
                    1 => Credential::KeyOrWalletId(KEY.parse().unwrap(), id),
                    2 => Credential::WalletId(id),
                    _ => Credential::Missing,
                },
                name: display_name(name.as_deref()),
                source: Source::Tillbell,
                dropped_password: false,
            };
            prop_assert_eq!(original.to_tillbell_uri().parse::<Pairing>(), Ok(original));
        }

        #[test]
        fn any_text_is_a_pairing_or_an_error(
            start in prop::sample::select(vec!["", "lndhub://", "lndhub://invoice:", "tillbell:pair?", "https://", "wss://", "%"]),
            text in any::<String>(),
        ) {
            let _ = format!("{start}{text}").parse::<Pairing>();
        }
    }
}
