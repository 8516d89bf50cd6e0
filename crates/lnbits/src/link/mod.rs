//! The link: holds the wallet's WebSocket, reconnects whatever happens, and tells what it hears.
//!
//! One task holds the socket. It awaits nothing but the socket, its timers and its orders: what it hears goes
//! out by a bounded channel that it never waits for, so that pings are always answered. When to ping
//! ([`keepalive`]) and when to dial again ([`backoff`]) are pure machines beside it.

mod backoff;
mod keepalive;
mod lost;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Sink, SinkExt, Stream};
use http::header::{HeaderValue, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use self::backoff::Backoff;
use self::keepalive::{Due, Inbox, Keepalive};
pub use self::lost::Lost;
pub use crate::channel::Channel;
use crate::dial::{Budgets, DialError, Dialer, Step, Wire};
use crate::frame::{self, MAX_FRAME_BYTES, Noise, Reading};
use crate::headers::USER_AGENT_TEXT;
use crate::{Hint, Server, failpoint, step};

/// Hints that may wait to be taken.
const HINTS: usize = 256;
/// A larger message ends the socket: LNbits' own are a few KiB. What is below this and above
/// [`MAX_FRAME_BYTES`] is noise.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How the socket stands. (What the merchant sees as the link's state also depends on the catch-up, which is not ours.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketState {
    /// A connection is being made. Entered at the start, after each wait, and by [`Link::redial`] from
    /// anywhere; left for `Open` when the server accepts the upgrade, for `Waiting` when anything fails.
    Dialling,
    /// The server accepted the upgrade. Entered from `Dialling`; left for `Waiting` when the socket is lost or
    /// a ping has no answer. `opening` counts openings, so that nobody mistakes one for another.
    Open {
        /// 1 for the first opening since the link was started.
        opening: u64,
    },
    /// The last attempt failed or the socket was lost; left for `Dialling` by itself, after at most 6 s (or
    /// what the server asked for by 429, up to 60 s).
    Waiting {
        /// Why.
        why: Lost,
        /// Attempts that failed in a row; 0 right after the loss of a socket that had been open for 20 s.
        failures: u32,
    },
}

/// What the link has seen; counters only grow.
#[derive(Debug, Default)]
pub struct Meter {
    /// Messages heard, text or binary.
    pub frames: AtomicU64,
    /// Messages that were no payment.
    pub noise: AtomicU64,
    /// Hints dropped because nobody took them in time: the list must be asked.
    pub dropped: AtomicU64,
    /// Messages that called themselves a payment and named it by no hash.
    pub bad_hashes: AtomicU64,
}

impl Meter {
    /// Messages heard so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Hints dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Messages with a payment but no hash so far.
    #[must_use]
    pub fn bad_hashes(&self) -> u64 {
        self.bad_hashes.load(Ordering::Relaxed)
    }
}

/// A running link. Dropping it closes the socket and ends the task.
#[derive(Debug)]
pub struct Link {
    /// How the socket stands; changes only when it does.
    pub state: watch::Receiver<SocketState>,
    /// What was heard, in order. Bounded: what does not fit is counted in `meter.dropped` and never awaited.
    pub hints: mpsc::Receiver<Hint>,
    /// Notified when a hint had to be dropped or had no hash: look at the meter. Keeps one notice while nobody listens.
    pub dirty: Arc<Notify>,
    /// Counters.
    pub meter: Arc<Meter>,
    orders: watch::Sender<Orders>,
}

/// What the link's owner wants; the task ends when the sender is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    closely: bool,
    redials: u64,
}

impl Link {
    /// Starts holding `channel` of `server` on the current tokio runtime.
    #[must_use]
    pub fn start(dialer: Dialer, server: &Server, channel: &Channel) -> Self {
        let url = server.ws_url(channel.id());
        let budgets = dialer.budgets();
        let network = Network {
            dialer,
            url: url.clone(),
        };
        Self::hold(network, url, budgets, rand::random::<f64>)
    }

    /// Drops the socket, if any, and dials at once: after a wake from sleep, or when the network changed.
    pub fn redial(&self) {
        self.orders.send_modify(|orders| orders.redials += 1);
    }

    /// While an invoice is awaited: pings at once and then every 3 s, and allows 2.5 s for each answer, so that
    /// a dead socket is noticed within 6 s. `false` returns to a ping every 10 s with 5 s for its answer.
    pub fn watch_closely(&self, closely: bool) {
        self.orders
            .send_if_modified(|orders| std::mem::replace(&mut orders.closely, closely) != closely);
    }

    fn hold<T: Transport>(
        transport: T,
        url: Url,
        budgets: Budgets,
        roll: impl FnMut() -> f64 + Send + 'static,
    ) -> Self {
        let (state_in, state) = watch::channel(SocketState::Dialling);
        let (hints_in, hints) = mpsc::channel(HINTS);
        let (orders, orders_out) = watch::channel(Orders::default());
        let meter = Arc::<Meter>::default();
        let dirty = Arc::<Notify>::default();
        let sink = FrameSink {
            hints: hints_in,
            meter: Arc::clone(&meter),
            dirty: Arc::clone(&dirty),
        };
        let task = SocketTask {
            transport,
            url,
            budgets,
            roll,
            sink,
            state: state_in,
            orders: orders_out,
            backoff: Backoff::default(),
            openings: 0,
            logged: None,
            loss_told: false,
            redials: 0,
        };
        tokio::spawn(task.run());
        Self {
            state,
            hints,
            dirty,
            meter,
            orders,
        }
    }
}

/// What carries a socket: the network, or a pipe in a test.
trait Transport: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn connect(&self) -> impl Future<Output = Result<Self::Stream, DialError>> + Send;
}

struct Network {
    dialer: Dialer,
    url: Url,
}

impl Transport for Network {
    type Stream = Wire;

    fn connect(&self) -> impl Future<Output = Result<Wire, DialError>> + Send {
        self.dialer.connect(&self.url)
    }
}

/// Where frames go: decoded and handed on, or counted.
struct FrameSink {
    hints: mpsc::Sender<Hint>,
    meter: Arc<Meter>,
    dirty: Arc<Notify>,
}

impl FrameSink {
    fn text(&self, text: &str) {
        failpoint::frame();
        self.meter.frames.fetch_add(1, Ordering::Relaxed);
        if text.len() > MAX_FRAME_BYTES {
            self.meter.noise.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match frame::read(text) {
            Reading::Hint(hint) => {
                step::framed(hint.payment_hash);
                match self.hints.try_send(hint) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                        self.meter.dropped.fetch_add(1, Ordering::Relaxed);
                        self.dirty.notify_one();
                    }
                }
            }
            Reading::NotAPayment(noise) => {
                self.meter.noise.fetch_add(1, Ordering::Relaxed);
                if noise == Noise::BadHash {
                    self.meter.bad_hashes.fetch_add(1, Ordering::Relaxed);
                    self.dirty.notify_one();
                }
            }
        }
    }

    fn noise(&self) {
        self.meter.frames.fetch_add(1, Ordering::Relaxed);
        self.meter.noise.fetch_add(1, Ordering::Relaxed);
    }
}

/// The task that holds the socket.
struct SocketTask<T, R> {
    transport: T,
    url: Url,
    budgets: Budgets,
    roll: R,
    sink: FrameSink,
    state: watch::Sender<SocketState>,
    orders: watch::Receiver<Orders>,
    backoff: Backoff,
    openings: u64,
    /// What was last said in the log, so that each retry does not say it again.
    logged: Option<Lost>,
    /// Whether the last loss was told above debug: then its end is too.
    loss_told: bool,
    /// How many of the orders to redial have been carried out.
    redials: u64,
}

/// What an order makes of whatever was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupt {
    Redial,
    End,
}

/// How listening to a socket ended.
enum Ended {
    Lost(Lost),
    Interrupted(Interrupt),
}

impl<T: Transport, R: FnMut() -> f64 + Send> SocketTask<T, R> {
    async fn run(mut self) {
        loop {
            self.tell(SocketState::Dialling);
            let opened = tokio::select! {
                biased;
                interrupt = interrupted(&mut self.orders, &mut self.redials) => Err(interrupt),
                opened = open(&self.transport, &self.url, self.budgets) => Ok(opened),
            };
            let (why, wait) = match opened {
                Err(interrupt) => match self.obey(interrupt) {
                    Some(()) => continue,
                    None => return,
                },
                Ok(Err(why)) => {
                    let roll = (self.roll)();
                    (why, self.backoff.failed(roll))
                }
                Ok(Ok(socket)) => {
                    self.openings += 1;
                    self.tell(SocketState::Open {
                        opening: self.openings,
                    });
                    self.log_open();
                    let since = Instant::now();
                    let ended = self.listen(socket).await;
                    match ended {
                        Ended::Interrupted(interrupt) => match self.obey(interrupt) {
                            Some(()) => continue,
                            None => return,
                        },
                        Ended::Lost(why) => {
                            let open_for = since.elapsed();
                            if open_for >= backoff::HEALTHY {
                                self.logged = None;
                            }
                            let roll = (self.roll)();
                            (why, self.backoff.dropped(open_for, roll))
                        }
                    }
                }
            };
            self.log_loss(&why);
            let wait = match why.retry_after() {
                Some(asked) => wait.max(asked.min(MAX_RETRY_AFTER)),
                None => wait,
            };
            self.tell(SocketState::Waiting {
                why,
                failures: self.backoff.failures(),
            });
            tokio::select! {
                biased;
                interrupt = interrupted(&mut self.orders, &mut self.redials) => {
                    if self.obey(interrupt).is_none() {
                        return;
                    }
                }
                () = sleep(wait) => {}
            }
        }
    }

    /// Reads an open socket until it is lost or an order comes.
    async fn listen(&mut self, socket: WebSocketStream<T::Stream>) -> Ended {
        let mut socket = Socket {
            stream: socket,
            unsent: false,
        };
        let mut keepalive = Keepalive::new(self.orders.borrow().closely, Instant::now());
        loop {
            // A socket that always has something would starve the runtime's other tasks.
            tokio::task::coop::consume_budget().await;
            let due = tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        socket.bid_farewell().await;
                        return Ended::Interrupted(Interrupt::End);
                    }
                    let orders = *self.orders.borrow_and_update();
                    if orders.redials != self.redials {
                        self.redials = orders.redials;
                        // What can be sent at once is; nothing waits for a line that may be dead.
                        let _ = socket.bid_farewell().now_or_never();
                        return Ended::Interrupted(Interrupt::Redial);
                    }
                    keepalive.watch_closely(orders.closely, Instant::now())
                }
                heard = poll_fn(|cx| socket.poll_hear(cx)) => {
                    match heard {
                        Some(Ok(Message::Text(text))) => self.sink.text(text.as_str()),
                        Some(Ok(Message::Binary(_) | Message::Frame(_))) => self.sink.noise(),
                        // The answer is queued already; it leaves with the next look at the socket.
                        Some(Ok(Message::Ping(_))) => socket.unsent = true,
                        Some(Ok(Message::Pong(payload))) => keepalive.pong(&payload),
                        Some(Ok(Message::Close(frame))) => {
                            let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                            // Lets the answer to the close frame out, if it can leave at once.
                            let _ = socket.flush().now_or_never();
                            return Ended::Lost(Lost::Closed { code: code.into() });
                        }
                        Some(Err(error)) => return Ended::Lost(Lost::from_socket(&error)),
                        None => return Ended::Lost(Lost::Vanished),
                    }
                    // While there is always something to read, the timer below never gets its turn.
                    keepalive.due(Instant::now(), Inbox::Flooded)
                }
                // After the socket, which therefore had nothing to read: no answer is overlooked.
                () = sleep_until(keepalive.next()) => keepalive.due(Instant::now(), Inbox::Empty),
            };
            match due {
                Due::Nothing(_) => {}
                Due::Ping(payload) => {
                    if let Err(error) = socket.ping(payload) {
                        return Ended::Lost(Lost::from_socket(&error));
                    }
                }
                Due::Dead => return Ended::Lost(Lost::Silent),
            }
        }
    }

    /// `None` when the task is to end.
    fn obey(&mut self, interrupt: Interrupt) -> Option<()> {
        match interrupt {
            Interrupt::Redial => {
                self.backoff.forget();
                Some(())
            }
            Interrupt::End => None,
        }
    }

    fn tell(&self, now: SocketState) {
        self.state.send_if_modified(|state| {
            let changed = *state != now;
            *state = now;
            changed
        });
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn log_open(&mut self) {
        let host = self.host();
        let opening = self.openings;
        if opening == 1 || self.loss_told {
            tracing::info!(host, opening, "the socket is open");
        } else {
            tracing::debug!(host, opening, "the socket is open");
        }
        self.loss_told = false;
    }

    fn log_loss(&mut self, why: &Lost) {
        let (host, failures) = (self.host(), self.backoff.failures());
        if self.logged.as_ref() == Some(why) {
            tracing::debug!(host, failures, %why, "no socket");
            return;
        }
        if why.needs_somebody() {
            tracing::warn!(host, failures, %why, "no socket");
        } else {
            tracing::info!(host, failures, %why, "no socket");
        }
        self.logged = Some(why.clone());
        self.loss_told = true;
    }
}

/// Completes when there is an order to redial or to end; other orders do not matter without a socket.
async fn interrupted(orders: &mut watch::Receiver<Orders>, redials: &mut u64) -> Interrupt {
    loop {
        if orders.changed().await.is_err() {
            return Interrupt::End;
        }
        let asked = orders.borrow_and_update().redials;
        if asked != *redials {
            *redials = asked;
            return Interrupt::Redial;
        }
    }
}

/// Dials and upgrades, all under the budgets.
async fn open<T: Transport>(
    transport: &T,
    url: &Url,
    budgets: Budgets,
) -> Result<WebSocketStream<T::Stream>, Lost> {
    let deadline = Instant::now() + budgets.total;
    let stream = transport.connect().await?;
    let mut request = url.as_str().into_client_request().map_err(|_| Lost::NotASocket)?;
    request
        .headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_TEXT));
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let upgrade = client_async_with_config(request, stream, Some(config));
    match timeout_at(deadline.min(Instant::now() + budgets.upgrade), upgrade).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(Lost::from_upgrade(&error)),
        Err(_) => {
            let host = url.host_str().unwrap_or_default().to_owned();
            Err(DialError::TimedOut {
                host,
                step: Step::Upgrade,
            }
            .into())
        }
    }
}

/// A socket that is written to without ever waiting for it: what does not leave at once leaves while reading.
struct Socket<S> {
    stream: WebSocketStream<S>,
    unsent: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, WsError>>> {
        if self.unsent {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unsent = false,
                // A broken line may still hold the server's last words: reading will tell.
                Poll::Ready(Err(_)) => self.unsent = false,
                Poll::Pending => {}
            }
        }
        Pin::new(&mut self.stream).poll_next(cx)
    }

    fn ping(&mut self, payload: [u8; 8]) -> Result<(), WsError> {
        self.unsent = true;
        // At most one ping is under way, so that what is unsent stays small.
        Pin::new(&mut self.stream).start_send(Message::Ping(payload.to_vec().into()))
    }

    async fn flush(&mut self) -> Result<(), WsError> {
        self.stream.flush().await
    }

    async fn bid_farewell(&mut self) {
        let _ = timeout(FAREWELL, self.stream.close(None)).await;
    }
}

impl<T, R> fmt::Debug for SocketTask<T, R> {
    /// Not derived: the URL holds the channel's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTask")
            .field("openings", &self.openings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
