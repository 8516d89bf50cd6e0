//! A planted key is looked for everywhere that a key has no business to be.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::Context as _;
use tillbell_fake_lnbits::Version;
use tillbell_fake_lnbits::faults::{Fault, RestFault};
use tillbell_tests::{
    Fake, Http, Profile, RealLnbits, Relay, Screen, Tablet, Wallet, Watch, Window, free_port, headless,
    headless_being_told, headless_traced, heavy_test_permit, until,
};

type Result = anyhow::Result<()>;

/// The one file that holds the key, for its owner only.
const SECRETS: &str = "secrets.json";

fn search(place: &str, text: &str, keys: &[&str]) {
    for key in keys {
        assert!(
            !text.to_lowercase().contains(*key),
            "a key stands in {place}:\n{}",
            around(text, key)
        );
    }
}

fn around<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines()
        .find(|line| line.to_lowercase().contains(key))
        .unwrap_or_default()
}

fn search_files(profile: &Profile, keys: &[&str]) -> Result {
    let files = profile.files()?;
    assert!(
        files.iter().any(|file| file.ends_with("ledger.sqlite3")),
        "{files:?}"
    );
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        if file == profile.path().join(SECRETS) {
            let mode = std::fs::metadata(&file)?.permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "the key's file is for its owner only");
            continue;
        }
        search(
            &file.display().to_string(),
            &String::from_utf8_lossy(&bytes),
            keys,
        );
    }
    Ok(())
}

fn keys(wallet: &Wallet) -> [&str; 2] {
    [&wallet.invoice_key, &wallet.admin_key]
}

/// How many processes of this machine have this in their command line.
fn processes_that_show(text: &str) -> anyhow::Result<usize> {
    let shows = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    let processes: Vec<_> = std::fs::read_dir("/proc")?.collect::<std::io::Result<_>>()?;
    Ok(processes.iter().filter(|process| shows(process)).count())
}

#[test]
fn a_key_that_comes_from_standard_input_stands_in_no_process_list() -> Result {
    let server = Fake::start(Version::V1_6)?;
    let wallet = server.add_wallet("shop");
    let (key, url) = (&*wallet.invoice_key, server.base_url());
    let profile = Profile::new()?;
    // It waits for an answer as long as we look.
    server.faults().set(Fault::Rest(None, RestFault::Hang));
    let pairing = format!("lndhub://invoice:{key}@{url}/lndhub/ext/");
    for (arguments, input, shown) in [
        (&["pair", "-"][..], &*pairing, 0),
        (&["pair", "--server", &url, "--key", "-"], key, 0),
        (&["pair", &url, "--key", "-"], key, 0),
        // What others can see otherwise.
        (&["pair", &pairing], "", 1),
    ] {
        server.reset_requests();
        let mut pairing = headless_being_told(&profile, arguments, &format!("{input}\n"))?;
        until("it asks the server", Duration::from_secs(10), || {
            Ok((server.requests().total() > 0).then_some(()))
        })?;
        let line = std::fs::read(format!("/proc/{}/cmdline", pairing.id()))?;
        assert!(String::from_utf8_lossy(&line).contains("pair"), "{arguments:?}");
        assert_eq!(processes_that_show(key)?, shown, "{arguments:?}");
        pairing.kill()?;
        pairing.wait()?;
    }
    let help = headless(&profile, &["pair", "--help"])?.well()?.stdout;
    assert_eq!(help.matches("process list").count(), 2, "{help}");
    Ok(())
}

#[test]
fn no_key_is_in_what_the_terminal_program_writes() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, other, customer) = (
        lnbits.wallet("shop")?,
        lnbits.wallet("other")?,
        lnbits.customer()?,
    );
    let relay = Relay::to(lnbits.port())?;
    let url = relay.url();
    let profile = Profile::new()?;
    let unknown = "0123456789abcdeffedcba9876543210";
    let planted = [&keys(&shop)[..], &keys(&other), &[unknown]].concat();
    let socket = |key: &str| format!("{}/api/v1/ws/{key}", url.replace("http:", "ws:"));

    // Pairing well and badly, in every form that carries a key.
    let far = format!("lndhub://invoice:{unknown}@http://192.0.2.1/lndhub/ext/");
    let gone = format!("lndhub://invoice:{unknown}@http://127.0.0.1:9/lndhub/ext/");
    let own = format!("tillbell:pair?server={url}&key={}&name=Shop", other.invoice_key);
    let wrong = format!("lndhub://invoice:{unknown}@{url}/lndhub/ext/");
    let admin = format!("lndhub://admin:{}@{url}/lndhub/ext/", shop.admin_key);
    for pairing in [
        &far,
        &gone,
        &wrong,
        &admin,
        &socket(&shop.admin_key),
        &socket(unknown),
        &format!("garbage {unknown}"),
        &own,
        &socket(&other.invoice_key),
        &shop.lndhub(&url),
    ] {
        let said = headless_traced(&profile, &["pair", pairing])?;
        search("what `pair` says", &said.read(), &planted);
    }
    let said = headless_traced(&profile, &["pair", "--server", &url, "--key", &shop.admin_key])?;
    assert!(!said.status.success());
    search("what `pair` says", &said.read(), &planted);

    // A day at the till, with trouble.
    let mut watch = Watch::traced(&profile)?;
    watch.until_live()?;
    let sold = lnbits.sell(&shop, &customer, 100, "Coffee")?;
    watch.payment(&sold.payment_hash)?;
    lnbits.say(&shop.invoice_key, "{\"payment\": {\"payment_hash\": \"no\"}}")?;
    relay.drop_connections();
    let sold = lnbits.sell(&shop, &customer, 101, "Tea")?;
    watch.payment(&sold.payment_hash)?;
    watch.until_live()?;
    let program = watch.program();
    program.stop()?;
    let (out, err) = (program.stdout(), program.stderr());
    assert!(
        err.lines().count() > 4,
        "at trace there is something to search:\n{err}"
    );
    search("standard output", &out, &planted);
    search("the log", &err, &planted);

    for command in [&["doctor"][..], &["export", "--csv"]] {
        let said = headless_traced(&profile, command)?;
        search(command[0], &said.read(), &planted);
    }
    search_files(&profile, &planted)
}

#[test]
fn no_key_is_in_what_the_window_writes_or_shows() -> Result {
    let _permit = heavy_test_permit();
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let unknown = "fedcba98765432100123456789abcdef";
    let planted = [&keys(&shop)[..], &[unknown]].concat();
    let profile = Profile::new()?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open_traced(&screen, &profile)?;

    // Everything that crosses to the page is noted there.
    window.run(
        "window.crossed = [];
         const channel = window.__TAURI_INTERNALS__;
         if (channel) {
           const original = channel.transformCallback;
           channel.transformCallback = (callback, once) =>
             original((message) => { window.crossed.push(JSON.stringify(message) ?? ''); return callback?.(message); }, once);
         }",
    )?;
    window.pair(&format!(
        "lndhub://invoice:{unknown}@{}/lndhub/ext/",
        lnbits.url()
    ))?;
    window.until_outcome("failed")?;
    search(
        "the failed attempt's sentence",
        &window.text("outcome")?,
        &planted,
    );
    window.pair(&shop.lndhub(&lnbits.url()))?;
    window.until_scene("idle", std::time::Duration::from_secs(30))?;
    window.until_live()?;
    lnbits.sell(&shop, &customer, 100, "Coffee")?;
    window.until_paid(100_000, std::time::Duration::from_secs(20))?;
    window.until_scene("idle", std::time::Duration::from_secs(20))?;
    window.click("settings-button")?;
    window.text("settings")?;
    search("the page", &window.document()?, &planted);
    let crossed = window.run("return window.crossed.join('\\n')")?;
    search(
        "what crosses to the page",
        crossed.as_str().unwrap_or_default(),
        &planted,
    );
    search("the window's log", &window.stderr(), &planted);
    search("the window's output", &window.stdout(), &planted);
    drop(window);
    search_files(&profile, &planted)
}

#[test]
fn no_key_and_no_secret_of_a_display_is_in_what_the_service_writes() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = Profile::new()?;
    headless(&profile, &["pair", &shop.lndhub(&lnbits.url())])?.well()?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut watch = Watch::serving_traced(&profile, &address)?;
    watch.until_live()?;
    let add = |role: &str| -> anyhow::Result<serde_json::Value> {
        let said = headless(&profile, &["displays", "add", "--role", role, "--json"])?.well()?;
        Ok(serde_json::from_str(&said.stdout)?)
    };
    let (operator, program) = (add("operator")?, add("program")?);
    let link = operator["link"].as_str().context("no link")?;
    let bearer = program["token"].as_str().context("no token")?;
    let tablet = Tablet::open((800, 1280), link)?;
    tablet.until_scene("idle", Duration::from_secs(20))?;
    let cookie = tablet.cookies()?;
    let (_, cookie) = cookie.split_once('=').context("no cookie")?;
    let sold = lnbits.sell(&shop, &customer, 21, "Coffee")?;
    watch.payment(&sold.payment_hash)?;
    let http = Http::new(Duration::from_secs(10));
    let url = format!("http://{address}/api/payments");
    for token in [bearer, &"7".repeat(64)] {
        http.ask(
            "GET",
            &url,
            &[("authorization", &format!("Bearer {token}"))],
            None,
        )?;
    }
    let page = tablet.document()?;
    let log = watch.program().stderr();
    watch.stop()?;
    assert!(log.contains("TRACE"), "nothing was logged");

    let (_, token) = link.split_once('#').context("no token")?;
    let planted = [&keys(&shop)[..], &[token, bearer, cookie]].concat();
    search("the log", &log, &planted);
    search("the page", &page, &planted);
    search_files(&profile, &planted)
}
