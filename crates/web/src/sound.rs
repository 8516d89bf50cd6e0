//! What displays ring with: the shop's chime, as loud as the shop has it.

use std::ops::Range;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tillbell_bell::Sound;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::Role;

use crate::accept::Peer;
use crate::refusal::Refusal;
use crate::site::Site;

/// The sound of a payment that is live, or late. A browser keeps it and asks whether it is still the same.
pub(crate) async fn chime(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Path(kind): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    site.caller(&headers, peer)?.role()?;
    let Reply::Settings { settings } = site.engine.ask(Role::Operator, Request::Settings).await else {
        return Err(Refusal::Ended);
    };
    let sound = match kind.as_str() {
        // A name that a person mistyped in the settings file still rings.
        "live" => Sound::Chime(settings.chime.parse().unwrap_or_default()),
        "late" => Sound::Late,
        _ => return Err(Refusal::NoSuchPath),
    };
    let tag = tag(sound, settings.volume);
    let kept = [(CACHE_CONTROL, "no-cache"), (ETAG, tag.as_str())];
    if says(&headers, IF_NONE_MATCH).is_some_and(|known| knows(known, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let wave = sound.wave(settings.volume);
    let kind = [(CONTENT_TYPE, "audio/wav"), (ACCEPT_RANGES, "bytes")];
    let is_of_this = says(&headers, IF_RANGE).is_none_or(|wanted| wanted == tag);
    let part = says(&headers, RANGE).filter(|_| is_of_this);
    Ok(match part.map(|part| wanted(part, wave.len())) {
        Some(Wanted::Part(part)) => {
            let place = format!("bytes {}-{}/{}", part.start, part.end - 1, wave.len());
            let part = wave.get(part).unwrap_or_default().to_vec();
            (
                StatusCode::PARTIAL_CONTENT,
                kept,
                kind,
                [(CONTENT_RANGE, place)],
                part,
            )
                .into_response()
        }
        Some(Wanted::Beyond) => {
            let place = format!("bytes */{}", wave.len());
            (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, place)]).into_response()
        }
        Some(Wanted::All) | None => (kept, kind, wave).into_response(),
    })
}

/// Another sound has another one. How they are made changes with the version only.
fn tag(sound: Sound, volume: u8) -> String {
    let name = match sound {
        Sound::Chime(chime) => chime.name(),
        Sound::Late => "late",
    };
    format!("\"{name}-{volume}-{}\"", env!("CARGO_PKG_VERSION"))
}

fn says(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// True where a browser has what bears this tag.
fn knows(known: &str, tag: &str) -> bool {
    let mut known = known.split(',').map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<usize>),
    /// It has no such part.
    Beyond,
}

/// What a browser wants of a file of so many bytes. Safari plays nothing that it cannot have in parts. Several parts at once, which
/// nobody asks for, are answered with all of it.
fn wanted(range: &str, length: usize) -> Wanted {
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|part| part.split_once('-')) else {
        return Wanted::All;
    };
    let part = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) if from <= to => from..to.saturating_add(1).min(length),
        (Ok(from), Err(_)) if to.is_empty() => from..length,
        // The last so many.
        (Err(_), Ok(last)) if from.is_empty() => length.saturating_sub(last)..length,
        _ => return Wanted::All,
    };
    match part.is_empty() {
        true => Wanted::Beyond,
        false => Wanted::Part(part),
    }
}

#[cfg(test)]
mod tests {
    use tillbell_bell::Chime;

    use super::*;

    #[test]
    fn a_part_is_what_a_browser_says_and_the_file_has() {
        for (said, part) in [
            ("bytes=0-1", 0..2),
            ("bytes=0-", 0..100),
            ("bytes=40-99", 40..100),
            ("bytes=40-1000", 40..100),
            ("bytes=-10", 90..100),
            ("bytes=-1000", 0..100),
        ] {
            assert_eq!(wanted(said, 100), Wanted::Part(part), "{said}");
        }
        for beyond in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(wanted(beyond, 100), Wanted::Beyond, "{beyond}");
        }
        for strange in [
            "",
            "bytes",
            "bytes=-",
            "bytes=5-1",
            "bytes=0-1,4-5",
            "lines=0-1",
            "bytes=a-b",
        ] {
            assert_eq!(wanted(strange, 100), Wanted::All, "{strange}");
        }
    }

    #[test]
    fn no_two_sounds_bear_the_same_tag() {
        let tags = Sound::ALL
            .into_iter()
            .flat_map(|sound| [tag(sound, 0), tag(sound, 80)]);
        let tags: std::collections::BTreeSet<_> = tags.collect();
        assert_eq!(tags.len(), 2 * Sound::ALL.len());
    }

    #[test]
    fn a_browser_knows_what_it_names_and_nothing_else() {
        let tag = tag(Sound::Chime(Chime::Glass), 80);
        for known in ["*", &tag, &format!("W/{tag}"), &format!("\"other\", {tag}")] {
            assert!(knows(known, &tag), "{known}");
        }
        for other in ["", "\"glass-81\"", "W/"] {
            assert!(!knows(other, &tag), "{other}");
        }
    }
}
