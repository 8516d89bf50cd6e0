//! Every fault does what it says.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tillbell_fake_lnbits::{
    Path, Version,
    faults::{Fault, RestFault, UpgradeFault},
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::client::{World, world};

const SOON: Duration = Duration::from_millis(100);

async fn faulty(fault: Fault) -> World {
    let world = world(Version::V1_6).await;
    world.fake.faults().set(fault);
    world
}

#[tokio::test]
async fn anyone_can_forge_a_frame() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world
        .fake
        .say(&world.shop.invoice_key, r#"{"payment": {"amount": 1}}"#);
    assert_eq!(ear.hear().await["payment"]["amount"], 1);
    let path = format!(
        "/api/v1/ws/{}?data=%7B%22payment%22:%7B%7D%7D",
        world.shop.invoice_key
    );
    world.post(&path, "", &json!({})).await;
    assert_eq!(ear.hear().await, json!({"payment": {}}));
    world.fake.say_binary(&world.shop.invoice_key, &[0xff]);
    assert!(matches!(ear.next().await, Some(Ok(Message::Binary(bytes))) if bytes[..] == [0xff]));
    world
        .fake
        .flood(&world.shop.invoice_key, 100, 0, |nth| format!("21-{nth}"))
        .await;
    assert_eq!(ear.heard_so_far().await.len(), 100);
}

#[tokio::test]
async fn a_hanging_accept_serves_when_it_is_lifted() {
    let world = faulty(Fault::HangAccept).await;
    assert!(timeout(SOON, world.get("/api/v1/health", "")).await.is_err());
    world.fake.faults().clear();
    assert_eq!(world.get("/api/v1/health", "").await.status, 200);
}

#[tokio::test]
async fn upgrades_are_refused_as_told() {
    let world = faulty(Fault::Upgrade(UpgradeFault::Hang)).await;
    assert!(timeout(SOON, world.try_listen("shop")).await.is_err());
    for (fault, wanted) in [
        (UpgradeFault::Status(403), 403),
        (UpgradeFault::Status(404), 404),
        (
            UpgradeFault::Redirect("https://elsewhere.example/".to_owned()),
            301,
        ),
        (UpgradeFault::Html, 200),
    ] {
        world.fake.faults().set(Fault::Upgrade(fault));
        let refused = world.try_listen("shop").await.err();
        assert!(
            matches!(refused, Some(tungstenite::Error::Http(answer)) if answer.status().as_u16() == wanted)
        );
    }
    world.fake.faults().clear();
    world.listen("shop").await;
}

#[tokio::test]
async fn behind_a_captive_portal_everything_is_a_web_page() {
    let world = world(Version::V1_6).await;
    world.fake.faults().captive_portal();
    let answer = world.get("/api/v1/wallet", &world.shop.invoice_key).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].starts_with("text/html"));
    assert!(world.try_listen("shop").await.is_err());
}

#[tokio::test]
async fn a_silent_socket_neither_speaks_nor_answers_until_it_wakes() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world.fake.faults().set(Fault::SilentSockets);
    world.fake.settle(&world.coffee());
    assert!(timeout(SOON, ear.heard_so_far()).await.is_err());
    world.fake.faults().clear();
    assert_eq!(ear.hear().await["payment"]["amount"], 1_000_000);
}

#[tokio::test]
async fn with_push_dead_payments_settle_unheard() {
    let world = faulty(Fault::PushDead).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    let hash = world.coffee();
    assert!(world.fake.settle(&hash));
    assert!(ear.heard_so_far().await.is_empty());
    assert_eq!(
        world.get(&format!("/api/v1/payments/{hash}"), "").await.json()["paid"],
        true
    );
}

#[tokio::test]
async fn frames_come_late_often_or_not_at_all() {
    let world = faulty(Fault::RepeatFrames(2)).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world.fake.settle(&world.coffee());
    assert_eq!(ear.heard_so_far().await.len(), 3);
    world.fake.faults().clear();
    world.fake.faults().set(Fault::DropEveryNth(1));
    world.fake.settle(&world.coffee());
    assert!(ear.heard_so_far().await.is_empty());
    world.fake.faults().clear();
    world.fake.faults().set(Fault::DelayFrames(SOON));
    let start = Instant::now();
    world.fake.settle(&world.coffee());
    ear.hear().await;
    assert!(start.elapsed() >= SOON);
}

#[tokio::test]
async fn rest_may_lag_behind_the_frame() {
    let world = world(Version::V1_6).await;
    let (hash, key) = (world.coffee(), world.shop.invoice_key.clone());
    world.fake.faults().set(Fault::RestLag(Duration::from_secs(3600)));
    let mut ear = world.listen(&key).await;
    world.fake.settle(&hash);
    assert_eq!(ear.hear().await["payment"]["status"], "success");
    let path = format!("/api/v1/payments/{hash}");
    assert_eq!(
        world.get(&path, &key).await.json()["details"]["status"],
        "pending"
    );
    assert_eq!(
        world.get("/api/v1/payments", &key).await.json()[0]["status"],
        "pending"
    );
    world.fake.faults().clear();
    assert_eq!(
        world.get(&path, &key).await.json()["details"]["status"],
        "success"
    );
}

#[tokio::test]
async fn rest_fails_on_the_path_it_is_told() {
    let world = faulty(Fault::Rest(Some(Path::Wallet), RestFault::Status(429, Some(7)))).await;
    let answer = world.get("/api/v1/wallet", &world.shop.invoice_key).await;
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (429, "7")
    );
    assert_eq!(world.get("/api/v1/health", "").await.status, 200);
    world
        .fake
        .faults()
        .set(Fault::Rest(Some(Path::Wallet), RestFault::Status(503, None)));
    let answer = world.get("/api/v1/wallet", "").await;
    assert_eq!((answer.status, answer.headers.get("retry-after")), (503, None));
}

#[tokio::test]
async fn bodies_come_slowly_halved_huge_or_wrong() {
    let world = faulty(Fault::Rest(None, RestFault::Drip(8, Duration::from_millis(5)))).await;
    let start = Instant::now();
    assert_eq!(
        world.get("/openapi.json", "").await.json()["info"]["version"],
        "1.6.2"
    );
    assert!(start.elapsed() > Duration::from_millis(20));
    world.fake.faults().set(Fault::Rest(None, RestFault::Cut));
    let cut = world.get("/openapi.json", "").await;
    assert_eq!(
        cut.body.len(),
        cut.headers["content-length"].parse::<usize>().unwrap() / 2
    );
    let whole = cut.body.len() * 2;
    for (most, comes) in [(whole + 1, true), (whole / 2, false)] {
        world
            .fake
            .faults()
            .set(Fault::Rest(None, RestFault::CutBeyond(most)));
        let answer = world.get("/openapi.json", "").await;
        assert_eq!(answer.body.len() > cut.body.len(), comes, "{most}");
    }
    world
        .fake
        .faults()
        .set(Fault::Rest(None, RestFault::Huge(3_000_001)));
    assert_eq!(world.get("/openapi.json", "").await.body.len(), 3_000_001);
    world
        .fake
        .faults()
        .set(Fault::Rest(None, RestFault::Body("[]".to_owned())));
    assert_eq!(world.get("/openapi.json", "").await.json(), json!([]));
    world.fake.faults().set(Fault::Rest(None, RestFault::Hang));
    assert!(timeout(SOON, world.get("/openapi.json", "")).await.is_err());
}

#[tokio::test]
async fn the_rate_limit_counts_per_path() {
    let world = faulty(Fault::RateLimit {
        per_minute: 200,
        retry_after: Some(30),
    })
    .await;
    for _ in 0..199 {
        assert_eq!(world.get("/api/v1/health", "").await.status, 200);
    }
    let refused = world.get("/api/v1/health", "").await;
    assert_eq!(
        (refused.status, refused.headers["retry-after"].as_str()),
        (429, "30")
    );
    assert_eq!(world.get("/openapi.json", "").await.status, 200);
    assert_eq!(
        world.fake.requests().busiest_minute(),
        Some(("/api/v1/health".to_owned(), 200))
    );
    world.fake.reset_requests();
    assert_eq!(world.get("/api/v1/health", "").await.status, 200);
}

#[tokio::test]
async fn offsets_shift_while_paging() {
    let world = faulty(Fault::InsertWhilePaging(1)).await;
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let status = tillbell_fake_lnbits::Status::Success;
    world
        .fake
        .insert_many(&world.shop, 4, status, long_ago, SignedDuration::from_secs(1));
    let page = async |offset: u32| {
        let path = format!("/api/v1/payments/paginated?sortby=time&direction=desc&limit=2&offset={offset}");
        let page = world.get(&path, &world.shop.invoice_key).await.json();
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["payment_hash"].clone())
            .collect::<Vec<_>>()
    };
    let (first, second) = (page(0).await, page(2).await);
    assert_eq!(first[1], second[0], "a row is seen twice");
}

#[tokio::test]
async fn the_servers_clock_may_be_wrong() {
    let world = faulty(Fault::ClockOffset(SignedDuration::from_hours(-24 * 400))).await;
    world.coffee();
    let row = &world.fake.payments(&world.shop)[0];
    assert!(row.created < Timestamp::now() - SignedDuration::from_hours(24 * 399));
    let date = world.get("/api/v1/health", "").await.headers["date"].clone();
    assert!(date.contains(&row.created.strftime("%Y").to_string()), "{date}");
}
