//! Who has a connection: strangers have few, displays keep theirs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Notify;

/// Strangers at the same time.
const STRANGERS: usize = 128;
/// Strangers of one address.
const OF_AN_ADDRESS: usize = 16;
/// Connections of displays.
const DISPLAYS: usize = 256;

/// Names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(u64);

/// Every open connection. Pure: it says what is to be closed, and whoever serves a connection does it.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    next: u64,
    open: BTreeMap<Id, Open>,
}

#[derive(Debug)]
struct Open {
    address: IpAddr,
    /// A display has shown its cookie on it.
    is_display: bool,
    /// Requests that are being answered.
    busy: u32,
    /// Told when it is to be closed.
    close: Arc<Notify>,
}

impl Admission {
    /// Lets a connection in, if need be in place of the oldest idle stranger, or else of the oldest. All may come from one address where
    /// a proxy stands before them.
    pub(crate) fn admit(&mut self, address: IpAddr, is_proxy: bool) -> (Id, Arc<Notify>) {
        let strangers = || self.open.iter().filter(|(_, open)| !open.is_display);
        let of_it = || strangers().filter(|(_, open)| open.address == address);
        let idle = |(id, open): (&Id, &Open)| (open.busy == 0).then_some(*id);
        let oldest = |(id, _): (&Id, &Open)| *id;
        let instead = if of_it().count() >= OF_AN_ADDRESS && !is_proxy {
            of_it().find_map(idle).or_else(|| of_it().next().map(oldest))
        } else if strangers().count() >= STRANGERS {
            strangers()
                .find_map(idle)
                .or_else(|| strangers().next().map(oldest))
        } else {
            None
        };
        if let Some(open) = instead.and_then(|id| self.open.remove(&id)) {
            open.close.notify_one();
        }
        let id = Id(self.next);
        self.next += 1;
        let close = Arc::new(Notify::new());
        let open = Open {
            address,
            is_display: false,
            busy: 0,
            close: close.clone(),
        };
        self.open.insert(id, open);
        (id, close)
    }

    /// It is closed.
    pub(crate) fn leave(&mut self, id: Id) {
        self.open.remove(&id);
    }

    /// A request begins on it, or ends.
    pub(crate) fn busy(&mut self, id: Id, begins: bool) {
        if let Some(open) = self.open.get_mut(&id) {
            open.busy = if begins {
                open.busy + 1
            } else {
                open.busy.saturating_sub(1)
            };
        }
    }

    /// A display has shown its cookie on it. False when displays have too many.
    pub(crate) fn take_for_display(&mut self, id: Id) -> bool {
        let displays = self.open.values().filter(|open| open.is_display).count();
        match self.open.get_mut(&id) {
            Some(open) if !open.is_display => {
                open.is_display = displays < DISPLAYS;
                open.is_display
            }
            Some(_) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(nth: u8) -> IpAddr {
        Ipv4Addr::new(192, 168, 1, nth).into()
    }

    /// All the places of strangers are taken.
    fn crowded() -> (Admission, Vec<(Id, Arc<Notify>)>) {
        let mut admission = Admission::default();
        let admitted = (0..8).flat_map(|nth| (0..16).map(move |_| nth));
        let admitted = admitted.map(|nth| admission.admit(address(nth), false)).collect();
        (admission, admitted)
    }

    fn is_closed(close: &Notify) -> bool {
        let mut closed = std::pin::pin!(close.notified());
        closed.as_mut().enable()
    }

    #[test]
    fn a_new_stranger_takes_the_place_of_the_oldest_idle_one() {
        let (mut admission, admitted) = crowded();
        admission.busy(admitted[0].0, true);
        admission.admit(address(99), false);
        let closed = admitted.iter().map(|(_, close)| is_closed(close));
        assert_eq!(closed.clone().position(|closed| closed), Some(1));
        assert_eq!(admission.open.len(), STRANGERS);
    }

    #[test]
    fn one_address_crowds_out_nobody_but_itself() {
        let mut admission = Admission::default();
        let other = admission.admit(address(1), false);
        let first = admission.admit(address(2), false);
        for _ in 1..=OF_AN_ADDRESS {
            admission.admit(address(2), false);
        }
        assert!(is_closed(&first.1) && !is_closed(&other.1));
        assert_eq!(admission.open.len(), OF_AN_ADDRESS + 1);
    }

    #[test]
    fn where_every_stranger_is_being_answered_the_oldest_one_makes_room() {
        let (mut admission, admitted) = crowded();
        for (id, _) in &admitted {
            admission.busy(*id, true);
        }
        admission.admit(address(99), false);
        let closed = admitted.iter().map(|(_, close)| is_closed(close));
        assert_eq!(closed.clone().position(|closed| closed), Some(0));
    }

    #[test]
    fn those_who_come_through_a_proxy_are_not_taken_for_one() {
        let mut admission = Admission::default();
        let first = admission.admit(address(1), true);
        for _ in 0..2 * OF_AN_ADDRESS {
            admission.admit(address(1), true);
        }
        assert!(!is_closed(&first.1));
    }

    #[test]
    fn displays_keep_their_places_and_take_none_of_the_strangers() {
        let (mut admission, admitted) = crowded();
        for (id, _) in &admitted {
            assert!(admission.take_for_display(*id));
        }
        for nth in 0..8 {
            for _ in 0..16 {
                admission.admit(address(nth), false);
            }
        }
        admission.admit(address(0), false);
        assert!(admitted.iter().all(|(_, close)| !is_closed(close)));
    }

    #[test]
    fn there_are_only_so_many_places_for_displays() {
        let mut admission = Admission::default();
        for nth in 0..DISPLAYS {
            let (id, _) = admission.admit(address(u8::try_from(nth).unwrap()), false);
            assert!(admission.take_for_display(id));
        }
        let (id, _) = admission.admit(address(0), false);
        assert!(!admission.take_for_display(id));
        admission.leave(Id(0));
        assert!(admission.take_for_display(id));
    }
}
