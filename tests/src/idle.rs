//! A proxy that hangs up on connections on which nothing happens, as those of hosters do.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What counts as something happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    /// Any byte in any direction: nginx, HAProxy.
    Bytes,
    /// Only texts and bytes of a WebSocket: its pings and pongs do not.
    Data,
    /// Any byte, and an open WebSocket always, as does a connection on which nothing was asked yet: uvicorn, LNbits' own server.
    Sockets,
}

/// A proxy on 127.0.0.1.
#[derive(Debug)]
pub struct IdleProxy {
    port: u16,
    cuts: Arc<AtomicUsize>,
}

/// One connection through it.
struct Passage {
    alive: Alive,
    last: Mutex<Instant>,
    asked: AtomicBool,
    ends: [TcpStream; 2],
}

impl IdleProxy {
    /// A proxy to a port of this machine that allows so much idling.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn to(port: u16, idle: Duration, alive: Alive) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            cuts: Arc::default(),
        };
        let cuts = Arc::clone(&proxy.cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose server is gone is hung up on.
                let _ = connect(client, port, idle, alive, &cuts);
            }
        });
        Ok(proxy)
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many WebSockets it has cut for idling.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn connect(
    client: TcpStream,
    port: u16,
    idle: Duration,
    alive: Alive,
    cuts: &Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let passage = Arc::new(Passage {
        alive,
        last: Mutex::new(Instant::now()),
        asked: AtomicBool::default(),
        ends: [client.try_clone()?, server.try_clone()?],
    });
    let upgraded = Arc::new(Mutex::new(false));
    for (from, to, answers) in [
        (client.try_clone()?, server.try_clone()?, false),
        (server, client, true),
    ] {
        from.set_nodelay(true)?;
        let (passage, upgraded) = (Arc::clone(&passage), Arc::clone(&upgraded));
        std::thread::spawn(move || passage.pass(from, to, answers, &upgraded));
    }
    let cuts = Arc::clone(cuts);
    std::thread::spawn(move || {
        let upgraded = || *upgraded.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = || passage.asked.load(Ordering::SeqCst);
        let spared = || alive == Alive::Sockets && (upgraded() || !asked());
        if passage.wait_for_idling(idle, spared) && upgraded() {
            cuts.fetch_add(1, Ordering::SeqCst);
        }
        passage.hang_up();
    });
    Ok(())
}

impl Passage {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, answers: bool, upgraded: &Mutex<bool>) {
        let mut bytes = [0; 16 * 1024];
        let mut frames = Frames::default();
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let bytes = &bytes[..count];
            let mut upgraded = upgraded.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = match (*upgraded, self.alive) {
                (true, Alive::Data) => frames.has_data(bytes),
                (false, _) | (_, Alive::Bytes | Alive::Sockets) => true,
            };
            // What follows an answer of 101 are frames; nobody sends one before the whole answer is there.
            *upgraded |= answers && bytes.starts_with(b"HTTP/1.1 101");
            drop(upgraded);
            self.asked.fetch_or(!answers, Ordering::SeqCst);
            if counts {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        self.hang_up();
    }

    /// Returns when nothing has happened for so long (which matters not while it is `spared`), or with `false` when an end has
    /// hung up.
    fn wait_for_idling(&self, idle: Duration, spared: impl Fn() -> bool) -> bool {
        loop {
            let left =
                idle.saturating_sub(self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed());
            if left.is_zero() && !spared() {
                return true;
            }
            if self.ends[0].peer_addr().is_err() {
                return false;
            }
            std::thread::sleep(left.clamp(Duration::from_millis(10), Duration::from_millis(200)));
        }
    }

    fn hang_up(&self) {
        for end in &self.ends {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// Reads along a stream of WebSocket frames (RFC 6455, 5.2): their headers only.
#[derive(Debug, Default)]
struct Frames {
    header: Vec<u8>,
    /// Bytes of the present frame's content that are still to come.
    content: u64,
}

impl Frames {
    /// True when some of these bytes belong to a text, to bytes, or to the rest of either.
    fn has_data(&mut self, mut bytes: &[u8]) -> bool {
        const CONTROL: u8 = 0x08;
        let mut data = false;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.content > 0 {
                let here = usize::try_from(self.content)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.content -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            self.header.push(first);
            bytes = rest;
            if let Some(content) = content_length(&self.header) {
                data |= self.header[0] & CONTROL == 0;
                self.content = content;
                self.header.clear();
            }
        }
        data
    }
}

/// How long the content after this header is, once the header is whole.
fn content_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (wide, short) = match second & 0x7F {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, u64::from(short)),
    };
    let length = header.get(2..2 + wide)?;
    let length = length
        .iter()
        .fold(short, |length, byte| length << 8 | u64::from(*byte));
    (header.len() >= 2 + wide + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::Frames;

    #[test]
    fn pings_are_told_from_texts_wherever_the_stream_is_cut() {
        // A ping with eight bytes and a mask; a pong without; a text of 126 bytes; a ping.
        let ping = [&[0x89, 0x88][..], &[7; 12]].concat();
        let pong = [0x8A, 1, 9];
        let text = [&[0x81, 126, 0, 126][..], &[0x89; 126]].concat();
        let quiet = [&ping[..], &pong, &ping].concat();
        let stream = [&quiet[..], &text, &quiet].concat();
        for at in 0..stream.len() {
            let mut frames = Frames::default();
            let (before, after) = stream.split_at(at);
            let data = (frames.has_data(before), frames.has_data(after));
            // The header counts where it ends.
            assert!(data.0 || data.1, "cut at {at}");
            assert_eq!(data.0, at >= quiet.len() + 4, "cut at {at}");
        }
        assert!(!Frames::default().has_data(&quiet));
    }
}
