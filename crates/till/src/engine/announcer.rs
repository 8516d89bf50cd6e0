//! The outlets of this engine, each with what it is owed: the screens, the bell, the terminal.
//!
//! At most one announcement is unacknowledged for each of them. What they have acknowledged is handed back, to be written down.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;

use super::outlets::{BellOrder, Line, PaymentLine};
use super::request::Output;
use crate::clock::{Moment, Now};
use crate::failpoint::{self, Failpoint};
use crate::ledger::{Entry, Outlet, Seq, WalletRow};
use crate::payment::Kind;
use crate::screen::ringer::{Ring, Ringer};
use crate::screen::stage::{LATE, Stage};
use crate::step::Step;

/// What was delivered to which outlet.
pub(super) type Delivered = (Outlet, Vec<Seq>);

/// The pure machines behind the outlets, and the channels to them.
pub(super) struct Announcer {
    output: Output,
    pub(super) stage: Stage,
    ringer: Ringer,
    chime: String,
    bell: mpsc::Sender<BellOrder>,
    lines: mpsc::Sender<Line>,
    /// Payments whose lines are to be written, each with the moment when it was heard; the front one may be on its way.
    to_tell: VecDeque<(Entry, Option<Moment>)>,
    telling: Option<Seq>,
    /// Lines that are still being written for a ledger that was replaced: their acknowledgements are none of this one's.
    stray_lines: u32,
    names: BTreeMap<WalletRow, String>,
}

/// What holds outlets up at this moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// What was shown last is not marked yet.
    pub(super) screens: bool,
    /// What was told last is not marked yet.
    pub(super) terminal: bool,
    /// Nobody is to see the stage move: somebody pairs from a demo.
    pub(super) stage: bool,
    /// The bell can be heard.
    pub(super) audible: bool,
}

impl Announcer {
    pub(super) fn new(output: Output, bell: mpsc::Sender<BellOrder>, lines: mpsc::Sender<Line>) -> Self {
        Self {
            output,
            stage: Stage::default(),
            ringer: Ringer::default(),
            chime: String::new(),
            bell,
            lines,
            to_tell: VecDeque::new(),
            telling: None,
            stray_lines: 0,
            names: BTreeMap::new(),
        }
    }

    /// How long a payment stays, and which chime rings for it.
    pub(super) fn set(&mut self, dwell: Duration, chime: String) {
        self.stage.set_dwell(dwell);
        self.chime = chime;
    }

    /// What to call each wallet. Where there is only one, the screen does not name it.
    pub(super) fn name_wallets(&mut self, names: BTreeMap<WalletRow, String>) {
        let on_screen = if names.len() > 1 {
            names.clone()
        } else {
            BTreeMap::new()
        };
        self.stage.name_wallets(on_screen);
        self.names = names;
    }

    /// What a wallet is called.
    pub(super) fn name_of(&self, wallet: WalletRow) -> &str {
        self.names.get(&wallet).map_or("", String::as_str)
    }

    /// Everything begins anew on another ledger. Returns what is delivered by that: the bell never rings for the past.
    pub(super) fn begin(
        &mut self,
        last: Option<Entry>,
        owed: &BTreeMap<Outlet, Vec<Entry>>,
        heard: &BTreeMap<Seq, Moment>,
        now: Now,
    ) -> Vec<Delivered> {
        self.clear();
        if let Some(last) = last {
            self.stage.remember_last(last);
        }
        let of = |outlet| owed.get(&outlet).into_iter().flatten();
        for entry in of(Outlet::Screens) {
            self.stage
                .push(entry.clone(), heard.get(&entry.seq).copied(), now.at);
        }
        for entry in of(Outlet::Terminal) {
            self.to_tell
                .push_back((entry.clone(), heard.get(&entry.seq).copied()));
        }
        let mut past = Vec::new();
        for entry in of(Outlet::Bell) {
            match heard.get(&entry.seq) {
                Some(heard) => self.ringer.owe(entry.seq, *heard),
                None => past.push(entry.seq),
            }
        }
        vec![(Outlet::Bell, past)]
    }

    fn clear(&mut self) {
        self.stage.clear();
        self.ringer.clear();
        self.stray_lines += u32::from(self.telling.take().is_some());
        self.to_tell.clear();
    }

    /// Takes away what is owed: its ledger is being replaced. A line that is on its way is told.
    pub(super) fn take_owed(&mut self) -> Vec<(Entry, Option<Moment>, Vec<Outlet>)> {
        let on_its_way = self.telling;
        let lines = std::mem::take(&mut self.to_tell)
            .into_iter()
            .filter(|(entry, _)| Some(entry.seq) != on_its_way)
            .map(|(entry, heard)| (entry, heard, Outlet::Terminal));
        let bell: Vec<_> = self.ringer.owed().collect();
        let screens = self.stage.take_waiting().into_iter().flat_map(|(entry, heard)| {
            let rings = bell.contains(&entry.seq);
            let ring = rings.then(|| (entry.clone(), heard, Outlet::Bell));
            [(entry, heard, Outlet::Screens)].into_iter().chain(ring)
        });
        let mut owed: BTreeMap<Seq, (Entry, Option<Moment>, Vec<Outlet>)> = BTreeMap::new();
        for (entry, heard, outlet) in lines.chain(screens) {
            let (_, known, outlets) = owed.entry(entry.seq).or_insert((entry, heard, Vec::new()));
            *known = known.or(heard);
            outlets.push(outlet);
        }
        self.clear();
        owed.into_values().collect()
    }

    /// A wallet is not paired any more.
    pub(super) fn forget(&mut self, wallet: WalletRow) {
        let waited = self.stage.forget(wallet);
        self.ringer.forget(&waited);
        let telling = self.telling;
        self.to_tell
            .retain(|(entry, _)| entry.wallet != wallet || Some(entry.seq) == telling);
    }

    /// Takes a new payment.
    pub(super) fn take(&mut self, entry: Entry, heard: Moment, now: Now) {
        self.stage.remove_strip(entry.payment_hash);
        if self.output.has(Outlet::Terminal) {
            self.to_tell.push_back((entry.clone(), Some(heard)));
        }
        if self.output.has(Outlet::Bell) {
            self.ringer.owe(entry.seq, heard);
        }
        if self.output.has(Outlet::Screens) {
            self.stage.push(entry, Some(heard), now.at);
        }
    }

    // ── Acknowledgements ───────────────────────────────────────────────────────────────────────────

    pub(super) fn painted(&mut self, showing: u64, now: Now) -> Delivered {
        let seqs = self.stage.painted(showing, now.at);
        // It began while nobody could see it, and its ring had to wait.
        let ring = self.ringer.showing(&seqs, Kind::Live, now.at);
        self.order_ring(ring);
        (Outlet::Screens, seqs)
    }

    pub(super) fn rang(&mut self, ring: u64) -> Delivered {
        (Outlet::Bell, self.ringer.over(ring))
    }

    /// What the ring on its way is for.
    #[cfg(test)]
    pub(super) fn ringing(&self) -> Vec<Seq> {
        self.ringer.ringing().collect()
    }

    pub(super) fn written(&mut self, seq: Seq) -> Delivered {
        if self.stray_lines > 0 {
            self.stray_lines -= 1;
            return (Outlet::Terminal, Vec::new());
        }
        let told = self.telling.take_if(|telling| *telling == seq);
        if told.is_some() {
            self.to_tell.pop_front();
        }
        (Outlet::Terminal, told.into_iter().collect())
    }

    // ── Moving on ──────────────────────────────────────────────────────────────────────────────────

    /// Offers what is next to each outlet that has acknowledged what it was offered last.
    pub(super) fn settle(&mut self, held: Held, now: Now) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        if self.output.has(Outlet::Terminal) {
            self.tell_next(held, now);
        }
        if self.output.has(Outlet::Screens) && !held.stage {
            self.stage.hold(held.screens);
            delivered.push((Outlet::Bell, self.ringer.give_up(held.audible, now.at)));
            let begun = self.stage.advance(now.at);
            if let Some(begun) = &begun {
                for entry in self.stage.shown() {
                    Step::Staged.of_both(entry.payment_hash, begun.showing);
                }
            }
            let ring = if self.stage.is_unseen(now.at) {
                self.ringer.unseen(now.at)
            } else {
                begun.and_then(|begun| self.ringer.showing(&begun.shown, begun.kind, now.at))
            };
            self.order_ring(ring);
        }
        delivered
    }

    fn order_ring(&self, ring: Option<Ring>) {
        if let Some(Ring { id, kind }) = ring {
            let chime = self.chime.clone();
            self.order(BellOrder::Ring { id, kind, chime });
            failpoint::reach(Failpoint::Ordered);
        }
    }

    /// A bell that does not take orders is a bell that is missing: the screen says so, nothing waits for it.
    pub(super) fn order(&self, order: BellOrder) {
        let _ = self.bell.try_send(order);
    }

    /// Rings once, to be heard.
    pub(super) fn test_ring(&self) {
        self.order(BellOrder::Test {
            chime: self.chime.clone(),
        });
    }

    /// Hands a line on. False when it was not taken: whoever reads is behind.
    pub(super) fn tell(&self, line: Line) -> bool {
        !self.output.has(Outlet::Terminal) || self.lines.try_send(line).is_ok()
    }

    /// Sends the next payment's line, one at a time.
    fn tell_next(&mut self, held: Held, now: Now) {
        if held.terminal || self.telling.is_some() {
            return;
        }
        let Some((entry, heard)) = self.to_tell.front() else {
            return;
        };
        let fresh = heard.is_some_and(|heard| now.at.since(heard) < LATE);
        let kind = if fresh { entry.kind } else { Kind::Late };
        let wallet = self.name_of(entry.wallet);
        let line = Line::Payment(PaymentLine::of(entry, wallet, kind, now.wall));
        let seq = entry.seq;
        if self.lines.try_send(line).is_ok() {
            self.telling = Some(seq);
            failpoint::reach(Failpoint::Ordered);
        }
    }

    pub(super) fn next_wake(&self, stage_held: bool, now: Now) -> Option<Moment> {
        if !self.output.has(Outlet::Screens) || stage_held {
            return None;
        }
        [
            self.stage.next_wake(),
            self.ringer.next_wake(self.stage.is_unseen(now.at)),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tillbell_lnbits::{Method, Msat, PaymentHash};

    use super::*;
    use crate::screen::view::Verdict;

    fn entry(seq: i64, wallet: i64) -> Entry {
        Entry {
            seq: Seq(seq),
            wallet: WalletRow(wallet),
            verdict: Verdict::Verified,
            kind: Kind::Live,
            amount: Msat(21_000),
            method: Method::Lightning,
            fiat: None,
            memo: String::new(),
            comment: None,
            payment_hash: PaymentHash([u8::try_from(seq).unwrap(); 32]),
            checking_id: None,
            created_at: None,
            settled_at: None,
            heard_at: Timestamp::UNIX_EPOCH,
            announced_at: None,
        }
    }

    fn at(ms: u64) -> Now {
        Now {
            at: Moment::after_start(Duration::from_millis(ms)),
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_bell_is_owed_nothing_of_a_wallet_that_is_removed_while_its_payments_wait() {
        const FREE: Held = Held {
            screens: false,
            terminal: false,
            stage: false,
            audible: true,
        };
        let (bell, mut orders) = mpsc::channel(16);
        let mut announcer = Announcer::new(Output::Screen, bell, mpsc::channel(1).0);
        announcer.set(Duration::from_secs(2), "counter".to_owned());
        for (seq, wallet) in [(1, 1), (2, 2), (3, 1)] {
            announcer.take(entry(seq, wallet), at(0).at, at(0));
            announcer.settle(FREE, at(0));
        }
        announcer.forget(WalletRow(2));
        let ringing = |announcer: &Announcer| announcer.ringer.ringing().collect::<Vec<_>>();
        assert_eq!(ringing(&announcer), [Seq(1)]);
        assert_eq!(announcer.ringer.owed().collect::<Vec<_>>(), [Seq(3)]);
        assert!(matches!(orders.try_recv(), Ok(BellOrder::Ring { .. })));
    }
}
