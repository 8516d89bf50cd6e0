//! Tells Tauri which commands there are, so that the window may call these and nothing else.

const COMMANDS: &[&str] = &[
    "cancel_pairing",
    "change_settings",
    "dismiss_notice",
    "dismiss_showing",
    "heartbeat",
    "leave_welcome",
    "open_welcome",
    "pair",
    "painted",
    "preview_pairing",
    "rename_wallet",
    "settings",
    "subscribe",
    "test_ring",
    "toggle_full_screen",
    "try_demo",
    "unpair",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    tauri_build::try_build(tauri_build::Attributes::new().app_manifest(manifest))?;
    Ok(())
}
