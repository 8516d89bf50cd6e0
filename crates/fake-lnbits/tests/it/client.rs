//! A tiny client: one HTTP request a connection, and a WebSocket.

use std::{collections::HashMap, io};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tillbell_fake_lnbits::{FakeLnbits, NewInvoice, Options, Version, Wallet};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message},
};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server with a shop's and a customer's wallet.
pub(crate) struct World {
    pub(crate) fake: FakeLnbits,
    pub(crate) shop: Wallet,
    pub(crate) customer: Wallet,
}

pub(crate) async fn world(version: Version) -> World {
    let fake = FakeLnbits::start(Options::version(version)).await.unwrap();
    let (shop, customer) = (fake.add_wallet("shop"), fake.add_wallet("customer"));
    World { fake, shop, customer }
}

impl World {
    pub(crate) fn coffee(&self) -> String {
        self.fake
            .make_invoice(&self.shop, NewInvoice::sats(1_000, "Coffee"))
            .payment_hash
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.ask("GET", path, key, "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.ask("POST", path, key, &body.to_string()).await.unwrap()
    }

    /// One HTTP/1.0 request, so that the body ends where the connection does.
    pub(crate) async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.fake.addr()).await?;
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("X-Api-Key: {key}\r\n")
        };
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{key}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Ok(Answer {
            status,
            headers,
            body: bytes[end + 4..].to_vec(),
        })
    }

    pub(crate) async fn listen(&self, channel: &str) -> Ear {
        self.try_listen(channel).await.unwrap()
    }

    pub(crate) async fn try_listen(&self, channel: &str) -> tungstenite::Result<Ear> {
        let stream = TcpStream::connect(self.fake.addr()).await?;
        Ok(Ear(client_async(self.fake.ws_url(channel), stream).await?.0))
    }
}

/// A socket on one channel.
pub(crate) struct Ear(pub(crate) WebSocketStream<TcpStream>);

impl Ear {
    /// The next text, as JSON.
    pub(crate) async fn hear(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self
                .0
                .next()
                .await
                .expect("the socket is open")
                .expect("the socket works")
            {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    /// The next message, or the error, or the end.
    pub(crate) async fn next(&mut self) -> Option<tungstenite::Result<Message>> {
        self.0.next().await
    }

    /// Everything that the server had sent by now: a ping is answered after what came before it.
    pub(crate) async fn heard_so_far(&mut self) -> Vec<String> {
        self.0.send(Message::Ping(b"so far"[..].into())).await.unwrap();
        let mut texts = Vec::new();
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Pong(_) => return texts,
                other => panic!("no text: {other:?}"),
            }
        }
    }
}
