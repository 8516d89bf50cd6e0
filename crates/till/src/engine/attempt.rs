//! A pairing under way, and the screen that it is asked for on.

use tillbell_lnbits::InvoiceKey;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::adopt::{AdoptError, Adoption};
use super::enrol::{EnrolError, Enrolled};
use super::request::{Asker, PhoneNews};
use crate::clock::Moment;
use crate::screen::view::{PairingProgress, PhoneView};
use crate::store::secrets::Place;

/// The pairing screen is open.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    pub(super) progress: Option<PairingProgress>,
    /// A success was shown from here on.
    pub(super) paired_at: Option<Moment>,
}

/// A phone that may pair.
#[derive(Debug)]
pub(super) struct Phone {
    /// What its code says.
    pub(super) url: String,
    pub(super) view: PhoneView,
    pub(super) news: watch::Sender<PhoneNews>,
}

/// A pairing under way.
pub(super) struct Attempt {
    pub(super) number: u64,
    pub(super) task: AbortHandle,
    /// A phone has sent it: it is stored only when somebody at the display confirms this number.
    pub(super) phone: Option<String>,
    /// It is being stored, and nobody can call that off.
    pub(super) adopting: bool,
    /// The wallet works, and waits for that.
    pub(super) to_confirm: Option<Enrolled>,
    /// Who hears of it, where that is not the screen.
    pub(super) asker: Option<Asker>,
}

impl Attempt {
    /// Whoever asked for it waits no more.
    pub(super) fn is_forsaken(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| asker.ended.is_closed())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a pairing under way has to say.
pub(super) struct Tried {
    pub(super) number: u64,
    pub(super) what: TriedWhat,
}

pub(super) enum TriedWhat {
    Progress(PairingProgress),
    Ended(Box<Result<Enrolled, EnrolError>>),
    /// The key is kept, and whatever came before it is stored: the last step is ours.
    Kept(Box<Kept>),
}

/// A pairing whose key is kept, and where.
pub(super) type Kept = Result<(Adoption, Option<(InvoiceKey, Place)>), AdoptError>;
