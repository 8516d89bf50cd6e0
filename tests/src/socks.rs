//! A SOCKS5 proxy as Tor is one: it looks names up itself, and here every one of them leads to one server.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A running proxy. It ends with its handle.
#[derive(Debug)]
pub struct Socks {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Socks {
    /// One that leads to this port of this machine, whatever it is asked for.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let socks = Self {
            port: listener.local_addr()?.port(),
            asked: Arc::default(),
            _runtime: runtime,
        };
        let asked = Arc::clone(&socks.asked);
        socks._runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, port, Arc::clone(&asked)));
            }
        });
        Ok(socks)
    }

    /// Its address, as settings have it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("socks5h://127.0.0.1:{}", self.port)
    }

    /// The names that it was asked for, with their ports, each once.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

/// RFC 1928: a greeting, then a question by name.
async fn tunnel(mut client: TcpStream, to: u16, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    client.read_exact(&mut vec![0; greeting[1].into()]).await?;
    client.write_all(&[5, 0]).await?;
    let mut head = [0; 5];
    client.read_exact(&mut head).await?;
    let mut name = vec![0; head[4].into()];
    client.read_exact(&mut name).await?;
    let port = client.read_u16().await?;
    let name = format!("{}:{port}", String::from_utf8_lossy(&name));
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
