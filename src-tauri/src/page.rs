//! How the page is, when it is to be loaded anew, and what happens when its process ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use tauri::{Manager, WebviewWindow};
use tillbell_till::engine::Request;

#[cfg(target_os = "linux")]
use crate::flash;

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
pub(crate) struct Page(Mutex<PageHealth>);

/// The pure machine behind it.
#[derive(Debug, Default)]
pub(crate) struct PageHealth {
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
pub(crate) enum PageAction {
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

impl PageHealth {
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
    pub(crate) fn look(&mut self, idle: bool, now: Instant) -> PageAction {
        self.calm_since = idle.then(|| self.calm_since.unwrap_or(now));
        if self.silence(now) < SILENCE {
            return match self.is_old(now) {
                true => PageAction::Renew { shown: self.shown },
                false => PageAction::Nothing,
            };
        }
        match self.reloaded {
            None => {
                self.reloaded = Some(now);
                self.shown = 0;
                PageAction::Reload
            }
            Some(at) if now.saturating_duration_since(at) >= SILENCE => PageAction::NewWindow,
            Some(_) => PageAction::Nothing,
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

impl Page {
    /// What a page asks says how it is.
    pub(crate) fn asked(&self, request: &Request) {
        let mut health = self.health();
        if let Request::Heartbeat { beat, .. } = request {
            tracing::trace!(beat, "the page draws");
            health.beat(Instant::now());
        } else if let Request::Painted { .. } = request {
            health.shown = health.shown.saturating_add(1);
        } else if let Request::Settings | Request::ChangeSettings { .. } = request {
            health.used = Some(Instant::now());
        }
    }

    /// A window is about to open: names it, and counts its page's silence from now.
    pub(crate) fn next_label(&self) -> String {
        let mut health = self.health();
        health.renewed(Instant::now());
        health.windows += 1;
        health.label()
    }

    pub(crate) fn label(&self) -> String {
        self.health().label()
    }

    pub(crate) fn health(&self) -> MutexGuard<'_, PageHealth> {
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
                flash::forget();
                if app.state::<Page>().health().may_revive(Instant::now()) {
                    page.load_uri(home.as_str());
                }
            });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that is looked after every [`LOOK`].
    struct WatchedPage {
        health: PageHealth,
        now: Instant,
    }

    impl WatchedPage {
        fn new() -> Self {
            let now = Instant::now();
            let mut health = PageHealth::default();
            health.renewed(now);
            Self { health, now }
        }

        /// So much time passes; the page beats or does not. Says what was done.
        fn passes(&mut self, seconds: u64, beats: bool, idle: bool) -> Vec<PageAction> {
            let mut done = Vec::new();
            let until = self.now + Duration::from_secs(seconds);
            while self.now < until {
                self.now += LOOK;
                if beats {
                    self.health.beat(self.now);
                }
                done.push(self.health.look(idle, self.now));
            }
            done.retain(|action| *action != PageAction::Nothing);
            done
        }
    }

    #[test]
    fn a_page_that_beats_is_left_alone() {
        let mut page = WatchedPage::new();
        page.health.shown = OLD - 1;
        assert_eq!(page.passes(3_600, true, true), []);
    }

    #[test]
    fn a_silent_page_is_loaded_anew_and_left_alone_when_it_is_heard_again() {
        let mut page = WatchedPage::new();
        assert_eq!(page.passes(15, false, true), [PageAction::Reload]);
        assert_eq!(page.passes(60, true, true), []);
        assert_eq!(page.passes(15, false, true), [PageAction::Reload]);
    }

    #[test]
    fn one_that_stays_silent_gets_a_new_window_whether_or_not_it_could_be_loaded() {
        let mut page = WatchedPage::new();
        assert_eq!(
            page.passes(30, false, true),
            [PageAction::Reload, PageAction::NewWindow]
        );
        page.health.renewed(page.now);
        assert_eq!(
            page.passes(30, false, true),
            [PageAction::Reload, PageAction::NewWindow],
            "and so does that one's"
        );
    }

    #[test]
    fn after_a_look_that_came_late_it_is_loaded_anew_first() {
        let mut page = WatchedPage::new();
        page.now += Duration::from_secs(3_600);
        assert_eq!(page.passes(3, false, true), [PageAction::Reload]);
    }

    #[test]
    fn a_page_that_has_shown_many_payments_is_renewed_once_nothing_has_been_shown_for_a_while() {
        let mut page = WatchedPage::new();
        page.health.shown = OLD;
        assert_eq!(page.passes(60, true, false), [], "not while payments are shown");
        assert_eq!(page.passes(9, true, true), []);
        assert_eq!(
            page.passes(6, true, true)[..1],
            [PageAction::Renew { shown: OLD }]
        );
    }

    #[test]
    fn one_that_has_shown_twice_as_many_is_renewed_at_the_first_moment_without_one() {
        let mut page = WatchedPage::new();
        page.health.shown = VERY_OLD;
        assert_eq!(page.passes(60, true, false), []);
        assert_eq!(
            page.passes(3, true, true),
            [PageAction::Renew { shown: VERY_OLD }]
        );
    }

    #[test]
    fn not_while_somebody_may_be_typing() {
        let mut page = WatchedPage::new();
        (page.health.shown, page.health.used) = (VERY_OLD, Some(page.now));
        assert_eq!(page.passes(597, true, true), []);
        assert_eq!(
            page.passes(3, true, true),
            [PageAction::Renew { shown: VERY_OLD }]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ends_again_and_again_is_revived_every_five_seconds_at_most() {
        let mut page = WatchedPage::new();
        let revived: usize = (0..60_000)
            .filter(|ms| page.health.may_revive(page.now + Duration::from_millis(*ms)))
            .count();
        assert_eq!(revived, 12);
    }
}
