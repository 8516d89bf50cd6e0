//! How the page is, when it is to be loaded anew, and what happens when its process ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use tauri::{Manager, WebviewWindow};

/// Windows made anew are numbered: a label is free again only some time after its window has gone.
const LABEL: &str = "display";
/// A page that says nothing for this long (three beats) is loaded anew; after as long again its window is made anew.
const SILENCE: Duration = Duration::from_secs(15);
/// A page whose process ends is loaded anew at once, but not more often than this: what ends at every start would
/// take a core. Then it waits for [`SILENCE`].
#[cfg(target_os = "linux")]
const BETWEEN_REVIVALS: Duration = Duration::from_secs(5);

/// How often is looked after the page.
pub(crate) const LOOK: Duration = Duration::from_secs(3);
/// WebKit never gives back some 30 KB of what each shown payment takes. A page that has shown so many payments is
/// loaded anew, in a process of its own, once nothing has been shown for [`CALM`] …
const OLD: u32 = 150;
const CALM: Duration = Duration::from_secs(10);
/// … and one that has shown so many, at the first moment without a payment on the glass.
const VERY_OLD: u32 = 2 * OLD;
/// But not while somebody may be typing into its settings.
const IN_USE: Duration = Duration::from_secs(600);

/// Which window is the display, and how its page is.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Patient>);

/// The pure machine behind it.
#[derive(Debug, Default)]
pub(crate) struct Patient {
    windows: u64,
    heard: Option<Instant>,
    /// Since when nothing has been on the glass.
    calm_since: Option<Instant>,
    /// Payments that its page has shown.
    shown: u32,
    /// When somebody last used its settings.
    used: Option<Instant>,
    /// When it was loaded anew because it was silent; it has not been heard since.
    reloaded: Option<Instant>,
    #[cfg(target_os = "linux")]
    revived: Option<Instant>,
}

/// What is to be done for a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Care {
    Nothing,
    /// It is well, and has grown large.
    Renew {
        shown: u32,
    },
    /// It is silent.
    Reload,
    /// It is silent, although it was loaded anew.
    NewWindow,
}

impl Patient {
    fn beat(&mut self, now: Instant) {
        self.heard = Some(now);
        self.reloaded = None;
    }

    /// A page is about to be loaded: its silence and its showings count from now.
    pub(crate) fn renewed(&mut self, now: Instant) {
        self.beat(now);
        self.shown = 0;
    }

    fn silence(&self, now: Instant) -> Duration {
        self.heard
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// Looks after the page; `idle` says that nothing is on the glass.
    pub(crate) fn look(&mut self, idle: bool, now: Instant) -> Care {
        self.calm_since = idle.then(|| self.calm_since.unwrap_or(now));
        if self.silence(now) < SILENCE {
            return match self.is_old(now) {
                true => Care::Renew { shown: self.shown },
                false => Care::Nothing,
            };
        }
        match self.reloaded {
            None => {
                self.reloaded = Some(now);
                self.shown = 0;
                Care::Reload
            }
            Some(at) if now.saturating_duration_since(at) >= SILENCE => Care::NewWindow,
            Some(_) => Care::Nothing,
        }
    }

    fn is_old(&self, now: Instant) -> bool {
        let Some(calm_since) = self.calm_since else {
            return false;
        };
        let since = |at: Instant| now.saturating_duration_since(at);
        let in_use = self.used.is_some_and(|at| since(at) < IN_USE);
        let enough = if since(calm_since) >= CALM { OLD } else { VERY_OLD };
        self.shown >= enough && !in_use
    }

    /// The page's process has ended. True when the page may be loaded anew at once.
    #[cfg(target_os = "linux")]
    fn may_revive(&mut self, now: Instant) -> bool {
        let lately = |at: Instant| now.saturating_duration_since(at) < BETWEEN_REVIVALS;
        let may = !self.revived.is_some_and(lately);
        if may {
            self.revived = Some(now);
            self.shown = 0;
        }
        may
    }

    fn label(&self) -> String {
        format!("{LABEL}-{}", self.windows)
    }
}

impl Pulse {
    pub(crate) fn beat(&self, beat: u64) {
        tracing::trace!(beat, "the page draws");
        self.patient().beat(Instant::now());
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

    /// A window is about to open: names it, and counts its page's silence from now.
    pub(crate) fn next_label(&self) -> String {
        let mut patient = self.patient();
        patient.renewed(Instant::now());
        patient.windows += 1;
        patient.label()
    }

    pub(crate) fn label(&self) -> String {
        self.patient().label()
    }

    pub(crate) fn patient(&self) -> MutexGuard<'_, Patient> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                if app.state::<Pulse>().patient().may_revive(Instant::now()) {
                    page.load_uri(home.as_str());
                }
            });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that is looked after every [`LOOK`].
    struct Ward {
        patient: Patient,
        now: Instant,
    }

    impl Ward {
        fn with_a_page() -> Self {
            let now = Instant::now();
            let mut patient = Patient::default();
            patient.renewed(now);
            Self { patient, now }
        }

        /// So much time passes; the page beats or does not. Says what was done.
        fn passes(&mut self, seconds: u64, beats: bool, idle: bool) -> Vec<Care> {
            let mut done = Vec::new();
            let until = self.now + Duration::from_secs(seconds);
            while self.now < until {
                self.now += LOOK;
                if beats {
                    self.patient.beat(self.now);
                }
                done.push(self.patient.look(idle, self.now));
            }
            done.retain(|care| *care != Care::Nothing);
            done
        }
    }

    #[test]
    fn a_page_that_beats_is_left_alone() {
        let mut ward = Ward::with_a_page();
        ward.patient.shown = OLD - 1;
        assert_eq!(ward.passes(3_600, true, true), []);
    }

    #[test]
    fn a_silent_page_is_loaded_anew_and_left_alone_when_it_is_heard_again() {
        let mut ward = Ward::with_a_page();
        assert_eq!(ward.passes(15, false, true), [Care::Reload]);
        assert_eq!(ward.passes(60, true, true), []);
        assert_eq!(ward.passes(15, false, true), [Care::Reload]);
    }

    #[test]
    fn one_that_stays_silent_gets_a_new_window_whether_or_not_it_could_be_loaded() {
        let mut ward = Ward::with_a_page();
        assert_eq!(ward.passes(30, false, true), [Care::Reload, Care::NewWindow]);
        ward.patient.renewed(ward.now);
        assert_eq!(
            ward.passes(30, false, true),
            [Care::Reload, Care::NewWindow],
            "and so does that one's"
        );
    }

    #[test]
    fn after_a_look_that_came_late_it_is_loaded_anew_first() {
        let mut ward = Ward::with_a_page();
        ward.now += Duration::from_secs(3_600);
        assert_eq!(ward.passes(3, false, true), [Care::Reload]);
    }

    #[test]
    fn a_page_that_has_shown_many_payments_is_renewed_once_nothing_has_been_shown_for_a_while() {
        let mut ward = Ward::with_a_page();
        ward.patient.shown = OLD;
        assert_eq!(ward.passes(60, true, false), [], "not while payments are shown");
        assert_eq!(ward.passes(9, true, true), []);
        assert_eq!(ward.passes(6, true, true)[..1], [Care::Renew { shown: OLD }]);
    }

    #[test]
    fn one_that_has_shown_twice_as_many_is_renewed_at_the_first_moment_without_one() {
        let mut ward = Ward::with_a_page();
        ward.patient.shown = VERY_OLD;
        assert_eq!(ward.passes(60, true, false), []);
        assert_eq!(ward.passes(3, true, true), [Care::Renew { shown: VERY_OLD }]);
    }

    #[test]
    fn not_while_somebody_may_be_typing() {
        let mut ward = Ward::with_a_page();
        (ward.patient.shown, ward.patient.used) = (VERY_OLD, Some(ward.now));
        assert_eq!(ward.passes(597, true, true), []);
        assert_eq!(ward.passes(3, true, true), [Care::Renew { shown: VERY_OLD }]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ends_again_and_again_is_revived_every_five_seconds_at_most() {
        let mut ward = Ward::with_a_page();
        let revived: usize = (0..60_000)
            .filter(|ms| ward.patient.may_revive(ward.now + Duration::from_millis(*ms)))
            .count();
        assert_eq!(revived, 12);
    }
}
