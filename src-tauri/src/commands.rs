//! The two calls that a page may make: it subscribes to pictures, and it asks.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tauri::ipc::{Channel, Invoke};
use tauri::{State, WebviewWindow, Wry};
use tillbell_till::Engine;
use tillbell_till::engine::{Reply, Request, ScreenTrouble};
use tillbell_till::screen::paced::Pictures;
use tillbell_till::screen::stage::UNSEEN;
use tillbell_till::screen::view::{Display, Role};
use tillbell_till::step::Step;
use tillbell_web::phone::pair_by_phone;

use crate::demo::DemoGuard;
use crate::drawn::{Drawn, Gone};
use crate::flash;
use crate::page::Page;
use crate::window;

/// What the calls are passed to.
pub(crate) struct Host {
    engine: Engine,
    /// Who stands before this window.
    role: Role,
    demo: DemoGuard,
    /// Sends pictures to the page; a page that was loaded anew has a new one.
    sender: Mutex<Option<JoinHandle<()>>>,
}

/// Why the shell does not do what only it can do.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Refusal {
    #[error("The demo cannot be started: {error}.")]
    NoDemo { error: String },
    #[error("The window cannot be changed: {error}.")]
    WindowStays { error: String },
}

impl Host {
    pub(crate) fn new(engine: Engine, role: Role, demo: DemoGuard) -> Self {
        Self {
            engine,
            role,
            demo,
            sender: Mutex::new(None),
        }
    }

    /// Answers what concerns the window itself.
    async fn answer(&self, request: &Request, window: &WebviewWindow) -> Option<Reply> {
        if let Request::Heartbeat { .. } = request {
            return Some(Reply::Done);
        }
        if let Request::FlashLayout { layout } = request {
            flash::laid_out(layout.clone());
            return Some(Reply::Done);
        }
        if let Request::PairByPhone = request {
            return Some(pair_by_phone(&self.engine).await);
        }
        if let Request::TryDemo = request {
            return Some(self.try_demo().await);
        }
        if let Request::ToggleFullScreen = request {
            return Some(match window::toggle_full_screen(window) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::refused(&Refusal::WindowStays {
                    error: error.to_string(),
                }),
            });
        }
        None
    }

    /// Waits until what the page has painted was drawn. What is not is said after a moment, and no longer once it is.
    async fn until_drawn(&self, drawn: &Drawn, window: &WebviewWindow) -> Result<(), Gone> {
        let mut wait = std::pin::pin!(drawn.after_paint(window));
        if let Ok(drawn) = tokio::time::timeout(UNSEEN, &mut wait).await {
            return drawn;
        }
        // An engine that has ended has said worse.
        let _ = self.engine.screen(ScreenTrouble::NotDrawn, true).await;
        let drawn = wait.await;
        if drawn.is_ok() {
            let _ = self.engine.screen(ScreenTrouble::NotDrawn, false).await;
        }
        drawn
    }

    async fn try_demo(&self) -> Reply {
        match self.demo.start().await {
            Ok(wallet) => match self.engine.start_demo(wallet).await {
                Ok(()) => Reply::Done,
                Err(ended) => no_demo(ended),
            },
            Err(error) => no_demo(format!("{error:#}")),
        }
    }
}

fn no_demo(error: impl ToString) -> Reply {
    Reply::refused(&Refusal::NoDemo {
        error: error.to_string(),
    })
}

/// What the page says it has painted has come so far.
fn come(so_far: Step, request: &Request) {
    if let Request::Painted { showing } = request {
        so_far.of_showing(*showing);
    }
}

/// Both calls, for the window.
pub(crate) fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![ask, subscribe]
}

/// Sends the present picture at once and every later one, in a rush the newest, until the page is gone.
#[tauri::command]
fn subscribe(host: State<'_, Host>, drawn: State<'_, Drawn>, pictures: Channel<Arc<Display>>) {
    drawn.forget();
    flash::forget();
    let mut present = Pictures::new(host.engine.display(), host.role);
    let sender = tauri::async_runtime::spawn(async move {
        while let Some(picture) = present.next().await {
            let showing = picture.showing();
            if pictures.send(Arc::clone(&picture)).is_err() {
                return;
            }
            flash::picture(picture);
            Step::Sent.of_showing(showing);
        }
    });
    let former = host
        .sender
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(sender);
    if let Some(former) = former {
        former.abort();
    }
}

/// Passes a request on. What concerns the window itself is done here.
#[tauri::command]
async fn ask(
    host: State<'_, Host>,
    page: State<'_, Page>,
    drawn: State<'_, Drawn>,
    window: WebviewWindow,
    request: Request,
) -> Result<Reply, ()> {
    page.asked(&request);
    come(Step::Painted, &request);
    if let Request::Painted { showing } = request {
        flash::over(showing);
        if host.until_drawn(&drawn, &window).await == Err(Gone) {
            return Ok(Reply::Done);
        }
    }
    come(Step::Drawn, &request);
    let shell = match request.is_for(host.role) {
        true => host.answer(&request, &window).await,
        false => None,
    };
    Ok(match shell {
        Some(reply) => reply,
        None => host.engine.ask(host.role, request).await,
    })
}
