//! A line between Tillbell and a server that counts what passes, that can be cut without either of them ending, and that can be as
//! long as one likes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// A relay on 127.0.0.1 that passes every byte on, until it is cut.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    line: Arc<Mutex<Line>>,
    passed: Arc<Counters>,
}

/// What has passed a relay: the bytes within its connections, without the headers of TCP and IP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes from the client to the server.
    pub up: u64,
    /// Bytes from the server to the client.
    pub down: u64,
}

impl Sub for Passed {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            connections: self.connections - before.connections,
            up: self.up - before.up,
            down: self.down - before.down,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    /// The bytes themselves, where somebody listens.
    heard: Option<Mutex<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Line {
    /// How long bytes are on their way, in each direction.
    one_way: Duration,
    cut: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// A relay to a port of this machine.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        Self::far_from(port, Duration::ZERO)
    }

    /// A relay to a port of this machine that seems far away: bytes are on their way for so long, in each direction. As many as one
    /// likes may be, one behind the other. To open a connection takes one way there and one back, as TCP's greeting does.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn far_from(port: u16, one_way: Duration) -> anyhow::Result<Self> {
        Self::start(port, one_way, Counters::default())
    }

    /// A relay to a port of this machine on which somebody listens.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn overheard(port: u16) -> anyhow::Result<Self> {
        let counters = Counters {
            heard: Some(Mutex::default()),
            ..Counters::default()
        };
        Self::start(port, Duration::ZERO, counters)
    }

    fn start(port: u16, one_way: Duration, counters: Counters) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let line = Line {
            one_way,
            ..Line::default()
        };
        let relay = Self {
            port: listener.local_addr()?.port(),
            line: Arc::new(Mutex::new(line)),
            passed: Arc::new(counters),
        };
        let (line, passed) = (Arc::clone(&relay.line), Arc::clone(&relay.passed));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that finds the line cut is hung up on, as is one whose server is gone.
                let _ = line
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .connect(client, port, &passed);
            }
        });
        Ok(relay)
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

    /// What has passed so far.
    #[must_use]
    pub fn passed(&self) -> Passed {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Passed {
            connections: read(&self.passed.connections),
            up: read(&self.passed.up),
            down: read(&self.passed.down),
        }
    }

    /// All that was said on it, in both directions.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        let heard = self.passed.heard.as_ref();
        heard.map_or_else(Vec::new, |heard| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }

    /// Ends every connection and refuses new ones.
    pub fn cut(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.cut = true;
        line.hang_up();
    }

    /// Ends every connection; new ones are welcome.
    pub fn drop_connections(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).hang_up();
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).cut = false;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Line {
    fn connect(&mut self, client: TcpStream, port: u16, passed: &Arc<Counters>) -> std::io::Result<()> {
        if self.cut {
            return Ok(());
        }
        let server = TcpStream::connect(("127.0.0.1", port))?;
        passed.connections.fetch_add(1, Ordering::Relaxed);
        let up: fn(&Counters) -> &AtomicU64 = |passed| &passed.up;
        let down: fn(&Counters) -> &AtomicU64 = |passed| &passed.down;
        for (from, to, counter) in [
            (client.try_clone()?, server.try_clone()?, up),
            (server.try_clone()?, client.try_clone()?, down),
        ] {
            from.set_nodelay(true)?;
            let passed = Arc::clone(passed);
            let one_way = self.one_way;
            std::thread::spawn(move || match one_way {
                Duration::ZERO => pass(from, to, counter(&passed), passed.heard.as_ref()),
                one_way => pass_slowly(from, to, counter(&passed), one_way),
            });
        }
        // Thousands come and go in a day.
        self.open.retain(|stream| stream.peer_addr().is_ok());
        self.open.extend([client, server]);
        Ok(())
    }

    fn hang_up(&mut self) {
        for stream in self.open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passed: &AtomicU64, heard: Option<&Mutex<Vec<u8>>>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        passed.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(heard) = heard {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend_from_slice(&bytes[..count]);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Every piece arrives so long after it was sent. The client has its connection at once, for the system greets it by itself; what TCP's
/// greeting takes over this distance is made up for by its first bytes, which start no sooner than the greeting would have ended.
fn pass_slowly(mut from: TcpStream, to: TcpStream, passed: &AtomicU64, one_way: Duration) {
    let greeted = Instant::now() + one_way * 2;
    let (on_its_way, arriving) = mpsc::channel();
    std::thread::spawn(move || deliver(&arriving, to));
    let mut bytes = [0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).unwrap_or_default();
        passed.fetch_add(count as u64, Ordering::Relaxed);
        let due = Instant::now().max(greeted) + one_way;
        // Nothing: it has hung up, and that takes its time, too.
        let sent = on_its_way.send((due, bytes[..count].to_vec()));
        if count == 0 || sent.is_err() {
            return;
        }
    }
}

fn deliver(arriving: &mpsc::Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, bytes) in arriving {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::{Passed, Relay};

    #[test]
    fn a_far_relay_takes_its_time_once_for_many_pieces_and_twice_more_to_open() {
        const ONE_WAY: Duration = Duration::from_millis(100);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::far_from(listener.local_addr().unwrap().port(), ONE_WAY).unwrap();
        let began = Instant::now();
        let mut client = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
        client.write_all(b"1").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0; 1]).unwrap();
        let first = began.elapsed();
        assert!(first >= ONE_WAY * 3, "greeted and sent: {first:?}");

        let began = Instant::now();
        for _ in 0..20 {
            client.write_all(b"2").unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        server.read_exact(&mut [0; 20]).unwrap();
        let twenty = began.elapsed();
        assert!(twenty >= ONE_WAY + Duration::from_millis(95), "{twenty:?}");
        assert!(twenty < ONE_WAY * 4, "they are on their way together: {twenty:?}");

        let began = Instant::now();
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
        assert!(began.elapsed() >= ONE_WAY, "so is its end");
    }

    #[test]
    fn what_passes_is_counted_each_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::to(listener.local_addr().unwrap().port()).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"how many?").unwrap();
        server.read_exact(&mut [0; 9]).unwrap();
        server.write_all(b"61").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        let passed = relay.passed();
        let (connections, up, down) = (1, 9, 2);
        assert_eq!(
            passed,
            Passed {
                connections,
                up,
                down
            }
        );
    }
}
