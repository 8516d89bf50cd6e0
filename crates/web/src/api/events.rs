//! `GET /api/events`: what comes, as it comes, and first what a program missed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use tillbell_till::displays::Connected;
use tillbell_till::engine::feed::{Following, Told};
use tillbell_till::engine::{Line, LinkLine, PaymentLine};
use tillbell_till::ledger::Seq;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::program::Program;
use super::query::number;
use super::reading::not_read;
use crate::accept::Peer;
use crate::parameter::BadParameter;
use crate::refusal::Refusal;
use crate::site::Site;

/// A comment between events, for whoever is in between and for whoever has gone.
const BEAT: Duration = Duration::from_secs(15);
/// So many payments are read at once.
const TOGETHER: u32 = 200;
const LAST_EVENT: &str = "last-event-id";

/// One who is told.
struct Telling {
    site: Arc<Site>,
    program: Program,
    /// What is to be told next.
    queue: VecDeque<Event>,
    place: Place,
    told: broadcast::Receiver<Told>,
    changes: watch::Receiver<u64>,
    beat: Interval,
    _here: Connected,
}

/// How far a program was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Payments up to this one were told, or came before it asked.
    last: Seq,
    /// Later ones stand in the record and are to be read there.
    is_behind: bool,
}

impl Place {
    /// It was told up to `last` before; `newest` is the record's newest payment. `None`: nothing of that is known yet.
    fn new(last: Option<Seq>, newest: Option<Seq>) -> Self {
        let begin = Self {
            // What has come by now is not asked for.
            last: last.unwrap_or(Seq(i64::MAX)),
            is_behind: false,
        };
        newest.map_or(begin, |newest| begin.of(newest))
    }

    /// The same in a record whose newest payment is this. Where a copy has taken the record's place, it may end before.
    fn of(self, newest: Seq) -> Self {
        Self {
            last: self.last.min(newest),
            is_behind: self.last < newest,
        }
    }

    /// A payment is heard of. True when it is to be told: it was not read before.
    fn hear(&mut self, seq: Seq) -> bool {
        let is_new = self.last < seq;
        self.last = self.last.max(seq);
        is_new
    }

    /// So many were read, of `asked` for, up to this one.
    fn read(&mut self, count: usize, asked: u32, last: Option<Seq>) {
        self.last = last.unwrap_or(self.last);
        self.is_behind = u32::try_from(count) == Ok(asked);
    }
}

/// Each is an object of `watch --json`; a payment's id is its place in the record. With `Last-Event-ID` every payment behind that
/// one comes first. Then, and without it, come the states of the links and whatever happens.
pub(super) async fn events(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let program = site.program(&headers, peer)?;
    if site.engine.feed().record().ledger.is_none() {
        return Err(Refusal::DemoPlays);
    }
    let last = last_event(&headers)?;
    let changes = site.engine.displays().changes();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Following { links, newest, told } = site.engine.feed().follow();
    let telling = Telling {
        _here: site.list_as_connected(&program, peer),
        queue: links.into_iter().filter_map(of_link).collect(),
        place: Place::new(last, newest),
        told,
        changes,
        beat,
        program,
        site,
    };
    // It is busy for as long as it lasts, so that its connection is not taken for an idle one.
    let busy = telling.site.gate.begin_request(peer.connection);
    Ok(Sse::new(stream(telling, busy)).into_response())
}

fn last_event(headers: &HeaderMap) -> Result<Option<Seq>, BadParameter> {
    let Some(last) = headers.get(LAST_EVENT) else {
        return Ok(None);
    };
    match last.to_str().map(str::trim) {
        // So a browser says that it has none.
        Ok("") => Ok(None),
        Ok(text) => number(text)
            .map(|seq| Some(Seq(seq)))
            .ok_or(BadParameter::LastEvent),
        Err(_) => Err(BadParameter::LastEvent),
    }
}

fn stream<G: Send>(telling: Telling, guard: G) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((telling, guard), async |(mut telling, guard)| {
        let event = telling.next().await?;
        Some((Ok(event), (telling, guard)))
    })
}

impl Telling {
    /// The next event; `None` when there is none any more: it was revoked, the engine has ended, or the record cannot be read.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if !self.site.is_still(&self.program) {
                return None;
            }
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.place.is_behind {
                self.catch_up().await.ok()?;
                continue;
            }
            tokio::select! {
                biased;
                () = self.site.engine.ended() => return None,
                changed = self.changes.changed() => changed.ok()?,
                told = self.told.recv() => match told {
                    Ok(told) => self.hear(told),
                    Err(RecvError::Lagged(_)) => self.begin_anew(),
                    Err(RecvError::Closed) => return None,
                },
                _ = self.beat.tick() => return Some(Event::default().comment("beat")),
            }
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Payment(heard) => {
                if self.place.hear(heard.seq()) {
                    let line = heard.told(self.site.clock.now());
                    self.queue.extend(of_payment(line));
                }
            }
            Told::Line(line) => self.queue.extend(of(&line)),
            Told::Opened(newest) => self.place = self.place.of(newest),
        }
    }

    /// It fell so far behind that something was dropped: what is recorded by now is read, and what follows is heard.
    fn begin_anew(&mut self) {
        let Following { links, newest, told } = self.site.engine.feed().follow();
        self.told = told;
        self.queue.extend(links.into_iter().filter_map(of_link));
        self.place = newest.map_or(self.place, |newest| self.place.of(newest));
    }

    /// Reads what comes next in the record. What was recorded meanwhile is both read and heard: it is told once.
    async fn catch_up(&mut self) -> Result<(), Refusal> {
        let last = self.place.last;
        let now = self.site.clock.now().wall;
        let read = self.site.read(move |open| {
            let entries = open.reader.after(last, TOGETHER).map_err(not_read)?;
            let line = |entry| PaymentLine::recorded(entry, open.name_of(entry), now);
            Ok(entries.iter().map(line).collect::<Vec<_>>())
        });
        let lines = read.await?;
        let last = lines.last().map(|line| line.seq);
        self.place.read(lines.len(), TOGETHER, last);
        self.queue.extend(lines.into_iter().filter_map(of_payment));
        Ok(())
    }
}

fn of(line: &Line) -> Option<Event> {
    Event::default().json_data(line.versioned()).ok()
}

fn of_link(line: LinkLine) -> Option<Event> {
    of(&Line::Link(line))
}

fn of_payment(line: PaymentLine) -> Option<Event> {
    let id = line.seq.0.to_string();
    let event = Event::default().id(id);
    event.json_data(Line::Payment(line).versioned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(last: i64, is_behind: bool) -> Place {
        Place {
            last: Seq(last),
            is_behind,
        }
    }

    #[test]
    fn who_asks_for_nothing_earlier_hears_what_comes_after_it_asked() {
        let mut at = Place::new(None, Some(Seq(7)));
        assert_eq!(at, place(7, false));
        assert_eq!(
            (at.hear(Seq(7)), at.hear(Seq(8)), at.hear(Seq(8))),
            (false, true, false)
        );
        let unopened = Place::new(None, None);
        assert_eq!(unopened.of(Seq(7)), place(7, false));
    }

    #[test]
    fn who_missed_something_reads_it_and_hears_none_of_it_again() {
        let mut at = Place::new(Some(Seq(3)), Some(Seq(7)));
        assert_eq!(at, place(3, true));
        at.read(2, 2, Some(Seq(5)));
        assert_eq!(at, place(5, true));
        // The eighth came while it read.
        at.read(1, 2, Some(Seq(8)));
        assert_eq!(at, place(8, false));
        assert_eq!(
            (at.hear(Seq(7)), at.hear(Seq(8)), at.hear(Seq(9))),
            (false, false, true)
        );
        assert_eq!(Place::new(Some(Seq(3)), None).of(Seq(7)), place(3, true));
    }

    #[test]
    fn what_a_copy_that_has_taken_the_records_place_records_anew_is_heard() {
        let mut at = Place::new(Some(Seq(7)), Some(Seq(7)));
        at.hear(Seq(8));
        at = at.of(Seq(5));
        assert_eq!(at, place(5, false));
        assert!(at.hear(Seq(6)));
        // So where nobody told it.
        assert_eq!(Place::new(Some(Seq(8)), Some(Seq(5))), place(5, false));
    }
}
