//! How the wallet is being heard, as the merchant should see it: the socket's state and the list's answers,
//! judged together.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tillbell_lnbits::link::SocketState;
use ts_rs::TS;

use crate::clock::{Moment, Now};
use crate::sentence::{Say, Sentence};

/// After this long without socket and list the screen says that it cannot be relied on.
pub const UNTRUSTED_AFTER: Duration = Duration::from_secs(20);
/// A socket that fails this often in a row is not about to open.
const REFUSED_AFTER: u32 = 2;
/// The list failed this often in a row: it does not work.
const SILENT_AFTER: u32 = 2;

/// How the wallet is heard (`data-link`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct LinkView {
    /// The state in one word.
    pub state: LinkState,
    /// Why, where there is more to say.
    pub detail: Option<Sentence>,
    /// Since when this screen cannot be relied on (RFC 3339); it then says so in place of the pay code.
    pub untrusted_since: Option<String>,
}

/// The connection as the merchant should see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum LinkState {
    /// Entered at a start and when the socket is lost; left when the catch-up begun after opening has
    /// finished (`live`), REST works without a socket (`polling`), or neither works (`down`).
    Connecting,
    /// The socket is open and the catch-up begun after opening has finished. Left when the socket is lost.
    Live,
    /// The socket is refused or silent but REST works. Left when the socket opens or REST fails too.
    Polling,
    /// Neither socket nor REST works. Left as soon as one of them does.
    Down,
}

/// What this machine says by itself. Serialises as a code and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub(crate) enum Why {
    /// The key sees none of the wallet's payments.
    #[display(
        "This key sees none of the wallet's payments. In LNbits, allow it to view payments, or pair with another key."
    )]
    KeyBlind,
    /// The open socket tells nothing, and the list does.
    #[display("This server does not push; asking every few seconds.")]
    NoPush,
    /// There is no socket, and the list does.
    #[display("{why} Asking every few seconds instead.")]
    AskingInstead { why: Sentence },
}

/// The pure machine that judges the connection.
#[derive(Debug, Clone)]
pub struct Health {
    /// False where the server offers nothing to ask.
    can_ask: bool,
    socket: Socket,
    /// The opening whose catch-up has finished.
    caught_up: Option<u64>,
    list: List,
    /// The list showed payments that the open socket had not told.
    push_is_dead: bool,
    /// Since when neither tells us anything, and the reason.
    lost: Option<Now>,
    /// The key is refused: no waiting will help.
    refused: Option<Sentence>,
    /// The key sees none of the wallet's payments.
    blind: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Socket {
    NotYet,
    Open { opening: u64 },
    Lost { why: Sentence, failures: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum List {
    Unknown,
    Works,
    Failed { why: Sentence, times: u32 },
}

impl Health {
    /// At a start nothing is known.
    #[must_use]
    pub const fn new(can_ask: bool, now: Now) -> Self {
        Self {
            can_ask,
            socket: Socket::NotYet,
            caught_up: None,
            list: List::Unknown,
            push_is_dead: false,
            lost: Some(now),
            refused: None,
            blind: false,
        }
    }

    /// The socket changed.
    pub fn on_socket(&mut self, state: &SocketState, now: Now) {
        let lost = match state {
            SocketState::Open { .. } => false,
            SocketState::Dialling | SocketState::Waiting { .. } => matches!(self.socket, Socket::Open { .. }),
        };
        // What the list said before is no word about now: a server that hangs takes both.
        if lost && self.list == List::Works {
            self.list = List::Unknown;
        }
        match state {
            SocketState::Dialling => {
                // The loss itself can be missed: of several states in quick succession only the last is seen.
                if matches!(self.socket, Socket::Open { .. }) {
                    self.socket = Socket::NotYet;
                }
            }
            SocketState::Open { opening } => {
                self.socket = Socket::Open { opening: *opening };
                self.push_is_dead = false;
            }
            SocketState::Waiting { why, failures } => {
                self.socket = Socket::Lost {
                    why: why.say(),
                    failures: *failures,
                };
            }
        }
        self.judge(now);
    }

    /// The machine slept: whatever was open is open no more, whether it knows it or not.
    pub fn on_woke(&mut self, now: Now) {
        self.socket = Socket::NotYet;
        self.list = List::Unknown;
        self.judge(now);
    }

    /// The list was read to its end. `opening`: the opening after which the run began, if the socket was open.
    pub fn on_list(&mut self, opening: Option<u64>, now: Now) {
        self.list = List::Works;
        self.refused = None;
        if opening.is_some() {
            self.caught_up = self.caught_up.max(opening);
        }
        self.judge(now);
    }

    /// The list had no answer.
    pub fn on_list_failed(&mut self, why: Sentence, key_refused: bool, now: Now) {
        let times = match &self.list {
            List::Failed { times, .. } => times + 1,
            List::Unknown | List::Works => 1,
        };
        if key_refused && times >= SILENT_AFTER {
            self.refused = Some(why.clone());
        }
        self.list = List::Failed { why, times };
        self.judge(now);
    }

    /// There were payments, and now the key sees none of them (or it does again).
    pub fn on_blind(&mut self, blind: bool, now: Now) {
        self.blind = blind;
        self.judge(now);
    }

    /// Payments came that the open socket did not tell.
    pub fn on_dead_push(&mut self) {
        self.push_is_dead = true;
    }

    /// A frame came: the socket does tell.
    pub fn on_push(&mut self) {
        self.push_is_dead = false;
    }

    /// The opening of the socket, while it is open.
    #[must_use]
    pub const fn opening(&self) -> Option<u64> {
        match self.socket {
            Socket::Open { opening } => Some(opening),
            Socket::NotYet | Socket::Lost { .. } => None,
        }
    }

    /// True when the catch-up of the present opening is still to be made.
    #[must_use]
    pub fn owes_catch_up(&self) -> bool {
        self.opening().is_some() && self.opening() != self.caught_up
    }

    /// The state in one word.
    #[must_use]
    pub fn state(&self) -> LinkState {
        let list_dead = matches!(&self.list, List::Failed { times, .. } if *times >= SILENT_AFTER);
        match &self.socket {
            Socket::Open { .. } if !self.can_ask => LinkState::Live,
            Socket::Open { .. } | Socket::NotYet | Socket::Lost { .. } if self.blind => LinkState::Down,
            Socket::Open { .. } if list_dead => LinkState::Down,
            Socket::Open { .. } if self.owes_catch_up() => LinkState::Connecting,
            Socket::Open { .. } if self.push_is_dead => LinkState::Polling,
            Socket::Open { .. } => LinkState::Live,
            Socket::NotYet => LinkState::Connecting,
            Socket::Lost { failures, .. } if *failures < REFUSED_AFTER && !list_dead => LinkState::Connecting,
            Socket::Lost { .. } if self.can_ask && self.list == List::Works => LinkState::Polling,
            Socket::Lost { .. } if self.can_ask && self.list == List::Unknown => LinkState::Connecting,
            Socket::Lost { .. } => LinkState::Down,
        }
    }

    fn detail(&self) -> Option<Sentence> {
        if let Some(why) = &self.refused {
            return Some(why.clone());
        }
        if self.blind {
            return Some(Why::KeyBlind.say());
        }
        match (self.state(), &self.socket, &self.list) {
            (LinkState::Live, _, List::Unknown | List::Works | List::Failed { .. }) => None,
            (LinkState::Polling, Socket::Open { .. }, _) => Some(Why::NoPush.say()),
            (LinkState::Polling, Socket::Lost { why, .. }, _) => {
                Some(Why::AskingInstead { why: why.clone() }.say())
            }
            (
                LinkState::Down | LinkState::Connecting,
                Socket::Open { .. } | Socket::NotYet,
                List::Failed { why, .. },
            ) => Some(why.clone()),
            (LinkState::Down | LinkState::Connecting, Socket::Lost { why, failures }, _) if *failures > 0 => {
                Some(why.clone())
            }
            (LinkState::Connecting | LinkState::Down | LinkState::Polling, _, _) => None,
        }
    }

    /// Keeps `lost` in step with the state.
    fn judge(&mut self, now: Now) {
        match self.state() {
            LinkState::Live | LinkState::Polling => self.lost = None,
            LinkState::Connecting | LinkState::Down => {
                self.lost.get_or_insert(now);
            }
        }
    }

    /// Since when this screen cannot be relied on, by the wall clock.
    #[must_use]
    pub fn untrusted_since(&self, at: Moment) -> Option<Timestamp> {
        let lost = self.lost?;
        (self.refused.is_some() || self.blind || at.since(lost.at) >= UNTRUSTED_AFTER).then_some(lost.wall)
    }

    /// How long the wallet has not been heard.
    #[must_use]
    pub fn gap(&self, at: Moment) -> Option<Duration> {
        self.lost.map(|lost| at.since(lost.at))
    }

    /// For the display and for `watch --json`.
    #[must_use]
    pub fn view(&self, at: Moment) -> LinkView {
        LinkView {
            state: self.state(),
            detail: self.detail(),
            untrusted_since: self.untrusted_since(at).map(|since| since.to_string()),
        }
    }

    /// When the judgement changes by itself.
    #[must_use]
    pub fn next_wake(&self, at: Moment) -> Option<Moment> {
        self.lost
            .map(|lost| lost.at + UNTRUSTED_AFTER)
            .filter(|then| *then > at)
    }
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::rest::RestError;

    use super::*;

    fn at(ms: u64) -> Now {
        Now {
            at: Moment::after_start(Duration::from_millis(ms)),
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    /// Heard since the first moment: the socket is open and the list was read.
    fn live() -> Health {
        let mut trust = Health::new(true, at(0));
        trust.on_socket(&SocketState::Open { opening: 1 }, at(0));
        trust.on_list(Some(1), at(0));
        assert_eq!(trust.state(), LinkState::Live);
        trust
    }

    fn cut_off(trust: &mut Health, ms: u64) {
        let why = tillbell_lnbits::link::Lost::Vanished;
        trust.on_socket(&SocketState::Waiting { why, failures: 3 }, at(ms));
        for _ in 0..SILENT_AFTER {
            trust.on_list_failed(RestError::TimedOut.say(), false, at(ms));
        }
    }

    #[test]
    fn after_twenty_seconds_without_socket_and_list_the_screen_says_so() {
        let mut trust = live();
        cut_off(&mut trust, 1_000);
        assert_eq!(trust.untrusted_since(at(20_999).at), None);
        assert_eq!(trust.next_wake(at(20_999).at), Some(at(21_000).at));
        assert_eq!(trust.untrusted_since(at(21_000).at), Some(Timestamp::UNIX_EPOCH));
        trust.on_socket(&SocketState::Open { opening: 2 }, at(30_000));
        trust.on_list(Some(2), at(30_000));
        assert_eq!(trust.untrusted_since(at(90_000).at), None);
    }

    #[test]
    fn a_list_that_works_is_relied_on_without_a_socket() {
        let mut trust = live();
        cut_off(&mut trust, 1_000);
        trust.on_list(None, at(10_000));
        assert_eq!(trust.state(), LinkState::Polling);
        assert_eq!(trust.untrusted_since(at(60_000).at), None);
    }

    #[test]
    fn what_the_list_said_before_the_socket_was_lost_is_no_reason_to_rely_on_it() {
        let mut trust = live();
        let why = tillbell_lnbits::link::Lost::Vanished;
        for failures in 1..=4 {
            trust.on_socket(
                &SocketState::Waiting {
                    why: why.clone(),
                    failures,
                },
                at(1_000 * u64::from(failures)),
            );
            assert_eq!(trust.state(), LinkState::Connecting);
        }
        assert!(trust.untrusted_since(at(21_000).at).is_some());
        trust.on_list(None, at(22_000));
        assert_eq!(trust.state(), LinkState::Polling);
        assert_eq!(trust.untrusted_since(at(60_000).at), None);
    }

    #[test]
    fn a_refused_key_is_said_at_once() {
        let mut trust = live();
        for _ in 0..SILENT_AFTER {
            trust.on_list_failed(RestError::KeyRefused.say(), true, at(1_000));
        }
        assert!(trust.untrusted_since(at(1_000).at).is_some());
        assert_eq!(trust.view(at(1_000).at).detail, Some(RestError::KeyRefused.say()));
    }

    #[test]
    fn a_loss_that_was_missed_is_seen_when_it_dials_again() {
        let mut trust = live();
        trust.on_socket(&SocketState::Dialling, at(1_000));
        assert_eq!(trust.state(), LinkState::Connecting);
        assert_eq!(trust.opening(), None);
    }

    #[test]
    fn a_key_that_works_again_is_relied_on_again() {
        let mut trust = live();
        for _ in 0..SILENT_AFTER {
            trust.on_list_failed(RestError::KeyRefused.say(), true, at(1_000));
        }
        trust.on_list(Some(1), at(2_000));
        assert_eq!(trust.untrusted_since(at(2_000).at), None);
        assert_eq!(trust.view(at(2_000).at).detail, None);
    }

    #[test]
    fn a_push_that_died_with_its_socket_may_live_with_the_next() {
        let mut trust = live();
        trust.on_dead_push();
        assert_eq!(trust.state(), LinkState::Polling);
        trust.on_socket(&SocketState::Open { opening: 2 }, at(1_000));
        trust.on_list(Some(2), at(1_000));
        assert_eq!(trust.state(), LinkState::Live);
    }

    #[test]
    fn a_run_that_began_before_the_socket_opened_does_not_catch_up_for_it() {
        let mut trust = Health::new(true, at(0));
        trust.on_socket(&SocketState::Open { opening: 1 }, at(0));
        trust.on_list(None, at(0));
        assert_eq!(trust.state(), LinkState::Connecting);
        assert!(trust.owes_catch_up());
        trust.on_socket(&SocketState::Open { opening: 2 }, at(1_000));
        trust.on_list(Some(1), at(1_000));
        assert!(trust.owes_catch_up());
        trust.on_list(Some(2), at(1_000));
        assert_eq!(trust.state(), LinkState::Live);
    }

    #[test]
    fn after_a_sleep_nothing_is_known_to_be_open_or_to_work() {
        let mut trust = live();
        trust.on_woke(at(60_000));
        assert_eq!((trust.state(), trust.opening()), (LinkState::Connecting, None));
        let why = tillbell_lnbits::link::Lost::Vanished;
        trust.on_socket(&SocketState::Waiting { why, failures: 2 }, at(60_000));
        assert_eq!(
            trust.state(),
            LinkState::Connecting,
            "the list has not been read since"
        );
    }

    #[test]
    fn a_socket_that_failed_once_is_about_to_open_and_one_that_failed_twice_is_not() {
        let mut trust = live();
        for (failures, state) in [
            (0, LinkState::Connecting),
            (1, LinkState::Connecting),
            (2, LinkState::Polling),
        ] {
            let why = tillbell_lnbits::link::Lost::Vanished;
            trust.on_socket(&SocketState::Waiting { why, failures }, at(1_000));
            trust.on_list(None, at(1_000));
            assert_eq!(trust.state(), state, "{failures}");
        }
    }

    #[test]
    fn a_key_that_sees_no_payments_is_said_at_once_whatever_the_socket_does_and_until_it_sees_them() {
        let mut trust = live();
        trust.on_blind(true, at(1_000));
        trust.on_list(None, at(1_000));
        assert_eq!(trust.state(), LinkState::Down);
        assert!(trust.untrusted_since(at(1_000).at).is_some());
        assert_eq!(trust.view(at(1_000).at).detail, Some(Why::KeyBlind.say()));
        trust.on_socket(&SocketState::Open { opening: 2 }, at(2_000));
        trust.on_push();
        assert_eq!(trust.state(), LinkState::Down);
        trust.on_blind(false, at(3_000));
        trust.on_list(Some(2), at(3_000));
        assert_eq!(trust.state(), LinkState::Live);
        assert_eq!(trust.untrusted_since(at(3_000).at), None);
        assert_eq!(trust.view(at(3_000).at).detail, None);
    }

    #[test]
    fn that_a_key_is_refused_is_said_before_that_it_sees_no_payments() {
        let mut trust = live();
        trust.on_blind(true, at(1_000));
        for _ in 0..SILENT_AFTER {
            trust.on_list_failed(RestError::KeyRefused.say(), true, at(1_000));
        }
        assert_eq!(trust.view(at(1_000).at).detail, Some(RestError::KeyRefused.say()));
    }
}
