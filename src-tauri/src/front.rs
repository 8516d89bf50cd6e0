//! One engine a profile: a second start brings the first one's window to the front and ends.
//!
//! The first opens the control door of its profile (see [`tillbell_till::engine::door`]); the second asks there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tauri::AppHandle;
use tillbell_till::Engine;
use tillbell_till::engine::door::{self, Door};
use tillbell_till::engine::{Reply, Request};
use tillbell_till::store::profile::Profile;

use crate::window;

/// A window that is there comes to the front within this.
const PATIENCE: Duration = Duration::from_secs(1);

/// The door of this display.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrontDoor(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    /// Not open yet.
    #[default]
    Closed,
    Open(#[expect(dead_code, reason = "held, not used")] Door),
    /// This display is about to end.
    Left,
}

impl FrontDoor {
    /// Opens it for others who start on the same profile, and for commands.
    pub(crate) async fn open(&self, profile: &Profile, engine: Engine, app: AppHandle) {
        let show = move || {
            window::to_front(&app);
            true
        };
        match Door::open(profile, engine, Box::new(show)).await {
            Ok(door) => {
                let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if matches!(*state, State::Closed) {
                    *state = State::Open(door);
                }
            }
            Err(error) => tracing::info!(%error, "a second start will not find this window"),
        }
    }

    /// This display is about to end: whoever knocks from now on is to open their own.
    pub(crate) fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Left;
    }
}

/// Asks the one who has the profile to come to the front. True when a window did.
pub(crate) async fn call(profile: &Profile) -> bool {
    let mut no_steps = |_: &_| {};
    let asked = door::ask(profile, &Request::Show, &mut no_steps);
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(Reply::Done)))
}
