//! What the window may ask: each command passes its request on and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use tauri::async_runtime::JoinHandle;
use tauri::ipc::{Channel, Invoke};
use tauri::{State, WebviewWindow, Wry};
use tillbell_till::Engine;
use tillbell_till::engine::Ended;
use tillbell_till::engine::enrol;
use tillbell_till::screen::view::{Display, PairingForm, PairingPreview, SettingsForm, SettingsView};

use crate::demo::DemoGuard;
use crate::page::Page;

/// What the commands pass requests to.
pub(crate) struct Host {
    engine: Engine,
    demo: DemoGuard,
    /// Sends pictures to the page; a page that was loaded anew has a new one.
    sender: Mutex<Option<JoinHandle<()>>>,
}

impl Host {
    pub(crate) fn new(engine: Engine, demo: DemoGuard) -> Self {
        Self {
            engine,
            demo,
            sender: Mutex::new(None),
        }
    }
}

/// A refusal: a sentence for people.
type Refused = String;

fn sentence(error: Ended) -> Refused {
    error.to_string()
}

/// Every command, for the window.
pub(crate) fn handler() -> impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        cancel_pairing,
        change_settings,
        dismiss_notice,
        dismiss_showing,
        heartbeat,
        leave_welcome,
        open_welcome,
        pair,
        painted,
        preview_pairing,
        rename_wallet,
        settings,
        subscribe,
        test_ring,
        toggle_full_screen,
        try_demo,
        unpair,
    ]
}

/// Sends the present picture at once and every later one, until the page is gone.
#[tauri::command]
async fn subscribe(host: State<'_, Host>, pictures: Channel<Arc<Display>>) -> Result<(), Refused> {
    let mut display = host.engine.display();
    let sender = tauri::async_runtime::spawn(async move {
        loop {
            let picture = display.borrow_and_update().clone();
            if pictures.send(picture).is_err() || display.changed().await.is_err() {
                return;
            }
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
    Ok(())
}

#[tauri::command]
async fn painted(host: State<'_, Host>, page: State<'_, Page>, showing: u64) -> Result<(), Refused> {
    page.painted();
    host.engine.painted(showing).await.map_err(sentence)
}

#[tauri::command]
fn heartbeat(page: State<'_, Page>, beat: u64) {
    page.beat(beat);
}

#[tauri::command]
async fn preview_pairing(text: String) -> Result<PairingPreview, Refused> {
    enrol::preview(&text).map_err(|error| error.to_string())
}

#[tauri::command]
async fn pair(host: State<'_, Host>, form: PairingForm) -> Result<(), Refused> {
    host.engine.pair(form).await.map_err(sentence)
}

#[tauri::command]
async fn cancel_pairing(host: State<'_, Host>) -> Result<(), Refused> {
    host.engine.cancel_pairing().await.map_err(sentence)
}

#[tauri::command]
async fn open_welcome(host: State<'_, Host>) -> Result<(), Refused> {
    host.engine.open_welcome().await.map_err(sentence)
}

#[tauri::command]
async fn leave_welcome(host: State<'_, Host>) -> Result<(), Refused> {
    host.engine.leave_welcome().await.map_err(sentence)
}

#[tauri::command]
async fn try_demo(host: State<'_, Host>) -> Result<(), Refused> {
    let wallet = host
        .demo
        .start()
        .await
        .map_err(|error| format!("The demo cannot be started: {error:#}."))?;
    host.engine.start_demo(wallet).await.map_err(sentence)
}

#[tauri::command]
async fn settings(host: State<'_, Host>, page: State<'_, Page>) -> Result<SettingsView, Refused> {
    page.used();
    host.engine.settings().await.map_err(sentence)
}

#[tauri::command]
async fn change_settings(
    host: State<'_, Host>,
    page: State<'_, Page>,
    form: SettingsForm,
) -> Result<SettingsView, Refused> {
    page.used();
    host.engine.change_settings(form).await.map_err(sentence)?
}

#[tauri::command]
async fn unpair(host: State<'_, Host>, name: String) -> Result<SettingsView, Refused> {
    host.engine.unpair(name).await.map_err(sentence)?
}

#[tauri::command]
async fn rename_wallet(host: State<'_, Host>, name: String, to: String) -> Result<SettingsView, Refused> {
    host.engine.rename_wallet(name, to).await.map_err(sentence)?
}

#[tauri::command]
async fn test_ring(host: State<'_, Host>) -> Result<(), Refused> {
    host.engine.test_ring().await.map_err(sentence)
}

#[tauri::command]
async fn dismiss_notice(host: State<'_, Host>, id: u64) -> Result<(), Refused> {
    host.engine.dismiss_notice(id).await.map_err(sentence)
}

#[tauri::command]
async fn dismiss_showing(host: State<'_, Host>, showing: u64) -> Result<(), Refused> {
    host.engine.dismiss_showing(showing).await.map_err(sentence)
}

#[tauri::command]
async fn toggle_full_screen(window: WebviewWindow) -> Result<(), Refused> {
    let full = window.is_fullscreen().map_err(|error| error.to_string())?;
    window.set_fullscreen(!full).map_err(|error| error.to_string())
}
