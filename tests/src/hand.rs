//! A hand at a screen: it moves the pointer, presses keys, changes the screen's size. And an eye for the pointer.

use std::time::Duration;

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::{self, ConnectionExt as _, Rotation};
use x11rb::protocol::screensaver::{ConnectionExt as _, State};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{self, ConnectionExt as _};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::Screen;

/// A key, by its number on the keyboard that Xvfb has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The left one.
    Control,
    /// `=` and `+`.
    Plus,
    /// `-`.
    Minus,
    /// `a`.
    A,
}

impl Key {
    const fn number(self) -> u8 {
        match self {
            Self::Control => 37,
            Self::Plus => 21,
            Self::Minus => 20,
            Self::A => 38,
        }
    }
}

/// A mouse's buttons, as X counts them: the wheel is two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The right one.
    Right,
    /// The wheel, away from the hand.
    WheelUp,
}

impl Button {
    const fn number(self) -> u8 {
        match self {
            Self::Right => 3,
            Self::WheelUp => 4,
        }
    }
}

/// A hand.
#[derive(Debug)]
pub struct Hand {
    server: RustConnection,
    root: xproto::Window,
}

impl Hand {
    /// At this screen.
    ///
    /// # Errors
    /// When the X server does not answer; so for every method here.
    pub fn at(screen: &Screen) -> anyhow::Result<Self> {
        let (server, nth) = x11rb::connect(Some(&screen.name()))?;
        let root = server.setup().roots.get(nth).context("no screen")?.root;
        server.xfixes_query_version(5, 0)?.reply()?;
        server.randr_query_version(1, 5)?.reply()?;
        Ok(Self { server, root })
    }

    /// Moves the pointer.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn moves_to(&self, x: i16, y: i16) -> anyhow::Result<()> {
        self.does(xproto::MOTION_NOTIFY_EVENT, 0, x, y)
    }

    /// Presses keys together and lets them go.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn presses(&self, keys: &[Key]) -> anyhow::Result<()> {
        self.holds(keys, || Ok(()))
    }

    /// Clicks with a button, while these keys are held.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn clicks(&self, button: Button, keys: &[Key]) -> anyhow::Result<()> {
        self.holds(keys, || {
            self.does(xproto::BUTTON_PRESS_EVENT, button.number(), 0, 0)?;
            self.does(xproto::BUTTON_RELEASE_EVENT, button.number(), 0, 0)
        })
    }

    fn holds(&self, keys: &[Key], meanwhile: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        for key in keys {
            self.does(xproto::KEY_PRESS_EVENT, key.number(), 0, 0)?;
        }
        let done = meanwhile();
        for key in keys.iter().rev() {
            self.does(xproto::KEY_RELEASE_EVENT, key.number(), 0, 0)?;
        }
        done
    }

    fn does(&self, what: u8, detail: u8, x: i16, y: i16) -> anyhow::Result<()> {
        let now = x11rb::CURRENT_TIME;
        self.server
            .xtest_fake_input(what, detail, now, self.root, x, y, 0)?
            .check()?;
        Ok(self.server.sync()?)
    }

    /// True while the pointer can be seen.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn sees_pointer(&self) -> anyhow::Result<bool> {
        let image = self.server.xfixes_get_cursor_image()?.reply()?.cursor_image;
        // Each has its opacity in the upper byte.
        Ok(image.iter().any(|pixel| pixel >> 24 != 0))
    }

    /// How many windows are on the screen: a menu is one more.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn windows(&self) -> anyhow::Result<usize> {
        let mut seen = 0;
        for window in self.server.query_tree(self.root)?.reply()?.children {
            // It may be gone again.
            let state = self.server.get_window_attributes(window)?.reply();
            seen += usize::from(state.is_ok_and(|state| state.map_state == xproto::MapState::VIEWABLE));
        }
        Ok(seen)
    }

    /// Lets every window fill the screen, as a window manager does for one that asks for that. False while there is none.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn fills_screen(&self) -> anyhow::Result<bool> {
        let screen = self.server.get_geometry(self.root)?.reply()?;
        let whole = xproto::ConfigureWindowAux::new()
            .x(0)
            .y(0)
            .width(u32::from(screen.width))
            .height(u32::from(screen.height));
        let mut any = false;
        for window in self.server.query_tree(self.root)?.reply()?.children {
            // It may be gone again.
            let state = self.server.get_window_attributes(window)?.reply();
            if state.is_ok_and(|state| state.map_state == xproto::MapState::VIEWABLE) {
                self.server.configure_window(window, &whole)?.check()?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Gives the screen another size, as `xrandr -s` does; at most the one that it started with.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn resizes(&self, width: u16, height: u16) -> anyhow::Result<()> {
        let resources = self.server.randr_get_screen_resources(self.root)?.reply()?;
        let crtc = *resources.crtcs.first().context("no controller")?;
        let output = *resources.outputs.first().context("no output")?;
        let known = resources
            .modes
            .iter()
            .find(|mode| (mode.width, mode.height) == (width, height));
        let mode = match known {
            Some(mode) => mode.id,
            None => self.adds_mode(output, width, height)?,
        };
        let set = |mode, outputs: &[_]| -> anyhow::Result<()> {
            let done = self
                .server
                .randr_set_crtc_config(
                    crtc,
                    x11rb::CURRENT_TIME,
                    x11rb::CURRENT_TIME,
                    0,
                    0,
                    mode,
                    Rotation::ROTATE0,
                    outputs,
                )?
                .reply()?;
            anyhow::ensure!(done.status == randr::SetConfig::SUCCESS, "{done:?}");
            Ok(())
        };
        set(0, &[])?;
        let millimetres = |pixels: u16| u32::from(pixels) * 254 / 960;
        self.server
            .randr_set_screen_size(self.root, width, height, millimetres(width), millimetres(height))?
            .check()?;
        set(mode, &[output])
    }

    fn adds_mode(&self, output: randr::Output, width: u16, height: u16) -> anyhow::Result<randr::Mode> {
        let name = format!("{width}x{height}");
        let mode = randr::ModeInfo {
            width,
            height,
            dot_clock: u32::from(width) * u32::from(height) * 60,
            htotal: width,
            vtotal: height,
            name_len: u16::try_from(name.len())?,
            ..randr::ModeInfo::default()
        };
        let mode = self
            .server
            .randr_create_mode(self.root, mode, name.as_bytes())?
            .reply()?
            .mode;
        self.server.randr_add_output_mode(output, mode)?.check()?;
        Ok(mode)
    }

    /// From now on the screen goes dark when nobody touches it for this long.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn lets_it_go_dark_after(&self, rest: Duration) -> anyhow::Result<()> {
        let seconds = i16::try_from(rest.as_secs())?;
        self.server
            .set_screen_saver(
                seconds,
                0,
                xproto::Blanking::PREFERRED,
                xproto::Exposures::ALLOWED,
            )?
            .check()?;
        Ok(())
    }

    /// Whether the screen is dark, and for how long nobody has touched anything.
    ///
    /// # Errors
    /// See [`Self::at`].
    pub fn sees_dark(&self) -> anyhow::Result<(bool, Duration)> {
        let saver = self.server.screensaver_query_info(self.root)?.reply()?;
        let rest = Duration::from_millis(saver.ms_since_user_input.into());
        Ok((State::from(saver.state) == State::ON, rest))
    }
}
