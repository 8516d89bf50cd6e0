//! Programs at the HTTP door: what they may read, page by page and as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use tillbell_fake_lnbits::{FakeLnbits, NewInvoice, Options as FakeOptions};
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, SystemClock};
use tillbell_till::displays::DisplayRole;
use tillbell_till::engine::{DemoWallet, Reply, Request};
use tillbell_till::screen::view::{Role, SettingsForm};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Output};
use tillbell_web::Web;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::browser::{Answer, Browser};
use crate::shop::{SOON, Shop};

const PATHS: [&str; 5] = [
    "/api/status",
    "/api/payments",
    "/api/today",
    "/api/events",
    "/metrics",
];

/// A program with a token.
struct Program {
    address: SocketAddr,
    token: String,
}

/// What it hears as it comes.
struct Events(BufReader<TcpStream>);

impl Program {
    async fn of(shop: &Shop) -> Self {
        Self {
            address: shop.address(),
            token: shop.add(DisplayRole::Program, "books").await.token.unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let browser = Browser::new(self.address);
        browser.send("GET", path, &[("Authorization", &bearer)], "").await
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn events(&self, last: Option<i64>) -> Events {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let (address, token) = (self.address, &self.token);
        let request = format!(
            "GET /api/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut events = Events(BufReader::new(connection));
        let status = events.line().await.unwrap();
        assert!(status.contains(" 200 "), "{status}");
        events
    }
}

impl Events {
    /// The next line; `None` when there is none any more.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(SOON, self.0.read_line(&mut line)).await.unwrap();
        (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event with its id.
    async fn next(&mut self) -> Option<(Option<i64>, Value)> {
        let mut id = None;
        loop {
            let line = self.line().await?;
            if let Some(seq) = line.strip_prefix("id: ") {
                id = Some(seq.parse().unwrap());
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((id, serde_json::from_str(data).unwrap()));
            }
        }
    }

    async fn of_kind(&mut self, kind: &str) -> (Option<i64>, Value) {
        loop {
            let (id, event) = self.next().await.unwrap();
            if event["event"] == kind {
                return (id, event);
            }
        }
    }

    /// The ids of so many payments.
    async fn payments(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.of_kind("payment").await.0.unwrap());
        }
        ids
    }
}

fn seqs(page: &Value) -> Vec<i64> {
    let payments = page["payments"].as_array().unwrap();
    let seq = |payment: &Value| payment["seq"].as_i64().unwrap();
    payments.iter().map(seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_door_and_nothing_else_does() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let stranger = Browser::new(shop.address());
    let customer = shop.joined(DisplayRole::Customer, "counter").await;
    let operator = shop.joined(DisplayRole::Operator, "office").await;
    for path in PATHS {
        let refused = stranger.get(path).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (401, "no-token"),
            "{path}"
        );
        assert!(
            refused.head.contains("www-authenticate: Bearer"),
            "{}",
            refused.head
        );
        let refused = customer.get(path).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "not-allowed"),
            "{path}"
        );
        if path != "/api/events" {
            assert_eq!(operator.get(path).await.status, 200, "{path}");
            assert_eq!(program.get(path).await.status, 200, "{path}");
        }
        let basic = [("Authorization", "Basic Ym9va3M6")];
        assert_eq!(stranger.send("GET", path, &basic, "").await.status, 401, "{path}");
    }
    let foreign = [("Sec-Fetch-Site", "same-site")];
    let foreign = operator.send("GET", "/api/status", &foreign, "").await;
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "foreign-origin"));
    let moved = operator
        .send("GET", "/api/status", &[("Via", "1.1 proxy")], "")
        .await;
    assert_eq!((moved.status, moved.code().as_str()), (403, "not-private"));
    let revoke = Request::RevokeDisplay {
        name: "books".to_owned(),
    };
    assert_eq!(shop.engine.ask(Role::Operator, revoke).await, Reply::Done);
    for path in PATHS {
        let refused = program.get(path).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (401, "unknown-token"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_at_tokens_is_told_to_stop_and_the_right_one_is_not_held_up() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut refused = Vec::new();
    for nth in 0..15 {
        let guess = Program {
            address: program.address,
            token: if nth == 0 {
                "letmein".to_owned()
            } else {
                format!("{nth:064x}")
            },
        };
        refused.push(guess.get("/api/status").await.status);
    }
    assert_eq!(refused[..10], [401; 10]);
    assert_eq!(refused[10..], [429; 5]);
    assert_eq!(program.get("/api/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_how_wallets_are_heard_and_how_displays_are() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let status = program.json("/api/status").await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["wallets"], json!([{"name": "Beans", "state": "live"}]));
    assert_eq!(status["displays"][0]["name"], "books");
    assert_eq!(status["displays"][0]["role"], "program");
    let _events = program.events(None).await;
    let status = program.json("/api/status").await;
    assert_eq!(status["displays"][0]["connected"], true);
    assert_eq!(status["displays"][0]["address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_payment_once_while_new_ones_come() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut events = program.events(None).await;
    for sats in 1..=250 {
        shop.sell(sats, "Coffee");
    }
    let told: BTreeSet<_> = events.payments(250).await.into_iter().collect();
    assert_eq!(told.len(), 250);
    let (mut read, mut after, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = program.json(&format!("/api/payments?limit=70{after}")).await;
        shop.sell(1_000, "Meanwhile");
        events.payments(1).await;
        sizes.push(seqs(&page).len());
        read.extend(seqs(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [70, 70, 70, 40]);
    assert_eq!(read, told.into_iter().rev().collect::<Vec<_>>());
    let usual = program.json("/api/payments").await;
    assert_eq!(seqs(&usual).len(), 100);
    assert_eq!(usual["payments"][0]["memo"], "Meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_the_object_of_watch_with_its_place_and_is_found_again() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut events = program.events(None).await;
    shop.sell(21, "Two coffees");
    let (id, told) = events.of_kind("payment").await;
    shop.sell(42, "Cake");
    events.payments(1).await;
    let page = program.json("/api/payments?search=coff").await;
    assert_eq!(page["next"], Value::Null);
    let mut found = page["payments"][0].clone();
    assert_eq!(found["seq"].as_i64(), id);
    assert_eq!(
        (&found["v"], &found["event"], &found["kind"]),
        (&json!(1), &json!("payment"), &json!("live"))
    );
    assert_eq!(told["kind"], "live");
    // Told to this program when it was committed, and announced when somebody had read its line.
    // This server has not said when it settled.
    assert_eq!(
        (&found["arrived_at"], &told["settled_at"]),
        (&told["heard_at"], &Value::Null)
    );
    for field in ["at", "arrived_at", "seq"] {
        found.as_object_mut().unwrap().remove(field);
    }
    let mut told = told;
    told.as_object_mut().unwrap().remove("at");
    assert_eq!(found, told);
    let hash = told["payment_hash"].as_str().unwrap();
    let heard = told["heard_at"].as_str().unwrap();
    for (query, memos) in [
        (format!("search={}", &hash[..8]), vec!["Two coffees"]),
        ("search=42".to_owned(), vec!["Cake"]),
        ("search=tea".to_owned(), vec![]),
        ("wallet=Beans".to_owned(), vec!["Cake", "Two coffees"]),
        (format!("from={heard}"), vec!["Cake", "Two coffees"]),
        (format!("to={heard}"), vec![]),
        ("to=2026-01-01&wallet=Beans".to_owned(), vec![]),
    ] {
        let page = program.json(&format!("/api/payments?{query}")).await;
        let found: Vec<_> = page["payments"].as_array().unwrap().iter().collect();
        let found: Vec<_> = found.iter().map(|payment| &payment["memo"]).collect();
        assert_eq!(found, memos, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_is_refused_and_says_what_to_do() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    for (query, name, said) in [
        ("from=yesterday", "from", "2026-11-24"),
        ("to=2026-02-30", "to", "2026-11-24"),
        ("from=2026-11-25&to=2026-11-24", "from", "must be after"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("after=x", "after", "leave it out"),
        ("wallet=Bar", "wallet", "There are: Beans."),
        ("search=%20", "search", "leave it out"),
        ("form=2026-11-24", "", "from, to, limit"),
    ] {
        let refused = program.get(&format!("/api/payments?{query}")).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (422, "bad-parameter"),
            "{query}"
        );
        let error = refused.json()["error"].take();
        assert_eq!(error["args"]["name"], name, "{query}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let browser = Browser::new(shop.address());
    let bearer = format!("Bearer {}", program.token);
    let headers = [("Authorization", bearer.as_str()), ("Last-Event-ID", "seven")];
    let refused = browser.send("GET", "/api/events", &headers, "").await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["error"]["args"]["name"], "Last-Event-ID");
}

/// Sums of a page's payments, computed here: msat and how many by method, and the smallest units of fiat by method and currency.
type Computed = (BTreeMap<String, (u64, u64)>, BTreeMap<(String, String), u64>);

fn computed(payments: &[Value]) -> Computed {
    let (mut methods, mut fiat) = (BTreeMap::new(), BTreeMap::new());
    for payment in payments {
        let method = payment["method"].as_str().unwrap();
        let sum: &mut (u64, u64) = methods.entry(method.to_owned()).or_default();
        *sum = (sum.0 + 1, sum.1 + payment["amount_msat"].as_u64().unwrap());
        if method != "lightning" {
            let (currency, units) = units(&payment["fiat"]);
            *fiat.entry((method.to_owned(), currency)).or_default() += units;
        }
    }
    (methods, fiat)
}

/// An amount in its currency's smallest unit.
fn units(fiat: &Value) -> (String, u64) {
    let digits = fiat["amount"].as_str().unwrap().replace('.', "");
    let currency = fiat["currency"].as_str().unwrap();
    (currency.to_owned(), digits.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sums_of_today_are_those_of_its_payments_and_never_mix_methods() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let nothing = program.json("/api/today").await;
    assert_eq!((&nothing["count"], &nothing["sum_msat"]), (&json!(0), &json!(0)));
    assert_eq!(
        nothing["by_method"]["lightning"],
        json!({"count": 0, "sum_msat": 0})
    );
    let mut events = program.events(None).await;
    let mut sold = 0;
    let mut sell = |invoice| {
        let invoice = shop.fake.make_invoice(&shop.wallet, invoice);
        assert!(shop.fake.settle(&invoice.payment_hash));
        sold += 1;
    };
    for cents in [10, 20, 70, 105, 333] {
        sell(NewInvoice::sats(cents, "Coffee"));
        sell(NewInvoice::by_card(cents, "Cake", "EUR", cents as f64 / 100.0));
        sell(NewInvoice::in_cash(cents, "Tea", "EUR", cents as f64 / 10.0));
        sell(NewInvoice::by_card(cents, "Sushi", "JPY", cents as f64));
    }
    events.payments(sold).await;
    let today = program.json("/api/today").await;
    let page = program.json("/api/payments?limit=1000").await;
    let (methods, fiat) = computed(page["payments"].as_array().unwrap());
    assert_eq!(methods.len(), 3);
    assert_eq!(today["count"], json!(sold));
    assert_eq!(today["sum_msat"], json!(methods["lightning"].1));
    for (method, (count, sum)) in &methods {
        assert_eq!(
            today["by_method"][method],
            json!({"count": count, "sum_msat": sum})
        );
    }
    let said = today["fiat"].as_array().unwrap().iter().map(|sum| {
        let (currency, units) = units(sum);
        ((sum["method"].as_str().unwrap().to_owned(), currency), units)
    });
    assert_eq!(said.collect::<BTreeMap<_, _>>(), fiat);
    assert_eq!(fiat.len(), 3);
    let date = today["date"].as_str().unwrap();
    let of_the_day = program
        .json(&format!("/api/payments?limit=1000&from={date}&to={date}"))
        .await;
    assert_eq!(of_the_day, page, "{}", today["zone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_away_hears_what_it_missed_and_then_what_comes_each_once() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut witness = program.events(None).await;
    let mut events = program.events(None).await;
    let (id, link) = events.next().await.unwrap();
    assert_eq!((&link["event"], &link["state"]), (&json!("link"), &json!("live")));
    assert_eq!(
        (id, &link["v"], &link["wallet"]),
        (None, &json!(1), &json!("Beans"))
    );
    let mut all = Vec::new();
    for sats in 1..=5 {
        shop.sell(sats, "Coffee");
        all.extend(events.payments(1).await);
    }
    drop(events);
    for sats in 6..=9 {
        shop.sell(sats, "Coffee");
    }
    // Some of these come while it reads what it missed.
    let mut again = program.events(Some(all[1])).await;
    for sats in 10..=40 {
        shop.sell(sats, "Coffee");
    }
    let heard = again.payments(38).await;
    assert_eq!(heard[..3], all[2..]);
    assert_eq!(witness.payments(40).await[2..], heard);
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
    // From the very first one, and from one that there is not.
    assert_eq!(program.events(Some(0)).await.payments(40).await[2..], heard);
    let mut beyond = program.events(Some(1_000_000)).await;
    shop.sell(41, "Coffee");
    let newest = again.payments(1).await;
    assert_eq!(beyond.payments(1).await, newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_is_told_and_a_revoked_program_hears_no_more() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut events = program.events(None).await;
    while events.line().await.unwrap() != ": beat" {}
    shop.fake.stop().await;
    let down = loop {
        let (_, link) = events.of_kind("link").await;
        if link["state"] != "live" {
            break link;
        }
    };
    assert_eq!(down["wallet"], "Beans");
    shop.fake.restart().await.unwrap();
    while events.of_kind("link").await.1["state"] != "live" {}
    let revoke = Request::RevokeDisplay {
        name: "books".to_owned(),
    };
    assert_eq!(shop.engine.ask(Role::Operator, revoke).await, Reply::Done);
    while events.next().await.is_some() {}
    assert_eq!(program.get("/api/events").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_shown_nor_rung_for_is_in_the_record_and_programs_hear_of_it() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut events = program.events(None).await;
    let form = SettingsForm {
        announce_card: Some(false),
        ..SettingsForm::default()
    };
    let changed = shop
        .engine
        .ask(Role::Operator, Request::ChangeSettings { form })
        .await;
    assert!(matches!(changed, Reply::Settings { .. }), "{changed:?}");
    let card = NewInvoice::by_card(21, "Cake", "EUR", 1.5);
    let card = shop.fake.make_invoice(&shop.wallet, card);
    assert!(shop.fake.settle(&card.payment_hash));
    let (id, told) = events.of_kind("payment").await;
    assert_eq!(
        (&told["memo"], &told["method"], &told["fiat"]["amount"]),
        (&json!("Cake"), &json!("card"), &json!("1.50"))
    );
    let (again, _) = program.events(Some(0)).await.of_kind("payment").await;
    assert_eq!(again, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_payments_links_displays_and_refusals() {
    let shop = Shop::open().await;
    let program = Program::of(&shop).await;
    let mut events = program.events(None).await;
    shop.sell(21, "Coffee");
    let card = NewInvoice::by_card(21, "Cake", "EUR", 1.5);
    let card = shop.fake.make_invoice(&shop.wallet, card);
    assert!(shop.fake.settle(&card.payment_hash));
    events.payments(2).await;
    Browser::new(shop.address()).get("/api/today").await;
    let metrics = program.get("/metrics").await;
    assert!(
        metrics.head.contains("content-type: text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    for line in [
        "# TYPE tillbell_payments_total counter",
        "tillbell_payments_total{wallet=\"Beans\",method=\"lightning\"} 1",
        "tillbell_payments_total{wallet=\"Beans\",method=\"card\"} 1",
        "tillbell_recording_seconds_count 2",
        "tillbell_link_state{wallet=\"Beans\",state=\"live\"} 1",
        "tillbell_link_state{wallet=\"Beans\",state=\"down\"} 0",
        "tillbell_displays_connected{role=\"program\"} 1",
        "tillbell_displays_connected{role=\"customer\"} 0",
        "tillbell_web_refused_total{code=\"no-token\"} 1",
    ] {
        assert!(
            metrics.body.lines().any(|said| said == line),
            "{line}\n{}",
            metrics.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_demo_is_taken_for_a_record() {
    let fake = FakeLnbits::start(FakeOptions::default()).await.unwrap();
    let wallet = fake.add_wallet("Café Tillbell");
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (engine, _outlets) = Engine::start(Options {
        profile: Profile::at(folder.path()),
        output: Output::Service,
        dialer: Dialer::default(),
        clock: clock.clone(),
        chimes: Vec::new(),
        demo: Some(DemoWallet {
            server: fake.base_url().parse().unwrap(),
            key: wallet.invoice_key.parse().unwrap(),
            name: wallet.name.clone(),
        }),
        only: None,
    })
    .unwrap();
    let web = Web::open(engine.clone(), clock, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let add = Request::AddDisplay {
        role: DisplayRole::Program,
        name: None,
    };
    let Reply::DisplayAdded { added, .. } = engine.ask(Role::Operator, add).await else {
        panic!("no token")
    };
    let program = Program {
        address: web.address(),
        token: added.token.unwrap(),
    };
    for path in ["/api/payments", "/api/today", "/api/events"] {
        let refused = program.get(path).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "demo"), "{path}");
    }
    assert_eq!(program.get("/api/status").await.status, 200);
    engine.stop().await;
    assert_eq!(program.get("/api/status").await.code(), "ended");
}
