//! The page and its parts, from within the program.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest as _, Sha256};

use crate::refusal::Refusal;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Files;

const PAGE: &str = "index.html";
const DASHBOARD: &str = "dashboard.html";
const PHONE_PAGE: &str = "pair.html";
/// What a tablet needs to know of a page that is put on its home screen: there it fills the screen.
const MANIFEST: &str = r##"{
  "name": "Tillbell",
  "short_name": "Tillbell",
  "description": "The bell on your till",
  "start_url": "/",
  "display": "fullscreen",
  "background_color": "#0c0d10",
  "theme_color": "#0c0d10",
  "icons": [
    {"src": "/icon-256.png", "sizes": "256x256", "type": "image/png"},
    {"src": "/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any"}
  ]
}
"##;
const ICON_256: &[u8] = include_bytes!("../../../icons/128x128@2x.png");
const ICON_512: &[u8] = include_bytes!("../../../icons/icon.png");

/// The page, the same for everybody.
pub(crate) async fn page() -> Result<Response, Refusal> {
    let file = Files::get(PAGE).ok_or(Refusal::NoSuchPath)?;
    Ok(answer(PAGE, file))
}

/// The operator's page, the same for everybody: what it shows is asked for.
pub(crate) async fn dashboard() -> Result<Response, Refusal> {
    let file = Files::get(DASHBOARD).ok_or(Refusal::NoSuchPath)?;
    Ok(answer(DASHBOARD, file))
}

/// For a tablet's home screen.
pub(crate) async fn manifest() -> Response {
    ([(CONTENT_TYPE, "application/manifest+json")], MANIFEST).into_response()
}

/// For a tablet's home screen, 256 points wide.
pub(crate) async fn icon_256() -> Response {
    ([(CONTENT_TYPE, "image/png")], ICON_256).into_response()
}

/// The same, 512 points wide.
pub(crate) async fn icon_512() -> Response {
    ([(CONTENT_TYPE, "image/png")], ICON_512).into_response()
}

/// The page for the phone that pairs.
pub(crate) fn phone_page() -> Result<Response, Refusal> {
    let file = Files::get(PHONE_PAGE).ok_or(Refusal::NoSuchPath)?;
    Ok(answer(PHONE_PAGE, file))
}

/// A part of it, whose name changes with it.
pub(crate) async fn part(Path(name): Path<String>) -> Result<Response, Refusal> {
    // A name, and no way to another folder.
    if name.contains(['/', '\\']) {
        return Err(Refusal::NoSuchPath);
    }
    let path = format!("assets/{name}");
    let file = Files::get(&path).ok_or(Refusal::NoSuchPath)?;
    let lasts = [(CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((lasts, answer(&path, file)).into_response())
}

fn answer(path: &str, file: EmbeddedFile) -> Response {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = match kind.type_() {
        mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    ([(CONTENT_TYPE, kind)], file.data.into_owned()).into_response()
}

/// Another page has another name: its parts' names are in it.
pub(crate) fn build() -> String {
    let page = Files::get(PAGE).map(|file| Sha256::digest(&file.data));
    page.map_or_else(String::new, |digest| hex::encode(&digest[..8]))
}
