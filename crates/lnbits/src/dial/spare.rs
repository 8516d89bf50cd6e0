//! hyper's way to a connection, and one that is ready before it is needed.
//!
//! LNbits' own server (uvicorn) hangs up 5 s after its last answer, so most questions would have to make a connection first. It
//! has no time-out for a connection on which nothing was asked yet. So one of those is kept, with all its handshakes made.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

use super::{DialError, Dialer, Wire};

/// The next spare is opened so long after a question needed a connection: the answer goes first.
const AFTER: Duration = Duration::from_secs(1);
/// A spare is renewed after so long. nginx hangs up on one after 60 s.
const RENEWED: Duration = Duration::from_secs(45);
/// Where the server hung up on a spare, the next one is opened so long after it, and after each further one twice as long.
const PAUSE: Duration = Duration::from_secs(15);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(240);

/// Opens connections to one server for hyper's client. Cheap to clone; clones share the spare one, which ends with the last.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    dialer: Dialer,
    kept: Option<Arc<Mutex<Kept>>>,
}

/// What waits for a question.
#[derive(Debug, Default)]
struct Kept {
    spare: Option<Wire>,
    /// Opens the spare, renews it, and hears the server hang up on it.
    keeper: Option<JoinHandle<()>>,
}

impl Connector {
    /// Dials whenever a connection is needed.
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, kept: None }
    }

    /// Keeps a spare connection from the first one on.
    pub(crate) fn with_spare(mut self) -> Self {
        self.kept = Some(Arc::default());
        self
    }

    /// Drops the spare connection. The next question that needs a connection dials, and another spare follows that one.
    pub(crate) fn leave_spare(&self) {
        if let Some(kept) = &self.kept {
            lock(kept).leave();
        }
    }

    async fn connect(&self, uri: Uri) -> Result<Wire, DialError> {
        let wire = match self.kept.as_ref().and_then(|kept| lock(kept).take()) {
            Some(spare) => spare,
            None => self.dialer.dial_for(&uri).await?,
        };
        if let Some(kept) = &self.kept {
            let next = || tokio::spawn(keep(Arc::downgrade(kept), self.dialer.clone(), uri));
            lock(kept).keep(next);
        }
        Ok(wire)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}

impl Kept {
    /// The spare, if there is one on which the server has neither hung up nor said anything.
    fn take(&mut self) -> Option<Wire> {
        let mut spare = self.spare.take()?;
        if !is_silent(&mut spare, &mut Context::from_waker(Waker::noop())) {
            return None;
        }
        spare.waited.note();
        // Its keeper has nothing to keep any more.
        self.leave();
        Some(spare)
    }

    /// Has `next` keep a spare, if nobody does.
    fn keep(&mut self, next: impl FnOnce() -> JoinHandle<()>) {
        if self.keeper.as_ref().is_none_or(JoinHandle::is_finished) {
            self.keeper = Some(next());
        }
    }

    fn leave(&mut self) {
        self.spare = None;
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Keeps a spare connection until it is needed or cannot be opened: a server that is down is left alone until the next question.
async fn keep(kept: Weak<Mutex<Kept>>, dialer: Dialer, uri: Uri) {
    let mut pause = PAUSE;
    sleep(AFTER).await;
    loop {
        let began = Instant::now();
        // The one before waits until its successor is there.
        let spare = dialer.dial_for(&uri).await.inspect_err(|error| {
            tracing::debug!(%error, "no spare connection");
        });
        let failed = spare.is_err();
        match kept.upgrade() {
            Some(kept) => lock(&kept).spare = spare.ok(),
            None => return,
        }
        if failed {
            return;
        }
        if timeout(RENEWED, until_hung_up(&kept)).await.is_ok() {
            sleep_until(began + pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        } else {
            pause = PAUSE;
        }
    }
}

/// Returns when there is no spare any more on which a question could be asked.
async fn until_hung_up(kept: &Weak<Mutex<Kept>>) {
    poll_fn(|cx| {
        let Some(kept) = kept.upgrade() else {
            return Poll::Ready(());
        };
        let mut kept = lock(&kept);
        if kept.spare.as_mut().is_some_and(|spare| is_silent(spare, cx)) {
            return Poll::Pending;
        }
        kept.spare = None;
        Poll::Ready(())
    })
    .await;
}

/// True while the server has neither hung up nor said anything: what it says before it is asked is no answer.
fn is_silent(wire: &mut Wire, cx: &mut Context<'_>) -> bool {
    let mut byte = [0];
    Pin::new(wire)
        .poll_read(cx, &mut ReadBuf::new(&mut byte))
        .is_pending()
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
