//! Pairing from the phone: what is sealed, what is confirmed, and what ends it.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tillbell_fake_lnbits::{FakeLnbits, Options as FakeOptions, Version};
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::{PhoneView, Role, Scene};
use tillbell_web::phone::{pair_by_phone, pair_by_phone_within};
use tokio::time::timeout;

use crate::browser::{Answer, Browser};
use crate::shop::{SOON, Shop};

/// A phone that has scanned the code.
struct Phone {
    browser: Browser,
    secret: Vec<u8>,
    nonce: String,
    key: PublicKey,
    token: Vec<u8>,
}

impl Phone {
    fn scans(url: &str, nth: u8) -> Self {
        let (address, fragment) = url.strip_prefix("http://").unwrap().split_once("/pair#").unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(fragment).unwrap();
        assert_eq!(bytes.len(), 48);
        Self {
            browser: Browser::new(address),
            secret: vec![nth; 32],
            nonce: hex::encode(Sha256::digest(vec![nth; 32])),
            key: PublicKey::from_slice(&bytes[..32]).unwrap(),
            token: bytes[32..].to_vec(),
        }
    }

    async fn claims(&mut self) -> Answer {
        let claim = hex::encode(Sha256::digest(&self.token));
        let body = json!({"claim": claim, "nonce": self.nonce});
        self.browser.post("/pair/claim", &body.to_string()).await
    }

    /// Seals a wallet and sends it; answers with the number that it shows, and with what crossed the network.
    async fn sends(&mut self, pairing: &str) -> (Answer, String, String) {
        let form = json!({"pairing": pairing, "invoiceKey": null, "name": null, "allowInsecure": false});
        let text = json!({
            "token": URL_SAFE_NO_PAD.encode(&self.token),
            "secret": hex::encode(&self.secret),
            "form": form
        })
        .to_string();
        let sealed = self.key.seal(&mut OsRng, text.as_bytes()).unwrap();
        let digest = Sha256::digest([self.key.as_bytes().as_slice(), &sealed].concat());
        let number = u32::from_be_bytes(digest[..4].try_into().unwrap()) % 1_000_000;
        let body = json!({"nonce": self.nonce, "sealed": URL_SAFE_NO_PAD.encode(&sealed)}).to_string();
        let answer = self.browser.post("/pair/send", &body).await;
        (answer, format!("{number:06}"), body)
    }

    async fn news(&mut self) -> Answer {
        let body = json!({"nonce": self.nonce}).to_string();
        self.browser.post("/pair/news", &body).await
    }
}

impl Shop {
    async fn phone_view(&self, wanted: impl Fn(&PhoneView) -> bool) -> PhoneView {
        let mut display = self.engine.display();
        let is_it = |scene: &Scene| match scene {
            Scene::Welcome {
                phone: Some(view), ..
            } => wanted(view),
            Scene::Welcome { .. } | Scene::Join { .. } | Scene::Idle { .. } | Scene::Checking => false,
            Scene::Paid(_) | Scene::CatchUp(_) => false,
        };
        let picture = timeout(SOON, display.wait_for(|picture| is_it(&picture.scene))).await;
        let picture = picture.unwrap().unwrap().clone();
        let Scene::Welcome {
            phone: Some(view), ..
        } = &picture.scene
        else {
            panic!("{picture:?}")
        };
        view.clone()
    }

    async fn code(&self) -> String {
        let view = self
            .phone_view(|view| matches!(view, PhoneView::Waiting { .. }))
            .await;
        let PhoneView::Waiting { url } = view else {
            panic!("{view:?}")
        };
        url
    }

    async fn wallets(&self) -> usize {
        let reply = self.engine.ask(Role::Operator, Request::Wallets).await;
        let Reply::Wallets { wallets } = reply else {
            panic!("{reply:?}")
        };
        wallets.len()
    }
}

/// Another wallet, on a server of its own.
async fn another() -> (FakeLnbits, String, String) {
    let fake = FakeLnbits::start(FakeOptions::version(Version::V1_6))
        .await
        .unwrap();
    let wallet = fake.add_wallet("Bar");
    let pairing = format!(
        "lndhub://invoice:{}@{}/lndhub/ext/",
        wallet.invoice_key,
        fake.base_url()
    );
    (fake, pairing, wallet.invoice_key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_pairs_a_wallet_that_is_stored_only_when_the_display_confirms_its_number() {
    let shop = Shop::open().await;
    let (_server, pairing, key) = another().await;
    assert_eq!(pair_by_phone(&shop.engine).await, Reply::Done);
    let mut phone = Phone::scans(&shop.code().await, 1);
    assert_eq!(phone.browser.get("/pair").await.status, 200);
    assert_eq!(phone.claims().await.status, 204);
    shop.phone_view(|view| *view == PhoneView::Opened).await;
    let (sent, number, crossed) = phone.sends(&pairing).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    assert!(!crossed.contains(&key));
    let view = shop
        .phone_view(|view| matches!(view, PhoneView::Confirm { .. }))
        .await;
    let PhoneView::Confirm {
        number: shown,
        wallet,
        ..
    } = view
    else {
        panic!("{view:?}")
    };
    assert_eq!((shown.as_str(), wallet.as_str()), (number.as_str(), "Bar"));
    assert_eq!(phone.news().await.json()["toConfirm"], true);
    assert_eq!(shop.wallets().await, 1);

    let wrong = Request::ConfirmPairing {
        number: "000000".to_owned(),
    };
    assert!(matches!(
        shop.engine.ask(Role::Operator, wrong).await,
        Reply::Refused { .. }
    ));
    assert_eq!(shop.wallets().await, 1);
    let mut display = shop.engine.display();
    assert_eq!(
        shop.engine
            .ask(Role::Operator, Request::ConfirmPairing { number })
            .await,
        Reply::Done
    );
    let two = display.wait_for(|picture| picture.wallets.len() == 2);
    timeout(SOON, two).await.unwrap().unwrap();
    let news = phone.news().await.json();
    assert_eq!(
        news["progress"]["outcome"],
        json!({"name": "paired", "shop": "Bar"})
    );
    // The page is dead after use.
    assert_eq!(phone.browser.get("/pair").await.status, 410);
    assert_eq!(phone.claims().await.status, 410);
    assert_eq!(phone.sends(&pairing).await.0.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_does_not_work_says_why_on_the_phone_and_may_be_sent_again() {
    let shop = Shop::open().await;
    let (_server, pairing, key) = another().await;
    pair_by_phone(&shop.engine).await;
    let mut phone = Phone::scans(&shop.code().await, 1);
    phone.claims().await;
    let wrong = pairing.replace(&key, &"0".repeat(32));
    assert_eq!(phone.sends(&wrong).await.0.status, 204);
    let failed = |news: &Value| news["progress"]["outcome"]["name"] == "failed";
    let mut display = shop.engine.display();
    while !failed(&phone.news().await.json()) {
        timeout(SOON, display.changed()).await.unwrap().unwrap();
    }
    assert_eq!(phone.sends(&pairing).await.0.status, 204);
    shop.phone_view(|view| matches!(view, PhoneView::Confirm { .. }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_phone_ends_it_and_the_display_says_so() {
    let shop = Shop::open().await;
    let (_server, pairing, _) = another().await;
    pair_by_phone(&shop.engine).await;
    let url = shop.code().await;
    let (mut first, mut second) = (Phone::scans(&url, 1), Phone::scans(&url, 2));
    assert_eq!(first.claims().await.status, 204);
    // The same one may have lost its answer.
    assert_eq!(first.claims().await.status, 204);
    assert_eq!(second.claims().await.status, 410);
    let view = shop
        .phone_view(|view| matches!(view, PhoneView::Ended { .. }))
        .await;
    let PhoneView::Ended { sentence } = view else {
        panic!("{view:?}")
    };
    assert_eq!(sentence.code, "second-phone");
    assert_eq!(first.sends(&pairing).await.0.status, 410);
    assert_eq!(second.sends(&pairing).await.0.status, 410);
    assert_eq!(shop.wallets().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_too_old_or_given_up_lets_nobody_in() {
    let shop = Shop::open().await;
    pair_by_phone_within(&shop.engine, Duration::ZERO).await;
    let view = shop
        .phone_view(|view| matches!(view, PhoneView::Ended { .. }))
        .await;
    let PhoneView::Ended { sentence } = view else {
        panic!("{view:?}")
    };
    assert_eq!(sentence.code, "too-old");

    pair_by_phone(&shop.engine).await;
    let mut phone = Phone::scans(&shop.code().await, 1);
    assert_eq!(
        shop.engine.ask(Role::Operator, Request::CancelPairing).await,
        Reply::Done
    );
    assert_eq!(phone.browser.get("/pair").await.status, 410);
    assert_eq!(phone.claims().await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_code_takes_the_place_of_an_older_one() {
    let shop = Shop::open().await;
    pair_by_phone(&shop.engine).await;
    let older = shop.code().await;
    pair_by_phone(&shop.engine).await;
    let newer = shop
        .phone_view(|view| matches!(view, PhoneView::Waiting { url } if *url != older))
        .await;
    let PhoneView::Waiting { url } = newer else {
        panic!("{newer:?}")
    };
    assert_eq!(Phone::scans(&older, 1).claims().await.status, 410);
    assert_eq!(Phone::scans(&url, 1).claims().await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sealed_to_the_display_or_has_another_token_is_refused() {
    let shop = Shop::open().await;
    let (_server, pairing, _) = another().await;
    pair_by_phone(&shop.engine).await;
    let url = shop.code().await;
    let mut phone = Phone::scans(&url, 1);
    let mut guesser = Phone::scans(&url, 2);
    guesser.token = vec![7; 16];
    assert_eq!(guesser.claims().await.status, 401);
    // Not before it has opened the page.
    assert_eq!(phone.sends(&pairing).await.0.status, 410);
    phone.claims().await;
    for sealed in ["", "AAAA", "not base64!", &"A".repeat(400)] {
        let body = json!({"nonce": phone.nonce, "sealed": sealed}).to_string();
        assert_eq!(
            phone.browser.post("/pair/send", &body).await.status,
            400,
            "{sealed}"
        );
    }
    let own = std::mem::replace(&mut phone.token, vec![7; 16]);
    assert_eq!(phone.sends(&pairing).await.0.status, 401);
    phone.token = own;
    // Who listened knows the nonce, and not what it stands for.
    let own = std::mem::replace(&mut phone.secret, vec![9; 32]);
    assert_eq!(phone.sends(&pairing).await.0.status, 401);
    phone.secret = own;
    assert_eq!(phone.sends(&pairing).await.0.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phones_port_has_nothing_else_and_the_displays_port_has_no_such_page() {
    let shop = Shop::open().await;
    pair_by_phone(&shop.engine).await;
    let phone = Phone::scans(&shop.code().await, 1);
    for path in [
        "/",
        "/join",
        "/healthz",
        "/door/me",
        "/api/status",
        "/pair/",
        "/pair/../",
    ] {
        assert_eq!(phone.browser.get(path).await.status, 404, "{path}");
    }
    assert_eq!(Browser::new(shop.address()).get("/pair").await.status, 404);
}
