//! The window: how it opens, how it fills its screen, how it comes to the front.

use tauri::window::Color;
use tauri::{AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder};
#[cfg(target_os = "linux")]
use tillbell_machine::screen::Session;

#[cfg(target_os = "linux")]
use crate::drawn;
#[cfg(target_os = "linux")]
use crate::flash;
#[cfg(target_os = "linux")]
use crate::page;
use crate::page::Page;
use crate::screens;

/// Shown before the page has painted, so that nothing flashes white on a dark counter.
const BACKGROUND: Color = Color(12, 13, 16, 255);

/// How the window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) mode: Mode,
    /// The screen to open on, counted from 1; `None` for the system's own choice.
    pub(crate) screen: Option<usize>,
}

/// How large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The whole screen and nothing else.
    Kiosk,
    /// As large as the desktop allows.
    Maximised,
    /// An ordinary window.
    Windowed,
}

/// Asks the system for the screen to open windows on. Tauri would panic where there is none.
#[cfg(target_os = "linux")]
pub(crate) fn reach_screen(wanted: Option<usize>) -> anyhow::Result<()> {
    // The system's own libraries would complain first, in their words.
    let session = Session::of_this_process().reach()?;
    // The third one draws into a browser.
    gtk::gdk::set_allowed_backends("wayland,x11");
    gtk::init().map_err(|_| session.unreachable())?;
    let there = gtk::gdk::Display::default().map_or(0, |display| display.n_monitors());
    Ok(screens::check(there.try_into()?, wanted)?)
}

/// Elsewhere there always is one, and one that is not there is never chosen.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reach_screen(_: Option<usize>) -> anyhow::Result<()> {
    Ok(())
}

/// Opens the window.
pub(crate) fn open(app: &AppHandle, opening: Opening) -> tauri::Result<()> {
    let Opening { mode, .. } = opening;
    let label = app.state::<Page>().next_label();
    let window = WebviewWindowBuilder::new(app, label, WebviewUrl::App("index.html".into()))
        .title("Tillbell")
        .inner_size(1280.0, 800.0)
        .min_inner_size(320.0, 320.0)
        .background_color(BACKGROUND)
        .decorations(mode != Mode::Kiosk)
        .maximized(mode == Mode::Maximised)
        .fullscreen(mode == Mode::Kiosk)
        .on_navigation(is_ours)
        .build()?;
    #[cfg(target_os = "linux")]
    {
        page::revive(&window)?;
        drawn::listen(app, &window)?;
        flash::listen(&window)?;
        refuse_pinch(&window)?;
    }
    // The page hides the pointer, too, but not before it has one over it.
    if mode == Mode::Kiosk {
        window.set_cursor_visible(false)?;
    }
    fill(&window, opening)
}

/// The page is the only one: a link that is dropped on it leads nowhere. A page that lost itself is blank.
fn is_ours(url: &Url) -> bool {
    match url.scheme() {
        "tauri" | "about" => true,
        _ => url.host_str() == Some("tauri.localhost"),
    }
}

/// Two fingers on a touch pad would make the page larger, and the page does not hear of them.
#[cfg(target_os = "linux")]
fn refuse_pinch(window: &WebviewWindow) -> tauri::Result<()> {
    use gtk::gdk::EventType;
    use gtk::glib::Propagation;
    use gtk::prelude::WidgetExt as _;

    window.with_webview(|webview| {
        webview
            .inner()
            .connect_event(|_, event| match event.event_type() == EventType::TouchpadPinch {
                true => Propagation::Stop,
                false => Propagation::Proceed,
            });
    })
}

/// Puts the window on its screen, and makes it as large. Where no window manager obeys (a kiosk often has none) that is done by hand.
pub(crate) fn fill(window: &WebviewWindow, Opening { mode, screen }: Opening) -> tauri::Result<()> {
    let screens = window.available_monitors()?;
    let primary = window.primary_monitor()?.filter(|_| screen.is_none());
    let Some(monitor) = primary.as_ref().or(screens::choose(&screens, screen)) else {
        return Ok(());
    };
    if mode != Mode::Windowed || screen.is_some() {
        window.set_position(*monitor.position())?;
    }
    if mode != Mode::Windowed {
        window.set_size(*monitor.size())?;
    }
    #[cfg(target_os = "linux")]
    if let Some(nth) = screen.filter(|nth| mode == Mode::Kiosk && *nth <= screens.len()) {
        fill_by_compositor(window, nth)?;
    }
    Ok(())
}

/// Fills the screen anew when it has another size, or is not there any more. A window manager would do that, and a kiosk often has
/// none.
#[cfg(target_os = "linux")]
pub(crate) fn follow_screen(app: &AppHandle, opening: Opening) {
    if opening.mode == Mode::Windowed {
        return;
    }
    let app = app.clone();
    screens::on_change(move || {
        let window = app.get_webview_window(&app.state::<Page>().label());
        let filled = window.map_or(Ok(()), |window| fill(&window, opening));
        if let Err(error) = filled {
            tracing::warn!(%error, "the window does not fill the screen");
        }
    });
}

/// Under Wayland only the compositor places windows.
#[cfg(target_os = "linux")]
fn fill_by_compositor(window: &WebviewWindow, nth: usize) -> tauri::Result<()> {
    use gtk::prelude::GtkWindowExt as _;

    if let (Some(screen), Ok(nth)) = (gtk::gdk::Screen::default(), i32::try_from(nth - 1)) {
        window.gtk_window()?.fullscreen_on_monitor(&screen, nth);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_goes_to_no_other_page() {
        for ours in [
            "tauri://localhost/",
            "tauri://localhost/index.html",
            "http://tauri.localhost/",
            "about:blank",
        ] {
            assert!(is_ours(&ours.parse().unwrap()), "{ours}");
        }
        for other in [
            "https://shop.example/",
            "http://127.0.0.1:5000/",
            "http://tauri.localhost.shop.example/",
            "file:///etc/passwd",
            "data:text/html,hello",
        ] {
            assert!(!is_ours(&other.parse().unwrap()), "{other}");
        }
    }
}
