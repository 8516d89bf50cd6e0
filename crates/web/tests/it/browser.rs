//! As much of a browser as shows what the server says: raw requests, one cookie, one stream.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shop::SOON;

#[derive(Debug, Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    nonce: String,
    pub(crate) cookie: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A stream of pictures.
#[derive(Debug)]
pub(crate) struct Stream(BufReader<TcpStream>);

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let nonce = format!("{:064x}", rand_word());
        Self {
            address,
            nonce,
            cookie: None,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// As its own page would.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let answer = self.send("POST", path, &[("Origin", &origin)], body).await;
        let kept = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(cookie) = kept {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    pub(crate) async fn ask(&mut self, request: &Value) -> Answer {
        self.post("/door/ask", &request.to_string()).await
    }

    pub(crate) async fn join(&mut self, token: &str) -> Answer {
        let body = json!({"token": token, "nonce": self.nonce}).to_string();
        self.post("/door/join", &body).await
    }

    pub(crate) async fn knock(&mut self) -> Answer {
        let body = json!({"nonce": self.nonce}).to_string();
        self.post("/door/knock", &body).await
    }

    /// Any request, with headers that may take the place of the usual ones.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let request = self.request(method, path, headers, body);
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        read(connection).await
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let names = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !names("Host") {
            write!(request, "Host: {}\r\n", self.address).unwrap();
        }
        if let Some(cookie) = &self.cookie {
            write!(request, "Cookie: other=1; {cookie}\r\n").unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(request, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        write!(request, "\r\n{body}").unwrap();
        request
    }

    /// Its pictures.
    pub(crate) async fn pictures(&self) -> Stream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = self.request("GET", "/door/pictures", &[], "");
        connection.write_all(request.as_bytes()).await.unwrap();
        Stream(BufReader::new(connection))
    }
}

/// What is answered until the connection ends.
pub(crate) async fn read(mut connection: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = timeout(SOON * 2, connection.read_to_end(&mut bytes))
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Why it was refused.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Stream {
    /// The next picture that is as wanted; `None` when the stream ends first.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let found = async {
            loop {
                let mut line = String::new();
                if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return None;
                }
                let picture = line.trim_end().strip_prefix("data: ");
                let picture = picture.map(|picture| serde_json::from_str::<Value>(picture).unwrap());
                if let Some(picture) =
                    picture.filter(|picture| picture["scene"].is_object() && wanted(picture))
                {
                    return Some(picture);
                }
            }
        };
        timeout(SOON, found).await.unwrap()
    }

    /// What the page is told of itself next.
    pub(crate) async fn told(&mut self) -> Value {
        let mut is_next = false;
        let found = async {
            loop {
                let mut line = String::new();
                assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "the stream ended");
                match line.trim_end().strip_prefix("data: ") {
                    Some(told) if is_next => return serde_json::from_str(told).unwrap(),
                    Some(_) | None => is_next = line.starts_with("event: me"),
                }
            }
        };
        timeout(SOON, found).await.unwrap()
    }

    /// A payment of so many sats.
    pub(crate) async fn paid(&mut self, sats: u64) -> Value {
        let is_it = |picture: &Value| picture["scene"]["amountMsat"] == sats * 1_000;
        self.until(is_it).await.unwrap()["scene"].take()
    }
}

fn rand_word() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let word = || u128::from(RandomState::new().hash_one(0));
    word() << 64 | word()
}
