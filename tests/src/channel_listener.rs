//! A bare WebSocket that hears what a server says on a channel, to the letter.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

/// An open WebSocket that sends nothing.
#[derive(Debug)]
pub struct ChannelListener {
    socket: BufReader<TcpStream>,
}

impl ChannelListener {
    /// Listens to `channel` of a server on this machine, without a key, as anybody can.
    ///
    /// # Errors
    /// When the server does not let it in.
    pub fn on(port: u16, channel: &str) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            socket,
            "GET /api/v1/ws/{channel} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )?;
        let mut listener = Self {
            socket: BufReader::new(socket),
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(listener.bytes::<1>()?[0]);
        }
        anyhow::ensure!(
            head.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        Ok(listener)
    }

    /// The next frame that names this payment hash.
    ///
    /// # Errors
    /// When none comes within 10 s.
    pub fn frame_about(&mut self, hash: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let text = self.text().with_context(|| format!("a frame about {hash}"))?;
            if let Ok(frame) = serde_json::from_str::<Value>(&text)
                && frame["payment"]["payment_hash"] == hash
            {
                return Ok(frame);
            }
        }
        anyhow::bail!("no frame about {hash} within 10 s")
    }

    /// The next text message; a server's messages are unmasked and, being short, in one piece.
    fn text(&mut self) -> anyhow::Result<String> {
        const TEXT: u8 = 0x81;
        loop {
            let [kind, length] = self.bytes()?;
            let length = match length {
                126 => u64::from(u16::from_be_bytes(self.bytes()?)),
                127 => u64::from_be_bytes(self.bytes()?),
                short => u64::from(short),
            };
            let mut message = Vec::new();
            self.socket.by_ref().take(length).read_to_end(&mut message)?;
            if kind == TEXT {
                return Ok(String::from_utf8(message)?);
            }
        }
    }

    fn bytes<const COUNT: usize>(&mut self) -> anyhow::Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
