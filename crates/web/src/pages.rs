//! The page and its parts, from within the program.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
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
    file(PAGE)
}

/// The operator's page, the same for everybody: what it shows is asked for.
pub(crate) async fn dashboard() -> Result<Response, Refusal> {
    file(DASHBOARD)
}

/// For a tablet's home screen.
pub(crate) async fn manifest() -> Response {
    ([(CONTENT_TYPE, "application/manifest+json")], MANIFEST).into_response()
}

/// For a tablet's home screen, so many points wide.
pub(crate) async fn icon_256() -> Response {
    icon(ICON_256)
}

pub(crate) async fn icon_512() -> Response {
    icon(ICON_512)
}

fn icon(picture: &'static [u8]) -> Response {
    ([(CONTENT_TYPE, "image/png")], picture).into_response()
}

/// The page for the phone that pairs.
pub(crate) fn phone_page() -> Result<Response, Refusal> {
    file(PHONE_PAGE)
}

/// A part of it, whose name changes with it.
pub(crate) async fn part(Path(name): Path<String>) -> Result<Response, Refusal> {
    // A name, and no way to another folder.
    if name.contains(['/', '\\']) {
        return Err(Refusal::NoSuchPath);
    }
    let part = file(&format!("assets/{name}"))?;
    let lasts = [(CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((lasts, part).into_response())
}

fn file(path: &str) -> Result<Response, Refusal> {
    let file = Files::get(path).ok_or(Refusal::NoSuchPath)?;
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = match kind.type_() {
        mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    Ok(([(CONTENT_TYPE, kind)], file.data.into_owned()).into_response())
}

/// Another page has another name: its parts' names are in it.
pub(crate) fn build() -> String {
    let page = Files::get(PAGE).map(|file| Sha256::digest(&file.data));
    page.map_or_else(String::new, |digest| hex::encode(&digest[..8]))
}
