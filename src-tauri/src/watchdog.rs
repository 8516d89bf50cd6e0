//! Keeps the page alive: loads it anew when it hangs and before it has grown large, and opens its window anew when
//! that does not help.

use std::sync::Arc;
use std::time::Instant;

use tauri::{AppHandle, Manager, Url, WebviewWindow};
use tillbell_till::screen::view::{Display, Scene};
use tokio::sync::watch;

use crate::page::{LOOK, Page, PageAction};
use crate::window::{self, Opening};

/// Loads the page anew, whatever became of it. A process that hangs would not hear of it, so it is ended first.
fn load_anew(window: &WebviewWindow, home: Url) -> tauri::Result<()> {
    #[cfg(target_os = "linux")]
    window.with_webview(|webview| webkit2gtk::WebViewExt::terminate_web_process(&webview.inner()))?;
    window.navigate(home)
}

/// Loads a page anew that has gone silent, and makes its window anew when that does not help. What it should have
/// shown is still on the stage: nothing counts as announced before it was painted or rung.
pub(crate) async fn watch_over(app: AppHandle, opening: Opening, display: watch::Receiver<Arc<Display>>) {
    let page = app.state::<Page>();
    let window = || app.get_webview_window(&page.label());
    let home = window().and_then(|window| window.url().ok());
    loop {
        tokio::time::sleep(LOOK).await;
        let idle = matches!(display.borrow().scene, Scene::Idle { .. });
        let action = page.health().look(idle, Instant::now());
        match action {
            PageAction::Nothing => continue,
            PageAction::Renew { shown } => {
                tracing::info!(shown, "the page has shown many payments: loading it anew");
                page.health().renewed(Instant::now());
            }
            PageAction::Reload => tracing::warn!("the page does not answer: loading it anew"),
            PageAction::NewWindow => tracing::warn!("the page does not come back: opening its window anew"),
        }
        let helped = match (action, window(), &home) {
            (PageAction::Renew { .. } | PageAction::Reload, Some(window), Some(home)) => {
                load_anew(&window, home.clone())
            }
            (_, former, _) => open_anew(&app, opening, former),
        };
        if let Err(error) = helped {
            tracing::warn!(%error, "that did not work");
        }
    }
}

/// The new one first: an app without any window would end.
fn open_anew(app: &AppHandle, opening: Opening, former: Option<WebviewWindow>) -> tauri::Result<()> {
    let anew = app.clone();
    app.run_on_main_thread(move || {
        let opened =
            window::open(&anew, opening).and_then(|()| former.map_or(Ok(()), |former| former.destroy()));
        if let Err(error) = opened {
            tracing::warn!(%error, "the window could not be opened anew");
        }
    })
}
