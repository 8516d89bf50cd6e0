//! The window: how it opens, how it comes to the front, how the screen is kept awake.

use tauri::window::Color;
use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

use crate::page::{self, Page};

/// Shown before the page has painted, so that nothing flashes white on a dark counter.
const BACKGROUND: Color = Color(12, 13, 16, 255);
/// How the window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The whole screen and nothing else.
    Kiosk,
    /// As large as the desktop allows.
    Maximised,
    /// An ordinary window.
    Windowed,
}

/// Opens the window.
pub(crate) fn open(app: &AppHandle, mode: Mode) -> tauri::Result<()> {
    let label = app.state::<Page>().next_label();
    let window = WebviewWindowBuilder::new(app, label, WebviewUrl::App("index.html".into()))
        .title("Tillbell")
        .inner_size(1280.0, 800.0)
        .min_inner_size(320.0, 320.0)
        .background_color(BACKGROUND)
        .decorations(mode != Mode::Kiosk)
        .maximized(mode == Mode::Maximised)
        .fullscreen(mode == Mode::Kiosk)
        .build()?;
    #[cfg(target_os = "linux")]
    page::revive(&window)?;
    if mode != Mode::Windowed {
        fill_monitor(&window)?;
    }
    Ok(())
}

/// Where no window manager obeys (a kiosk often has none) the size is set by hand.
fn fill_monitor(window: &WebviewWindow) -> tauri::Result<()> {
    if let Some(monitor) = window.primary_monitor()? {
        window.set_position(*monitor.position())?;
        window.set_size(*monitor.size())?;
    }
    Ok(())
}

/// Lets the window fill the screen, or no longer.
pub(crate) fn toggle_full_screen(window: &WebviewWindow) -> tauri::Result<()> {
    window.set_fullscreen(!window.is_fullscreen()?)
}

/// Brings the window to the front.
pub(crate) fn to_front(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(&app.state::<Page>().label()) {
        let shown = window
            .unminimize()
            .and_then(|()| window.show())
            .and_then(|()| window.set_focus());
        if let Err(error) = shown {
            tracing::debug!(%error, "the window did not come to the front");
        }
    }
}

/// Keeps the screen from sleeping while this is held.
pub(crate) fn keep_awake() -> Option<keepawake::KeepAwake> {
    let awake = keepawake::Builder::default()
        .display(true)
        .idle(true)
        .reason("a shop's display")
        .app_name("Tillbell")
        .app_reverse_domain("org.tillbell.display")
        .create();
    awake
        .inspect_err(|error| tracing::info!(%error, "this system cannot be asked to keep the screen awake"))
        .ok()
}
