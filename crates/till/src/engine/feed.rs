//! What programs hear of this engine, whatever its outlets: its lines as they are made, and where its record lies.
//!
//! Nobody who follows is waited for. Who falls behind is told so, and reads in the record what it missed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tillbell_lnbits::Method;
use tokio::sync::broadcast;

use super::outlets::{Line, LinkLine, PaymentLine};
use crate::clock::{Moment, Now};
use crate::day::ShopDays;
use crate::ledger::{Entry, Seq, WalletRow};

/// Lines that are kept for who is behind.
const KEPT: usize = 1_024;

/// Everything that programs may hear. Cheap to clone; every clone is the same feed.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    told: broadcast::Sender<Told>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// The newest payment of the record; `None` before that was opened.
    newest: Option<Seq>,
    links: BTreeMap<String, LinkLine>,
    counts: Counts,
}

/// Where payments are recorded, and what is needed to read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The ledger's file; `None` while a demo plays, whose payments are in memory only.
    pub ledger: Option<PathBuf>,
    /// What the paired wallets are called.
    pub names: BTreeMap<WalletRow, String>,
    /// When the shop's days begin.
    pub days: ShopDays,
}

/// Something that followers are told.
#[derive(Debug, Clone)]
pub enum Told {
    /// A payment was recorded: also one whose method is neither shown nor rung for, but none that was found silently.
    Payment(Heard),
    /// Anything else.
    Line(Arc<Line>),
    /// The record was opened, and this is its newest payment. That may be an older one than was told last: its copy has taken its place.
    Opened(Seq),
}

/// A payment, and when it was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    line: Arc<PaymentLine>,
    at: Moment,
}

/// One who follows.
#[derive(Debug)]
pub struct Following {
    /// How each wallet is heard at this moment.
    pub links: Vec<LinkLine>,
    /// The newest payment of the record at this moment, zero where it has none: every later one is told. `None`: it is not open yet.
    pub newest: Option<Seq>,
    /// What is told from now on.
    pub told: broadcast::Receiver<Told>,
}

/// What was counted since the engine's start.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Payments that were recorded, by the wallet's name and the method.
    pub payments: BTreeMap<(String, Method), u64>,
    /// Frames that were not believed, by the wallet's name.
    pub rejected: BTreeMap<String, u64>,
    /// How long all those payments took together from being heard to being recorded.
    pub recording: Duration,
}

impl Heard {
    /// Its place in the record.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.line.seq
    }

    /// Its line, told now: live if it was found so a moment ago.
    #[must_use]
    pub fn told(&self, now: Now) -> PaymentLine {
        let line = PaymentLine::clone(&self.line);
        line.told(now.wall, now.at.since(self.at))
    }
}

impl Feed {
    pub(super) fn new(record: Record) -> Self {
        Self(Arc::new(Inner {
            told: broadcast::channel(KEPT).0,
            state: Mutex::new(State {
                record,
                newest: None,
                links: BTreeMap::new(),
                counts: Counts::default(),
            }),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows from this moment on.
    #[must_use]
    pub fn follow(&self) -> Following {
        // Whatever is told is told under this lock.
        let state = self.state();
        Following {
            links: state.links.values().cloned().collect(),
            newest: state.newest,
            told: self.0.told.subscribe(),
        }
    }

    /// How each wallet is heard at this moment.
    #[must_use]
    pub fn links(&self) -> Vec<LinkLine> {
        self.state().links.values().cloned().collect()
    }

    /// Where payments are recorded.
    #[must_use]
    pub fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    // ── Telling ────────────────────────────────────────────────────────────────────────────────────

    fn tell(&self, told: Told) {
        // That nobody follows is no fault.
        let _ = self.0.told.send(told);
    }

    /// What readers need is this now.
    pub(super) fn lies_at(&self, record: Record) {
        let mut state = self.state();
        if state.record != record {
            state.record = record;
        }
    }

    /// A ledger was opened, whose newest payment this is.
    pub(super) fn begins(&self, newest: Seq) {
        let mut state = self.state();
        state.newest = Some(newest);
        self.tell(Told::Opened(newest));
    }

    /// Wallets of other names are gone.
    pub(super) fn keeps_links(&self, is_wallet: impl Fn(&str) -> bool) {
        self.state().links.retain(|name, _| is_wallet(name));
    }

    /// A payment is in the ledger, so long after it was heard.
    pub(super) fn recorded(&self, entry: &Entry, wallet: &str, heard: Moment, now: Now) {
        let mut state = self.state();
        state.newest = Some(entry.seq);
        let counts = &mut state.counts;
        *counts
            .payments
            .entry((wallet.to_owned(), entry.method))
            .or_default() += 1;
        counts.recording += now.at.since(heard);
        // Only what is found silently counts as announced when it is recorded.
        if entry.announced_at.is_none() {
            let line = PaymentLine::of(entry, wallet, entry.kind, now.wall);
            self.tell(Told::Payment(Heard {
                line: Arc::new(line),
                at: heard,
            }));
        }
    }

    /// A wallet is heard so from now on.
    pub(super) fn link(&self, line: LinkLine) {
        let mut state = self.state();
        state.links.insert(line.wallet.clone(), line.clone());
        self.tell(Told::Line(Arc::new(Line::Link(line))));
    }

    /// No wallet has this name any more.
    pub(super) fn name_has_gone(&self, last: LinkLine) {
        let mut state = self.state();
        state.links.remove(&last.wallet);
        self.tell(Told::Line(Arc::new(Line::Link(last))));
    }

    /// A frame was not believed.
    pub(super) fn rejected(&self, wallet: &str) {
        let mut state = self.state();
        *state.counts.rejected.entry(wallet.to_owned()).or_default() += 1;
    }

    /// Any other line.
    pub(super) fn line(&self, line: Line) {
        let _told_in_order = self.state();
        self.tell(Told::Line(Arc::new(line)));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::Time;
    use tillbell_lnbits::{Msat, PaymentHash};

    use super::*;
    use crate::payment::{Kind, Verdict};
    use crate::wallet::health::LinkState;

    fn feed() -> Feed {
        Feed::new(Record {
            ledger: None,
            names: BTreeMap::new(),
            days: ShopDays::new(None, Time::midnight()),
        })
    }

    fn at(seconds: u64) -> Now {
        let since = Duration::from_secs(seconds);
        Now {
            at: Moment::after_start(since),
            wall: Timestamp::UNIX_EPOCH + since,
        }
    }

    fn entry(seq: i64, kind: Kind) -> Entry {
        Entry {
            seq: Seq(seq),
            wallet: WalletRow(1),
            verdict: Verdict::Verified,
            kind,
            amount: Msat(21_000),
            method: Method::Lightning,
            fiat: None,
            memo: String::new(),
            comment: None,
            payment_hash: PaymentHash([1; 32]),
            checking_id: None,
            created_at: None,
            settled_at: None,
            heard_at: at(0).wall,
            announced_at: None,
        }
    }

    fn link(wallet: &str, state: LinkState) -> LinkLine {
        LinkLine::new(at(0).wall, wallet, state, None)
    }

    /// The payment that was told.
    fn heard(following: &mut Following) -> Option<Heard> {
        match following.told.try_recv().ok()? {
            Told::Payment(heard) => Some(heard),
            Told::Line(_) | Told::Opened(_) => None,
        }
    }

    #[test]
    fn a_payment_is_live_for_a_minute_and_one_that_was_found_late_never() {
        let feed = feed();
        let mut following = feed.follow();
        feed.recorded(&entry(1, Kind::Live), "shop", at(0).at, at(1));
        feed.recorded(&entry(2, Kind::Late), "shop", at(0).at, at(1));
        let live = heard(&mut following).unwrap();
        let told = |seconds| live.told(at(seconds));
        assert_eq!([told(59).kind, told(60).kind], [Kind::Live, Kind::Late]);
        assert_eq!(told(60).at, at(60).wall, "and says when it was told");
        let late = heard(&mut following).unwrap();
        assert_eq!((late.seq(), late.told(at(1)).kind), (Seq(2), Kind::Late));
        let recorded = |seconds| PaymentLine::recorded(&entry(1, Kind::Live), "shop", at(seconds).wall).kind;
        assert_eq!([recorded(59), recorded(60)], [Kind::Live, Kind::Late]);
    }

    #[test]
    fn what_was_found_silently_is_counted_and_told_to_nobody() {
        let feed = feed();
        let mut following = feed.follow();
        let silent = Entry {
            announced_at: Some(at(0).wall),
            ..entry(1, Kind::Late)
        };
        feed.recorded(&silent, "shop", at(0).at, at(3));
        assert!(heard(&mut following).is_none());
        assert_eq!(feed.follow().newest, Some(Seq(1)));
        let counts = feed.counts();
        assert_eq!(counts.payments[&("shop".to_owned(), Method::Lightning)], 1);
        assert_eq!(counts.recording, Duration::from_secs(3));
    }

    #[test]
    fn who_begins_to_follow_has_the_links_as_they_are_and_hears_what_changes() {
        let feed = feed();
        assert_eq!(feed.follow().newest, None, "no record is open");
        feed.begins(Seq(7));
        feed.link(link("bar", LinkState::Connecting));
        feed.link(link("shop", LinkState::Live));
        feed.link(link("bar", LinkState::Live));
        let mut following = feed.follow();
        let states = [("bar", LinkState::Live), ("shop", LinkState::Live)];
        assert_eq!(following.links, states.map(|(name, state)| link(name, state)));
        assert_eq!(following.newest, Some(Seq(7)));
        feed.name_has_gone(link("bar", LinkState::Down));
        let told = following.told.try_recv().unwrap();
        let last = Line::Link(link("bar", LinkState::Down));
        assert!(matches!(told, Told::Line(line) if *line == last));
        assert_eq!(feed.links(), [link("shop", LinkState::Live)]);
    }

    #[test]
    fn who_falls_behind_is_told_so_and_nobody_waits() {
        let feed = feed();
        let mut following = feed.follow();
        for seq in 0..=i64::try_from(KEPT).unwrap() {
            feed.recorded(&entry(seq, Kind::Live), "shop", at(0).at, at(0));
        }
        let told = following.told.try_recv();
        assert!(
            matches!(told, Err(broadcast::error::TryRecvError::Lagged(1))),
            "{told:?}"
        );
    }
}
