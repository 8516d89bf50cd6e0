//! The screen that a window would open on, as this session's environment names it.

use std::env;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use x11rb::rust_connection::RustConnection;

/// What the environment says. A name that is empty counts as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// `WAYLAND_DISPLAY`: a socket's name below `XDG_RUNTIME_DIR`, or its path.
    wayland: Option<String>,
    /// `DISPLAY`, such as `:0`.
    x11: Option<String>,
}

/// Why no window can be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoScreen {
    /// The session names none: a text console, a service, a login over the network.
    #[error(
        "there is no screen to open a window on, for neither DISPLAY nor WAYLAND_DISPLAY is set: start Tillbell on a \
         desktop, or run `tillbell-headless watch` in a terminal"
    )]
    NotNamed,
    /// The one that it names does not answer, or does not let this user in.
    #[error(
        "the screen ({session}) cannot be reached: check that it is running and that this user may draw on it, or run \
         `tillbell-headless watch` in a terminal"
    )]
    NotReached {
        /// As the environment names it.
        session: Session,
    },
}

impl Session {
    /// This process's own.
    #[must_use]
    pub fn of_this_process() -> Self {
        let named = |variable| env::var(variable).ok().filter(|name| !name.is_empty());
        Self {
            wayland: named("WAYLAND_DISPLAY"),
            x11: named("DISPLAY"),
        }
    }

    /// True where windows are drawn by a Wayland compositor; an X server beside it is only its guest.
    #[must_use]
    pub const fn is_wayland(&self) -> bool {
        self.wayland.is_some()
    }

    /// True where an X server is named, be it a guest's.
    #[must_use]
    pub const fn is_x11(&self) -> bool {
        self.x11.is_some()
    }

    /// What to say where no window could be opened.
    #[must_use]
    pub fn unreachable(self) -> NoScreen {
        match (&self.wayland, &self.x11) {
            (None, None) => NoScreen::NotNamed,
            (Some(_), _) | (_, Some(_)) => NoScreen::NotReached { session: self },
        }
    }

    /// Asks whether a window could be opened.
    ///
    /// # Errors
    /// When none could.
    pub fn reach(self) -> Result<Self, NoScreen> {
        let answers = |name: &String| {
            let folder = env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
            // A path stays one.
            UnixStream::connect(Path::new(&folder).join(name)).is_ok()
        };
        let reached = self.wayland.as_ref().is_some_and(answers)
            || self.x11.is_some() && RustConnection::connect(self.x11.as_deref()).is_ok();
        match reached {
            true => Ok(self),
            false => Err(self.unreachable()),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.wayland, &self.x11) {
            (Some(wayland), None) => write!(f, "Wayland, {wayland}"),
            (Some(wayland), Some(x11)) => write!(f, "Wayland, {wayland}, and X11, {x11}"),
            (None, Some(x11)) => write!(f, "X11, {x11}"),
            (None, None) => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(wayland: Option<&str>, x11: Option<&str>) -> Session {
        Session {
            wayland: wayland.map(str::to_owned),
            x11: x11.map(str::to_owned),
        }
    }

    #[test]
    fn whatever_is_wrong_the_sentence_names_the_screen_and_says_what_to_do() {
        let cases = [
            (session(None, None), "neither DISPLAY nor WAYLAND_DISPLAY"),
            (session(None, Some(":77")), "X11, :77"),
            (session(Some("wayland-9"), None), "Wayland, wayland-9"),
            (session(Some("wayland-9"), Some(":0")), "X11, :0"),
        ];
        for (session, named) in cases {
            let said = session.unreachable().to_string();
            assert!(said.contains(named), "{said}");
            assert!(said.contains("`tillbell-headless watch` in a terminal"), "{said}");
        }
    }

    #[test]
    fn a_screen_that_nobody_answers_for_is_not_reached() {
        for session in [
            session(None, None),
            session(None, Some(":7777")),
            session(Some("/nowhere/wayland-9"), None),
        ] {
            assert_eq!(session.clone().reach(), Err(session.unreachable()));
        }
    }

    #[test]
    fn a_wayland_socket_that_answers_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("wayland-1");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let session = session(socket.to_str(), Some(":7777"));
        assert_eq!(session.clone().reach(), Ok(session));
    }
}
