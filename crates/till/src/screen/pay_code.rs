//! What customers scan to pay the shop: parsed, refused where it would cost the shop, and drawn.

mod formats;
mod qr;
mod refusal;

use tillbell_lnbits::Text;
use url::Url;

use self::formats::Address;
pub use self::refusal::Unfit;
use crate::screen::view;

/// A code that customers may scan again and again: it receives, and gives nothing away. [`PayCode::parse`] alone makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayCode {
    kind: Kind,
    text: String,
    scanned: String,
    drawing: view::PayCode,
}

/// What kind of code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `shop@example.com` (LUD-16).
    LightningAddress,
    /// `₿shop@example.com` (BIP 353).
    BitcoinName,
    /// `LNURL1…` or `lnurlp://…`, to be paid.
    LnurlPay,
    /// `lno1…` (BOLT 12).
    Offer,
    /// `bitcoin:…` (BIP 21).
    BitcoinUri,
    /// `bc1…`, `1…`, `3…`.
    BitcoinAddress,
    /// `https://…`.
    WebAddress,
    /// Anything else.
    Text,
}

/// What a text was understood as.
struct Form {
    kind: Kind,
    scanned: String,
}

/// A code that says something of our own: no customer pays it.
pub(crate) fn drawn(text: &str) -> Option<view::PayCode> {
    let (modules, path) = qr::draw(text)?;
    Some(view::PayCode {
        text: text.to_owned(),
        modules,
        path,
    })
}

impl PayCode {
    /// Reads what a merchant typed, pasted, or wrote into a file; `None` where there is nothing. Invisible characters and what line
    /// ends add do not count.
    ///
    /// # Errors
    /// An [`Unfit`] that says why customers must not, or cannot, scan it.
    pub fn parse(raw: &str) -> Result<Option<Self>, Unfit> {
        let clean = Text::clean_to(raw, usize::MAX);
        if clean.is_empty() {
            return Ok(None);
        }
        refusal::check(clean.as_str())?;
        let lines: Vec<_> = raw
            .split(|c: char| c.is_whitespace() && c != ' ')
            .map(|line| Text::clean_to(line, usize::MAX).to_string())
            .filter(|line| !line.is_empty())
            .collect();
        let (text, form) = understand(clean.as_str(), &lines)?;
        let shown = match form.kind {
            // Readable, and typed by hand into a wallet.
            Kind::LightningAddress | Kind::BitcoinName => without_scheme(&text).1.to_owned(),
            Kind::LnurlPay
            | Kind::Offer
            | Kind::BitcoinUri
            | Kind::BitcoinAddress
            | Kind::WebAddress
            | Kind::Text => text.clone(),
        };
        let (modules, path) = qr::draw(&form.scanned).ok_or(Unfit::TooLong)?;
        Ok(Some(Self {
            kind: form.kind,
            text,
            scanned: form.scanned,
            drawing: view::PayCode {
                text: shown,
                modules,
                path,
            },
        }))
    }

    /// What kind of code it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The text as it was given, cleaned: to edit and to store.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a scanner reads.
    #[must_use]
    pub fn scanned(&self) -> &str {
        &self.scanned
    }

    /// How it is drawn.
    #[must_use]
    pub const fn drawing(&self) -> &view::PayCode {
        &self.drawing
    }
}

/// Reads the text without what pasting put between its letters, if that makes a code of it; else as it is. `lines` are those that
/// the text came in.
fn understand(text: &str, lines: &[String]) -> Result<(String, Form), Unfit> {
    let joined = lines.concat();
    // A name at a host on a line of its own is not the end of another one.
    let stand_alone = lines.len() > 1 && lines.iter().any(|line| name_at_host(line).is_some());
    if !joined.contains(' ')
        && !stand_alone
        && let Some(form) = read(&joined)?
    {
        return Ok((joined, form));
    }
    // Where letters or a checksum say that the code is whole, spaces in it do not count, either.
    let whole = text.split(' ').collect::<String>();
    match read(&whole)? {
        Some(form) if matches!(form.kind, Kind::LnurlPay | Kind::Offer | Kind::BitcoinAddress) => {
            Ok((whole, form))
        }
        Some(_) | None => Ok((
            text.to_owned(),
            Form {
                kind: Kind::Text,
                scanned: text.to_owned(),
            },
        )),
    }
}

/// Reads a text without white space; `None` where it is no code.
fn read(text: &str) -> Result<Option<Form>, Unfit> {
    let (scheme, code) = without_scheme(text);
    let form = |kind, scanned| Ok(Some(Form { kind, scanned }));
    if let Some(address) = name_at_host(code) {
        let kind = if code.starts_with('₿') {
            Kind::BitcoinName
        } else {
            Kind::LightningAddress
        };
        // Without a scheme, phones take it for an e-mail address.
        let scheme = if scheme.is_empty() { "lightning:" } else { scheme };
        return form(kind, format!("{scheme}{address}"));
    }
    // An offer may come in pieces (BOLT 12).
    let code = code.replace('+', "");
    if let Some(kind) = kind_of_bech32(&code)? {
        return form(kind, format!("{scheme}{code}").to_ascii_uppercase());
    }
    if !scheme.is_empty() {
        return Ok(None);
    }
    if let Some((scheme, rest)) = text.split_once(':') {
        let rest = rest.trim_start_matches('/');
        let has_host = || Url::parse(&format!("https://{rest}")).is_ok_and(|url| url.has_host());
        return match scheme.to_ascii_lowercase().as_str() {
            "bitcoin" => form(Kind::BitcoinUri, bitcoin_uri(rest)?),
            "lnurlp" if has_host() => form(Kind::LnurlPay, text.to_owned()),
            "http" | "https" if has_host() => form(Kind::WebAddress, text.to_owned()),
            _ => Ok(None),
        };
    }
    if formats::address(text).is_some() {
        return form(Kind::BitcoinAddress, bitcoin_uri(text)?);
    }
    Ok(None)
}

/// A Lightning code's scheme, which may be missing, and what follows it.
fn without_scheme(text: &str) -> (&'static str, &str) {
    let schemes = ["lightning:", "web+lightning:", "lnurl:"];
    let found = schemes.into_iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| (scheme, rest.trim_start_matches('/')))
    });
    found.unwrap_or(("", text))
}

/// The kind of a code whose letters have no case.
fn kind_of_bech32(code: &str) -> Result<Option<Kind>, Unfit> {
    let lower = code.to_ascii_lowercase();
    let begins = |start: &str| lower.starts_with(start) && !lower.contains(['.', '@']);
    if begins("lnurl1") {
        formats::lnurl(code)
            .map(|_| Some(Kind::LnurlPay))
            .ok_or(Unfit::NotWhole)
    } else if begins("lno1") {
        formats::is_offer(code)
            .then_some(Some(Kind::Offer))
            .ok_or(Unfit::NotWhole)
    } else if ["bc1", "tb1", "bcrt1"].iter().any(|start| begins(start)) && formats::address(code).is_none() {
        Err(Unfit::NotWhole)
    } else {
        Ok(None)
    }
}

/// `shop@example.com`, as wallets look it up: without `₿`, in small letters, its host in ASCII.
fn name_at_host(text: &str) -> Option<String> {
    let (name, host) = text.strip_prefix('₿').unwrap_or(text).split_once('@')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if name.is_empty() || !name.chars().all(fits) || host.contains(['/', '?', '#', '@', '\\']) {
        return None;
    }
    let url = Url::parse(&format!("https://{host}")).ok()?;
    let domain = url.host_str()?;
    let is_host = domain.contains('.')
        && domain
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    is_host.then(|| format!("{}@{domain}{port}", name.to_ascii_lowercase()))
}

/// A payment URI (BIP 21) as it is scanned: in capitals where letters have no case.
fn bitcoin_uri(text: &str) -> Result<String, Unfit> {
    let (address, parameters) = text.split_once('?').unwrap_or((text, ""));
    let start = match formats::address(address) {
        Some(Address::Segwit) => format!("bitcoin:{address}").to_ascii_uppercase(),
        Some(Address::Base58) => format!("bitcoin:{address}"),
        None if address.is_empty() && !parameters.is_empty() => "bitcoin:".to_owned(),
        None => return Err(Unfit::NotWhole),
    };
    let parameter = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        Ok(match kind_of_bech32(value)? {
            Some(_) => format!("{name}={}", value.to_ascii_uppercase()),
            None => parameter.to_owned(),
        })
    };
    if parameters.is_empty() {
        return Ok(start);
    }
    let parameters: Vec<_> = parameters
        .split('&')
        .map(parameter)
        .collect::<Result<_, Unfit>>()?;
    Ok(format!("{start}?{}", parameters.join("&")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::formats::tests::lnurl_of;
    use super::*;

    const SEGWIT: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const OFFER: &str = "lno1pqpsrp4qpz3k7umrw4ezqvfjxgcrzv33xyenj";

    fn parsed(raw: &str) -> PayCode {
        PayCode::parse(raw).unwrap().unwrap()
    }

    fn read_by_a_scanner(code: &PayCode) -> String {
        qr::tests::read(code.drawing.modules, &code.drawing.path)
    }

    #[test]
    fn each_kind_is_understood_and_drawn_for_its_scanner() {
        let lnurl = lnurl_of("https://h.example/lnurlp/api/v1/lnurl/AbC123");
        let capitals = |text: &str| text.to_ascii_uppercase();
        for (text, kind, scanned) in [
            (
                "shop@example.com",
                Kind::LightningAddress,
                "lightning:shop@example.com",
            ),
            (
                "Shop+till-1@Example.COM",
                Kind::LightningAddress,
                "lightning:shop+till-1@example.com",
            ),
            (
                "lightning:shop@example.com",
                Kind::LightningAddress,
                "lightning:shop@example.com",
            ),
            (
                "LIGHTNING://shop@example.com",
                Kind::LightningAddress,
                "lightning:shop@example.com",
            ),
            (
                "shop@bücher.example:8443",
                Kind::LightningAddress,
                "lightning:shop@xn--bcher-kva.example:8443",
            ),
            (
                "₿shop@example.com",
                Kind::BitcoinName,
                "lightning:shop@example.com",
            ),
            (&lnurl, Kind::LnurlPay, &capitals(&lnurl)),
            (&capitals(&lnurl), Kind::LnurlPay, &capitals(&lnurl)),
            (
                &format!("lightning:{lnurl}"),
                Kind::LnurlPay,
                &capitals(&format!("lightning:{lnurl}")),
            ),
            (
                "lnurlp://h.example/lnurlp/AbC123",
                Kind::LnurlPay,
                "lnurlp://h.example/lnurlp/AbC123",
            ),
            (OFFER, Kind::Offer, &capitals(OFFER)),
            (
                "lno1pqpsrp4q+pz3k7u+mrw4ez",
                Kind::Offer,
                "LNO1PQPSRP4QPZ3K7UMRW4EZ",
            ),
            (
                &format!("lightning:{OFFER}"),
                Kind::Offer,
                &capitals(&format!("lightning:{OFFER}")),
            ),
            (
                SEGWIT,
                Kind::BitcoinAddress,
                &capitals(&format!("bitcoin:{SEGWIT}")),
            ),
            (
                "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
                Kind::BitcoinAddress,
                "bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            ),
            (
                &format!("bitcoin:{SEGWIT}?amount=0.001&label=Beans&lno={OFFER}"),
                Kind::BitcoinUri,
                &format!(
                    "{}?amount=0.001&label=Beans&lno={}",
                    capitals(&format!("bitcoin:{SEGWIT}")),
                    capitals(OFFER)
                ),
            ),
            (
                "bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
                Kind::BitcoinUri,
                "bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            ),
            (
                &format!("bitcoin:?lno={OFFER}"),
                Kind::BitcoinUri,
                &format!("bitcoin:?lno={}", capitals(OFFER)),
            ),
            (
                "https://h.example/tpos/AbC?x=Y",
                Kind::WebAddress,
                "https://h.example/tpos/AbC?x=Y",
            ),
            ("Ask at the counter ☕", Kind::Text, "Ask at the counter ☕"),
            (
                "our code is shop@example.com",
                Kind::Text,
                "our code is shop@example.com",
            ),
            ("upi://pay?pa=shop@bank", Kind::Text, "upi://pay?pa=shop@bank"),
        ] {
            let code = parsed(text);
            assert_eq!((code.kind(), code.scanned()), (kind, scanned), "{text}");
            assert_eq!(read_by_a_scanner(&code), scanned, "{text}");
            assert_eq!(parsed(code.text()), code, "what is stored reads back: {text}");
        }
    }

    #[test]
    fn the_text_below_the_code_stays_readable() {
        for (text, shown) in [
            ("shop@example.com", "shop@example.com"),
            ("lightning:shop@example.com", "shop@example.com"),
            ("₿shop@example.com", "₿shop@example.com"),
            ("https://h.example/tpos/AbC", "https://h.example/tpos/AbC"),
        ] {
            let code = parsed(text);
            assert_eq!((code.drawing().text.as_str(), code.text()), (shown, text));
        }
    }

    #[test]
    fn invisible_characters_and_line_ends_change_nothing() {
        let lnurl = lnurl_of("https://h.example/lnurlp/api/v1/lnurl/AbC123");
        for text in [
            "shop@example.com",
            "₿shop@example.com",
            &lnurl,
            OFFER,
            SEGWIT,
            "https://h.example/tpos/AbC",
        ] {
            let plain = parsed(text);
            let middle = text.char_indices().nth(9).unwrap().0;
            for added in [
                "\u{200B}", "\u{FEFF}", "\u{200E}", "\u{202E}", "\u{2066}", "\u{A0}", "\u{AD}", "\u{2060}",
                "\u{200D}", "\n", "\r\n", "\n    ", "\t", "\u{2028}",
            ] {
                let (start, end) = text.split_at(middle);
                for raw in [
                    format!("{text}{added}"),
                    format!("{added}{text}"),
                    format!("{start}{added}{end}"),
                ] {
                    assert_eq!(PayCode::parse(&raw), Ok(Some(plain.clone())), "{raw:?}");
                }
            }
        }
    }

    #[test]
    fn words_around_a_code_are_not_drawn_into_it() {
        for text in [
            "Pay\nshop@example.com",
            "shop@example.com thanks",
            "Pay\u{A0}shop@example.com",
        ] {
            assert_eq!(parsed(text).kind(), Kind::Text, "{text:?}");
        }
        let spaced = SEGWIT.replace("d6", " d6 ");
        assert_eq!(parsed(&spaced), parsed(SEGWIT), "only a code has a checksum");
    }

    #[test]
    fn a_code_with_a_mistake_in_it_is_not_shown() {
        let lnurl = lnurl_of("https://h.example/lnurlp/api/v1/lnurl/AbC123");
        for text in [
            &lnurl[..lnurl.len() - 1],
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "bitcoin:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
            "bitcoin:",
            "lno1bio",
        ] {
            assert_eq!(PayCode::parse(text), Err(Unfit::NotWhole), "{text}");
        }
    }

    #[test]
    fn no_text_is_no_code_and_a_novel_is_too_long() {
        for nothing in ["", "  ", "\u{200B}\n\u{FEFF}"] {
            assert_eq!(PayCode::parse(nothing), Ok(None));
        }
        assert_eq!(PayCode::parse(&"novel ".repeat(1_000)), Err(Unfit::TooLong));
    }

    #[test]
    fn what_is_refused_is_refused_however_it_is_hidden() {
        let withdraw = lnurl_of("https://h.example/withdraw/api/v1/lnurl/AbC123");
        let (start, end) = withdraw.split_at(20);
        for raw in [
            format!("{start}\u{200B}{end}"),
            format!("{start}\n{end}"),
            format!("{start} {end}"),
            format!("lightning:\u{A0}{withdraw}"),
            "lnurl\u{AD}w://h.example/a".to_owned(),
        ] {
            assert_eq!(PayCode::parse(&raw), Err(Unfit::Withdraws), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed_and_what_is_taken_reads_back(raw in "\\PC{0,60}|[a-z0-9@:/?=.₿+ \\n]{0,60}") {
            if let Ok(Some(code)) = PayCode::parse(&raw) {
                prop_assert_eq!(PayCode::parse(code.text()), Ok(Some(code.clone())));
            }
        }
    }
}
