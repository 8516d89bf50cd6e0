//! What counts as money that arrived, in types that nothing else can make.
//!
//! [`Verified`] is LNbits' own word about a row of our wallet; [`Reported`] is a frame's word on a server that
//! offers nothing to ask. The ledger takes an [`Arrived`] and nothing else.

use jiff::Timestamp;
use tillbell_lnbits::{
    CheckingId, Claim, ClaimedAmount, Direction, Fiat, Hint, Method, Msat, PaymentHash, PaymentRow, Status,
    Text, WalletId,
};

use crate::payment::Verdict;

/// A payment that the wallet's own REST answer proved: incoming, settled, ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified(PaymentRow);

/// Why a row proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unproven {
    /// The answer speaks of another payment.
    OtherHash,
    /// The row belongs to another wallet than the one this display is bound to.
    OtherWallet,
    /// The money went out.
    Outgoing,
    /// Not paid (yet).
    NotSettled,
}

impl Verified {
    /// Judges a row that the server answered to a question with our key.
    ///
    /// `asked` is the hash that was asked for, `None` for a list. `wallet` is the wallet's id, once known.
    ///
    /// # Errors
    /// Says which part of the proof is missing.
    pub fn prove(
        row: PaymentRow,
        asked: Option<PaymentHash>,
        wallet: Option<&WalletId>,
    ) -> Result<Self, Unproven> {
        if asked.is_some_and(|hash| hash != row.payment_hash) {
            return Err(Unproven::OtherHash);
        }
        if wallet.is_some_and(|id| *id != row.wallet_id) {
            return Err(Unproven::OtherWallet);
        }
        match (row.direction, row.status) {
            (Direction::Outgoing, Status::Pending | Status::Settled | Status::Failed) => {
                Err(Unproven::Outgoing)
            }
            (Direction::Incoming, Status::Pending | Status::Failed) => Err(Unproven::NotSettled),
            (Direction::Incoming, Status::Settled) => Ok(Self(row)),
        }
    }

    /// The row that proved it.
    #[must_use]
    pub const fn row(&self) -> &PaymentRow {
        &self.0
    }
}

/// A payment that a frame reported, on a server that offers nothing to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    payment_hash: PaymentHash,
    amount: Msat,
    memo: Text,
}

/// Leave to believe frames: held only by a session whose pairing found nothing to ask.
#[derive(Debug, Clone, Copy)]
pub struct NothingToAsk(pub(crate) ());

impl Reported {
    /// Takes a frame's word; `None` when it does not say that money came, or not how much.
    #[must_use]
    pub fn believe(hint: Hint, _leave: NothingToAsk) -> Option<Self> {
        let amount = match (hint.claim, hint.amount?) {
            (Claim::Pending | Claim::Failed, _) => return None,
            (Claim::Settled, ClaimedAmount::Sat(sat)) => Msat::from(sat),
            (Claim::Settled, ClaimedAmount::Msat(msat)) => msat,
        };
        Some(Self {
            payment_hash: hint.payment_hash,
            amount,
            memo: hint.memo,
        })
    }
}

/// Money that arrived, on one kind of evidence or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// The wallet confirmed it.
    Verified(Verified),
    /// A frame said so, and there is nobody to ask.
    Reported(Reported),
}

impl Arrived {
    /// How sure we are.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Verified(_) => Verdict::Verified,
            Self::Reported(_) => Verdict::Reported,
        }
    }

    /// Millisatoshis.
    #[must_use]
    pub const fn amount(&self) -> Msat {
        match self {
            Self::Verified(proof) => proof.0.amount,
            Self::Reported(word) => word.amount,
        }
    }

    /// How it was paid. Frames do not say; the servers that offer nothing to ask know nothing but Lightning.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Verified(proof) => proof.0.method,
            Self::Reported(_) => Method::Lightning,
        }
    }

    /// How much that is in fiat, where the row says.
    #[must_use]
    pub const fn fiat(&self) -> Option<Fiat> {
        match self {
            Self::Verified(proof) => proof.0.fiat,
            Self::Reported(_) => None,
        }
    }

    /// What it was for.
    #[must_use]
    pub const fn memo(&self) -> &Text {
        match self {
            Self::Verified(proof) => &proof.0.memo,
            Self::Reported(word) => &word.memo,
        }
    }

    /// What the payer wrote.
    #[must_use]
    pub const fn comment(&self) -> Option<&Text> {
        match self {
            Self::Verified(proof) => proof.0.comment.as_ref(),
            Self::Reported(_) => None,
        }
    }

    /// The payment hash.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        match self {
            Self::Verified(proof) => proof.0.payment_hash,
            Self::Reported(word) => word.payment_hash,
        }
    }

    /// The server's name for it; a frame's word has none.
    #[must_use]
    pub const fn checking_id(&self) -> Option<&CheckingId> {
        match self {
            Self::Verified(proof) => Some(&proof.0.checking_id),
            Self::Reported(_) => None,
        }
    }

    /// When the invoice was made, where the server says.
    #[must_use]
    pub const fn created(&self) -> Option<Timestamp> {
        match self {
            Self::Verified(proof) => Some(proof.0.created),
            Self::Reported(_) => None,
        }
    }

    /// When it settled, where the server says.
    #[must_use]
    pub const fn settled(&self) -> Option<Timestamp> {
        match self {
            Self::Verified(proof) => proof.0.settled,
            Self::Reported(_) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A settled incoming row whose hash is `n` repeated, of wallet `w`.
    pub(crate) fn row(n: u8) -> PaymentRow {
        let payment_hash = PaymentHash([n; 32]);
        PaymentRow {
            checking_id: CheckingId(payment_hash.to_string()),
            payment_hash,
            wallet_id: WalletId::new("w").unwrap(),
            direction: Direction::Incoming,
            method: Method::Lightning,
            fiat: None,
            amount: Msat(1_000),
            status: Status::Settled,
            memo: Text::clean("Coffee"),
            comment: None,
            created: "2026-11-24T12:00:00Z".parse().unwrap(),
            settled: None,
            expires: None,
        }
    }

    #[test]
    fn a_settled_incoming_row_of_our_wallet_is_proof() {
        let wallet = WalletId::new("w").unwrap();
        assert!(Verified::prove(row(1), Some(PaymentHash([1; 32])), Some(&wallet)).is_ok());
    }

    #[test]
    fn nothing_less_is_proof() {
        let other = WalletId::new("other").unwrap();
        let outgoing = PaymentRow {
            direction: Direction::Outgoing,
            ..row(1)
        };
        let pending = PaymentRow {
            status: Status::Pending,
            ..row(1)
        };
        let failed = PaymentRow {
            status: Status::Failed,
            ..row(1)
        };
        assert_eq!(
            Verified::prove(row(1), Some(PaymentHash([2; 32])), None),
            Err(Unproven::OtherHash)
        );
        assert_eq!(
            Verified::prove(row(1), None, Some(&other)),
            Err(Unproven::OtherWallet)
        );
        assert_eq!(Verified::prove(outgoing, None, None), Err(Unproven::Outgoing));
        assert_eq!(Verified::prove(pending, None, None), Err(Unproven::NotSettled));
        assert_eq!(Verified::prove(failed, None, None), Err(Unproven::NotSettled));
    }

    #[test]
    fn where_nobody_can_be_asked_only_a_frame_that_says_paid_and_how_much_is_believed() {
        let frame = |claim, amount| Hint {
            payment_hash: PaymentHash([1; 32]),
            claim,
            amount,
            memo: Text::clean("Coffee"),
            checking_id: None,
            wallet_id: None,
        };
        let believed =
            |claim, amount| Reported::believe(frame(claim, amount), NothingToAsk(())).map(|word| word.amount);
        let sat = Some(ClaimedAmount::Sat(tillbell_lnbits::Sat(7)));
        let msat = Some(ClaimedAmount::Msat(Msat(7)));
        assert_eq!(believed(Claim::Settled, sat), Some(Msat(7_000)));
        assert_eq!(believed(Claim::Settled, msat), Some(Msat(7)));
        assert_eq!(believed(Claim::Settled, None), None);
        for claim in [Claim::Pending, Claim::Failed] {
            assert_eq!((believed(claim, sat), believed(claim, msat)), (None, None));
        }
    }
}
