//! What must never be scanned by customers: what gives something away, takes money from the shop, or is paid once.

use serde::Serialize;
use tillbell_lnbits::pairing::is_seed_phrase;
use url::form_urlencoded;

use super::formats;

/// Why a text is no pay code; each says what to use instead. Never repeats the text: it may be a secret. Serialises as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Unfit {
    /// No QR code holds it.
    #[error("This pay code is too long for a QR code: use a shorter one.")]
    #[serde(rename = "pay-code-too-long")]
    TooLong,
    /// A page, login or connection of a wallet.
    #[error(
        "This pay code opens your wallet to everybody who scans it. Use one that only receives: a Lightning address, an \
         LNURL-pay link or an offer."
    )]
    #[serde(rename = "pay-code-opens-wallet")]
    OpensWallet,
    /// A key or a password, by itself or in an address.
    #[error(
        "This pay code holds a key or a password, and everybody can read it. Use one that only receives: a Lightning \
         address, an LNURL-pay link or an offer."
    )]
    #[serde(rename = "pay-code-holds-key")]
    HoldsKey,
    /// Seed words or a private key.
    #[error(
        "This is the secret of a whole wallet, and no pay code: show it to nobody. Use a Lightning address, an LNURL-pay \
         link or an offer."
    )]
    #[serde(rename = "pay-code-is-secret")]
    Secret,
    /// LNURL-withdraw, a BOLT12 invoice request, ecash.
    #[error(
        "This pay code pays your customer: whoever scans it takes money from you. Use one that receives: a Lightning \
         address, an LNURL-pay link or an offer."
    )]
    #[serde(rename = "pay-code-withdraws")]
    Withdraws,
    /// LNURL-auth, LNURL-channel.
    #[error(
        "This pay code signs in or opens a channel, and pays nobody. Use a Lightning address, an LNURL-pay link or an offer."
    )]
    #[serde(rename = "pay-code-pays-nobody")]
    PaysNobody,
    /// BOLT11, or a BOLT12 invoice.
    #[error(
        "This pay code is an invoice, and an invoice is paid once. Use one that many can pay: a Lightning address, an \
         LNURL-pay link or an offer."
    )]
    #[serde(rename = "pay-code-is-invoice")]
    PaidOnce,
    /// A letter is wrong or missing.
    #[error("This pay code is not whole, or has a mistake in it: copy it again.")]
    #[serde(rename = "pay-code-not-whole")]
    NotWhole,
}

/// What connects, signs in or pairs, wherever it stands in a text.
const OPENS_WALLET: [&str; 12] = [
    "lndhub:",
    "tillbell:pair",
    "walletconnect:",
    "nostr+walletauth:",
    "lndconnect:",
    "clnrest:",
    "cln-grpc:",
    "c-lightning-rest:",
    "lnlink:",
    "bunker://",
    "otpauth:",
    "otpauth-migration:",
];

/// Seeds and private keys with a heading of their own: PEM, and the QR codes of hardware wallets (BCR-2020-006).
const SECRETS: [&str; 6] = [
    "private key-----",
    "ur:crypto-seed/",
    "ur:seed/",
    "ur:crypto-sskr/",
    "ur:sskr/",
    "ur:crypto-hdkey/",
];

/// Names of secrets in an address.
const SECRET_NAMES: [&str; 16] = [
    "usr",
    "api-key",
    "api_key",
    "apikey",
    "x-api-key",
    "inkey",
    "adminkey",
    "admin_key",
    "invoice_key",
    "macaroon",
    "rune",
    "password",
    "passwd",
    "pwd",
    "secret",
    "symkey",
];
/// Names that may be harmless where their value is short.
const DOUBTFUL_NAMES: [&str; 5] = ["key", "token", "access_token", "auth", "session"];
/// A secret has at least so many letters.
const SECRET_LENGTH: usize = 16;

/// Parts of LNbits' own addresses in which 32 hexadecimal digits are a key, or name a wallet.
const KEY_PLACES: [&str; 6] = [
    "/api/v1/",
    "/lndhub",
    "/wallet",
    "/ws/",
    "/usermanager",
    "/account",
];

/// What stands before the `1` of a BOLT11 invoice, without its amount.
const NETWORKS: [&str; 5] = ["lnbcrt", "lnbc", "lntbs", "lntb", "lnsb"];

/// Refuses what customers must not scan. `text` is cleaned: no invisible characters, white space folded.
///
/// # Errors
/// An [`Unfit`] that says what it is.
pub(super) fn check(text: &str) -> Result<(), Unfit> {
    let whole: String = text.split(' ').collect();
    if is_seed_phrase(text) {
        return Err(Unfit::Secret);
    }
    if is_hex(&whole, 32) || is_hex(&whole, 64) {
        return Err(Unfit::HoldsKey);
    }
    let code = whole.rsplit([':', '/']).next().unwrap_or_default();
    if begins_an_invoice(code) {
        return Err(Unfit::PaidOnce);
    }
    within(text)?;
    let is_key =
        |word: &str| is_hex(word, 32) && (!text.contains(['.', '/']) || text.contains(&format!(":{word}@")));
    if words(text).any(is_key) {
        return Err(Unfit::HoldsKey);
    }
    // A code that was broken into pieces by its way here.
    within(&whole)
}

/// What is refused wherever it stands: also in the value of an address' parameter.
fn within(text: &str) -> Result<(), Unfit> {
    let lower = text.to_ascii_lowercase().replace("%3a", ":").replace("%2f", "/");
    if OPENS_WALLET.iter().any(|scheme| lower.contains(scheme)) {
        return Err(Unfit::OpensWallet);
    }
    if SECRETS.iter().any(|secret| lower.contains(secret)) {
        return Err(Unfit::Secret);
    }
    if lower.contains("lnurlw:") || lower.contains("cashu:") {
        return Err(Unfit::Withdraws);
    }
    if lower.contains("keyauth:") || lower.contains("lnurlc:") {
        return Err(Unfit::PaysNobody);
    }
    for word in words(text) {
        check_word(word)?;
    }
    for part in text.split(' ') {
        check_address(part)?;
    }
    Ok(())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

/// Codes of one word.
fn check_word(word: &str) -> Result<(), Unfit> {
    let lower = word.to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    let long = word.len() > 40;
    let extended_key = long && begins(&["xprv", "yprv", "zprv", "tprv", "uprv", "vprv"]);
    // A seed in codewords (BIP 93), and a key that a passphrase opens (BIP 38).
    let shared_seed = long && begins(&["nsec1", "ncryptsec1", "ms1"]);
    let locked_key = word.len() == 58 && word.starts_with("6P");
    if extended_key || shared_seed || locked_key || formats::is_private_key(word) {
        return Err(Unfit::Secret);
    }
    // It spends nothing, and shows everything that a wallet has received.
    if long && begins(&["xpub", "ypub", "zpub", "tpub", "upub", "vpub"]) {
        return Err(Unfit::HoldsKey);
    }
    // A macaroon of LND, as it is written in base64 and in hexadecimal.
    if word.starts_with("AgEDbG5k") || begins(&["0201036c6e64"]) {
        return Err(Unfit::OpensWallet);
    }
    if word.len() > 20 && begins(&["cashua", "cashub"]) {
        return Err(Unfit::Withdraws);
    }
    if begins(&["lnr1"]) && word.len() > 20 {
        return Err(Unfit::Withdraws);
    }
    if (begins(&["lni1"]) && word.len() > 20) || (long && begins_an_invoice(word)) {
        return Err(Unfit::PaidOnce);
    }
    match formats::lnurl(word) {
        Some(address) => check_address(&address),
        None => Ok(()),
    }
}

/// `lnbc`, an amount or none, and a `1`: nothing else begins so.
fn begins_an_invoice(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    // A host's name, or somebody's at a host, may begin like anything.
    if lower.contains(['.', '@']) {
        return false;
    }
    let Some(rest) = NETWORKS.iter().find_map(|network| lower.strip_prefix(network)) else {
        return lower.starts_with("lni1");
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[..rest.len() - after.len()];
    let unit = after.strip_prefix(['m', 'u', 'n', 'p']).unwrap_or(after);
    digits.ends_with('1') || (!digits.is_empty() && unit.starts_with('1'))
}

/// What an address on the web holds, in its login, its path and its parameters. `text` has no white space.
fn check_address(text: &str) -> Result<(), Unfit> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = |text: &str, ends: &[char]| text.find(ends).unwrap_or(text.len());
    let (host, rest) = rest.split_at(end(rest, &['/', '?', '#']));
    let (path, parameters) = rest.split_at(end(rest, &['?', '#']));
    if let Some((login, _)) = host.rsplit_once('@')
        && !scheme.is_empty()
        && (login.contains(':') || !scheme.to_ascii_lowercase().ends_with("lightning"))
    {
        return Err(Unfit::HoldsKey);
    }
    // Words with a stroke between them are no address.
    if scheme.is_empty() && !host.contains(['.', ':']) {
        return Ok(());
    }
    let path = path.to_ascii_lowercase();
    if path.contains("withdraw") || path.contains("/lnurlw") || path.contains("/boltcards") {
        return Err(Unfit::Withdraws);
    }
    let place = format!("{path}/");
    if KEY_PLACES.iter().any(|key_place| place.contains(key_place))
        && words(text).any(|word| is_hex(word, 32))
    {
        return Err(Unfit::OpensWallet);
    }
    for parameters in parameters.split(['?', '#']) {
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            check_parameter(&name.to_ascii_lowercase(), &value)?;
        }
    }
    Ok(())
}

fn check_parameter(name: &str, value: &str) -> Result<(), Unfit> {
    let is_secret = SECRET_NAMES.contains(&name) && !value.is_empty();
    if name == "usr" && is_secret {
        return Err(Unfit::OpensWallet);
    }
    if is_secret || (DOUBTFUL_NAMES.contains(&name) && value.len() >= SECRET_LENGTH) {
        return Err(Unfit::HoldsKey);
    }
    if name == "tag" {
        match value.to_ascii_lowercase().as_str() {
            "withdrawrequest" => return Err(Unfit::Withdraws),
            "login" | "channelrequest" => return Err(Unfit::PaysNobody),
            _ => {}
        }
    }
    if begins_an_invoice(value) {
        return Err(Unfit::PaidOnce);
    }
    within(value)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::super::formats::tests::lnurl_of;
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn refused(why: Unfit, texts: &[String]) {
        for text in texts {
            assert_eq!(check(text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_opens_a_wallet_is_refused() {
        refused(
            Unfit::OpensWallet,
            &[
                format!("https://h.example/wallet?usr={KEY}&wal={KEY}"),
                format!("HTTPS://H.EXAMPLE/WALLET?USR={KEY}"),
                format!("h.example/wallet?usr={KEY}"),
                format!("https://h.example/wallet?wal={KEY}"),
                format!("https://h.example/wallet/{KEY}"),
                format!("our wallet: https://h.example/wallet?usr={KEY}"),
                format!("https://h.example/?next=https%3A%2F%2Fh.example%2Fwallet%3Fusr%3D{KEY}"),
                format!("lndhub://admin:{KEY}@https://h.example/lndhub/ext/"),
                format!("lndhub://invoice:{KEY}@https://h.example/lndhub/ext/"),
                format!("LNDHUB%3A%2F%2Fadmin%3A{KEY}%40https%3A%2F%2Fh.example"),
                "lndhub://login:password@https://lndhub.example".to_owned(),
                format!("tillbell:pair?server=https://h.example&key={KEY}"),
                format!("nostr+walletconnect://{KEY}{KEY}?relay=wss://r.example&secret={KEY}{KEY}"),
                format!("nostrwalletconnect://{KEY}{KEY}?relay=wss://r.example"),
                "lndconnect://h.example:8080?cert=AA&macaroon=AgEDbG5kAvgBAwoQ".to_owned(),
                "AgEDbG5kAvgBAwoQBMcFcUGWMqgXbTfQYzF".to_owned(),
                "0201036c6e6402f801030a1004c705714196".to_owned(),
                format!("wss://h.example/api/v1/ws/{KEY}"),
                format!("https://h.example/api/v1/payments?wallet={KEY}"),
                format!("https://h.example/lnbits/api/v1/ws/{KEY}"),
                format!("bunker://{KEY}{KEY}?relay=wss://r.example&secret=abc"),
                "otpauth://totp/LNbits:shop?secret=JBSWY3DPEHPK3PXP".to_owned(),
                lnurl_of(&format!("https://h.example/wallet?usr={KEY}")),
            ],
        );
    }

    #[test]
    fn keys_and_passwords_are_refused() {
        refused(
            Unfit::HoldsKey,
            &[
                KEY.to_owned(),
                KEY.to_ascii_uppercase(),
                "01234567 89abcdef 01234567 89abcdef".to_owned(),
                format!("inkey={KEY}"),
                format!("our invoice key: {KEY}"),
                format!("invoice:{KEY}@h.example"),
                format!("{KEY}{KEY}"),
                "https://shop:password@h.example/pay".to_owned(),
                "https://shop@h.example/".to_owned(),
                format!("https://h.example/lnurlp?api-key={KEY}"),
                "https://h.example/pay?password=coffee".to_owned(),
                "https://h.example/pay#access_token=abcdefghijklmnop".to_owned(),
                "wc:7f6e504b@2?relay-protocol=irn&symKey=587d5484ce2a2a6ee3ba1962fdd7e8588e06".to_owned(),
                "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs".to_owned(),
            ],
        );
    }

    #[test]
    fn secrets_of_whole_wallets_are_refused() {
        let words =
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        refused(
            Unfit::Secret,
            &[
                words.to_owned(),
                format!("{words} {words}"),
                "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ".to_owned(),
                "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617".to_owned(),
                "bitcoin:5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ".to_owned(),
                "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi".to_owned(),
                "wpkh([d34db33f/84h/0h/0h]zprvAWgYBBk7JR8Gjrh4UJQ2uJdG1r3WNRRfURiABBE3RvMXYSrRJL62XuezvGdPvG6GFBZduosCc1YP5wixPox7zhZLfiUm8aunE96BBa4Kei5/0/*)".to_owned(),
                "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5".to_owned(),
                "nostr:nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5".to_owned(),
                "-----BEGIN EC PRIVATE KEY----- MHQCAQEE -----END EC PRIVATE KEY-----".to_owned(),
                "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg".to_owned(),
                "UR:CRYPTO-SEED/OYADGDSTASLPLABGHYDRPFMKBGGUFGLUDPRFGMAOTPIECFFLTNLPQDENOS".to_owned(),
            ],
        );
    }

    #[test]
    fn what_takes_money_from_the_shop_is_refused() {
        let withdraw = "https://h.example/withdraw/api/v1/lnurl/abc";
        refused(
            Unfit::Withdraws,
            &[
                "lnurlw://h.example/withdraw/api/v1/lnurl/abc".to_owned(),
                "LNURLW://H.EXAMPLE/boltcards/api/v1/scan/abc?p=1&c=2".to_owned(),
                "lightning:lnurlw://h.example/abc".to_owned(),
                "https://h.example/withdraw/abc".to_owned(),
                "h.example/withdraw/abc".to_owned(),
                lnurl_of(withdraw),
                lnurl_of(withdraw).to_ascii_uppercase(),
                format!("lightning:{}", lnurl_of(withdraw)),
                format!("LIGHTNING:{}", lnurl_of(withdraw).to_ascii_uppercase()),
                format!("our code: {}", lnurl_of(withdraw)),
                format!("https://h.example/pay?lightning={}", lnurl_of(withdraw)),
                format!(
                    "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?lightning={}",
                    lnurl_of(withdraw)
                ),
                lnurl_of("https://h.example/lnurl?tag=withdrawRequest&k1=00&minWithdrawable=1"),
                "https://h.example/lnurl?tag=withdrawRequest".to_owned(),
                "cashuAeyJ0b2tlbiI6W3sicHJvb2ZzIjpb".to_owned(),
                format!("lnr1{}", "q".repeat(40)),
            ],
        );
    }

    #[test]
    fn what_pays_nobody_is_refused() {
        refused(
            Unfit::PaysNobody,
            &[
                "keyauth://h.example?tag=login&k1=00".to_owned(),
                lnurl_of("https://h.example/lnurl?tag=login&k1=00"),
                "lnurlc://h.example/channel".to_owned(),
                lnurl_of("https://h.example/lnurl?k1=00&tag=channelRequest"),
            ],
        );
    }

    #[test]
    fn what_is_paid_once_is_refused() {
        let invoice = format!("lnbc10u1{}", "pj9q".repeat(60));
        refused(
            Unfit::PaidOnce,
            &[
                invoice.clone(),
                invoice.to_ascii_uppercase(),
                "lnbc10u1pj9qqq".to_owned(),
                "lnbc1pj9qqq".to_owned(),
                format!("lntb{}", &invoice[4..]),
                format!("lnbcrt{}", &invoice[4..]),
                format!("lntbs1{}", "pj9q".repeat(60)),
                format!("lightning:{invoice}"),
                format!("LIGHTNING://{}", invoice.to_ascii_uppercase()),
                format!("lightning:{} {}", &invoice[..20], &invoice[20..]),
                format!("bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=0.1&lightning={invoice}"),
                format!("https://h.example/?invoice={invoice}"),
                format!("pay this: {invoice}"),
                format!("lni1{}", "q".repeat(40)),
            ],
        );
    }

    #[test]
    fn what_only_receives_is_not_refused() {
        for text in [
            "shop@example.com",
            "₿shop@example.com",
            "lightning:shop@example.com",
            "lightning://shop@example.com",
            "lnbc@example.com",
            "lnbc1@example.com",
            "lnurlp://h.example/lnurlp/api/v1/lnurl/AbC123",
            "https://h.example/lnurlp/link/AbC123",
            "https://h.example/tpos/AbC123",
            "https://h.example/menu?table=7&lang=en",
            "https://withdraw.example/tips",
            "https://pay.example/shop/0123456789abcdef0123456789abcdef",
            "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=0.001&label=Beans%20%26%20Bell",
            "bitcoin:?lno=lno1pqpsrp4qpz3",
            "Deposit/withdraw at the counter",
            "Bean & Bell: ask at the counter",
            "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6",
            &lnurl_of(
                "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df",
            ),
            &lnurl_of("https://h.example/lnurlp/api/v1/lnurl/AbC123"),
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_refusal_has_a_code_and_never_repeats_the_text() {
        use crate::sentence::Say;
        let said = check(&format!("https://h.example/wallet?usr={KEY}"))
            .unwrap_err()
            .say();
        assert_eq!(
            (said.code.as_str(), said.args.len()),
            ("pay-code-opens-wallet", 0)
        );
        assert!(!said.text.contains(KEY));
    }
}
