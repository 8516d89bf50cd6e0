//! A line between Tillbell and a server that can be cut without either of them ending.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A relay on 127.0.0.1 that passes every byte on, until it is cut.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// A relay to a port of this machine.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = Self {
            port: listener.local_addr()?.port(),
            line: Arc::default(),
        };
        let line = Arc::clone(&relay.line);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that finds the line cut is hung up on, as is one whose server is gone.
                let _ = line
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .connect(client, port);
            }
        });
        Ok(relay)
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
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
    fn connect(&mut self, client: TcpStream, port: u16) -> std::io::Result<()> {
        if self.cut {
            return Ok(());
        }
        let server = TcpStream::connect(("127.0.0.1", port))?;
        for (from, to) in [
            (client.try_clone()?, server.try_clone()?),
            (server.try_clone()?, client.try_clone()?),
        ] {
            from.set_nodelay(true)?;
            std::thread::spawn(move || pass(from, to));
        }
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

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
