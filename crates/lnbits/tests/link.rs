//! The link against real sockets on this machine.

#![expect(clippy::unwrap_used, reason = "a test may: the helpers too")]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tillbell_lnbits::barrier::Barrier;
use tillbell_lnbits::dial::{DialError, Dialer};
use tillbell_lnbits::link::{Channel, Link, Lost, SocketState};
use tillbell_lnbits::{InvoiceKey, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

const SETTLED: &str = r#"{"wallet_balance":42,"payment":{"checking_id":"internal","payment_hash":"abababababababababababababababababababababababababababababababab","amount":21000,"status":"success","memo":"Coffee"}}"#;

fn key() -> Channel {
    Channel::Key("0123456789abcdef0123456789abcdef".parse::<InvoiceKey>().unwrap())
}

fn link_to(address: SocketAddr) -> Link {
    let server: Server = format!("http://{address}/lnbits").parse().unwrap();
    Link::start(Dialer::default(), &server, &key())
}

/// A server that does the same to everyone who connects.
async fn server<F: Future<Output = ()> + Send>(
    treat: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            treat(tcp).await;
        }
    });
    address
}

/// A server that answers every upgrade with `answer`.
async fn answering(answer: &'static str) -> SocketAddr {
    server(move |mut tcp| async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tcp.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        assert!(request.starts_with("GET /lnbits/api/v1/ws/0123456789abcdef0123456789abcdef HTTP/1.1\r\n"));
        assert!(request.to_ascii_lowercase().contains("\r\nuser-agent: tillbell/"));
        tcp.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

async fn upgraded(tcp: TcpStream) -> WebSocketStream<TcpStream> {
    accept_async(tcp).await.unwrap()
}

async fn lost(link: &mut Link) -> Lost {
    let waiting = link
        .state
        .wait_for(|state| matches!(state, SocketState::Waiting { .. }));
    match &*tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap()
    {
        SocketState::Waiting { why, .. } => why.clone(),
        SocketState::Dialling | SocketState::Open { .. } => unreachable!(),
    }
}

async fn lost_after(answer: &'static str) -> Lost {
    let mut link = link_to(answering(answer).await);
    lost(&mut link).await
}

#[tokio::test]
async fn what_is_said_on_the_channel_is_heard_in_order() {
    let address = server(|tcp| async {
        let mut socket = upgraded(tcp).await;
        for number in 1..=100 {
            let frame = SETTLED.replace("21000", &number.to_string());
            socket.send(Message::text(frame)).await.unwrap();
        }
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut link = link_to(address);
    for number in 1..=100 {
        let hint = link.hints.recv().await.unwrap();
        assert_eq!(
            hint.amount,
            Some(tillbell_lnbits::ClaimedAmount::Msat(tillbell_lnbits::Msat(
                number
            )))
        );
    }
    assert_eq!(*link.state.borrow(), SocketState::Open { opening: 1 });
    assert_eq!(link.meter.frames(), 100);
}

#[tokio::test]
async fn a_restart_is_told_by_its_code_and_survived() {
    let address = server(|tcp| async {
        let mut socket = upgraded(tcp).await;
        let restart = CloseFrame {
            code: 1012.into(),
            reason: "service restart".into(),
        };
        socket.send(Message::Close(Some(restart))).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut link = link_to(address);
    assert_eq!(lost(&mut link).await, Lost::Closed { code: 1012 });
    // It comes back, again and again.
    link.state
        .wait_for(|state| *state == SocketState::Dialling)
        .await
        .unwrap();
    assert_eq!(lost(&mut link).await, Lost::Closed { code: 1012 });
}

#[tokio::test]
async fn a_reset_is_told_from_a_connection_that_just_ends() {
    let address = server(|tcp| async {
        let socket = upgraded(tcp).await;
        socket.get_ref().set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(lost(&mut link_to(address)).await, Lost::Reset);

    let address = server(|tcp| async {
        let mut tcp = upgraded(tcp).await.into_inner();
        tcp.shutdown().await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(lost(&mut link_to(address)).await, Lost::Vanished);
}

#[tokio::test]
async fn a_closed_port_is_a_refused_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = DialError::Refused {
        host: "127.0.0.1".to_owned(),
    };
    assert_eq!(lost(&mut link_to(address)).await, Lost::Dial(refused));
}

#[tokio::test]
async fn a_sign_in_page_is_no_socket() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    assert_eq!(lost_after(page).await, Lost::NotASocket);
    assert_eq!(lost_after("SSH-2.0-OpenSSH_9.6\r\n\r\n").await, Lost::NotASocket);
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let away = "HTTP/1.1 301 Moved\r\nLocation: https://pay.example.com/api/v1/ws/SECRET\r\n\r\n";
    let lost = lost_after(away).await;
    assert_eq!(
        lost,
        Lost::Redirected {
            to: Some("https://pay.example.com".to_owned())
        }
    );
    assert!(lost.to_string().contains("pay.example.com") && !lost.to_string().contains("SECRET"));
    let login = "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n";
    assert_eq!(lost_after(login).await, Lost::Redirected { to: None });
}

#[tokio::test]
async fn each_refusal_has_its_own_word() {
    for status in [401, 403, 404] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(lost_after(answer.leak()).await, Lost::Refused { status });
    }
    assert_eq!(
        lost_after("HTTP/1.1 429 Slow\r\n\r\n").await,
        Lost::Busy { retry_after: None }
    );
    assert_eq!(
        lost_after("HTTP/1.1 500 Oh\r\n\r\n").await,
        Lost::ServerError { status: 500 }
    );
    for (answer, barrier) in [
        ("502 Bad Gateway", Barrier::Unreached { status: 502 }),
        ("403 No\r\ncf-mitigated: challenge", Barrier::CloudflareChallenge),
        ("401 No\r\nWWW-Authenticate: Basic", Barrier::ProxyPassword),
        ("307 Away\r\nLocation: /first_install", Barrier::FirstInstall),
    ] {
        let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
        assert_eq!(lost_after(answer.leak()).await, barrier.into());
    }
    // An upgrade in form only.
    assert_eq!(
        lost_after("HTTP/1.1 101 Switching Protocols\r\n\r\n").await,
        Lost::NotASocket
    );
}

#[tokio::test]
async fn a_message_of_a_megabyte_is_noise() {
    let address = server(|tcp| async {
        let mut socket = upgraded(tcp).await;
        socket.send(Message::text("x".repeat(1_000_000))).await.unwrap();
        socket.send(Message::text(SETTLED)).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut link = link_to(address);
    link.hints.recv().await.unwrap();
    assert_eq!(link.meter.frames(), 2);
    assert_eq!(*link.state.borrow(), SocketState::Open { opening: 1 });
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_socket() {
    let address = server(|tcp| async {
        let mut tcp = upgraded(tcp).await.into_inner();
        // An empty text with the reserved bits set, as no extension was agreed on.
        tcp.write_all(&[0xF1, 0x00]).await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(lost(&mut link_to(address)).await, Lost::Garbled);
}

/// A flood on one thread, where whoever never yields starves everybody else.
#[tokio::test]
async fn in_a_flood_pings_are_answered_orders_obeyed_and_the_end_is_seen() {
    let (pinged, mut was_pinged) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |tcp| {
        let pinged = pinged.clone();
        async move {
            let (mut to_link, mut from_link) = upgraded(tcp).await.split();
            let flood = async {
                to_link.send(Message::Ping("in the flood".into())).await.unwrap();
                for _ in 0..50_000 {
                    to_link.feed(Message::text(SETTLED)).await.unwrap();
                }
                let restart = CloseFrame {
                    code: 1001.into(),
                    reason: "".into(),
                };
                to_link.send(Message::Close(Some(restart))).await.unwrap();
            };
            let answers = async {
                while let Some(Ok(message)) = from_link.next().await {
                    let _ = pinged.send(message);
                }
            };
            tokio::join!(flood, answers);
        }
    })
    .await;
    let mut link = link_to(address);
    assert_eq!(
        was_pinged.recv().await,
        Some(Message::Pong("in the flood".into()))
    );
    assert!(link.meter.frames() < 50_000, "answered only after the flood");
    link.watch_closely(true);
    assert!(matches!(was_pinged.recv().await, Some(Message::Ping(_))));
    assert!(link.meter.frames() < 50_000, "obeyed only after the flood");
    assert_eq!(lost(&mut link).await, Lost::Closed { code: 1001 });
    assert_eq!(link.meter.frames(), 50_000);
    let mut taken = Vec::new();
    let taken = link.hints.recv_many(&mut taken, usize::MAX).await as u64;
    assert_eq!(taken + link.meter.dropped(), 50_000);
}
