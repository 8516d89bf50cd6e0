//! What displays ring with, and which of them do.

use serde_json::{Value, json};
use tillbell_bell::{Chime, Sound};
use tillbell_till::displays::DisplayRole;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::{Role, SettingsForm};

use crate::browser::{Answer, Browser};
use crate::shop::Shop;

const LIVE: &str = "/door/chime/live";
const LATE: &str = "/door/chime/late";

impl Shop {
    async fn set(&self, form: SettingsForm) {
        let form = Request::ChangeSettings { form };
        let changed = self.engine.ask(Role::Operator, form).await;
        assert!(matches!(changed, Reply::Settings { .. }), "{changed:?}");
    }

    async fn sound(&self, name: &str, on: bool) -> Reply {
        let name = name.to_owned();
        self.engine
            .ask(Role::Operator, Request::SoundDisplay { name, on })
            .await
    }
}

impl Browser {
    async fn get_with(&self, path: &str, header: (&str, &str)) -> Answer {
        self.send("GET", path, &[header], "").await
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    fn length(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }
}

/// How many bytes that sound has at that volume.
fn length(sound: Sound) -> usize {
    sound.wave(80).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_has_the_chime_that_the_shop_chose() {
    let shop = Shop::open().await;
    let tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let usual = tablet.get(LIVE).await;
    assert_eq!(
        (usual.status, usual.header("content-type")),
        (200, Some("audio/wav"))
    );
    assert_eq!(usual.header("cache-control"), Some("no-cache"));
    assert!(usual.body.starts_with("RIFF"), "{}", usual.head);
    assert_eq!(usual.length(), length(Sound::Chime(Chime::default())));
    shop.set(SettingsForm {
        chime: Some("glass".to_owned()),
        ..SettingsForm::default()
    })
    .await;
    assert_eq!(
        tablet.get(LIVE).await.length(),
        length(Sound::Chime(Chime::Glass))
    );
    assert_eq!(tablet.get(LATE).await.length(), length(Sound::Late));
    assert_eq!(tablet.get("/door/chime/other").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chime_that_a_browser_has_is_not_sent_again_until_it_is_another_one() {
    let shop = Shop::open().await;
    let tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let kept = tablet.get(LIVE).await.header("etag").unwrap().to_owned();
    let known = ("If-None-Match", kept.as_str());
    let same = tablet.get_with(LIVE, known).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some(kept.as_str()));
    shop.set(SettingsForm {
        volume: Some(30),
        ..SettingsForm::default()
    })
    .await;
    // So a page asks: Chromium plays what it has of an address for five minutes, whatever the server says.
    let asked = tablet.send("HEAD", LIVE, &[], "").await;
    assert_eq!((asked.status, asked.body.as_str()), (200, ""));
    assert_ne!(asked.header("etag"), Some(kept.as_str()));
    let softer = tablet.get_with(LIVE, known).await;
    assert_eq!(softer.status, 200);
    assert_ne!(softer.header("etag"), Some(kept.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_have_a_chime_in_parts() {
    let shop = Shop::open().await;
    let tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let all = length(Sound::Late);
    let first = tablet.get_with(LATE, ("Range", "bytes=0-1")).await;
    assert_eq!((first.status, first.body.as_str()), (206, "RI"));
    assert_eq!(
        first.header("content-range"),
        Some(format!("bytes 0-1/{all}").as_str())
    );
    let whole = tablet.get_with(LATE, ("Range", "bytes=0-")).await;
    assert_eq!((whole.status, whole.length()), (206, all));
    assert_eq!(
        tablet.get_with(LATE, ("Range", "bytes=9999999-")).await.status,
        416
    );
    let of_another = [("Range", "bytes=0-1"), ("If-Range", "\"other\"")];
    assert_eq!(tablet.send("GET", LATE, &of_another, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_a_display_has_a_chime() {
    let shop = Shop::open().await;
    let stranger = Browser::new(shop.address());
    assert_eq!(stranger.get(LIVE).await.status, 401);
    let office = shop.joined(DisplayRole::Operator, "office").await;
    assert_eq!(office.get(LIVE).await.status, 200);
    let elsewhere = office.get_with(LIVE, ("Sec-Fetch-Site", "cross-site")).await;
    assert_eq!(elsewhere.code(), "foreign-origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_display_for_customers_rings_until_somebody_says_otherwise_and_hears_that_at_once() {
    let shop = Shop::open().await;
    let office = shop.joined(DisplayRole::Operator, "office").await;
    let counter = shop.joined(DisplayRole::Customer, "counter").await;
    let window = shop.joined(DisplayRole::Customer, "window").await;
    for (browser, rings) in [(&office, false), (&counter, true), (&window, false)] {
        assert_eq!(browser.get("/door/me").await.json()["sound"], rings);
        assert_eq!(browser.pictures().await.told().await, json!({"sound": rings}));
    }
    let (mut loud, mut silent) = (counter.pictures().await, window.pictures().await);
    assert_eq!(loud.told().await, json!({"sound": true}));
    assert_eq!(silent.told().await, json!({"sound": false}));
    assert_eq!(shop.sound("window", true).await, Reply::Done);
    assert_eq!(silent.told().await, json!({"sound": true}));
    assert_eq!(shop.sound("counter", false).await, Reply::Done);
    assert_eq!(loud.told().await, json!({"sound": false}));
    shop.sell(21, "Coffee");
    loud.paid(21).await;
    let listed = shop.engine.ask(Role::Operator, Request::Displays).await;
    let listed: Value = serde_json::to_value(listed).unwrap();
    let rings = |nth: usize| listed["displays"][nth]["rings"].clone();
    assert_eq!(
        [rings(0), rings(1), rings(2)],
        [json!(false), json!(false), json!(true)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn which_displays_ring_is_for_operators_to_say() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let silence = json!({"ask": "sound-display", "name": "counter", "on": false});
    assert_eq!(tablet.ask(&silence).await.code(), "not-allowed");
    let mut office = shop.joined(DisplayRole::Operator, "office").await;
    assert_eq!(office.ask(&silence).await.json(), json!({"answer": "done"}));
    assert_eq!(tablet.get("/door/me").await.json()["sound"], false);
    let refused = shop.sound("cellar", true).await;
    assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
}
