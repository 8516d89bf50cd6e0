//! The window: how it opens, how it is kept alive, how the screen is kept awake.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tauri::window::Color;
use tauri::{AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

/// Windows made anew are numbered: a label is free again only some time after its window has gone.
const LABEL: &str = "display";
/// Shown before the page has painted, so that nothing flashes white on a dark counter.
const BACKGROUND: Color = Color(12, 13, 16, 255);
/// A page that says nothing for this long (three beats) is loaded anew; after twice as long its window is made anew.
const SILENCE: Duration = Duration::from_secs(15);
/// A page whose process ends is loaded anew at once, but not more often than this: what ends at every start would
/// take a core. Then it waits for [`SILENCE`].
#[cfg(target_os = "linux")]
const BETWEEN_REVIVALS: Duration = Duration::from_secs(5);

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

/// Which window is the display, and when its page was last heard.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Patient>);

#[derive(Debug, Default)]
struct Patient {
    windows: u64,
    heard: Option<Instant>,
    #[cfg(target_os = "linux")]
    revived: Option<Instant>,
}

impl Pulse {
    pub(crate) fn beat(&self, beat: u64) {
        tracing::trace!(beat, "the page draws");
        self.patient().heard = Some(Instant::now());
    }

    fn patient(&self) -> MutexGuard<'_, Patient> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A window is about to open: names it, and counts its page's silence from now.
    fn next_label(&self) -> String {
        let mut patient = self.patient();
        patient.windows += 1;
        patient.heard = Some(Instant::now());
        format!("{LABEL}-{}", patient.windows)
    }

    fn label(&self) -> String {
        format!("{LABEL}-{}", self.patient().windows)
    }

    /// For how long the page has said nothing.
    fn silence(&self) -> Duration {
        self.patient().heard.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// The page's process has ended. True when the page may be loaded anew at once.
    #[cfg(target_os = "linux")]
    fn may_revive(&self) -> bool {
        let mut patient = self.patient();
        if patient.revived.is_some_and(|at| at.elapsed() < BETWEEN_REVIVALS) {
            return false;
        }
        patient.revived = Some(Instant::now());
        true
    }
}

/// Opens the window.
pub(crate) fn open(app: &AppHandle, mode: Mode) -> tauri::Result<()> {
    let label = app.state::<Pulse>().next_label();
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
    revive(&window)?;
    if mode != Mode::Windowed {
        fill_monitor(&window)?;
    }
    Ok(())
}

/// Loads the page anew as soon as its process ends: a crash, or a machine short of memory. On macOS Tauri does the
/// same by itself; elsewhere the silence tells.
#[cfg(target_os = "linux")]
fn revive(window: &WebviewWindow) -> tauri::Result<()> {
    use webkit2gtk::{WebProcessTerminationReason, WebViewExt};

    let (app, home) = (window.app_handle().clone(), window.url()?);
    window.with_webview(move |webview| {
        webview
            .inner()
            .connect_web_process_terminated(move |page, reason| {
                // Ended by us: then we load it anew ourselves.
                if reason == WebProcessTerminationReason::TerminatedByApi {
                    return;
                }
                tracing::warn!(?reason, "the page's process has ended");
                if app.state::<Pulse>().may_revive() {
                    page.load_uri(home.as_str());
                }
            });
    })
}

/// Loads the page anew, whatever became of it. A process that hangs would not hear of it, so it is ended first.
fn load_anew(window: &WebviewWindow, home: Url) -> tauri::Result<()> {
    #[cfg(target_os = "linux")]
    window.with_webview(|webview| webkit2gtk::WebViewExt::terminate_web_process(&webview.inner()))?;
    window.navigate(home)
}

/// Where no window manager obeys (a kiosk often has none) the size is set by hand.
fn fill_monitor(window: &WebviewWindow) -> tauri::Result<()> {
    if let Some(monitor) = window.primary_monitor()? {
        window.set_position(*monitor.position())?;
        window.set_size(*monitor.size())?;
    }
    Ok(())
}

/// Brings the window to the front.
pub(crate) fn to_front(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(&app.state::<Pulse>().label()) {
        let shown = window
            .unminimize()
            .and_then(|()| window.show())
            .and_then(|()| window.set_focus());
        if let Err(error) = shown {
            tracing::debug!(%error, "the window did not come to the front");
        }
    }
}

/// Loads a page anew that has gone silent, and makes its window anew when that does not help. What it should have
/// shown is still on the stage: nothing counts as announced before it was painted or rung.
pub(crate) async fn watch_over(app: AppHandle, mode: Mode) {
    let mut reloaded = false;
    let home = app
        .get_webview_window(&app.state::<Pulse>().label())
        .and_then(|window| window.url().ok());
    loop {
        tokio::time::sleep(SILENCE / 5).await;
        let silence = app.state::<Pulse>().silence();
        if silence < SILENCE {
            reloaded = false;
            continue;
        }
        let window = app.get_webview_window(&app.state::<Pulse>().label());
        if let (Some(window), Some(home), false) = (&window, &home, reloaded) {
            tracing::warn!("the page does not answer: loading it anew");
            reloaded = load_anew(window, home.clone()).is_ok();
            continue;
        }
        if silence < SILENCE * 2 {
            continue;
        }
        tracing::warn!("the page does not come back: opening its window anew");
        reloaded = false;
        let anew = app.clone();
        let opened = app.run_on_main_thread(move || {
            // The new one first: an app without any window would end.
            let opened = open(&anew, mode).and_then(|()| window.map_or(Ok(()), |former| former.destroy()));
            if let Err(error) = opened {
                tracing::warn!(%error, "the window could not be opened anew");
            }
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "the window could not be opened anew");
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
