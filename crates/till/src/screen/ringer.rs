//! When the bell rings: once for each showing that the screens begin; and while no display can paint, for each new payment.
//!
//! The bell never rings for the past. What it does not ring for within ten seconds counts as delivered.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::ledger::Seq;
use crate::payment::Kind;

/// A payment that was heard longer ago than this is not rung for.
const PAST: Duration = Duration::from_secs(10);
/// While no display paints: at most one ring in this time.
const BETWEEN_RINGS: Duration = Duration::from_millis(1_500);

/// The pure machine behind the bell. See the module's own words.
#[derive(Debug, Clone, Default)]
pub struct Ringer {
    /// What the bell is owed, and when it was heard.
    owed: BTreeMap<Seq, Moment>,
    ringing: Option<(u64, Vec<Seq>)>,
    rings: u64,
    last: Option<Moment>,
}

/// An order to ring. It is answered with [`Ringer::over`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Its number.
    pub id: u64,
    /// The chime, or the short sound of what is late.
    pub kind: Kind,
}

impl Ringer {
    /// The ledger has a payment that was heard at that moment.
    pub fn owe(&mut self, seq: Seq, heard: Moment) {
        self.owed.insert(seq, heard);
    }

    /// Nothing is owed any more: another wallet is played. The numbers go on.
    pub fn clear(&mut self) {
        *self = Self {
            rings: self.rings,
            ..Self::default()
        };
    }

    /// These are not rung for any more: their wallet is gone.
    pub fn forget(&mut self, seqs: &[Seq]) {
        for seq in seqs {
            self.owed.remove(seq);
        }
    }

    /// What is owed. A ring that is on its way is as good as rung: nobody can call it back.
    pub fn owed(&self) -> impl Iterator<Item = Seq> + '_ {
        self.owed.keys().copied()
    }

    /// What the ring on its way is for.
    pub fn ringing(&self) -> impl Iterator<Item = Seq> + '_ {
        self.ringing.iter().flat_map(|(_, seqs)| seqs.iter().copied())
    }

    /// The screens begin to show these. Rings for those that it has not rung for.
    pub fn showing(&mut self, shown: &[Seq], kind: Kind, now: Moment) -> Option<Ring> {
        let mut seqs: Vec<_> = shown
            .iter()
            .copied()
            .filter(|seq| self.owed.remove(seq).is_some())
            .collect();
        if seqs.is_empty() {
            return None;
        }
        // A ring that has not begun is the same ring.
        if let Some((_, waiting)) = self.ringing.take() {
            seqs.extend(waiting);
        }
        Some(self.ring(seqs, kind, now))
    }

    /// No display paints: rings for the newest payment, and those before it.
    pub fn unseen(&mut self, now: Moment) -> Option<Ring> {
        let rests = self.last.is_some_and(|last| now.since(last) < BETWEEN_RINGS);
        if self.owed.is_empty() || self.ringing.is_some() || rests {
            return None;
        }
        let seqs = std::mem::take(&mut self.owed).into_keys().collect();
        Some(self.ring(seqs, Kind::Live, now))
    }

    fn ring(&mut self, seqs: Vec<Seq>, kind: Kind, now: Moment) -> Ring {
        self.rings += 1;
        self.last = Some(now);
        self.ringing = Some((self.rings, seqs));
        Ring { id: self.rings, kind }
    }

    /// The sound of this ring has begun, or there will be none. Returns what is delivered by that.
    pub fn over(&mut self, id: u64) -> Vec<Seq> {
        self.ringing
            .take_if(|(ringing, _)| *ringing == id)
            .map_or_else(Vec::new, |(_, seqs)| seqs)
    }

    /// Returns what is not rung for any more: it is past, or the bell cannot be heard.
    pub fn give_up(&mut self, audible: bool, now: Moment) -> Vec<Seq> {
        let past = |heard: &Moment| !audible || now.since(*heard) >= PAST;
        let gone: Vec<_> = self
            .owed
            .extract_if(.., |_, heard| past(heard))
            .map(|(seq, _)| seq)
            .collect();
        let late = self.last.is_none_or(|last| !audible || now.since(last) >= PAST);
        let ringing = self.ringing.take_if(|_| late);
        gone.into_iter()
            .chain(ringing.into_iter().flat_map(|(_, seqs)| seqs))
            .collect()
    }

    /// When something changes by itself. `unseen`: no display paints.
    #[must_use]
    pub fn next_wake(&self, unseen: bool) -> Option<Moment> {
        let past = self.owed.values().min().map(|heard| *heard + PAST);
        let ring = self
            .last
            .filter(|_| self.ringing.is_some())
            .map(|last| last + PAST);
        let next = self
            .last
            .filter(|_| unseen && !self.owed.is_empty() && self.ringing.is_none())
            .map(|last| last + BETWEEN_RINGS);
        [past, ring, next].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::after_start(Duration::from_millis(ms))
    }

    const fn ring(id: u64, kind: Kind) -> Option<Ring> {
        Some(Ring { id, kind })
    }

    #[test]
    fn it_rings_once_for_each_showing() {
        let mut ringer = Ringer::default();
        for seq in 1..=3 {
            ringer.owe(Seq(seq), at(0));
        }
        assert_eq!(ringer.showing(&[Seq(1)], Kind::Live, at(0)), ring(1, Kind::Live));
        assert_eq!(ringer.over(1), [Seq(1)]);
        assert_eq!(
            ringer.showing(&[Seq(1)], Kind::Live, at(10)),
            None,
            "it was rung for"
        );
        assert_eq!(
            ringer.showing(&[Seq(2), Seq(3)], Kind::Late, at(2_000)),
            ring(2, Kind::Late)
        );
        assert_eq!(ringer.over(1), [], "that was another ring");
        assert_eq!(ringer.over(2), [Seq(2), Seq(3)]);
    }

    #[test]
    fn while_no_display_paints_it_rings_for_what_is_new_once_in_a_second_and_a_half() {
        let mut ringer = Ringer::default();
        ringer.owe(Seq(1), at(0));
        assert_eq!(ringer.unseen(at(0)), ring(1, Kind::Live));
        ringer.over(1);
        ringer.owe(Seq(2), at(100));
        ringer.owe(Seq(3), at(200));
        assert_eq!(ringer.unseen(at(1_499)), None);
        assert_eq!(ringer.next_wake(true), Some(at(1_500)));
        assert_eq!(ringer.unseen(at(1_500)), ring(2, Kind::Live));
        assert_eq!(ringer.over(2), [Seq(2), Seq(3)]);
        assert_eq!(
            ringer.showing(&[Seq(1), Seq(2), Seq(3)], Kind::Late, at(90_000)),
            None,
            "silently"
        );
    }

    #[test]
    fn it_never_rings_for_the_past() {
        let mut ringer = Ringer::default();
        ringer.owe(Seq(1), at(0));
        assert_eq!(ringer.give_up(true, at(9_999)), []);
        assert_eq!(ringer.next_wake(false), Some(at(10_000)));
        assert_eq!(ringer.give_up(true, at(10_000)), [Seq(1)]);
        assert_eq!(ringer.showing(&[Seq(1)], Kind::Live, at(10_000)), None);
    }

    #[test]
    fn a_bell_that_cannot_be_heard_owes_nothing() {
        let mut ringer = Ringer::default();
        ringer.owe(Seq(1), at(0));
        assert_eq!(ringer.give_up(false, at(0)), [Seq(1)]);
        ringer.owe(Seq(2), at(0));
        ringer.showing(&[Seq(2)], Kind::Live, at(0));
        assert_eq!(ringer.give_up(false, at(10)), [Seq(2)]);
        assert_eq!(ringer.owed().count(), 0);
    }

    #[test]
    fn what_a_ring_is_on_its_way_for_is_owed_no_more() {
        let mut ringer = Ringer::default();
        ringer.owe(Seq(1), at(0));
        ringer.owe(Seq(2), at(0));
        ringer.showing(&[Seq(1)], Kind::Live, at(0));
        assert_eq!(ringer.owed().collect::<Vec<_>>(), [Seq(2)]);
        assert_eq!(ringer.ringing().collect::<Vec<_>>(), [Seq(1)]);
    }

    #[test]
    fn a_ring_that_does_not_begin_within_ten_seconds_is_given_up() {
        let mut ringer = Ringer::default();
        ringer.owe(Seq(1), at(0));
        ringer.showing(&[Seq(1)], Kind::Live, at(0));
        assert_eq!(ringer.give_up(true, at(9_999)), []);
        assert_eq!(ringer.give_up(true, at(10_000)), [Seq(1)]);
        assert_eq!(ringer.over(1), []);
    }
}
