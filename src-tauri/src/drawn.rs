//! “Painted” means drawn: what the page says it has painted counts once the system has taken a frame with it.
//!
//! A page paints into a buffer of its own. Under a compositor that takes no frames (its screen is off, it hangs, it was never asked
//! to show the window) nobody sees that buffer. GTK draws the next frame only when the last one was taken, so two frames after the
//! page's word the first of them is on its way to the glass. Where the window is not GTK's, the page's word is taken.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tauri::WebviewWindow;
#[cfg(target_os = "linux")]
use tauri::{AppHandle, Manager};
use tokio::sync::oneshot;

#[cfg(target_os = "linux")]
use crate::flash;

/// The page's frame, and one more, which is drawn when that was taken.
const FRAMES: u8 = 2;

/// Who waits for frames.
#[derive(Debug, Default)]
pub(crate) struct Drawn(Mutex<Vec<Wait>>);

#[derive(Debug)]
struct Wait {
    frames: u8,
    over: oneshot::Sender<()>,
}

/// The page was loaded anew before it was drawn: what it had painted is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Drawn {
    /// Waits until what is in the page now has been drawn.
    pub(crate) async fn after_paint(&self, window: &WebviewWindow) -> Result<(), Gone> {
        let drawn = self.wait();
        ask_for_a_frame(window, self);
        drawn.await.map_err(|_| Gone)
    }

    fn wait(&self) -> oneshot::Receiver<()> {
        let (over, drawn) = oneshot::channel();
        self.waiting().push(Wait { frames: FRAMES, over });
        drawn
    }

    /// A frame was drawn. True when somebody waits for another.
    fn frame(&self) -> bool {
        let mut waiting = self.waiting();
        for wait in waiting.iter_mut() {
            wait.frames -= 1;
        }
        for wait in waiting.extract_if(.., |wait| wait.frames == 0) {
            // Whoever waited may have given up.
            let _ = wait.over.send(());
        }
        !waiting.is_empty()
    }

    /// Another page is there: nothing of the one before will be drawn.
    pub(crate) fn forget(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of every frame that this window draws.
#[cfg(target_os = "linux")]
pub(crate) fn listen(app: &AppHandle, window: &WebviewWindow) -> tauri::Result<()> {
    use gtk::prelude::WidgetExt as _;

    let app = app.clone();
    window.with_webview(move |webview| {
        webview.inner().connect_draw(move |page, _| {
            if !flash::is_out_of_turn() && app.state::<Drawn>().frame() {
                page.queue_draw_area(0, 0, 1, 1);
            }
            gtk::glib::Propagation::Proceed
        });
    })
}

/// One point is enough for a frame.
#[cfg(target_os = "linux")]
fn ask_for_a_frame(window: &WebviewWindow, _: &Drawn) {
    use gtk::prelude::WidgetExt as _;

    let asked = window.with_webview(|webview| webview.inner().queue_draw_area(0, 0, 1, 1));
    if let Err(error) = asked {
        tracing::debug!(%error, "no frame can be asked for");
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_a_frame(_: &WebviewWindow, drawn: &Drawn) {
    while drawn.frame() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_frames_that_are_drawn_afterwards_end_the_wait() {
        let drawn = Drawn::default();
        assert!(!drawn.frame(), "nobody waits");
        let mut first = drawn.wait();
        assert!(drawn.frame(), "one more is wanted");
        let mut second = drawn.wait();
        assert!(first.try_recv().is_err(), "that frame may never be taken");
        assert!(drawn.frame());
        assert_eq!(first.try_recv(), Ok(()));
        assert!(second.try_recv().is_err());
        assert!(!drawn.frame());
        assert_eq!(second.try_recv(), Ok(()));
    }

    #[test]
    fn what_a_page_had_painted_that_was_loaded_anew_is_never_drawn() {
        let drawn = Drawn::default();
        let wait = drawn.wait();
        drawn.forget();
        assert!(!drawn.frame());
        assert!(wait.blocking_recv().is_err());
    }
}
