//! Becoming a display, being one, and being one no longer.

use serde_json::{Value, json};
use tillbell_till::displays::DisplayRole;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::Role;

use crate::browser::Browser;
use crate::shop::{SOON, Shop, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_opened_its_link_sees_each_payment_and_what_it_painted_is_over() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    assert_eq!(tablet.get("/door/me").await.json()["name"], "counter");
    let mut pictures = tablet.pictures().await;
    for sats in [21, 42] {
        shop.sell(sats, "Coffee");
        let paid = pictures.paid(sats).await;
        assert_eq!(
            (&paid["memo"], &paid["verdict"]),
            (&json!("Coffee"), &json!("verified"))
        );
        let painted = json!({"ask": "painted", "showing": paid["showing"]});
        assert_eq!(tablet.ask(&painted).await.json(), json!({"answer": "done"}));
        let dismiss = Request::DismissShowing {
            showing: paid["showing"].as_u64().unwrap(),
        };
        shop.engine.ask(Role::Operator, dismiss).await;
        pictures
            .until(|picture| picture["scene"]["name"] == "idle")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_without_a_link_joins_by_its_letters() {
    let mut shop = Shop::open().await;
    let mut tablet = Browser::new(shop.address());
    assert_eq!(tablet.get("/door/me").await.status, 401);
    let picture = tablet.knock().await.json();
    let letters = picture["scene"]["letters"].as_str().unwrap().to_owned();
    assert_eq!(shop.web.asking.recv().await.unwrap().letters, letters);
    assert_eq!(tablet.knock().await.json()["scene"]["letters"], letters);
    let allow = Request::AllowDisplay {
        letters,
        name: Some("window".to_owned()),
    };
    let allowed = shop.engine.ask(Role::Operator, allow).await;
    assert!(matches!(allowed, Reply::DisplayAllowed { .. }), "{allowed:?}");
    assert_eq!(tablet.knock().await.status, 204);
    assert_eq!(tablet.get("/door/me").await.json()["name"], "window");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_display_loses_its_stream_at_once_and_is_nobody() {
    let shop = Shop::open().await;
    let tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let mut pictures = tablet.pictures().await;
    pictures.until(|_| true).await.unwrap();
    let began = std::time::Instant::now();
    let revoke = Request::RevokeDisplay {
        name: "counter".to_owned(),
    };
    assert_eq!(shop.engine.ask(Role::Operator, revoke).await, Reply::Done);
    assert_eq!(pictures.until(|_| false).await, None);
    assert!(began.elapsed() < SOON, "its stream went on");
    assert_eq!(tablet.get("/door/me").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_no_notice_no_earlier_payment_and_no_server() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let mut pictures = tablet.pictures().await;
    shop.sell(21, "planted memo");
    let paid = pictures.paid(21).await;
    tablet
        .ask(&json!({"ask": "painted", "showing": paid["showing"]}))
        .await;
    let dismiss = Request::DismissShowing {
        showing: paid["showing"].as_u64().unwrap(),
    };
    shop.engine.ask(Role::Operator, dismiss).await;
    let idle = pictures
        .until(|picture| picture["scene"]["name"] == "idle")
        .await
        .unwrap();
    assert_eq!(idle["role"], "customer");
    let text = idle.to_string();
    let server = shop.fake.addr().to_string();
    assert!(
        !text.contains("planted memo") && !text.contains(&server),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_on_this_machine_may_do_what_the_window_may_and_counts_only_where_no_customer_sees() {
    let shop = Shop::open().await;
    let mut office = shop.joined(DisplayRole::Operator, "office").await;
    let mut pictures = office.pictures().await;
    let settings = office.ask(&json!({"ask": "settings"})).await.json();
    assert_eq!(settings["answer"], "settings");
    let is_idle = |picture: &Value| picture["scene"]["name"] == "idle";
    shop.sell(21, "Coffee");
    let showing = pictures.paid(21).await["showing"].clone();
    office.ask(&json!({"ask": "painted", "showing": showing})).await;
    office
        .ask(&json!({"ask": "dismiss-showing", "showing": showing}))
        .await;
    pictures.until(is_idle).await.unwrap();

    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    let mut seen = tablet.pictures().await;
    seen.until(is_idle).await.unwrap();
    shop.sell(42, "Cake");
    let showing = pictures.paid(42).await["showing"].clone();
    office.ask(&json!({"ask": "painted", "showing": showing})).await;
    office
        .ask(&json!({"ask": "dismiss-showing", "showing": showing}))
        .await;
    assert_eq!(seen.paid(42).await["showing"], showing);
    let mut late = office.pictures().await;
    assert_eq!(late.until(|_| true).await.unwrap()["scene"]["showing"], showing);
    // Now a customer has seen it.
    tablet.ask(&json!({"ask": "painted", "showing": showing})).await;
    seen.until(is_idle).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_which_are_connected_and_how_they_are() {
    let shop = Shop::open().await;
    let mut tablet = shop.joined(DisplayRole::Customer, "counter").await;
    shop.add(DisplayRole::Program, "till").await;
    let mut pictures = tablet.pictures().await;
    pictures.until(|_| true).await.unwrap();
    let presence = json!({"visible": true, "sound": false, "awake": true});
    tablet
        .ask(&json!({"ask": "heartbeat", "beat": 1, "presence": presence}))
        .await;
    let listed = shop.engine.ask(Role::Operator, Request::Displays).await;
    let listed: Value = serde_json::to_value(listed).unwrap();
    let of = |nth: usize, field: &str| listed["displays"][nth][field].clone();
    assert_eq!(of(0, "connected"), true);
    assert_eq!(
        (of(0, "visible"), of(0, "sound"), of(0, "awake")),
        (json!(true), json!(false), json!(true))
    );
    assert_eq!(of(0, "address"), "127.0.0.1");
    assert_eq!(
        (of(1, "role"), of(1, "last_seen")),
        (json!("program"), Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_display_has_each_payment_and_newer_pictures_take_the_place_of_older_ones() {
    let shop = Shop::open().await;
    let mut streams = Vec::new();
    for nth in 0..20 {
        let tablet = shop
            .joined(DisplayRole::Customer, &format!("display {nth}"))
            .await;
        streams.push(tablet.pictures().await);
    }
    shop.sell(21, "Coffee");
    for stream in &mut streams {
        assert_eq!(stream.paid(21).await["memo"], "Coffee");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_page_is_served_to_everybody_and_health_says_which() {
    let shop = Shop::open().await;
    let browser = Browser::new(shop.address());
    let (home, join) = (browser.get("/").await, browser.get("/join").await);
    assert_eq!((home.status, &home.body), (200, &join.body));
    assert!(home.head.contains("cache-control: no-store"), "{}", home.head);
    let part = home
        .body
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let part = browser.get(part).await;
    assert_eq!(part.status, 200);
    assert!(
        part.head.contains("immutable") && part.head.contains("text/javascript"),
        "{}",
        part.head
    );
    let manifest = browser.get("/manifest.webmanifest").await.json();
    for icon in manifest["icons"].as_array().unwrap() {
        let icon = browser.get(icon["src"].as_str().unwrap()).await;
        assert!(icon.head.contains("image/png"), "{}", icon.head);
    }
    let health = browser.get("/healthz").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["build"].as_str().unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_link_lets_nobody_else_in_and_the_same_page_again() {
    let shop = Shop::open().await;
    let token = token_of(&shop.add(DisplayRole::Customer, "counter").await);
    let (mut first, mut second) = (Browser::new(shop.address()), Browser::new(shop.address()));
    assert_eq!(first.join(&token).await.status, 204);
    let cookie = first.cookie.clone();
    assert_eq!(first.join(&token).await.status, 204);
    assert_eq!(first.cookie, cookie);
    let refused = second.join(&token).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "wrong-token"));
    assert_eq!(second.cookie, None);
}
