//! Amounts: satoshis and millisatoshis, kept apart by type.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// Millisatoshis. Incoming money only, so never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Msat(pub u64);

/// Whole satoshis: the unit of the documented frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sat(pub u64);

impl Msat {
    /// The sum, or the largest amount there is: a display would rather show too many digits than stop.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<Sat> for Msat {
    fn from(sat: Sat) -> Self {
        Self(sat.0.saturating_mul(1_000))
    }
}

impl Sum for Msat {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Self::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_satoshi_is_a_thousand_millisatoshis() {
        assert_eq!(Msat::from(Sat(21)), Msat(21_000));
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(
            [Msat(u64::MAX), Msat(1)].into_iter().sum::<Msat>(),
            Msat(u64::MAX)
        );
    }
}
