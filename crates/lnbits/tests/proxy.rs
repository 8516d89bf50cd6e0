//! Reaching servers through proxies: real ones on this machine, each with its way to fail.

#![expect(clippy::unwrap_used, reason = "a test may: the helpers too")]

use std::future::Ready;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbell_lnbits::dial::{Budgets, DialError, Dialer, Proxies};
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::rest::RestError;
use tillbell_lnbits::{InvoiceKey, Rest, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use url::Url;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const ONION: &str = "lnbitsabcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqr.onion";

/// What a proxy was asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// What a SOCKS5 proxy does when it is asked for a way.
#[derive(Clone, Copy)]
enum Does {
    /// Leads to this port of this machine, whatever the name.
    Lead(u16),
    /// Answers with this code (RFC 1928, 6).
    Refuse(u8),
    /// Wants a login.
    WantLogin,
    /// Nothing, for ever.
    Nothing,
    /// Says this, whatever it was asked, and hangs up.
    Say(&'static [u8]),
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn socks(does: Does) -> (u16, Asked) {
    let (listener, port) = listen().await;
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve_socks(tcp, does, Arc::clone(&seen)));
        }
    });
    (port, asked)
}

async fn serve_socks(mut client: TcpStream, does: Does, asked: Asked) -> Option<()> {
    if let Does::Nothing = does {
        std::future::pending::<()>().await;
    }
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await.ok()?;
    let mut methods = vec![0; greeting[1].into()];
    client.read_exact(&mut methods).await.ok()?;
    match does {
        Does::Say(words) => return client.write_all(words).await.ok(),
        Does::WantLogin => return client.write_all(&[5, 0xff]).await.ok(),
        Does::Lead(_) | Does::Refuse(_) | Does::Nothing => client.write_all(&[5, 0]).await.ok()?,
    }
    let mut head = [0; 5];
    client.read_exact(&mut head).await.ok()?;
    assert_eq!(head[3], 3, "the name itself goes to the proxy");
    let mut name = vec![0; head[4].into()];
    client.read_exact(&mut name).await.ok()?;
    let port = client.read_u16().await.ok()?;
    asked
        .lock()
        .unwrap()
        .push(format!("{}:{port}", String::from_utf8(name).unwrap()));
    let code = if let Does::Refuse(code) = does { code } else { 0 };
    client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    if let Does::Lead(port) = does {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
    Some(())
}

/// A proxy that is asked to CONNECT: it answers this, and leads to this port if that is good.
async fn http_proxy(answer: &'static str, to: u16) -> (u16, Asked) {
    let (listener, port) = listen().await;
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(client.read_u8().await.unwrap());
            }
            seen.lock().unwrap().push(String::from_utf8(question).unwrap());
            client.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains(" 200 ") {
                let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
    });
    (port, asked)
}

/// A server without TLS that upgrades sockets and answers every question with a wallet.
async fn server() -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    port
}

async fn serve(mut tcp: TcpStream) -> Option<()> {
    let mut head = [0; 2_048];
    let mut read = 0;
    while !head[..read].ends_with(b"\r\n\r\n") {
        // It may hang up without a word.
        read = tcp.peek(&mut head).await.ok().filter(|read| *read > 0)?;
        tokio::task::yield_now().await;
    }
    if String::from_utf8_lossy(&head[..read]).contains("/api/v1/ws/") {
        let _socket = accept_async(tcp).await.ok()?;
        std::future::pending::<()>().await;
        return None;
    }
    let body = r#"{"name":"shop","balance":0}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    tcp.write_all(answer.as_bytes()).await.ok()?;
    tcp.read_to_end(&mut Vec::new()).await.ok().map(|_| ())
}

fn no_name_server(name: String) -> Ready<io::Result<Vec<SocketAddr>>> {
    panic!("{name} was looked up here")
}

/// A dialler that may ask no name server.
fn dialer(setting: &str) -> Dialer {
    let budgets = Budgets {
        proxy: Duration::from_millis(300),
        ..Budgets::default()
    };
    Dialer::new(budgets)
        .with_resolver(no_name_server)
        .with_proxies(Proxies::chosen(setting, |_| None))
}

fn socks_at(port: u16) -> Dialer {
    // The number of a host is looked up nowhere.
    dialer(&format!("socks5h://127.0.0.1:{port}"))
}

async fn fails(dialer: &Dialer, url: &str) -> DialError {
    let url: Url = url.parse().unwrap();
    dialer.connect(&url).await.map(|_| "connected").unwrap_err()
}

#[tokio::test]
async fn without_a_proxy_an_onion_needs_tor_and_no_name_server_hears_of_it() {
    let direct = dialer("");
    for host in [
        ONION.to_owned(),
        ONION.to_uppercase(),
        format!("{ONION}."),
        format!("lnbits.{ONION}"),
        "short.Onion".to_owned(),
    ] {
        for scheme in ["http", "https", "ws", "wss"] {
            let error = fails(&direct, &format!("{scheme}://{host}/api/v1/wallet")).await;
            assert!(matches!(error, DialError::NeedsTor { .. }), "{host}: {error}");
            assert!(error.to_string().contains("socks5h://127.0.0.1:9050"), "{error}");
        }
        let server: Server = format!("http://{host}/lnbits").parse().unwrap();
        let channel = Channel::Key(KEY.parse().unwrap());
        let mut link = Link::start(direct.clone(), &server, &channel);
        let state = link
            .state
            .wait_for(|state| matches!(state, SocketState::Waiting { .. }))
            .await
            .unwrap()
            .clone();
        assert!(format!("{state:?}").contains("NeedsTor"), "{state:?}");
        let rest = Rest::new(direct.clone(), server, None);
        let error = rest.health().await.unwrap_err();
        assert!(
            matches!(error, RestError::Dial(DialError::NeedsTor { .. })),
            "{error}"
        );
    }
}

#[tokio::test]
async fn through_tor_both_socket_and_questions_go_and_it_looks_the_name_up() {
    let (port, asked) = socks(Does::Lead(server().await)).await;
    let key: InvoiceKey = KEY.parse().unwrap();
    let at_onion: Server = format!("http://{}.:5000/", ONION.to_uppercase()).parse().unwrap();
    let rest = Rest::new(socks_at(port), at_onion.clone(), Some(key.clone()));
    assert_eq!(rest.wallet().await.unwrap().value.name.as_str(), "shop");
    let mut link = Link::start(socks_at(port), &at_onion, &Channel::Key(key));
    link.state
        .wait_for(|state| matches!(state, SocketState::Open { .. }))
        .await
        .unwrap();
    let onion = format!("{ONION}:5000");
    assert_eq!(*asked.lock().unwrap(), [onion.clone(), onion]);
}

#[tokio::test]
async fn each_way_in_which_a_socks_proxy_fails_has_its_own_sentence() {
    let host = || ONION.to_owned();
    for (does, fault) in [
        (Does::Nothing, "silent"),
        (Does::Refuse(1), "no way"),
        (Does::Refuse(2), "refuses"),
        (Does::Refuse(4), "no way"),
        (Does::Refuse(5), "no way"),
        (Does::Refuse(6), "no way"),
        (Does::Refuse(0xf0), "no way"),
        (Does::WantLogin, "login"),
        (Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no proxy"),
        (Does::Say(b""), "hung up"),
    ] {
        let (port, _) = socks(does).await;
        let proxy = format!("127.0.0.1:{port}");
        let expected = match fault {
            "silent" => DialError::ProxySilent { proxy },
            "no way" => DialError::ProxyNoWay { proxy, host: host() },
            "refuses" => DialError::ProxyRefuses { proxy, host: host() },
            "login" => DialError::ProxyLogin { proxy },
            "no proxy" => DialError::NotAProxy { proxy },
            _ => DialError::ProxyHungUp { proxy },
        };
        assert_eq!(
            fails(&socks_at(port), &format!("http://{ONION}/")).await,
            expected
        );
    }
    let (listener, port) = listen().await;
    drop(listener);
    let down = DialError::ProxyDown {
        proxy: format!("127.0.0.1:{port}"),
    };
    assert_eq!(fails(&socks_at(port), &format!("http://{ONION}/")).await, down);
}

#[tokio::test]
async fn an_http_proxy_is_asked_to_connect_and_its_password_stands_in_no_error() {
    let to = server().await;
    let (port, asked) = http_proxy("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", to).await;
    let through = dialer(&format!("http://shop:hunter2@127.0.0.1:{port}"));
    let shop: Server = "http://shop.example:8080".parse().unwrap();
    let rest = Rest::new(through, shop, None);
    assert_eq!(rest.wallet().await.unwrap().value.name.as_str(), "shop");
    let asked = asked.lock().unwrap().join("");
    assert!(
        asked.starts_with("CONNECT shop.example:8080 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("\r\nProxy-Authorization: Basic c2hvcDpodW50ZXIy\r\n"),
        "{asked}"
    );
    for (answer, code) in [
        ("HTTP/1.1 407 Login\r\n\r\n", "proxy-login"),
        ("HTTP/1.1 403 No\r\n\r\n", "proxy-refuses"),
        ("HTTP/1.1 405 No\r\n\r\n", "proxy-refuses"),
        ("HTTP/1.1 502 Oh\r\n\r\n", "proxy-no-way"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "not-a-proxy"),
    ] {
        let (port, _) = http_proxy(answer, to).await;
        let through = dialer(&format!("http://shop:hunter2@127.0.0.1:{port}"));
        let error = fails(&through, "https://shop.example/").await;
        let said = format!("{} {error} {error:?}", serde_json::to_string(&error).unwrap());
        assert!(said.contains(&format!("\"{code}\"")), "{answer}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn an_onion_goes_through_no_http_proxy() {
    let (port, asked) = http_proxy("HTTP/1.1 200 OK\r\n\r\n", server().await).await;
    let error = fails(
        &dialer(&format!("http://127.0.0.1:{port}")),
        &format!("http://{ONION}/"),
    )
    .await;
    assert!(matches!(error, DialError::NeedsTor { .. }), "{error}");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_said_and_never_gone_around() {
    for setting in [
        "127.0.0.1:9050",
        "https://proxy.example:443",
        "socks4://127.0.0.1:9050",
        "ftp://x",
        "://",
    ] {
        let error = fails(&dialer(setting), "https://shop.example/").await;
        assert_eq!(error, DialError::ProxyUnusable, "{setting}");
    }
}

#[tokio::test]
async fn this_machine_is_reached_directly_whatever_proxy_is_set() {
    let port = server().await;
    let (nowhere, asked) = socks(Does::Refuse(1)).await;
    let dialer = Dialer::default()
        .with_resolver(async |_| Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]))
        .with_proxies(Proxies::chosen(&format!("socks5h://127.0.0.1:{nowhere}"), |_| {
            None
        }));
    for host in [
        "127.0.0.1",
        "localhost",
        "shop.localhost",
        "umbrel.local",
        "umbrel",
    ] {
        let url: Url = format!("http://{host}:{port}/").parse().unwrap();
        dialer.connect(&url).await.unwrap();
    }
    assert!(asked.lock().unwrap().is_empty());
}
