//! Pictures for one display, in its role and at its pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::customer;
use super::view::{Display, Role};

/// In a rush there is a new picture each millisecond, and all would stand in front of the page's answers: then it gets twenty a
/// second, more than anybody can read.
const PACE: Duration = Duration::from_millis(50);
/// So many in quick succession are no rush: a payment that follows another picture at once does not wait.
const AT_ONCE: u32 = 3;

/// The present picture and every later one, in a rush the newest of each [`PACE`].
#[derive(Debug)]
pub struct Pictures {
    display: watch::Receiver<Arc<Display>>,
    role: Role,
    /// One waits to be taken.
    due: bool,
    sent: Option<Instant>,
    in_a_row: u32,
}

impl Pictures {
    /// Of an engine, for this role.
    #[must_use]
    pub const fn new(display: watch::Receiver<Arc<Display>>, role: Role) -> Self {
        Self {
            display,
            role,
            due: true,
            sent: None,
            in_a_row: 0,
        }
    }

    /// The next one; `None` when the engine has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Display>> {
        if !self.due {
            self.display.changed().await.ok()?;
            self.due = true;
            let is_quick = self.sent.is_some_and(|sent| sent.elapsed() < PACE);
            self.in_a_row = if is_quick { self.in_a_row + 1 } else { 0 };
        }
        if let Some(sent) = self.sent.filter(|_| self.in_a_row >= AT_ONCE) {
            sleep_until(sent + PACE).await;
        }
        self.due = false;
        self.sent = Some(Instant::now());
        let picture = self.display.borrow_and_update().clone();
        Some(match self.role {
            Role::Operator => picture,
            Role::Customer => Arc::new(customer::picture(&picture)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(revision: u64) -> Arc<Display> {
        let first = Display::first();
        Arc::new(Display { revision, ..first })
    }

    #[tokio::test(start_paused = true)]
    async fn the_present_picture_comes_at_once_and_so_do_those_that_follow_it() {
        let (publisher, display) = watch::channel(picture(0));
        let mut pictures = Pictures::new(display, Role::Operator);
        let began = Instant::now();
        for revision in 0..3 {
            publisher.send_replace(picture(revision));
            assert_eq!(pictures.next().await.unwrap().revision, revision);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_rush_twenty_a_second_come_and_the_last_one_always_does() {
        let (publisher, display) = watch::channel(picture(0));
        let mut pictures = Pictures::new(display, Role::Operator);
        let mut rush = tokio::spawn(async move {
            for revision in 1..=1_000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                publisher.send_replace(picture(revision));
            }
            publisher
        });
        let mut seen = Vec::new();
        let mut publisher = None;
        while seen.last() != Some(&1_000) {
            tokio::select! {
                // Given up again and again, it loses nothing.
                Some(next) = pictures.next() => seen.push(next.revision),
                ended = &mut rush, if publisher.is_none() => publisher = Some(ended.unwrap()),
                () = tokio::time::sleep(Duration::from_millis(7)) => {}
            }
        }
        assert!((20..=30).contains(&seen.len()), "{}", seen.len());
        assert!(seen.is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_engine() {
        let (publisher, display) = watch::channel(picture(0));
        let mut pictures = Pictures::new(display, Role::Customer);
        assert_eq!(pictures.next().await.unwrap().role, Role::Customer);
        drop(publisher);
        assert!(pictures.next().await.is_none());
    }
}
