//! REST against raw servers: what real servers answered, and every way to answer badly.

#![expect(clippy::unwrap_used, reason = "a test may: the helpers too")]

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};
use tillbell_lnbits::barrier::Barrier;
use tillbell_lnbits::dial::{Budgets, DialError, Dialer};
use tillbell_lnbits::link::Channel;
use tillbell_lnbits::rest::{Dialect, Filter, Looked, NewInvoice, Order, PageQuery, RestError};
use tillbell_lnbits::{InvoiceKey, Msat, PaymentHash, Rest, RowPart, Sat, Server, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const HASH: PaymentHash = PaymentHash([0xab; 32]);

/// What was asked: head and body.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers every question with `answer` and hangs up.
async fn server(answer: impl Into<Vec<u8>>) -> (SocketAddr, Asked) {
    let answer = answer.into();
    treating(move |mut tcp| {
        let answer = answer.clone();
        async move {
            let _ = tcp.write_all(&answer).await;
            let _ = tcp.shutdown().await;
            // Lets the client read to the end before the port's reset could.
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

/// A server that reads a question and then does as it is told.
async fn treating<F: Future<Output = ()> + Send + 'static>(
    treat: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let asked_in = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(tcp.read_u8().await.unwrap());
            }
            let mut question = String::from_utf8(question).unwrap();
            let length = question.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            tcp.read_exact(&mut body).await.unwrap();
            question.push_str(&String::from_utf8(body).unwrap());
            asked_in.lock().unwrap().push(question);
            tokio::spawn(treat(tcp));
        }
    });
    (address, asked)
}

fn http(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn data(status: u16, body: &Json) -> String {
    http(
        status,
        "Content-Type: application/json\r\nDate: Mon, 23 Nov 2026 19:46:07 GMT\r\n",
        &body.to_string(),
    )
}

/// Packed, as LNbits answers who can unpack it.
fn packed(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(body).unwrap();
    packed.finish().unwrap()
}

fn in_gzip(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn page_for_people(status: u16) -> String {
    http(
        status,
        "Content-Type: text/html; charset=utf-8\r\n",
        "<!DOCTYPE html><title>Sign in</title>",
    )
}

fn rest_at(address: SocketAddr) -> Rest {
    let server: Server = format!("http://{address}/lnbits").parse().unwrap();
    Rest::new(
        Dialer::default(),
        server,
        Some(KEY.parse::<InvoiceKey>().unwrap()),
    )
}

async fn rest(answer: impl Into<Vec<u8>>) -> Rest {
    rest_at(server(answer).await.0)
}

fn recorded(version: &str) -> Vec<Json> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/frames/lnbits-{version}.jsonl"));
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every recorded answer of `version`, read by the method that asks for it.
async fn readings(version: &str) -> String {
    let mut all = String::new();
    for line in recorded(version) {
        let body = &line["body"];
        let status = line["status"].as_u64().unwrap_or(200).try_into().unwrap();
        let query = line["query"].as_str().unwrap_or_default();
        let key = line["key"].as_str().unwrap_or_default();
        let (what, reading) = match line["kind"].as_str().unwrap() {
            "get_payment" => {
                let reading = rest(data(status, body)).await.payment(HASH).await;
                (
                    format!("payment with key {key}, {}", line["when"]),
                    format!("{reading:#?}"),
                )
            }
            "get_wallet" => {
                let reading = rest(data(status, body)).await.wallet().await;
                (format!("wallet with key {key}"), format!("{reading:#?}"))
            }
            "list" if query.starts_with("/paginated") => {
                let reading = rest(data(status, body)).await.page(all_rows()).await;
                (format!("list {query}"), format!("{reading:#?}"))
            }
            "create_invoice" => {
                let reading = rest(data(status, body)).await.create_invoice(&coffee()).await;
                ("new invoice".to_owned(), format!("{reading:#?}"))
            }
            "misc" => {
                let rest = rest(http(status, "", body.as_str().unwrap())).await;
                let path = line["path"].as_str().unwrap();
                let reading = if path.ends_with("health") {
                    format!("{:?}", rest.health().await)
                } else {
                    format!("{:?}", rest.rate("EUR").await)
                };
                (path.to_owned(), reading)
            }
            _ => continue,
        };
        all.push_str(&format!("{what}:\n{reading}\n\n"));
    }
    all
}

fn all_rows() -> PageQuery {
    PageQuery {
        filter: Filter::All,
        order: Order::Made,
        limit: 3,
        offset: 0,
    }
}

fn coffee() -> NewInvoice {
    NewInvoice {
        amount: Sat(1_000),
        memo: Text::clean("Coffee"),
        expiry: Some(Duration::from_secs(600)),
    }
}

#[tokio::test]
async fn answers_of_lnbits_1_0_0_are_read_as_recorded() {
    insta::assert_snapshot!(readings("1.0.0").await);
}

#[tokio::test]
async fn answers_of_lnbits_1_6_2_are_read_as_recorded() {
    insta::assert_snapshot!(readings("1.6.2").await);
}

/// A row as LNbits 1.6.2 lists it.
fn row(number: u64) -> Json {
    let hash = format!("{number:064x}");
    json!({
        "checking_id": hash, "payment_hash": hash, "wallet_id": KEY, "amount": 21_000, "fee": 0,
        "bolt11": "lnbc".repeat(80), "payment_request": "lnbc".repeat(80), "fiat_provider": null,
        "status": "success", "memo": "Espresso", "expiry": "2026-11-23T20:46:06+00:00", "webhook": null,
        "webhook_status": null, "preimage": hash, "tag": null, "extension": null,
        "time": "2026-11-23T19:46:06.357882+00:00", "created_at": "2026-11-23T19:46:06.357888+00:00",
        "updated_at": "2026-11-23T19:46:07.093098+00:00", "labels": [], "extra": {}, "external_id": null,
    })
}

#[tokio::test]
async fn one_question_of_each_kind_is_asked_as_lnbits_expects_it() {
    let (address, asked) = server(data(200, &json!({"data": []}))).await;
    let rest = rest_at(address);
    let channel = Channel::Key(KEY.parse().unwrap());
    let _ = rest.wallet().await;
    let _ = rest.payment(HASH).await;
    let _ = rest
        .page(PageQuery {
            filter: Filter::Pending,
            order: Order::Made,
            limit: 5_000,
            offset: 40,
        })
        .await;
    let _ = rest
        .page(PageQuery {
            filter: Filter::Arrived,
            order: Order::Any,
            limit: 1,
            offset: 0,
        })
        .await;
    let _ = rest
        .page(PageQuery {
            filter: Filter::Arrived,
            order: Order::Changed,
            limit: 50,
            offset: 0,
        })
        .await;
    let _ = rest
        .page(PageQuery {
            filter: Filter::Hash(HASH),
            order: Order::Made,
            limit: 1,
            offset: 0,
        })
        .await;
    let _ = rest.create_invoice(&coffee()).await;
    let _ = rest.rate("EUR").await;
    let _ = rest.rate("../wallet").await;
    let _ = rest.version().await;
    let _ = rest.health().await;
    let _ = rest.say(&channel, "tillbell & co").await;
    let questions = asked.lock().unwrap().join("\n\n");
    let questions = questions
        .replace("\r\n", "\n")
        .replace(&address.to_string(), "HOST");
    insta::assert_snapshot!(questions.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[tokio::test]
async fn a_page_of_a_thousand_rows_is_read_whole_and_the_unreadable_counted() {
    let mut rows: Vec<Json> = (1..=1_000).map(row).collect();
    rows[10]["amount"] = json!(0);
    rows[20] = json!(null);
    rows[30]["status"] = json!("celebrated");
    let answer = rest(data(200, &json!({"data": rows, "total": 5_000})))
        .await
        .page(all_rows())
        .await
        .unwrap();
    assert_eq!(
        (answer.value.rows.len(), answer.value.sent, answer.value.total),
        (997, 1_000, Some(5_000))
    );
    let parts: Vec<_> = answer.value.unreadable.iter().map(|row| row.part).collect();
    assert_eq!(
        parts,
        [RowPart::Whole, RowPart::Status],
        "an amount of zero is no payment"
    );
    assert_eq!(answer.server_time.unwrap().to_string(), "2026-11-23T19:46:07Z");
}

#[tokio::test]
async fn whole_numbers_are_read_however_they_are_written() {
    let balance = data(200, &json!({"name": "shop", "balance": 21_000.0}));
    let wallet = rest(balance).await.wallet().await.unwrap().value;
    assert_eq!(wallet.balance, Msat(21_000));
    let mut row = row(1);
    row["amount"] = json!(21_000.0);
    let page = data(200, &json!({"data": [row], "total": 1.0}));
    let page = rest(page).await.page(all_rows()).await.unwrap().value;
    assert_eq!((page.rows[0].amount, page.total), (Msat(21_000), Some(1)));
}

#[tokio::test]
async fn a_packed_answer_is_read_like_any_other() {
    let rows: Vec<Json> = (1..=1_000).map(row).collect();
    let whole = json!({"data": rows, "total": 5_000}).to_string();
    let answer = in_gzip(&packed(whole.as_bytes()));
    assert!(answer.len() < whole.len() / 2, "it is packed");
    let page = rest(answer).await.page(all_rows()).await.unwrap().value;
    assert_eq!((page.rows.len(), page.total), (1_000, Some(5_000)));
}

#[tokio::test]
async fn a_few_packed_bytes_that_unpack_to_too_many_are_too_large() {
    let answer = in_gzip(&packed(&[b' '; 300 * 1024]));
    assert!(answer.len() < 1_000);
    assert_eq!(rest(answer).await.wallet().await, Err(RestError::TooLarge));
}

#[tokio::test]
async fn a_packed_answer_that_cannot_be_unpacked_makes_no_sense() {
    let whole = packed(br#"{"name": "Bean & Bell", "balance": 21000}"#);
    let half = &whole[..whole.len() / 2];
    for body in [half, b"not packed at all", b""] {
        assert_eq!(
            rest(in_gzip(body)).await.wallet().await,
            Err(RestError::Unreadable)
        );
    }
}

/// A server that answers one question on each connection and hangs up when it is asked another.
async fn answering_once() -> (Rest, Asked) {
    let (address, asked) = treating(async |mut tcp| {
        tcp.write_all(data(200, &json!({})).as_bytes()).await.unwrap();
        let _ = tcp.read_u8().await;
    })
    .await;
    (rest_at(address), asked)
}

/// A server that answers every question on a connection that it never ends; and how many connections there were.
async fn never_hanging_up() -> (Rest, Asked) {
    let (address, asked) = treating(async |mut tcp| {
        let answer = data(200, &json!({}));
        tcp.write_all(answer.as_bytes()).await.unwrap();
        let mut question = Vec::new();
        while let Ok(byte) = tcp.read_u8().await {
            question.push(byte);
            if question.ends_with(b"\r\n\r\n") {
                tcp.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (rest_at(address), asked)
}

/// So much time passes for every timer; what is on its way arrives meanwhile.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn one_look_asks_on_the_connection_of_the_one_before() {
    let (rest, connections) = never_hanging_up().await;
    for _ in 0..3 {
        rest.health().await.unwrap();
        passes(Duration::from_secs(12)).await;
    }
    assert_eq!(connections.lock().unwrap().len(), 1);
    passes(Duration::from_secs(15)).await;
    rest.health().await.unwrap();
    assert_eq!(connections.lock().unwrap().len(), 2, "it had waited for too long");
}

#[tokio::test]
async fn a_question_that_meets_the_hang_up_is_asked_again() {
    let (rest, connections) = answering_once().await;
    for nth in 1..=3 {
        assert_eq!(rest.health().await.map(|answer| answer.value), Ok(true));
        assert_eq!(connections.lock().unwrap().len(), nth);
    }
}

#[tokio::test]
async fn an_invoice_is_not_made_twice_because_of_a_hang_up() {
    let (rest, connections) = answering_once().await;
    rest.health().await.unwrap();
    assert_eq!(rest.create_invoice(&coffee()).await, Err(RestError::Cut));
    assert_eq!(connections.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_not_asked_again() {
    let (address, asked) = treating(async |_| ()).await;
    assert_eq!(rest_at(address).health().await, Err(RestError::Cut));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_loss_the_idle_connections_are_left() {
    let (mut rest, connections) = never_hanging_up().await;
    rest.health().await.unwrap();
    rest.leave_connections();
    rest.health().await.unwrap();
    assert_eq!(connections.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_payment_that_is_not_ours_is_none_of_ours() {
    for (status, body) in [
        (200, json!({"paid": true, "preimage": "00"})),
        (200, json!({"paid": true, "details": null})),
        (404, json!({"detail": "Payment does not exist."})),
    ] {
        assert_eq!(
            rest(data(status, &body)).await.payment(HASH).await.unwrap().value,
            Looked::NotOurs,
            "{body}"
        );
    }
}

#[tokio::test]
async fn details_that_make_no_sense_are_not_taken_for_a_strangers() {
    let mut details = row(1);
    details["amount"] = json!("21000");
    for body in [
        json!({"paid": true, "details": details}),
        json!({"paid": true, "details": 7}),
        json!([]),
    ] {
        assert_eq!(
            rest(data(200, &body)).await.payment(HASH).await,
            Err(RestError::Unreadable),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_key_is_refused_only_in_lnbits_own_words() {
    for (status, detail) in [
        (404, "Wallet not found."),
        (404, "Wallet does not exist."),
        (401, "Invalid key"),
        (403, "Invoice (or Admin) key required."),
    ] {
        let refusal = data(status, &json!({"detail": detail}));
        assert_eq!(
            rest(refusal.clone()).await.wallet().await,
            Err(RestError::KeyRefused)
        );
        assert_eq!(
            rest(refusal.clone()).await.page(all_rows()).await,
            Err(RestError::KeyRefused)
        );
        assert_eq!(
            rest(refusal.clone()).await.payment(HASH).await,
            Err(RestError::KeyRefused)
        );
        assert_ne!(
            rest(refusal).await.health().await.map(|_| ()),
            Err(RestError::KeyRefused),
            "no key was sent"
        );
    }
    for status in [401, 404] {
        assert_eq!(
            rest(page_for_people(status)).await.wallet().await,
            Err(RestError::NotLnbits)
        );
        let empty = RestError::Refused {
            status,
            detail: Text::default(),
        };
        assert_eq!(rest(http(status, "", "")).await.wallet().await, Err(empty));
    }
    let not_found = RestError::Refused {
        status: 404,
        detail: Text::clean("Not Found"),
    };
    assert_eq!(
        rest(data(404, &json!({"detail": "Not Found"})))
            .await
            .wallet()
            .await,
        Err(not_found.clone())
    );
    assert_eq!(
        rest(data(404, &json!({"detail": "Not Found"})))
            .await
            .payment(HASH)
            .await,
        Err(not_found)
    );
}

#[tokio::test]
async fn a_page_for_people_is_not_lnbits() {
    for status in [200, 404, 511] {
        assert_eq!(
            rest(page_for_people(status)).await.wallet().await,
            Err(RestError::NotLnbits)
        );
        assert_eq!(
            rest(page_for_people(status)).await.page(all_rows()).await,
            Err(RestError::NotLnbits)
        );
        assert_eq!(
            rest(page_for_people(status)).await.payment(HASH).await,
            Err(RestError::NotLnbits)
        );
    }
    let undeclared = http(200, "", "  \n<html>");
    assert_eq!(rest(undeclared).await.wallet().await, Err(RestError::NotLnbits));
    assert_eq!(
        rest("SSH-2.0-OpenSSH_9.6\r\n").await.wallet().await,
        Err(RestError::NotLnbits)
    );
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let away = http(301, "Location: https://pay.example.com:8443/x?usr=SECRET\r\n", "");
    let error = rest(away).await.wallet().await.unwrap_err();
    assert_eq!(
        error,
        RestError::Redirected {
            to: Some("https://pay.example.com:8443".to_owned())
        }
    );
    assert!(!error.to_string().contains("SECRET"));
    for location in ["/login", "javascript:alert(1)", "https://", "\u{ff}"] {
        let away = http(307, &format!("Location: {location}\r\n"), "");
        assert_eq!(
            rest(away).await.health().await,
            Err(RestError::Redirected { to: None }),
            "{location}"
        );
    }
}

#[tokio::test]
async fn what_answers_in_lnbits_place_is_named() {
    let page = |status, headers: &str| http(status, &format!("Content-Type: text/html\r\n{headers}"), "<p>");
    let unreached = |status| (page(status, ""), Barrier::Unreached { status });
    let blocked = |status| (page(status, "Server: nginx\r\n"), Barrier::Blocked { status });
    for (answer, barrier) in [
        (
            http(307, "Location: /first_install\r\n", ""),
            Barrier::FirstInstall,
        ),
        (
            http(
                307,
                "Location: http://h.example/lnbits/first_install/?x=1\r\n",
                "",
            ),
            Barrier::FirstInstall,
        ),
        (
            page(403, "cf-mitigated: challenge\r\nServer: cloudflare\r\n"),
            Barrier::CloudflareChallenge,
        ),
        (
            page(429, "cf-mitigated: challenge\r\n"),
            Barrier::CloudflareChallenge,
        ),
        (
            page(401, "WWW-Authenticate: Basic realm=\"shop\"\r\n"),
            Barrier::ProxyPassword,
        ),
        blocked(403),
        blocked(406),
        (http(403, "", ""), Barrier::Blocked { status: 403 }),
        unreached(502),
        unreached(503),
        unreached(504),
        unreached(521),
        unreached(530),
    ] {
        assert_eq!(rest(answer).await.wallet().await, Err(barrier.into()));
    }
    // LNbits' own words go before all of that.
    let own = data(503, &json!({"detail": "The node is starting."}));
    assert!(matches!(
        rest(own).await.wallet().await,
        Err(RestError::ServerError { status: 503, .. })
    ));
}

#[tokio::test]
async fn a_proxy_that_lets_a_method_through_to_nobody_is_no_other_site() {
    let refused = RestError::Refused {
        status: 405,
        detail: Text::default(),
    };
    let channel = Channel::Key(KEY.parse().unwrap());
    assert_eq!(
        rest(page_for_people(405)).await.say(&channel, "tillbell").await,
        Err(refused)
    );
}

#[tokio::test]
async fn a_busy_server_says_how_long() {
    for (headers, seconds) in [
        ("", None),
        ("Retry-After: 7\r\n", Some(7)),
        ("Retry-After: 99999999\r\n", Some(3_600)),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: -1\r\n", None),
        (
            "Date: Mon, 23 Nov 2026 19:46:07 GMT\r\nRetry-After: Mon, 23 Nov 2026 19:46:37 GMT\r\n",
            Some(30),
        ),
        (
            "Date: Mon, 23 Nov 2026 19:46:07 GMT\r\nRetry-After: Mon, 23 Nov 2026 19:40:00 GMT\r\n",
            Some(0),
        ),
        ("Retry-After: Mon, 23 Nov 2026 19:46:37 GMT\r\n", None),
    ] {
        let retry_after = seconds.map(Duration::from_secs);
        let busy = http(429, headers, r#"{"detail":"Rate limit exceeded"}"#);
        assert_eq!(
            rest(busy).await.page(all_rows()).await,
            Err(RestError::Busy { retry_after }),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_servers_own_trouble_is_told_in_its_words_but_cleaned() {
    let body = json!({"detail": "Could not\u{202e} connect\u{7} to lnd.\nRetry."});
    let error = rest(data(520, &body)).await.wallet().await.unwrap_err();
    let RestError::ServerError { status: 520, detail } = &error else {
        panic!("{error:?}")
    };
    assert!(
        !detail.as_str().contains(['\u{202e}', '\u{7}', '\n']) && detail.as_str().starts_with("Could not")
    );
    let long = data(500, &json!({"detail": "x".repeat(5_000)}));
    assert!(
        rest(long)
            .await
            .wallet()
            .await
            .unwrap_err()
            .to_string()
            .chars()
            .count()
            < 300
    );
    let validation = data(
        422,
        &json!({"detail": [{"loc": ["body"], "msg": "value is not valid"}]}),
    );
    let refused = RestError::Refused {
        status: 422,
        detail: Text::default(),
    };
    assert_eq!(
        rest(validation).await.create_invoice(&coffee()).await,
        Err(refused)
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_is_no_answer() {
    for cut in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"name\":\"shop\",\"balance\":1}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"nam\r\n",
    ] {
        assert_eq!(rest(cut).await.wallet().await, Err(RestError::Cut), "{cut}");
    }
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_unreadable() {
    for body in [
        "",
        "null",
        "[]",
        "7",
        "{}",
        "{\"data\":{}}",
        "{\"data\":[1,",
        "{\"balance\":\"1\"}",
        "\u{0}",
    ] {
        let answer = http(200, "Content-Type: application/json\r\n", body);
        assert_eq!(
            rest(answer.clone()).await.wallet().await,
            Err(RestError::Unreadable),
            "{body}"
        );
        assert_eq!(
            rest(answer).await.page(all_rows()).await,
            Err(RestError::Unreadable),
            "{body}"
        );
    }
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        rest(http(200, "", &nested)).await.wallet().await,
        Err(RestError::Unreadable)
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    // Declared: not a byte of it is awaited.
    let declared = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(
        rest(declared).await.page(all_rows()).await,
        Err(RestError::TooLarge)
    );
    // Undeclared: as much as is allowed.
    let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    endless.resize(9 * 1024 * 1024, b' ');
    assert_eq!(
        rest(endless.clone()).await.page(all_rows()).await,
        Err(RestError::TooLarge)
    );
    assert_eq!(rest(endless).await.wallet().await, Err(RestError::TooLarge));
}

#[tokio::test]
async fn an_answer_that_takes_for_ever_is_given_up() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"name\":"] {
        let (address, asked) = treating(move |mut tcp| async move {
            tcp.write_all(said.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let rest = rest_at(address);
        let answer = tokio::spawn(async move { rest.wallet().await });
        // Time stands still only once the question has arrived: until then real sockets are at work.
        while asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        let asked_at = tokio::time::Instant::now();
        assert_eq!(answer.await.unwrap(), Err(RestError::TimedOut));
        assert!(asked_at.elapsed() <= Duration::from_millis(10_010));
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_dialled_fails_in_the_diallers_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = DialError::Refused {
        host: "127.0.0.1".to_owned(),
    };
    assert_eq!(rest_at(address).wallet().await, Err(RestError::Dial(refused)));

    let budgets = Budgets {
        dns: Duration::from_millis(20),
        ..Budgets::default()
    };
    let lost = Dialer::new(budgets).with_resolver(|_| std::future::pending());
    let rest = Rest::new(lost, "https://shop.example.com".parse().unwrap(), None);
    let silent = DialError::ResolverSilent {
        host: "shop.example.com".to_owned(),
    };
    assert_eq!(rest.wallet().await, Err(RestError::Dial(silent)));
}

#[tokio::test]
async fn a_rate_that_is_no_rate_is_unknown() {
    for (body, rate) in [
        (json!({"rate": 0.0, "price": 0.0}), None),
        (json!({"rate": 0.010_000_000_001}), None),
        (json!({"rate": null}), None),
        (json!({"rate": -5.0}), None),
        (json!({"rate": 1_234.5, "price": 81_004.0}), Some(1_234.5)),
        (json!({"rate": 0.65}), Some(0.65)),
    ] {
        assert_eq!(
            rest(data(200, &body)).await.rate("EUR").await.unwrap().value,
            rate,
            "{body}"
        );
    }
    let none = data(400, &json!({"detail": "Could not fetch any Bitcoin price."}));
    assert_eq!(rest(none).await.rate("EUR").await.unwrap().value, None);
}

#[tokio::test]
async fn the_version_chooses_the_dialect() {
    for (version, dialect) in [
        ("0.12.12", Dialect::V0_12),
        ("v0.12.4", Dialect::V0_12),
        ("1.0.0", Dialect::V1),
        ("1.6.2-rc1", Dialect::V1),
        ("2.0", Dialect::V1),
        ("dev", Dialect::V1),
    ] {
        let body =
            json!({"openapi": "3.1.0", "info": {"title": "LNbits", "version": version}, "paths": {"x": [1]}});
        let told = rest(data(200, &body))
            .await
            .version()
            .await
            .unwrap()
            .value
            .unwrap();
        assert_eq!((told.text.as_str(), told.dialect), (version, dialect));
    }
    assert_eq!(rest(http(404, "", "")).await.version().await.unwrap().value, None);
    let large = json!({"info": {"version": "1.6.2"}, "paths": "x".repeat(3_000_000)});
    assert!(
        rest(data(200, &large))
            .await
            .version()
            .await
            .unwrap()
            .value
            .is_some()
    );
}

#[tokio::test]
async fn a_server_offers_nothing_only_if_all_three_answer_404() {
    assert_eq!(
        rest(http(404, "", "")).await.offers_nothing_to_ask().await,
        Ok(true)
    );
    for path in ["/wallet", "/health", "/openapi.json"] {
        for status in [200, 307, 401] {
            let (address, _) = only(path, http(status, "", "{}")).await;
            assert_eq!(
                rest_at(address).offers_nothing_to_ask().await,
                Ok(false),
                "{path} {status}"
            );
        }
        for status in [429, 500] {
            let (address, _) = only(path, http(status, "", "{}")).await;
            assert!(
                rest_at(address).offers_nothing_to_ask().await.is_err(),
                "{path} {status}"
            );
        }
        let (address, _) = only(path, String::new()).await;
        assert_eq!(
            rest_at(address).offers_nothing_to_ask().await,
            Err(RestError::Cut),
            "{path}"
        );
    }
}

/// A server that answers 404 everywhere but at `path`.
async fn only(path: &'static str, answer: String) -> (SocketAddr, ()) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(tcp.read_u8().await.unwrap());
            }
            let question = String::from_utf8(question).unwrap();
            assert!(!question.contains(KEY));
            let asked_there = question.lines().next().unwrap().contains(path);
            let reply = if asked_there {
                answer.clone()
            } else {
                http(404, "Connection: close\r\n", "{\"detail\":\"Not Found\"}")
            };
            tcp.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (address, ())
}

#[tokio::test]
async fn an_invoice_that_is_none_is_not_shown() {
    for bolt11 in [
        json!(null),
        json!(""),
        json!("https://evil.example.com"),
        json!("bc1qxyz"),
        json!("lnbc<b>"),
        json!("l"),
        json!("ln".repeat(9_000)),
    ] {
        let body = json!({"bolt11": bolt11, "payment_hash": HASH, "checking_id": "x"});
        assert_eq!(
            rest(data(201, &body)).await.create_invoice(&coffee()).await,
            Err(RestError::Unreadable),
            "{bolt11}"
        );
    }
    let old = json!({"payment_request": "LNBC10U1P4", "payment_hash": HASH, "checking_id": "x"});
    assert_eq!(
        rest(data(201, &old))
            .await
            .create_invoice(&coffee())
            .await
            .unwrap()
            .value
            .bolt11,
        "LNBC10U1P4"
    );
}

#[tokio::test]
async fn nothing_shows_the_key() {
    let (address, _) = server(page_for_people(200)).await;
    let rest = rest_at(address);
    let error = rest.wallet().await.unwrap_err();
    assert!(!format!("{rest:?} {error:?} {error}").contains(KEY));
}
