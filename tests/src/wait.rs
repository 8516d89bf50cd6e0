//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Asks `probe` again and again until it has an answer; the last error is part of the failure's message.
///
/// # Errors
/// When there is none `within` this time.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let answer = probe();
        match answer {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if Instant::now() >= deadline => {
                anyhow::bail!("{what}: not within {within:?}");
            }
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("{what}: not within {within:?}"));
            }
            Ok(None) | Err(_) => std::thread::sleep(Duration::from_millis(15)),
        }
    }
}
