//! The picture for a display that customers stand before: what is paid, and nothing of the shop's own business.

use crate::screen::view::{CatchUp, Display, LinkView, More, Paid, Role, Scene, Unreliable, WalletView};

/// Leaves out what is none of a customer's business: sums, what was paid before and what is awaited, notices, and the names of
/// servers, which stand in the reasons why a wallet is not heard.
#[must_use]
pub fn picture(shown: &Display) -> Display {
    Display {
        revision: shown.revision,
        role: Role::Customer,
        scene: scene(&shown.scene),
        link: without_reason(&shown.link),
        wallets: shown.wallets.iter().map(wallet).collect(),
        more_wallets: shown.more_wallets,
        unreliable: shown.unreliable.as_ref().map(|unreliable| Unreliable {
            since: unreliable.since.clone(),
            detail: None,
        }),
        sound: shown.sound,
        demo: shown.demo,
        notices: Vec::new(),
        theme: shown.theme,
        shop: shown.shop.clone(),
    }
}

fn scene(scene: &Scene) -> Scene {
    match scene {
        Scene::Join { letters } => Scene::Join {
            letters: letters.clone(),
        },
        Scene::Welcome { .. } => Scene::Welcome {
            progress: None,
            can_leave: false,
            phone: None,
        },
        Scene::Idle { pay_code, .. } => Scene::Idle {
            pay_code: *pay_code,
            last: None,
            pending: Vec::new(),
        },
        Scene::Checking => Scene::Checking,
        Scene::Paid(paid) => Scene::Paid(Paid {
            more: paid.more.as_ref().map(|more| More {
                count: more.count,
                sums: Vec::new(),
            }),
            ..paid.clone()
        }),
        Scene::CatchUp(caught) => Scene::CatchUp(CatchUp {
            showing: caught.showing,
            count: caught.count,
            sums: Vec::new(),
            items: Vec::new(),
        }),
    }
}

fn wallet(wallet: &WalletView) -> WalletView {
    WalletView {
        name: wallet.name.clone(),
        link: without_reason(&wallet.link),
    }
}

fn without_reason(link: &LinkView) -> LinkView {
    LinkView {
        detail: None,
        ..link.clone()
    }
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::Method;
    use tillbell_lnbits::dial::DialError;

    use super::*;
    use crate::screen::view::{
        CatchUpItem, FiatAmount, Kind, LastPayment, LinkState, MethodSum, Notice, NoticeWeight, PendingStrip,
        SoundView, Theme, Verdict,
    };
    use crate::sentence::Say;

    /// What nobody but the shop is to see.
    const PRIVATE: &str = "private.example";

    fn shown(scene: Scene) -> Display {
        let reason = DialError::NoSuchHost {
            host: PRIVATE.to_owned(),
        };
        let link = LinkView {
            state: LinkState::Down,
            detail: Some(reason.say()),
            untrusted_since: Some("2026-11-24T14:03:00Z".to_owned()),
        };
        Display {
            revision: 7,
            role: Role::Operator,
            scene,
            link: link.clone(),
            wallets: vec![WalletView {
                name: "shop".to_owned(),
                link,
            }],
            more_wallets: 0,
            unreliable: Some(Unreliable {
                since: "2026-11-24T14:03:00Z".to_owned(),
                detail: Some(reason.say()),
            }),
            sound: SoundView::On,
            demo: false,
            notices: vec![Notice {
                id: 1,
                sentence: reason.say(),
                weight: NoticeWeight::Warning,
            }],
            theme: Theme::Dark,
            shop: Some("shop".to_owned()),
        }
    }

    /// What came beside the payment that is shown.
    fn sums() -> Vec<MethodSum> {
        vec![MethodSum {
            method: Method::Cash,
            count: 2,
            total_msat: 777_000,
            fiat: fiat("777000"),
        }]
    }

    fn fiat(amount: &str) -> Option<FiatAmount> {
        Some(FiatAmount {
            currency: "JPY".to_owned(),
            amount: amount.to_owned(),
        })
    }

    fn paid() -> Paid {
        Paid {
            showing: 3,
            method: Method::Card,
            amount_msat: 1_000_000,
            fiat: fiat("150"),
            memo: "Coffee".to_owned(),
            comment: None,
            wallet: None,
            verdict: Verdict::Verified,
            kind: Kind::Live,
            at: "2026-11-24T14:03:00Z".to_owned(),
            more: Some(More {
                count: 2,
                sums: sums(),
            }),
        }
    }

    fn scenes() -> Vec<Scene> {
        let at = "2026-11-24T14:03:00Z".to_owned();
        let last = LastPayment {
            method: Method::Lightning,
            amount_msat: 777_000,
            fiat: None,
            memo: PRIVATE.to_owned(),
            verdict: Verdict::Verified,
            at: at.clone(),
        };
        let pending = PendingStrip {
            amount_msat: 777_000,
            memo: PRIVATE.to_owned(),
        };
        let item = CatchUpItem {
            method: Method::Cash,
            amount_msat: 777_000,
            fiat: fiat("777000"),
            memo: PRIVATE.to_owned(),
            wallet: None,
            at,
        };
        vec![
            Scene::Idle {
                pay_code: Some(1),
                last: Some(last),
                pending: vec![pending],
            },
            Scene::Paid(paid()),
            Scene::CatchUp(CatchUp {
                showing: 4,
                count: 12,
                sums: sums(),
                items: vec![item],
            }),
            Scene::Checking,
        ]
    }

    #[test]
    fn a_customer_sees_no_sum_no_earlier_payment_no_notice_and_no_server() {
        for scene in scenes() {
            let text = serde_json::to_string(&picture(&shown(scene))).unwrap();
            assert!(text.contains(r#""role":"customer""#), "{text}");
            assert!(!text.contains(PRIVATE) && !text.contains("777000"), "{text}");
        }
    }

    #[test]
    fn a_customer_sees_what_is_paid_how_many_and_that_the_display_cannot_be_relied_on() {
        let Scene::Paid(seen) = picture(&shown(Scene::Paid(paid()))).scene else {
            panic!("no payment")
        };
        assert_eq!(
            (seen.showing, seen.amount_msat, seen.memo.as_str()),
            (3, 1_000_000, "Coffee")
        );
        assert_eq!((seen.method, seen.fiat), (Method::Card, fiat("150")));
        assert_eq!(seen.more.map(|more| more.count), Some(2));
        for scene in scenes() {
            let seen = picture(&shown(scene));
            assert!(seen.unreliable.is_some() && seen.link.state == LinkState::Down);
            if let Scene::CatchUp(caught) = seen.scene {
                assert_eq!((caught.showing, caught.count), (4, 12));
            }
        }
    }
}
