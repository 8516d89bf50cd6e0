//! Displays in browsers: which there are, which ask to be one, and how each is.
//!
//! The list is stored in the profile; of what proves that somebody is a display only digests are.

mod roll;
mod secret;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use ts_rs::TS;

pub use self::roll::{ASKS, Answered, DisplayError, DisplayRole, Known, LINK, RETRY};
pub use self::secret::Secret;

use self::roll::{Member, Roll};
use crate::clock::{Moment, Now};
use crate::files::{replace, set_aside};
use crate::store::profile::Profile;

/// The form of the file.
const VERSION: u32 = 1;
/// A page says how it is each five seconds. After this it is gone, whatever its connection says.
const SILENCE: Duration = Duration::from_secs(15);
/// Where a server listens that was not told otherwise.
pub const USUAL_PORT: u16 = 7878;

/// All that is known of displays in browsers. Cheap to clone; every clone is the same list.
#[derive(Debug, Clone)]
pub struct Displays(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
    /// Grows with each display that is revoked, or is to ring from now on or no longer.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    roll: Roll,
    addresses: Addresses,
    /// By name, since this program started.
    seen: BTreeMap<String, Seen>,
}

/// Where browsers reach this machine: what links begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// For displays of customers.
    pub customers: String,
    /// For operators, who come over TLS or from this machine.
    pub operators: String,
}

impl Default for Addresses {
    fn default() -> Self {
        let here = format!("http://127.0.0.1:{USUAL_PORT}");
        Self {
            customers: here.clone(),
            operators: here,
        }
    }
}

/// How a display was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    at: Timestamp,
    /// The same, for what must not go by the wall's clock.
    alive: Moment,
    address: String,
    presence: Option<Presence>,
    /// Pages of it that are drawn at this moment.
    streams: u32,
}

/// Whether somebody can see and hear a display in a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Presence {
    /// Its page is in front.
    pub visible: bool,
    /// Its page may sound.
    pub sound: bool,
    /// Its page keeps the screen awake.
    pub awake: bool,
}

/// A display, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub struct DisplayLine {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: DisplayRole,
    /// It is connected.
    pub connected: bool,
    /// Where it was last seen.
    pub address: Option<String>,
    /// When it was last seen, since this program started.
    #[ts(type = "string | null")]
    pub last_seen: Option<Timestamp>,
    /// Its page is in front; `None` where it has not said.
    pub visible: Option<bool>,
    /// Its page may sound; `None` where it has not said.
    pub sound: Option<bool>,
    /// It is to ring.
    #[serde(default)]
    pub rings: bool,
    /// It keeps its screen awake.
    pub awake: Option<bool>,
}

/// A page that shows its letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AskingLine {
    /// What it shows.
    pub letters: String,
    /// Where it is.
    pub address: String,
}

/// A display that was added: what only its owner is to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AddedDisplay {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: DisplayRole,
    /// To be opened by one browser within ten minutes.
    pub link: Option<String>,
    /// A program's, until it is revoked.
    pub token: Option<String>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    addresses: Addresses,
    displays: Vec<Member>,
}

impl Displays {
    /// Reads the profile's list. One that makes no sense is set aside: then every browser has to be allowed anew.
    ///
    /// # Errors
    /// When it can be neither read nor set aside.
    pub fn open(profile: &Profile, now: Timestamp) -> io::Result<Self> {
        let path = profile.displays_file();
        let stored = match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Stored>(&bytes) {
                Ok(stored) if stored.version <= VERSION => Some(stored),
                Ok(_) | Err(_) => {
                    let aside = set_aside(&path, now)?;
                    tracing::warn!(
                        ?aside,
                        "the list of displays cannot be understood and was set aside"
                    );
                    None
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let state = stored.map_or_else(State::default, |stored| State {
            roll: Roll::of(stored.displays),
            addresses: stored.addresses,
            seen: BTreeMap::new(),
        });
        Ok(Self(Arc::new(Inner {
            path,
            state: Mutex::new(state),
            changed: watch::channel(0).0,
        })))
    }

    /// The file, which no other profile has.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, state: &State) -> Result<(), DisplayError> {
        let stored = Stored {
            version: VERSION,
            addresses: state.addresses.clone(),
            displays: state.roll.members().to_vec(),
        };
        let written = serde_json::to_vec_pretty(&stored)
            .map_err(io::Error::other)
            .and_then(|text| replace(&self.0.path, &text));
        written.map_err(|error| DisplayError::DisplaysNotStored {
            error: error.to_string(),
        })
    }

    /// Links begin with these from now on.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn reached_at(&self, addresses: Addresses) -> Result<(), DisplayError> {
        let mut state = self.state();
        state.addresses = addresses;
        self.store(&state)
    }

    /// Adds a display, or a program.
    ///
    /// # Errors
    /// When its name is taken, there are too many, or it cannot be stored.
    pub fn add(
        &self,
        role: DisplayRole,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<AddedDisplay, DisplayError> {
        let mut state = self.state();
        let added = state.roll.add(role, name, now)?;
        if let Err(error) = self.store(&state) {
            let _it_was_just_added = state.roll.revoke(&added.name);
            return Err(error);
        }
        let base = match role {
            DisplayRole::Operator => &state.addresses.operators,
            DisplayRole::Customer | DisplayRole::Program => &state.addresses.customers,
        };
        Ok(AddedDisplay {
            link: added.token.map(|token| format!("{base}/join#{}", token.reveal())),
            token: added.bearer.map(|bearer| bearer.reveal()),
            name: added.name,
            role: added.role,
        })
    }

    /// Makes the page that shows these letters a display for customers, and says how that is called.
    ///
    /// # Errors
    /// When nobody shows them, its name is taken, there are too many, or it cannot be stored.
    pub fn allow(&self, letters: &str, name: Option<&str>, now: Now) -> Result<String, DisplayError> {
        let mut state = self.state();
        let name = state.roll.allow(letters, name, now.at)?;
        if let Err(error) = self.store(&state) {
            let _it_was_just_added = state.roll.revoke(&name);
            return Err(error);
        }
        Ok(name)
    }

    /// Ends a display at once.
    ///
    /// # Errors
    /// When there is none of this name, or it would be back after a restart.
    pub fn revoke(&self, name: &str) -> Result<(), DisplayError> {
        let mut state = self.state();
        state.roll.revoke(name)?;
        state.seen.remove(name);
        self.0.changed.send_modify(|times| *times += 1);
        self.store(&state)
    }

    /// Lets a display ring, or no longer.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be stored.
    pub fn sound(&self, name: &str, on: bool) -> Result<(), DisplayError> {
        let mut state = self.state();
        let before = state.roll.sound(name, on)?;
        if let Err(error) = self.store(&state) {
            let _it_was_there_just_now = state.roll.sound(name, before);
            return Err(error);
        }
        self.0.changed.send_modify(|times| *times += 1);
        Ok(())
    }

    /// Whose link this token is of, used or not.
    #[must_use]
    pub fn by_token(&self, token: &Secret) -> Option<Known> {
        self.state().roll.by_token(token)
    }

    /// Lets the page that has a link's token in. `None` for a token that is wrong, used or too old.
    ///
    /// # Errors
    /// When that cannot be stored; then the page may ask again.
    pub fn join(
        &self,
        token: &Secret,
        page: &Secret,
        now: Timestamp,
    ) -> Result<Option<Secret>, DisplayError> {
        let mut state = self.state();
        let cookie = state.roll.join(token, page, now);
        if cookie.is_some() {
            self.store(&state)?;
        }
        Ok(cookie)
    }

    /// A page without a cookie asks to be a display.
    ///
    /// # Errors
    /// When it was allowed and that cannot be stored.
    pub fn ask(&self, page: &Secret, address: &str, now: Now) -> Result<Answered, DisplayError> {
        let mut state = self.state();
        let answered = state.roll.ask(page, address, now);
        if let Answered::Allowed { is_new: true, .. } = answered {
            self.store(&state)?;
        }
        Ok(answered)
    }

    /// Whose cookie this is.
    #[must_use]
    pub fn by_cookie(&self, secret: &Secret) -> Option<Known> {
        self.state().roll.by_cookie(secret)
    }

    /// Whose bearer token this is.
    #[must_use]
    pub fn by_bearer(&self, secret: &Secret) -> Option<Known> {
        self.state().roll.by_bearer(secret)
    }

    /// Something was changed since: streams look whether they may go on, and whether their pages are to ring.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// A display's page is being drawn at this address, until the answer is dropped.
    #[must_use]
    pub fn connected(&self, name: &str, address: &str, now: Now) -> Connected {
        let mut state = self.state();
        let seen = state.seen.entry(name.to_owned()).or_insert_with(|| Seen {
            at: now.wall,
            alive: now.at,
            address: address.to_owned(),
            presence: None,
            streams: 0,
        });
        seen.at = now.wall;
        seen.alive = now.at;
        address.clone_into(&mut seen.address);
        seen.streams += 1;
        Connected {
            displays: self.clone(),
            name: name.to_owned(),
        }
    }

    /// A display for customers is in front, and has said so lately: one that lost its power is connected for a while still.
    #[must_use]
    pub fn customers_see(&self, now: Now) -> bool {
        let state = self.state();
        let is_seen = |name: &str| {
            state.seen.get(name).is_some_and(|seen| {
                seen.streams > 0
                    && now.at.since(seen.alive) < SILENCE
                    && seen.presence.is_none_or(|presence| presence.visible)
            })
        };
        let mut customers = state
            .roll
            .members()
            .iter()
            .filter(|member| member.role == DisplayRole::Customer);
        customers.any(|member| is_seen(&member.name))
    }

    /// A display says how it is.
    pub fn heard(&self, name: &str, presence: Option<Presence>, now: Now) {
        if let Some(seen) = self.state().seen.get_mut(name) {
            seen.at = now.wall;
            seen.alive = now.at;
            seen.presence = presence.or(seen.presence);
        }
    }

    /// The displays, and the pages that ask to be one.
    #[must_use]
    pub fn list(&self, now: Now) -> (Vec<DisplayLine>, Vec<AskingLine>) {
        let state = self.state();
        let line = |member: &Member| {
            let seen = state.seen.get(&member.name);
            let presence = seen.and_then(|seen| seen.presence);
            DisplayLine {
                name: member.name.clone(),
                role: member.role,
                connected: seen.is_some_and(|seen| {
                    // A program says nothing of itself.
                    let is_heard = now.at.since(seen.alive) < SILENCE || member.role == DisplayRole::Program;
                    seen.streams > 0 && is_heard
                }),
                address: seen.map(|seen| seen.address.clone()),
                last_seen: seen.map(|seen| seen.at),
                visible: presence.map(|presence| presence.visible),
                sound: presence.map(|presence| presence.sound),
                rings: member.sound,
                awake: presence.map(|presence| presence.awake),
            }
        };
        let asking = state.roll.asking(now.at).into_iter();
        (
            state.roll.members().iter().map(line).collect(),
            asking
                .map(|(letters, address)| AskingLine { letters, address })
                .collect(),
        )
    }
}

/// A display's page is being drawn as long as this is held.
#[derive(Debug)]
pub struct Connected {
    displays: Displays,
    name: String,
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(seen) = self.displays.state().seen.get_mut(&self.name) {
            seen.streams = seen.streams.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            at: Moment::after_start(Duration::from_secs(seconds)),
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn customers_see_a_display_that_is_in_front_and_has_said_so_lately() {
        let folder = tempfile::tempdir().unwrap();
        let displays = Displays::open(&Profile::at(folder.path()), Timestamp::UNIX_EPOCH).unwrap();
        displays
            .add(DisplayRole::Customer, Some("counter"), Timestamp::UNIX_EPOCH)
            .unwrap();
        assert!(!displays.customers_see(at(0)));
        let connected = displays.connected("counter", "192.168.1.7", at(0));
        assert!(displays.customers_see(at(14)));
        assert!(!displays.customers_see(at(15)), "it has lost its power");
        let presence = |visible| Presence {
            visible,
            sound: false,
            awake: false,
        };
        displays.heard("counter", Some(presence(true)), at(15));
        assert!(displays.customers_see(at(20)));
        displays.heard("counter", Some(presence(false)), at(20));
        assert!(!displays.customers_see(at(21)), "something else is in front");
        displays.heard("counter", Some(presence(true)), at(21));
        drop(connected);
        assert!(!displays.customers_see(at(22)));
    }
}
