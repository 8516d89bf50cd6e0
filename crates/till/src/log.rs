//! Logging to standard error, set by `TILLBELL_LOG=LEVEL[,json]`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Our own crates, whose level the variable sets.
const OURS: &[&str] = &[
    "tillbell",
    "tillbell_bell",
    "tillbell_fake_lnbits",
    "tillbell_headless",
    "tillbell_lnbits",
    "tillbell_till",
];

/// Starts logging. Other crates never log below `warn`, whatever any variable says: they would log the
/// socket's path, which holds the key.
pub fn start() {
    let wish = std::env::var("TILLBELL_LOG").unwrap_or_default();
    let (level, json) = read(&wish);
    let mut directives = "warn".to_owned();
    for name in OURS {
        directives.push_str(&format!(",{name}={level}"));
    }
    let filter = EnvFilter::new(directives);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start (in tests) changes nothing.
    let _ = if json {
        registry.with(layer.json()).try_init()
    } else {
        registry
            .with(layer.with_ansi(std::io::stderr().is_terminal()))
            .try_init()
    };
}

fn read(wish: &str) -> (&'static str, bool) {
    let mut parts = wish.split(',').map(str::trim);
    let level = match parts.next().map(str::to_ascii_lowercase).as_deref() {
        Some("off") => "off",
        Some("error") => "error",
        Some("info") => "info",
        Some("debug") => "debug",
        Some("trace") => "trace",
        Some(_) | None => "warn",
    };
    (level, parts.any(|part| part.eq_ignore_ascii_case("json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_form_are_read() {
        assert_eq!(read("debug,json"), ("debug", true));
        assert_eq!(read("INFO"), ("info", false));
        assert_eq!(read(""), ("warn", false));
        assert_eq!(read("loud"), ("warn", false));
    }
}
