//! The ways to keep a screen awake: two kinds of services on the desktop's bus and one beside them, the login manager, the X server.

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Held, take};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Way, WayError};
#[cfg(target_os = "linux")]
pub(crate) use linux::{Held, take};
#[cfg(target_os = "linux")]
pub use linux::{Way, WayError};

/// How we are called there.
const APP: &str = "org.tillbell.display";
const WHY: &str = "a shop's display";

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;
    use std::time::Duration;

    use x11rb::connection::RequestConnection as _;
    use x11rb::protocol::screensaver::{self, ConnectionExt as _};
    use x11rb::rust_connection::RustConnection;
    use x11rb::wrapper::ConnectionExt as _;
    use zbus::Message;
    use zbus::blocking::{Connection, connection};

    use super::{APP, WHY};
    use crate::screen::Session;

    /// A service answers within this.
    const ANSWER: Duration = Duration::from_secs(5);
    /// What a session manager calls being idle.
    const IDLE: u32 = 8;

    /// A way.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Way {
        /// Most desktops: KDE, GNOME, Cinnamon, MATE.
        ScreenSaver,
        /// GNOME and its relatives, also where no screen saver runs.
        SessionManager,
        /// Xfce and LXQt.
        PowerManagement,
        /// systemd's login manager, which needs no desktop.
        LoginManager,
        /// The X server itself: its screen saver and the monitor's power saving.
        XServer,
    }

    /// Why a way does not work.
    #[derive(Debug, thiserror::Error)]
    pub enum WayError {
        /// Its bus.
        #[error("its bus cannot be reached")]
        NoBus(#[source] zbus::Error),
        /// Its service.
        #[error("there is none")]
        NotThere,
        /// It says no.
        #[error("it refuses ({0})")]
        Refused(zbus::Error),
        /// The X server is away, or cannot.
        #[error("{0}")]
        X(String),
        /// It says nothing.
        #[error("it does not answer")]
        Silent,
    }

    /// What keeps the screen awake until it is dropped.
    #[derive(Debug)]
    pub(crate) enum Held {
        /// By a service, which is known by its name on the bus and lets go when we leave that.
        Service {
            way: Way,
            bus: Connection,
            owner: String,
            /// The login manager's holds a file that keeps the screen awake while it is open.
            _answer: Message,
        },
        /// By the X server, until the connection ends.
        XServer(Box<RustConnection>),
    }

    impl Way {
        /// All of them.
        pub const ALL: [Self; 5] = [
            Self::ScreenSaver,
            Self::SessionManager,
            Self::PowerManagement,
            Self::LoginManager,
            Self::XServer,
        ];

        const fn service(self) -> &'static str {
            match self {
                Self::ScreenSaver => "org.freedesktop.ScreenSaver",
                Self::SessionManager => "org.gnome.SessionManager",
                Self::PowerManagement => "org.freedesktop.PowerManagement",
                Self::LoginManager => "org.freedesktop.login1",
                Self::XServer => "",
            }
        }

        fn ask(self, bus: &Connection) -> zbus::Result<Message> {
            let name = Some(self.service());
            match self {
                Self::ScreenSaver => {
                    bus.call_method(name, "/org/freedesktop/ScreenSaver", name, "Inhibit", &(APP, WHY))
                }
                Self::SessionManager => bus.call_method(
                    name,
                    "/org/gnome/SessionManager",
                    name,
                    "Inhibit",
                    &(APP, 0_u32, WHY, IDLE),
                ),
                Self::PowerManagement => bus.call_method(
                    name,
                    "/org/freedesktop/PowerManagement/Inhibit",
                    Some("org.freedesktop.PowerManagement.Inhibit"),
                    "Inhibit",
                    &(APP, WHY),
                ),
                Self::LoginManager | Self::XServer => bus.call_method(
                    name,
                    "/org/freedesktop/login1",
                    Some("org.freedesktop.login1.Manager"),
                    "Inhibit",
                    &("idle", "Tillbell", WHY, "block"),
                ),
            }
        }
    }

    impl fmt::Display for Way {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::ScreenSaver => "the desktop's screen saver",
                Self::SessionManager => "the session manager",
                Self::PowerManagement => "the power manager",
                Self::LoginManager => "the login manager",
                Self::XServer => "the X server",
            })
        }
    }

    impl Held {
        /// False once what was held is lost: its service has ended or was replaced, its connection is cut.
        pub(crate) fn holds(&self) -> bool {
            match self {
                Self::Service { way, bus, owner, .. } => {
                    !bus.is_closed() && owner_of(bus, way.service()).as_ref() == Some(owner)
                }
                Self::XServer(server) => server.sync().is_ok(),
            }
        }
    }

    /// Takes it.
    ///
    /// # Errors
    /// When it does not work.
    pub(crate) fn take(way: Way) -> Result<Held, WayError> {
        let builder = match way {
            Way::ScreenSaver | Way::SessionManager | Way::PowerManagement => connection::Builder::session(),
            Way::LoginManager => connection::Builder::system(),
            Way::XServer => return suspend_x(&Session::of_this_process()),
        };
        let bus = builder
            .and_then(|builder| builder.method_timeout(ANSWER).build())
            .map_err(WayError::NoBus)?;
        let owner = owner_of(&bus, way.service()).ok_or(WayError::NotThere)?;
        let answer = way.ask(&bus).map_err(WayError::Refused)?;
        Ok(Held::Service {
            way,
            bus,
            owner,
            _answer: answer,
        })
    }

    /// Whose the name is on the bus. Nothing is started for it.
    fn owner_of(bus: &Connection, name: &str) -> Option<String> {
        const BUS: &str = "org.freedesktop.DBus";
        let answer = bus.call_method(
            Some(BUS),
            "/org/freedesktop/DBus",
            Some(BUS),
            "GetNameOwner",
            &name,
        );
        answer.ok()?.body().deserialize().ok()
    }

    /// An X server that is a Wayland compositor's guest has no screen of its own to keep awake.
    fn suspend_x(session: &Session) -> Result<Held, WayError> {
        if session.is_wayland() || !session.is_x11() {
            return Err(WayError::NotThere);
        }
        let failed = |error: &dyn fmt::Display| WayError::X(error.to_string());
        let (server, _) = x11rb::connect(None).map_err(|error| failed(&error))?;
        if server
            .extension_information(screensaver::X11_EXTENSION_NAME)
            .is_ok_and(|there| there.is_none())
        {
            return Err(WayError::NotThere);
        }
        // Suspending came with version 1.1.
        server
            .screensaver_query_version(1, 1)
            .map_err(|error| failed(&error))?
            .reply()
            .map_err(|error| failed(&error))?;
        server
            .screensaver_suspend(1)
            .map_err(|error| failed(&error))?
            .check()
            .map_err(|error| failed(&error))?;
        Ok(Held::XServer(Box::new(server)))
    }
}

/// Windows and macOS have one way each.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::fmt;

    use super::{APP, WHY};

    /// A way.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Way {
        /// The system's own.
        System,
    }

    /// Why it does not work.
    #[derive(Debug, thiserror::Error)]
    pub enum WayError {
        /// It says no.
        #[error("it refuses ({0})")]
        Refused(keepawake::Error),
        /// It says nothing.
        #[error("it does not answer")]
        Silent,
    }

    /// What keeps the screen awake until it is dropped.
    pub(crate) struct Held(#[expect(dead_code, reason = "held, not used")] keepawake::KeepAwake);

    impl Way {
        /// All of them.
        pub const ALL: [Self; 1] = [Self::System];
    }

    impl fmt::Display for Way {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the system")
        }
    }

    impl Held {
        /// The system forgets nobody.
        pub(crate) fn holds(&self) -> bool {
            true
        }
    }

    /// Takes it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn take(_: Way) -> Result<Held, WayError> {
        let awake = keepawake::Builder::default()
            .display(true)
            .idle(true)
            .reason(WHY)
            .app_name("Tillbell")
            .app_reverse_domain(APP)
            .create();
        awake.map(Held).map_err(WayError::Refused)
    }
}
