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

/// The page, the same for everybody.
pub(crate) async fn page() -> Result<Response, Refusal> {
    let file = Files::get(PAGE).ok_or(Refusal::NoSuchPath)?;
    Ok(answer(PAGE, file))
}

/// A part of it, whose name changes with it.
pub(crate) async fn part(Path(name): Path<String>) -> Result<Response, Refusal> {
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
