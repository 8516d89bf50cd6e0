//! Keeps the screen awake, by every way that the system offers.
//!
//! Each way has a thread of its own, so that one that hangs holds none of the others up. It is tried at once and again every
//! [`AGAIN`], and asked anew where its service was replaced. Whatever is held lasts as long as its connection: at the end of this
//! process nothing is left to give back.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::way;
pub use crate::way::{Way, WayError};

/// Between two tries of a way.
pub const AGAIN: Duration = Duration::from_secs(15);
/// A way that has not answered by then counts as one that does not work.
const PATIENCE: Duration = Duration::from_secs(8);

/// Keeps the screen awake from now on. `tell` hears whether any way works: first when all of them have answered, or as soon as one
/// works, and then with each change.
///
/// # Errors
/// When a thread cannot be started.
pub fn keep(tell: impl FnMut(bool) + Send + 'static) -> io::Result<()> {
    let (said, heard) = mpsc::channel();
    for way in Way::ALL {
        let said = said.clone();
        let name = format!("awake-{way:?}");
        // Never joined: a service that hangs must not keep the program from ending.
        thread::Builder::new().name(name).spawn(move || {
            let (mut held, mut known) = (None, None);
            loop {
                let failed = look_after(&mut held, way::Held::holds, || way::take(way)).err();
                let failed = failed.map(|error| error.to_string());
                // The same once: it is tried for as long as this process lives.
                if known.as_ref() != Some(&failed) {
                    match &failed {
                        None => tracing::info!(%way, "the screen is kept awake"),
                        Some(error) => tracing::info!(%way, error, "the screen is not kept awake"),
                    }
                    known = Some(failed);
                }
                if said.send((way, held.is_some())).is_err() {
                    return;
                }
                thread::sleep(AGAIN);
            }
        })?;
    }
    thread::Builder::new()
        .name("awake".to_owned())
        .spawn(move || tell_changes(&heard, tell))
        .map(drop)
}

/// Tries every way once, and lets go of it.
#[must_use]
pub fn try_each() -> Vec<(Way, Result<(), WayError>)> {
    let (said, heard) = mpsc::channel();
    for way in Way::ALL {
        let said = said.clone();
        thread::spawn(move || drop(said.send((way, way::take(way).map(drop)))));
    }
    drop(said);
    let until = Instant::now() + PATIENCE;
    let mut answers = BTreeMap::new();
    while let Ok((way, answer)) = heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
        answers.insert(way, answer);
    }
    let answer = |way| answers.remove(&way).unwrap_or(Err(WayError::Silent));
    Way::ALL.into_iter().zip(Way::ALL.map(answer)).collect()
}

/// Takes what is not held, and lets go of what does not hold any more.
fn look_after<H, E>(
    held: &mut Option<H>,
    holds: impl FnOnce(&H) -> bool,
    take: impl FnOnce() -> Result<H, E>,
) -> Result<(), E> {
    if held.as_ref().is_some_and(holds) {
        return Ok(());
    }
    *held = None;
    *held = Some(take()?);
    Ok(())
}

/// Passes on whether any way works, once that is known.
fn tell_changes(heard: &Receiver<(Way, bool)>, mut tell: impl FnMut(bool)) {
    let (mut ways, mut told) = (BTreeMap::new(), None);
    let known_at = Instant::now() + PATIENCE;
    loop {
        let wait = match told {
            None => known_at.saturating_duration_since(Instant::now()),
            Some(_) => AGAIN,
        };
        match heard.recv_timeout(wait) {
            Ok((way, holds)) => drop(ways.insert(way, holds)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let works = ways.values().any(|holds| *holds);
        let is_known = works || told.is_some() || ways.len() == Way::ALL.len() || Instant::now() >= known_at;
        if is_known && told != Some(works) {
            told = Some(works);
            tell(works);
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_does_not_work_is_tried_again_and_one_that_works_is_left_alone() {
        let mut held = None;
        assert_eq!(look_after(&mut held, |_: &u8| true, || Err("no")), Err("no"));
        assert_eq!(look_after(&mut held, |_| true, || Ok::<_, &str>(1)), Ok(()));
        assert_eq!(look_after(&mut held, |_| true, || Err("not asked")), Ok(()));
        assert_eq!(held, Some(1));
    }

    #[test]
    fn a_way_whose_service_was_replaced_is_asked_anew() {
        let mut held = Some(1);
        assert_eq!(look_after(&mut held, |_| false, || Ok::<_, &str>(2)), Ok(()));
        assert_eq!(held, Some(2));
        assert_eq!(look_after(&mut held, |_| false, || Err("gone")), Err("gone"));
        assert_eq!(held, None);
    }

    /// What is told after each of these answers.
    fn told(answers: &[(usize, bool)]) -> Vec<bool> {
        let (said, heard) = mpsc::channel();
        for (way, holds) in answers {
            said.send((Way::ALL[*way], *holds)).unwrap();
        }
        drop(said);
        let mut told = Vec::new();
        tell_changes(&heard, |works| told.push(works));
        told
    }

    #[test]
    fn one_way_that_works_is_enough_and_none_is_told_when_all_have_answered() {
        assert_eq!(told(&[(1, false), (0, true), (2, false)]), [true]);
        assert_eq!(told(&[(0, false), (1, false), (2, false), (3, false)]), []);
        let none = [(0, false), (1, false), (2, false), (3, false), (4, false)];
        assert_eq!(told(&none), [false]);
        assert_eq!(
            told(&[&none[..], &[(3, true), (2, true)]].concat()),
            [false, true]
        );
        assert_eq!(
            told(&[(0, true), (1, true), (0, false), (1, false)]),
            [true, false]
        );
    }
}
