//! The picture that displays draw: the stage's scene, and how everything is around it.

use std::sync::Arc;

use super::Actor;
use crate::screen::view::{
    Display, LinkState, LinkView, Notice, NoticeWeight, Role, Scene, SoundView, Unreliable, WalletView,
};
use crate::step::Step;

/// A picture holds so many wallets and notices: what a screen has room for. It stays below 8,192 bytes, the most that reaches a page
/// of the shell's in one piece.
const WALLETS: usize = 6;
const NOTICES: usize = 3;

impl Actor {
    /// Publishes the picture, if it is another one.
    pub(super) fn publish(&self) {
        let fresh = self.picture();
        self.display.send_if_modified(|shown| {
            let fresh = Display {
                revision: shown.revision,
                ..fresh
            };
            if **shown == fresh {
                return false;
            }
            *shown = Arc::new(Display {
                revision: shown.revision + 1,
                ..fresh
            });
            Step::Published.of_showing(shown.showing());
            true
        });
    }

    fn picture(&self) -> Display {
        let checking = self.wallets.iter().any(|wallet| wallet.checking);
        let real_showing = self.announcer.stage.is_showing() && !self.demo;
        let scene = match &self.welcome {
            // A real payment is shown over everything.
            Some(welcome) if !real_showing => Scene::Welcome {
                progress: welcome.progress.clone(),
                can_leave: !self.wallets.is_empty(),
                phone: self.phone.as_ref().map(|phone| phone.view.clone()),
            },
            Some(_) | None => {
                let pay_code = self.pay_code.as_ref().map(|(id, _)| *id);
                self.announcer.stage.scene(checking, pay_code)
            }
        };
        let mut wallets: Vec<_> = self
            .wallets
            .listened()
            .map(|wallet| WalletView {
                name: wallet.paired.name.clone(),
                link: wallet.link(&self.books),
            })
            .collect();
        let unreliable = unreliable(&wallets, self.pay_code.is_some());
        let link = worst(&wallets);
        let more_wallets = leave_room(&mut wallets);
        Display {
            revision: 0,
            role: Role::Operator,
            scene,
            link,
            unreliable,
            wallets,
            more_wallets,
            sound: match self.settings.settings().volume {
                0 => SoundView::Muted,
                _ => self.device,
            },
            demo: self.demo,
            notices: most_important(&self.notices),
            theme: self.settings.settings().theme,
            shop: self
                .wallets
                .listened()
                .next()
                .map(|wallet| wallet.paired.name.clone()),
        }
    }
}

/// The newest of them. A stranger who asks to be a display again and again hides no warning.
fn most_important(notices: &[Notice]) -> Vec<Notice> {
    let mut shown = notices.to_vec();
    while shown.len() > NOTICES {
        let note = shown
            .iter()
            .position(|notice| notice.weight == NoticeWeight::Note);
        shown.remove(note.unwrap_or(0));
    }
    shown
}

/// The worst of their states; without a wallet there is none.
fn worst(wallets: &[WalletView]) -> LinkView {
    let badness = |wallet: &&WalletView| {
        let state = match wallet.link.state {
            LinkState::Live => 0,
            LinkState::Polling => 1,
            LinkState::Connecting => 2,
            LinkState::Down => 3,
        };
        (wallet.link.untrusted_since.is_some(), state)
    };
    // Of equals the first.
    wallets.iter().rev().max_by_key(badness).map_or_else(
        || LinkView {
            state: LinkState::Down,
            detail: None,
            untrusted_since: None,
        },
        |wallet| wallet.link.clone(),
    )
}

/// Puts those in trouble first and takes away what a picture has no room for. Says how many that are.
fn leave_room(wallets: &mut Vec<WalletView>) -> u32 {
    wallets.sort_by_key(|WalletView { link, .. }| match link.state {
        _ if link.untrusted_since.is_some() => 0,
        LinkState::Down => 0,
        LinkState::Connecting | LinkState::Polling => 1,
        LinkState::Live => 2,
    });
    let more = wallets.len().saturating_sub(WALLETS);
    wallets.truncate(WALLETS);
    u32::try_from(more).unwrap_or(u32::MAX)
}

/// The screen cannot be relied on when none of the wallets can, or when the one cannot that its pay code belongs to: the first.
fn unreliable(wallets: &[WalletView], shows_pay_code: bool) -> Option<Unreliable> {
    let of = |wallet: &WalletView| {
        let since = wallet.link.untrusted_since.clone()?;
        let detail = wallet.link.detail.clone();
        Some(Unreliable { since, detail })
    };
    let first = wallets.first().and_then(of)?;
    let none_works = wallets.iter().all(|wallet| wallet.link.untrusted_since.is_some());
    (none_works || shows_pay_code).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::words::News;
    use crate::sentence::Say as _;

    fn wallet(name: &str, state: LinkState, untrusted: bool) -> WalletView {
        WalletView {
            name: name.to_owned(),
            link: LinkView {
                state,
                detail: None,
                untrusted_since: untrusted.then(|| "2026-11-24T14:03:00Z".to_owned()),
            },
        }
    }

    #[test]
    fn wallets_in_trouble_stand_first_and_the_others_in_the_order_of_their_pairing() {
        let mut wallets = vec![
            wallet("counter", LinkState::Live, false),
            wallet("bar", LinkState::Down, false),
            wallet("terrace", LinkState::Connecting, false),
            wallet("stall", LinkState::Live, false),
            wallet("shop", LinkState::Connecting, true),
        ];
        assert_eq!(leave_room(&mut wallets), 0);
        let names: Vec<_> = wallets.iter().map(|wallet| wallet.name.as_str()).collect();
        assert_eq!(names, ["bar", "shop", "terrace", "counter", "stall"]);
    }

    #[test]
    fn a_picture_holds_six_wallets_and_says_how_many_more_there_are() {
        let mut wallets: Vec<_> = (0..200)
            .map(|n| wallet(&n.to_string(), LinkState::Live, n == 150))
            .collect();
        assert_eq!(leave_room(&mut wallets), 194);
        assert_eq!((wallets.len(), wallets[0].name.as_str()), (6, "150"));
    }

    #[test]
    fn notes_make_room_for_warnings_and_older_ones_for_newer() {
        let notice = |id, weight| Notice {
            id,
            sentence: News::NotPairedAnyMore.say(),
            weight,
        };
        let (warning, note) = (NoticeWeight::Warning, NoticeWeight::Note);
        let ids = |weights: &[NoticeWeight]| {
            let notices: Vec<_> = (1..)
                .zip(weights)
                .map(|(id, weight)| notice(id, *weight))
                .collect();
            most_important(&notices)
                .iter()
                .map(|notice| notice.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&[warning, note, note, note, note]), [1, 4, 5]);
        assert_eq!(ids(&[warning, warning, warning, note, note]), [1, 2, 3]);
        assert_eq!(ids(&[warning, warning, warning, warning]), [2, 3, 4]);
        assert_eq!(ids(&[note, warning]), [1, 2]);
    }
}
