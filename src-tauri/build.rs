//! Tells Tauri which commands there are, so that the window may call these and nothing else.

const COMMANDS: &[&str] = &["ask", "subscribe"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    tauri_build::try_build(tauri_build::Attributes::new().app_manifest(manifest))?;
    Ok(())
}
