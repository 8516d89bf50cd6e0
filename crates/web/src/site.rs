//! What every request is answered from.

use std::sync::{Arc, Mutex};

use tillbell_till::Engine;
use tillbell_till::clock::Clock;
use tillbell_till::displays::AskingLine;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::accept::Gate;
use crate::cookie::Cookie;
use crate::guesses::Guesses;

/// So many read the record at the same time; the others wait.
const READERS: usize = 4;

/// What every request is answered from.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cookie: Cookie,
    pub(crate) gate: Arc<Gate>,
    pub(crate) guesses: Mutex<Guesses>,
    /// Turns to read the record.
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) asking: mpsc::Sender<AskingLine>,
    /// The engine answers.
    pub(crate) alive: watch::Receiver<bool>,
}

impl Site {
    /// One for the displays of this engine.
    pub(crate) fn new(
        engine: Engine,
        clock: Arc<dyn Clock>,
        gate: Arc<Gate>,
        asking: mpsc::Sender<AskingLine>,
        alive: watch::Receiver<bool>,
    ) -> Self {
        Self {
            cookie: Cookie::of(engine.displays()),
            engine,
            clock,
            gate,
            guesses: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            asking,
            alive,
        }
    }
}
