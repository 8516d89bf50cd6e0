//! Keeps the page alive: loads it anew when its process ends or hangs, and before it has grown large.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tauri::{AppHandle, Manager, Url, WebviewWindow};
use tillbell_till::view::{Display, Scene};
use tokio::sync::watch;

use crate::window::{self, Mode};

/// Windows made anew are numbered: a label is free again only some time after its window has gone.
const LABEL: &str = "display";
/// A page that says nothing for this long (three beats) is loaded anew; after twice as long its window is made anew.
const SILENCE: Duration = Duration::from_secs(15);
/// A page whose process ends is loaded anew at once, but not more often than this: what ends at every start would
/// take a core. Then it waits for [`SILENCE`].
#[cfg(target_os = "linux")]
const BETWEEN_REVIVALS: Duration = Duration::from_secs(5);

/// How often is looked after the page.
const LOOK: Duration = Duration::from_secs(3);
/// WebKit never gives back some 30 KB of what each shown payment takes. A page that has shown so many payments is
/// loaded anew, in a process of its own, once nothing has been shown for [`CALM`] …
const OLD: u32 = 250;
const CALM: Duration = Duration::from_secs(10);
/// … and one that has shown so many, at the first moment without a payment on the glass.
const VERY_OLD: u32 = 2 * OLD;
/// But not while somebody may be typing into its settings.
const IN_USE: Duration = Duration::from_secs(600);

/// Which window is the display, and how its page is.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Patient>);

#[derive(Debug, Default)]
struct Patient {
    windows: u64,
    heard: Option<Instant>,
    /// Payments that its page has shown.
    shown: u32,
    /// When somebody last used its settings.
    used: Option<Instant>,
    #[cfg(target_os = "linux")]
    revived: Option<Instant>,
}

impl Pulse {
    pub(crate) fn beat(&self, beat: u64) {
        tracing::trace!(beat, "the page draws");
        self.patient().heard = Some(Instant::now());
    }

    /// A payment is on the glass.
    pub(crate) fn painted(&self) {
        let mut patient = self.patient();
        patient.shown = patient.shown.saturating_add(1);
    }

    /// Somebody uses the settings.
    pub(crate) fn used(&self) {
        self.patient().used = Some(Instant::now());
    }

    /// A page is about to be loaded: its silence and its showings count from now.
    fn renewed(&self) {
        let mut patient = self.patient();
        patient.heard = Some(Instant::now());
        patient.shown = 0;
    }

    /// How many payments the page has shown, if it should be loaded anew after so long a calm.
    fn is_old(&self, calm: Duration) -> Option<u32> {
        let patient = self.patient();
        let in_use = patient.used.is_some_and(|at| at.elapsed() < IN_USE);
        let enough = if calm >= CALM { OLD } else { VERY_OLD };
        let old = !calm.is_zero() && patient.shown >= enough;
        (old && !in_use).then_some(patient.shown)
    }

    fn patient(&self) -> MutexGuard<'_, Patient> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A window is about to open: names it, and counts its page's silence from now.
    pub(crate) fn next_label(&self) -> String {
        self.renewed();
        let mut patient = self.patient();
        patient.windows += 1;
        format!("{LABEL}-{}", patient.windows)
    }

    pub(crate) fn label(&self) -> String {
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

/// Loads the page anew as soon as its process ends: a crash, or a machine short of memory. On macOS Tauri does the
/// same by itself; elsewhere the silence tells.
#[cfg(target_os = "linux")]
pub(crate) fn revive(window: &WebviewWindow) -> tauri::Result<()> {
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

/// Loads a page anew that has gone silent, and makes its window anew when that does not help. What it should have
/// shown is still on the stage: nothing counts as announced before it was painted or rung.
pub(crate) async fn watch_over(app: AppHandle, mode: Mode, display: watch::Receiver<Arc<Display>>) {
    let mut reloaded = false;
    let mut calm = Duration::ZERO;
    let home = app
        .get_webview_window(&app.state::<Pulse>().label())
        .and_then(|window| window.url().ok());
    loop {
        tokio::time::sleep(LOOK).await;
        let silence = app.state::<Pulse>().silence();
        if silence < SILENCE {
            reloaded = false;
            calm = match display.borrow().scene {
                Scene::Idle { .. } => calm + LOOK,
                Scene::Welcome { .. } | Scene::Checking | Scene::Paid(_) | Scene::CatchUp(_) => {
                    Duration::ZERO
                }
            };
            let pulse = app.state::<Pulse>();
            if let (Some(shown), Some(window), Some(home)) =
                (pulse.is_old(calm), app.get_webview_window(&pulse.label()), &home)
            {
                tracing::info!(shown, "the page has shown many payments: loading it anew");
                pulse.renewed();
                if let Err(error) = load_anew(&window, home.clone()) {
                    tracing::warn!(%error, "the page could not be loaded anew");
                }
            }
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
            let opened =
                window::open(&anew, mode).and_then(|()| window.map_or(Ok(()), |former| former.destroy()));
            if let Err(error) = opened {
                tracing::warn!(%error, "the window could not be opened anew");
            }
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "the window could not be opened anew");
        }
    }
}
