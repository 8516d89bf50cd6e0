//! What strangers, careless programs and curious customers send: each is refused, and payments go on.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::json;
use tillbell_till::displays::DisplayRole;
use tillbell_web::Outside;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::browser::{Browser, read};
use crate::shop::{SOON, Shop, token_of};

/// Sockets that the flood tries to open; how many it may is said.
const SOCKETS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guesses_at_a_token_are_told_to_stop_and_the_right_one_is_not_held_up() {
    let shop = Shop::open().await;
    let token = token_of(&shop.add(DisplayRole::Customer, "counter").await);
    let mut guesser = Browser::new(shop.address());
    let mut refused = Vec::new();
    for nth in 0..1_000 {
        refused.push(guesser.join(&format!("{nth:064x}")).await.status);
    }
    assert_eq!(refused[..10], [401; 10]);
    assert_eq!(refused[10..], [429; 990]);
    guesser.cookie = Some(format!("{}={:064x}", cookie_name(&shop).await, 7));
    assert_eq!(guesser.get("/door/me").await.status, 429);
    guesser.cookie = None;
    assert_eq!(guesser.join(&token).await.status, 204);
    assert_eq!(guesser.get("/door/me").await.status, 200);
}

async fn cookie_name(shop: &Shop) -> String {
    let browser = shop.joined(DisplayRole::Customer, "another").await;
    browser.cookie.unwrap().split_once('=').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ours_is_refused_and_so_is_a_page_of_somebody_else() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    for host in ["evil.example", "evil.example:7878", "127.0.0.1.evil.example", ""] {
        let answer = tablet.send("GET", "/", &[("Host", host)], "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (421, "foreign-host"),
            "{host}"
        );
    }
    let heartbeat = json!({"ask": "heartbeat", "beat": 1}).to_string();
    let foreign: [&[(&str, &str)]; 5] = [
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "https://127.0.0.1")],
        // A cookie alone changes nothing.
        &[],
        &[
            ("Origin", "http://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
    ];
    for headers in foreign {
        let answer = tablet.send("POST", "/door/ask", headers, &heartbeat).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "foreign-origin"),
            "{headers:?}"
        );
    }
    for site in ["cross-site", "same-site", "none"] {
        let answer = tablet
            .send("GET", "/door/pictures", &[("Sec-Fetch-Site", site)], "")
            .await;
        assert_eq!(answer.status, 403, "{site}");
    }
    assert_eq!(tablet.post("/door/ask", &heartbeat).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_may_not_do_what_is_the_shops() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    for asked in [
        json!({"ask": "settings"}),
        json!({"ask": "wallets"}),
        json!({"ask": "displays"}),
        json!({"ask": "unpair", "name": "Beans"}),
        json!({"ask": "add-display", "role": "operator", "name": null}),
        json!({"ask": "revoke-display", "name": "counter"}),
        json!({"ask": "open-welcome"}),
        json!({"ask": "pair", "form": {"pairing": "x", "invoiceKey": null, "name": null, "allowInsecure": false}}),
        json!({"ask": "change-settings", "form": {"volume": 0}}),
        json!({"ask": "dismiss-showing", "showing": 1}),
        json!({"ask": "flash-layout", "layout": null}),
        json!({"ask": "test-ring"}),
        json!({"ask": "show"}),
        json!({"ask": "something-new"}),
    ] {
        let answer = tablet.ask(&asked).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "not-allowed"),
            "{asked}"
        );
    }
    for nonsense in ["", "{", "[]", "{\"ask\":7}", "null"] {
        let status = tablet.post("/door/ask", nonsense).await.status;
        assert!(matches!(status, 400 | 403), "{nonsense}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_from_elsewhere_or_through_a_proxy_is_refused() {
    let shop = Shop::open().await;
    let office = shop.joined(DisplayRole::Operator, "office").await;
    assert_eq!(office.get("/door/me").await.status, 200);
    let elsewhere: [(&str, &str); 5] = [
        ("Host", "192.168.1.5:7878"),
        ("X-Forwarded-For", "192.168.1.5"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=192.168.1.5"),
        ("Via", "1.1 proxy"),
    ];
    for header in elsewhere {
        let answer = office.send("GET", "/door/me", &[header], "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "not-private"),
            "{header:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_link_that_was_opened_where_others_could_read_it_is_no_longer_good() {
    let shop = Shop::open().await;
    let token = token_of(&shop.add(DisplayRole::Operator, "office").await);
    let body = json!({"token": token, "nonce": "7".repeat(64)}).to_string();
    let elsewhere = [
        ("Host", "192.168.1.5:7878"),
        ("Origin", "http://192.168.1.5:7878"),
    ];
    let browser = Browser::new(shop.address());
    let refused = browser.send("POST", "/door/join", &elsewhere, &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-private"));
    assert!(!refused.head.contains("set-cookie"));
    let mut here = Browser::new(shop.address());
    assert_eq!(here.join(&token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_proxy_that_was_named_says_who_asks_and_whether_that_was_encrypted() {
    let outside = |proxy: &str| Outside {
        public_url: Some("https://till.shop.example/".parse().unwrap()),
        proxy: Some(proxy.parse().unwrap()),
        ..Outside::default()
    };
    let forwarded = |host| {
        [
            ("Host", host),
            ("Origin", "https://till.shop.example"),
            ("X-Forwarded-For", "10.9.9.9, 203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("Via", "1.1 proxy"),
        ]
    };
    let join = |shop: &Shop, token: &str| {
        let (browser, body) = (
            Browser::new(shop.address()),
            json!({"token": token, "nonce": "7".repeat(64)}),
        );
        async move {
            browser
                .send(
                    "POST",
                    "/door/join",
                    &forwarded("till.shop.example"),
                    &body.to_string(),
                )
                .await
        }
    };
    let shop = Shop::open_with(|_| outside("127.0.0.1")).await;
    let added = shop.add(DisplayRole::Operator, "office").await;
    assert!(
        added
            .link
            .as_ref()
            .unwrap()
            .starts_with("https://till.shop.example/join#")
    );
    let joined = join(&shop, &token_of(&added)).await;
    assert_eq!(joined.status, 204);
    let cookie = joined
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(cookie.starts_with("__Host-"), "{cookie}");
    let mut office = Browser::new(shop.address());
    office.cookie = cookie.split(';').next().map(str::to_owned);
    let me = office
        .send("GET", "/door/me", &forwarded("till.shop.example"), "")
        .await;
    assert_eq!(me.json()["name"], "office");

    // Of another peer it is only somebody's word.
    let shop = Shop::open_with(|_| outside("192.0.2.1")).await;
    let token = token_of(&shop.add(DisplayRole::Operator, "office").await);
    let refused = join(&shop, &token).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "foreign-origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programs_token_draws_no_scenes() {
    let shop = Shop::open().await;
    let token = shop.add(DisplayRole::Program, "till").await.token.unwrap();
    let bearer = format!("Bearer {token}");
    let program = Browser::new(shop.address());
    for path in ["/door/me", "/door/pictures"] {
        let answer = program.send("GET", path, &[("Authorization", &bearer)], "").await;
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_climb_or_are_unknown_lead_nowhere() {
    let shop = Shop::open().await;
    let browser = Browser::new(shop.address());
    for path in [
        "/../Cargo.toml",
        "/assets/../index.html",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/..%2findex.html",
        "/assets/..%5cindex.html",
        "/assets/%2e%2e/%2e%2e/Cargo.toml",
        "/assets//etc/passwd",
        "/index.html",
        "/settings",
        "/door",
        "/door/",
        "/door/me/",
        "/JOIN",
        "//",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "no-such-path"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_not_read() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let long = format!("{{\"ask\":\"{}\"}}", "x".repeat(1_000_000));
    let began = Instant::now();
    let status = tablet.post("/door/ask", &long).await.status;
    // Who goes on sending may find the connection closed before it has read the answer.
    assert!(matches!(status, 413 | 0), "{status}");
    let header = "x".repeat(1_000_000);
    let status = tablet.send("GET", "/", &[("X-Long", &header)], "").await.status;
    assert!(matches!(status, 431 | 0), "{status}");
    assert!(began.elapsed() < SOON);
    assert_eq!(tablet.get("/door/me").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_loses_the_connection() {
    let shop = Shop::open().await;
    let slow_head = async {
        let mut connection = TcpStream::connect(shop.address()).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        let began = Instant::now();
        read(connection).await;
        began.elapsed()
    };
    let slow_body = async {
        let mut connection = TcpStream::connect(shop.address()).await.unwrap();
        let head = format!(
            "POST /door/knock HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 80\r\n\r\n{{",
            shop.address()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        (Instant::now(), read(connection).await)
    };
    let (head, (began, body)) = tokio::join!(slow_head, slow_body);
    assert!(head >= Duration::from_secs(4) && head < SOON, "{head:?}");
    assert_eq!(body.status, 408);
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
}

/// Strangers come from some twenty machines.
fn stranger(nth: usize) -> SocketAddr {
    let machine = 2 + u8::try_from(nth % 20).unwrap();
    (Ipv4Addr::new(127, 0, 0, machine), 0).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_hold_up_no_payment_and_no_display() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let mut pictures = tablet.pictures().await;
    pictures.until(|_| true).await.unwrap();
    let address = shop.address();
    let flood = tokio::spawn(async move {
        let mut open = Vec::new();
        for nth in 0..SOCKETS {
            let socket = TcpSocket::new_v4().and_then(|socket| socket.bind(stranger(nth)).map(|()| socket));
            // Whoever has no handle left has done what it can.
            let Ok(socket) = socket else { break };
            let Ok(Ok(mut socket)) = timeout(SOON, socket.connect(address)).await else {
                break;
            };
            let _ = socket.write_all(b"GET /door/me HTTP/1.1\r\n").await;
            open.push(socket);
        }
        open
    });
    for sats in [21, 42, 84] {
        let began = Instant::now();
        shop.sell(sats, "Coffee");
        let showing = pictures.paid(sats).await["showing"].clone();
        assert!(began.elapsed() < SOON);
        // As its page does, it says so until it is heard: in such a rush its connection may be taken for one more stranger's.
        let painted = json!({"ask": "painted", "showing": showing});
        while tablet.ask(&painted).await.status != 200 {
            assert!(began.elapsed() < SOON);
        }
        let dismiss = tillbell_till::engine::Request::DismissShowing {
            showing: showing.as_u64().unwrap(),
        };
        let operator = tillbell_till::screen::view::Role::Operator;
        shop.engine.ask(operator, dismiss).await;
    }
    let mut open = flood.await.unwrap();
    println!("{} sockets were opened", open.len());
    assert!(open.len() > 200);
    // All but a few were closed again.
    let mut held = 0;
    for socket in &mut open {
        let mut end = [0; 1];
        let closed = timeout(Duration::from_millis(1), socket.read(&mut end))
            .await
            .is_ok();
        held += usize::from(!closed);
    }
    assert!(held <= 128, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_screens_of_one_address_cannot_ask() {
    let shop = Shop::open().await;
    for _ in 0..4 {
        assert_eq!(Browser::new(shop.address()).knock().await.status, 200);
    }
    let refused = Browser::new(shop.address()).knock().await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too-many-ask"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_key_is_in_no_answer() {
    let shop = Shop::open().await;
    let mut office = shop.joined(DisplayRole::Operator, "office").await;
    let mut said = String::new();
    for path in ["/", "/join", "/healthz", "/door/me", "/nowhere"] {
        let answer = office.get(path).await;
        said += &format!("{}{}", answer.head, answer.body);
    }
    for asked in ["settings", "wallets", "displays"] {
        said += &office.ask(&json!({"ask": asked})).await.body;
    }
    let mut pictures = office.pictures().await;
    said += &pictures.until(|_| true).await.unwrap().to_string();
    assert!(said.contains("Beans"));
    for key in [&shop.wallet.invoice_key, &shop.wallet.admin_key] {
        assert!(!said.contains(key.as_str()));
    }
}
