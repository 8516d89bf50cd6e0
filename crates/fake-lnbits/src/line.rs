//! TCP connections that can be cut from outside, as a server that ends cuts them.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::faults::Faults;

/// Every open connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<u64, Scissors>>>);

impl Lines {
    pub(crate) fn cut_all(&self) {
        for scissors in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            scissors.cut(false);
        }
    }

    fn add(&self, stream: TcpStream) -> Line {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = lines.keys().max().map_or(0, |last| last + 1);
        let scissors = Scissors::default();
        lines.insert(number, scissors.clone());
        Line {
            stream,
            scissors,
            number,
            lines: self.clone(),
        }
    }
}

/// Cuts one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scissors(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    done: AtomicBool,
    reset: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    noticed: Notify,
}

impl Scissors {
    /// Ends the connection, with a TCP reset if asked for.
    pub(crate) fn cut(&self, reset: bool) {
        self.0.reset.store(reset, Ordering::SeqCst);
        self.0.done.store(true, Ordering::SeqCst);
        self.0.reader.wake();
        self.0.writer.wake();
        // One permit stays for whoever asks later; only the socket's own task asks.
        self.0.noticed.notify_one();
    }

    /// Returns when the connection has been cut.
    pub(crate) async fn until_cut(&self) {
        if !self.0.done.load(Ordering::SeqCst) {
            self.0.noticed.notified().await;
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.0.done.load(Ordering::SeqCst) {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }
}

/// A connection of which somebody else may hold the scissors.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    scissors: Scissors,
    number: u64,
    lines: Lines,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
        if self.scissors.0.reset.load(Ordering::SeqCst)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection is closed instead of reset");
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.scissors.0.reader.register(cx.waker());
        line.scissors.check()?;
        Pin::new(&mut line.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        line.scissors.0.writer.register(cx.waker());
        line.scissors.check()?;
        Pin::new(&mut line.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The listening socket, which may keep people waiting outside.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) faults: Faults,
    pub(crate) lines: Lines,
}

impl axum::serve::Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    // Whoever came first waits longest, as behind a full backlog.
                    self.faults.while_accept_hangs().await;
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "small frames may come late");
                    }
                    return (self.lines.add(stream), from);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Scissors {
        stream.io().scissors.clone()
    }
}
