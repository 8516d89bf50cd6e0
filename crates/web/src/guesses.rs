//! How often somebody was wrong: who guesses at tokens is told to stop. Who has the right one is never held up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tillbell_till::clock::Moment;

/// So many wrong ones a minute are mistakes.
const MISTAKES: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// So many addresses are remembered.
const ADDRESSES: usize = 1_024;

/// Wrong guesses by address, of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Guesses(BTreeMap<IpAddr, (Moment, u32)>);

impl Guesses {
    /// One more was wrong. True when it is one too many.
    pub(crate) fn wrong(&mut self, address: IpAddr, now: Moment) -> bool {
        self.0.retain(|_, (began, _)| now.since(*began) < MINUTE);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            let oldest = self.0.iter().min_by_key(|(_, (began, _))| *began);
            let oldest = oldest.map(|(address, _)| *address);
            oldest.map(|address| self.0.remove(&address));
        }
        let (_, count) = self.0.entry(address).or_insert((now, 0));
        *count += 1;
        *count > MISTAKES
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn the_eleventh_wrong_one_in_a_minute_is_too_many() {
        let (one, other) = (
            Ipv4Addr::new(10, 0, 0, 1).into(),
            Ipv4Addr::new(10, 0, 0, 2).into(),
        );
        let mut guesses = Guesses::default();
        for nth in 0..10 {
            assert!(!guesses.wrong(one, at(nth)));
        }
        assert!(guesses.wrong(one, at(59)));
        assert!(!guesses.wrong(other, at(59)));
        assert!(!guesses.wrong(one, at(60)));
    }

    #[test]
    fn many_addresses_cost_no_more_memory() {
        let mut guesses = Guesses::default();
        for nth in 0..5_000 {
            guesses.wrong(Ipv4Addr::from(nth).into(), at(0));
        }
        assert_eq!(guesses.0.len(), ADDRESSES);
    }
}
