//! Logging to standard error, set by `TILLBELL_LOG=LEVEL[,json][,steps]`.

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
    let Wish { level, json, steps } = read(&wish);
    let mut directives = "warn".to_owned();
    for name in OURS {
        directives.push_str(&format!(",{name}={level}"));
    }
    if steps {
        directives.push_str(&format!(",{}=trace", tillbell_lnbits::step::TARGET));
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

/// What the variable says.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    level: &'static str,
    json: bool,
    /// The steps of payments (`crate::step`), whatever the level.
    steps: bool,
}

fn read(wish: &str) -> Wish {
    let mut parts = wish.split(',').map(str::trim);
    let level = match parts.next().map(str::to_ascii_lowercase).as_deref() {
        Some("off") => "off",
        Some("error") => "error",
        Some("info") => "info",
        Some("debug") => "debug",
        Some("trace") => "trace",
        Some(_) | None => "warn",
    };
    let (mut json, mut steps) = (false, false);
    for part in parts {
        json |= part.eq_ignore_ascii_case("json");
        steps |= part.eq_ignore_ascii_case("steps");
    }
    Wish { level, json, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_form_are_read() {
        let wish = |level, json, steps| Wish { level, json, steps };
        assert_eq!(read("debug,json"), wish("debug", true, false));
        assert_eq!(read("INFO"), wish("info", false, false));
        assert_eq!(read("warn,steps"), wish("warn", false, true));
        assert_eq!(read("warn, steps, JSON"), wish("warn", true, true));
        assert_eq!(read(""), wish("warn", false, false));
        assert_eq!(read("loud"), wish("warn", false, false));
    }
}
