//! The one place that writes to the terminal.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Writes a line to standard output and makes sure that it is out.
///
/// # Errors
/// When nobody reads it any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a thing as a JSON object in a line of its own; the version of its form stands first.
///
/// # Errors
/// When nobody reads it any more.
pub(crate) fn say_json(thing: &impl Serialize) -> anyhow::Result<()> {
    Ok(say(&json(thing)?)?)
}

pub(crate) fn json(thing: &impl Serialize) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        v: u32,
        #[serde(flatten)]
        thing: &'a T,
    }
    serde_json::to_string(&Versioned { v: 1, thing })
}

/// Says what went wrong, on standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "tillbell-headless: {error:#}");
}

/// `14:03:05`, where the reader is.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}

/// `1,000 sats`, or with what is left of a satoshi: `1.5 sats`.
pub(crate) fn sats(msat: u64) -> String {
    let (whole, rest) = (msat / 1_000, msat % 1_000);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest > 0 {
        grouped.push_str(format!(".{rest:03}").trim_end_matches('0'));
    }
    let unit = if msat == 1_000 { "sat" } else { "sats" };
    format!("{grouped} {unit}")
}

#[cfg(test)]
mod tests {
    use super::sats;

    #[test]
    fn amounts_are_grouped_and_keep_their_fractions() {
        assert_eq!(sats(1_000), "1 sat");
        assert_eq!(sats(1_000_000), "1,000 sats");
        assert_eq!(sats(21_000_000_000), "21,000,000 sats");
        assert_eq!(sats(1_500), "1.5 sats");
        assert_eq!(sats(0), "0 sats");
    }
}
