//! What goes wrong at pairing has a sentence of its own, and what was paired before stays as it was; what cannot be
//! read on disk is set aside and the display goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tillbell_fake_lnbits::{NewInvoice, Version, Wallet};
use tillbell_tests::{Fake, Profile, RealLnbits, SelfSigned, Watch, headless};

type Result = anyhow::Result<()>;

const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";

/// A display that is paired and well, on which bad pairings are tried.
struct Paired {
    server: Fake,
    wallet: Wallet,
    profile: Profile,
}

impl Paired {
    fn new() -> anyhow::Result<Self> {
        let server = Fake::start(Version::V1_6)?;
        let wallet = server.add_wallet("shop");
        let profile = Profile::new()?;
        headless(
            &profile,
            &["pair", &lndhub(&wallet.invoice_key, &server.base_url())],
        )?
        .well()
        .context("pairing")?;
        Ok(Self {
            server,
            wallet,
            profile,
        })
    }

    /// Tries to pair; answers with the sentence, without the address in it.
    fn refused(&self, what: &str, arguments: &[&str], address: &str) -> anyhow::Result<String> {
        let before = self.bound()?;
        let began = Instant::now();
        let said = headless(&self.profile, &[&["pair"], arguments].concat())?;
        assert!(!said.status.success(), "{what} was accepted:\n{}", said.read());
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{what} took {:?}",
            began.elapsed()
        );
        assert_eq!(
            self.bound()?,
            before,
            "{what}: what was paired before stays as it was"
        );
        let sentence = said.stderr.trim().replace(address, "ADDRESS");
        assert!(
            sentence.contains(' ') && sentence.ends_with(['.', '?']),
            "{what} has no sentence: {sentence:?}"
        );
        assert!(!said.read().contains("panicked"), "{what}: {}", said.read());
        Ok(sentence)
    }

    fn bound(&self) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        Ok((
            self.profile.read("pairings.json")?,
            self.profile.read("secrets.json")?,
        ))
    }
}

fn lndhub(key: &str, server: &str) -> String {
    format!("lndhub://invoice:{key}@{server}/lndhub/ext/")
}

#[test]
fn every_bad_pairing_has_its_own_sentence_and_changes_nothing() -> Result {
    let paired = Paired::new()?;
    let real = RealLnbits::shared()?;
    let theirs = real.wallet("theirs")?;
    let portal = Fake::start(Version::V1_6)?;
    portal.faults().captive_portal();
    let self_signed = SelfSigned::start()?;
    let url = real.url();
    let socket = |id: &str| format!("{}/api/v1/ws/{id}", url.replace("http:", "ws:"));

    // (what it is, what is given, the address that may stand in the sentence, a word that must)
    let cases: [(&str, Vec<String>, String, &[&str]); 9] = [
        (
            "a wrong server",
            vec![lndhub(UNKNOWN, "http://127.0.0.1:9")],
            "127.0.0.1:9".into(),
            &["server", "reach", "connect"],
        ),
        ("a wrong key", vec![lndhub(UNKNOWN, &url)], url.clone(), &["key"]),
        (
            "an admin key",
            vec![lndhub(&theirs.admin_key, &url)],
            url.clone(),
            &["admin", "spend"],
        ),
        (
            "a wallet id",
            vec![socket(&theirs.id)],
            url.clone(),
            &["wallet id", "invoice key", "Invoice/read key"],
        ),
        (
            "a wallet's page",
            vec![theirs.page(&url)],
            url.clone(),
            &["invoice key", "Invoice/read key"],
        ),
        (
            "http to a far host",
            vec![lndhub(UNKNOWN, "http://192.0.2.1")],
            "192.0.2.1".into(),
            &["http", "--allow-insecure", "read"],
        ),
        (
            "a captive portal",
            vec![lndhub(UNKNOWN, &portal.base_url())],
            portal.base_url(),
            &["page", "log in", "LNbits"],
        ),
        (
            "a bad certificate",
            vec![lndhub(UNKNOWN, &self_signed.url())],
            self_signed.url(),
            &["certificate"],
        ),
        (
            "nonsense",
            vec!["coffee please".into()],
            "coffee please".into(),
            &["paste", "Paste"],
        ),
    ];
    let mut sentences = BTreeMap::new();
    for (what, given, address, words) in &cases {
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let sentence = paired.refused(what, &given, address)?;
        assert!(
            words.iter().any(|word| sentence.contains(word)),
            "{what}: {sentence}"
        );
        if let Some(other) = sentences.insert(sentence.clone(), what) {
            panic!("{what} and {other} have the same sentence: {sentence}");
        }
    }
    // The first pairing still works.
    let mut watch = Watch::live(&paired.profile)?;
    let invoice = paired
        .server
        .make_invoice(&paired.wallet, NewInvoice::sats(5, "still here"));
    assert!(paired.server.settle(&invoice.payment_hash));
    watch.payment(&invoice.payment_hash)?;
    watch.stop()
}

#[test]
fn what_is_no_pairing_at_all_says_what_to_paste() -> Result {
    let paired = Paired::new()?;
    let url = paired.server.base_url();
    for (what, text) in [
        ("nothing", ""),
        ("spaces", "   "),
        (
            "an invoice",
            "lnbc10u1p4sf9l9dq2gdhkven9v5xqrrsssp5yp58pk7wyuecyheuwrxp3zfvrwf463pjry86cmsj37hv4h0znsmspp5",
        ),
        (
            "an LNURL",
            "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS",
        ),
        (
            "a wallet connect address",
            "nostr+walletconnect://b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4?relay=wss%3A%2F%2Frelay.example.com&secret=71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c",
        ),
        ("a bare key", UNKNOWN),
        ("a broken address", "http://[::1"),
        ("a file", "file:///etc/passwd"),
        (
            "a key that is none",
            "lndhub://invoice:short@https://127.0.0.1/lndhub/ext/",
        ),
    ] {
        let said = paired.refused(what, &[text], &url)?;
        assert!(
            !said.contains("71a8c14c") && !said.contains(UNKNOWN),
            "{what}: a secret is repeated: {said}"
        );
    }
    Ok(())
}

#[test]
fn a_wallet_id_alone_is_refused_where_there_is_something_to_ask() -> Result {
    let paired = Paired::new()?;
    let real = RealLnbits::shared()?;
    let theirs = real.wallet("theirs")?;
    let sentence = paired.refused(
        "a wallet id",
        &["--server", &real.url(), "--wallet-id", &theirs.id],
        &real.url(),
    )?;
    assert!(sentence.contains("key"), "{sentence}");
    // And a key never falls back to a wallet id.
    paired.refused(
        "a wallet id as key",
        &["--server", &real.url(), "--key", &theirs.id],
        &real.url(),
    )?;
    Ok(())
}

#[test]
fn a_ledger_that_cannot_be_read_is_set_aside_and_nothing_old_rings() -> Result {
    let shop = Paired::new()?;
    let sell = |memo: &str| {
        let invoice = shop
            .server
            .make_invoice(&shop.wallet, NewInvoice::sats(100, memo));
        assert!(shop.server.settle(&invoice.payment_hash));
        invoice.payment_hash
    };
    let mut watch = Watch::live(&shop.profile)?;
    for memo in ["one", "two", "three"] {
        let hash = sell(memo);
        watch.payment(&hash)?;
    }
    watch.stop()?;
    let bound = whom(&shop)?;

    for file in shop.profile.files()? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("ledger.sqlite3-") {
            std::fs::remove_file(file)?;
        }
    }
    shop.profile
        .write("ledger.sqlite3", &b"this was a ledger once".repeat(500))?;

    let mut watch = Watch::live(&shop.profile)?;
    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), Vec::<&str>::new(), "nothing old rings");
    let new = sell("after");
    watch.payment(&new)?;
    assert_eq!(watch.announced(), [new]);
    assert_eq!(whom(&shop)?, bound, "the pairing survives");
    let said = watch.program().stderr();
    assert!(said.contains("set aside"), "the terminal says so:\n{said}");
    watch.stop()?;
    set_aside(&shop.profile, "ledger", b"this was a ledger once")
}

#[test]
fn a_setting_that_is_no_toml_is_named_and_kept() -> Result {
    let shop = Paired::new()?;
    let text = b"dwell_s = 5\nvolume = as loud as it gets";
    shop.profile.write("settings.toml", text)?;
    let mut watch = Watch::live(&shop.profile)?;
    let said = watch.program().stderr();
    assert!(said.contains("Line 2 of settings.toml makes no sense"), "{said}");
    watch.stop()?;
    assert_eq!(shop.profile.read("settings.toml")?, text);
    Ok(())
}

#[test]
fn doctor_names_each_setting_that_makes_no_sense() -> Result {
    let profile = Profile::new()?;
    let text = "dwell_s = 7.5\nvolume = \"loud\"\npay_code = \"lnurlw://h.example/a\"\n";
    profile.write("settings.toml", text.as_bytes())?;
    let said = headless(&profile, &["doctor"])?.read();
    for words in ["“dwell_s”", "“volume”", "pays your customer"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let kept = String::from_utf8(profile.read("settings.toml")?)?;
    assert_eq!(kept, text, "it looks and touches nothing");
    Ok(())
}

/// Which wallet the display is bound to, as stored. (The line between old and new moves when a ledger is lost.)
fn whom(shop: &Paired) -> anyhow::Result<[serde_json::Value; 4]> {
    let (pairing, secrets) = shop.bound()?;
    let mut pairing: serde_json::Value = serde_json::from_slice(&pairing)?;
    Ok([
        pairing["server"].take(),
        pairing["reference"].take(),
        pairing["name"].take(),
        serde_json::from_slice(&secrets)?,
    ])
}

/// There is a file beside `NAME.…` with a date in its name that begins with `content`.
fn set_aside(profile: &Profile, name: &str, content: &[u8]) -> Result {
    let files = profile.files()?;
    let aside = files.iter().find(|file| {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy();
        let dated = file_name.chars().filter(char::is_ascii_digit).count() >= 8;
        file_name.starts_with(name)
            && dated
            && std::fs::read(file).is_ok_and(|bytes| bytes.starts_with(content))
    });
    aside.with_context(|| format!("nothing was set aside: {files:?}"))?;
    Ok(())
}
