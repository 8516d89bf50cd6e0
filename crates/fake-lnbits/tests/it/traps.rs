//! Every way in which LNbits surprises its clients.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tillbell_fake_lnbits::{Ending, Entry, FakeLnbits, NewInvoice, Options, Path, Status, Version};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::client::world;

const SERVERS: [Version; 4] = [Version::V0_12, Version::V1_0, Version::V1_2, Version::V1_6];
const PAGES: &str = "/api/v1/payments/paginated";

#[tokio::test]
async fn the_documented_server_speaks_in_sats_on_the_wallet_id() {
    let world = world(Version::Documented).await;
    let mut ear = world.listen(&world.shop.id).await;
    let hash = world.coffee();
    assert!(world.fake.push_pending(&hash));
    assert_eq!(ear.hear().await["status"], "pending");
    assert!(world.fake.settle(&hash));
    let paid = json!({"type": "payment", "payment_hash": hash, "amount": 1000, "status": "success", "memo": "Coffee"});
    assert_eq!(ear.hear().await, paid);
}

#[tokio::test]
async fn the_documented_server_has_nothing_to_ask() {
    let world = world(Version::Documented).await;
    for path in [
        "/api/v1/wallet",
        "/api/v1/health",
        "/openapi.json",
        "/api/v1/payments",
        "/api/v1/ws/shop",
    ] {
        assert_eq!(
            world.get(path, &world.shop.invoice_key).await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(
        world
            .post("/api/v1/ws/shop?data=hello", "", &json!({}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_wallet_id_connects_and_stays_silent_on_real_servers() {
    for version in SERVERS {
        let world = world(version).await;
        let (mut id, mut key) = (
            world.listen(&world.shop.id).await,
            world.listen(&world.shop.invoice_key).await,
        );
        world.fake.settle(&world.coffee());
        assert_eq!(key.hear().await["payment"]["amount"], 1_000_000);
        assert!(id.heard_so_far().await.is_empty());
    }
}

#[tokio::test]
async fn the_admin_key_hears_frames_from_1_0_on() {
    for (version, frames) in [
        (Version::V0_12, 0),
        (Version::V1_0, 1),
        (Version::V1_2, 1),
        (Version::V1_6, 1),
    ] {
        let world = world(version).await;
        let mut admin = world.listen(&world.shop.admin_key).await;
        let mut invoice = world.listen(&world.shop.invoice_key).await;
        world.fake.settle(&world.coffee());
        invoice.hear().await;
        assert_eq!(admin.heard_so_far().await.len(), frames, "{version:?}");
    }
}

#[tokio::test]
async fn only_1_6_tells_the_receiver_twice() {
    for (version, frames) in [(Version::V0_12, 1), (Version::V1_0, 1), (Version::V1_6, 2)] {
        let world = world(version).await;
        let mut ear = world.listen(&world.shop.invoice_key).await;
        let hash = world.coffee();
        assert!(world.fake.pay_between(&world.customer, &hash));
        let first = ear.text().await;
        if frames == 2 {
            assert_eq!(ear.text().await, first);
        }
        assert!(ear.heard_so_far().await.is_empty());
    }
}

#[tokio::test]
async fn the_payment_hash_channel_tells_of_both_sides() {
    for (version, text) in [
        (Version::V0_12, r#"{"pending": false}"#),
        (Version::V1_0, r#"{"pending": false, "status": "success"}"#),
    ] {
        let world = world(version).await;
        let hash = world.coffee();
        let mut ear = world.listen(&hash).await;
        world.fake.pay_between(&world.customer, &hash);
        assert_eq!([ear.text().await, ear.text().await], [text, text]);
    }
}

#[tokio::test]
async fn both_sides_share_a_hash_but_no_checking_id() {
    let world = world(Version::V1_6).await;
    let mut payer = world.listen(&world.customer.invoice_key).await;
    let hash = world.coffee();
    world.fake.pay_between(&world.customer, &hash);
    let paid = &payer.hear().await["payment"];
    assert_eq!(paid["amount"], -1_000_000);
    assert_eq!(paid["checking_id"], format!("internal_{hash}"));
    assert_eq!(paid["payment_hash"], json!(hash));
}

#[tokio::test]
async fn an_old_server_leaves_the_amount_out_of_an_outgoing_frame() {
    let world = world(Version::V0_12).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world.fake.send_outgoing(&world.shop, 5_000, "refund");
    assert!(ear.hear().await["payment"].get("amount").is_none());
}

#[tokio::test]
async fn times_are_numbers_on_0_12() {
    let world = world(Version::V0_12).await;
    world.coffee();
    let row = &world
        .get("/api/v1/payments", &world.shop.invoice_key)
        .await
        .json()[0];
    assert!(row["time"].is_i64() && row["expiry"].is_f64());
    assert_eq!(
        (&row["status"], &row["pending"]),
        (&json!("pending"), &json!(true))
    );
}

#[tokio::test]
async fn anyones_payment_is_paid_without_a_key() {
    for version in SERVERS {
        let world = world(version).await;
        let hash = world.coffee();
        let path = format!("/api/v1/payments/{hash}");
        world.fake.pay_between(&world.customer, &hash);
        let old = world.shop.invoice_key.clone();
        let rotated = world.fake.rotate_keys(&world.shop);
        for key in ["", "wrong", &old, &world.shop.id] {
            let answer = world.get(&path, key).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.json()["paid"], true);
            assert!(
                answer.json().get("details").is_none(),
                "{version:?} told a stranger"
            );
        }
        let ours = world.get(&path, &rotated.invoice_key).await.json();
        assert_eq!(ours["details"]["amount"], 1_000_000);
        let theirs = world.get(&path, &world.customer.invoice_key).await.json();
        assert_eq!(theirs["details"]["amount"], -1_000_000);
    }
}

#[tokio::test]
async fn an_unknown_hash_does_not_exist() {
    let world = world(Version::V1_6).await;
    let answer = world.get("/api/v1/payments/ab", &world.shop.invoice_key).await;
    assert_eq!(
        (answer.status, answer.json()),
        (404, json!({"detail": "Payment does not exist."}))
    );
}

#[tokio::test]
async fn a_wallet_that_pays_itself_sees_only_the_outgoing_row_but_lists_both() {
    let world = world(Version::V1_6).await;
    let hash = world.coffee();
    assert!(world.fake.pay_between(&world.shop, &hash));
    let key = &world.shop.invoice_key;
    let answer = world.get(&format!("/api/v1/payments/{hash}"), key).await.json();
    assert_eq!(answer["details"]["amount"], -1_000_000);
    assert_eq!(
        world
            .get(&format!("{PAGES}?payment_hash={hash}"), key)
            .await
            .json()["total"],
        2
    );
}

#[tokio::test]
async fn asking_1_6_about_an_expired_invoice_fails_it() {
    for (version, settles) in [
        (Version::V0_12, true),
        (Version::V1_0, true),
        (Version::V1_6, false),
    ] {
        let world = world(version).await;
        let hash = world.coffee();
        let long_ago = Timestamp::now() - SignedDuration::from_hours(48);
        assert!(
            world
                .fake
                .backdate(&hash, long_ago, long_ago + SignedDuration::from_hours(1))
        );
        let listed = world
            .get("/api/v1/payments", &world.shop.invoice_key)
            .await
            .json();
        assert_eq!(listed[0]["status"], "pending", "lists do no harm");
        world.get(&format!("/api/v1/payments/{hash}"), "").await;
        assert_eq!(world.fake.settle(&hash), settles, "{version:?}");
    }
}

#[tokio::test]
async fn an_expired_invoice_can_still_be_paid() {
    for version in SERVERS {
        let world = world(version).await;
        let invoice = NewInvoice {
            expiry: Duration::ZERO,
            ..NewInvoice::sats(1, "late")
        };
        let hash = world.fake.make_invoice(&world.shop, invoice).payment_hash;
        assert!(world.fake.settle(&hash));
        let answer = world.get(&format!("/api/v1/payments/{hash}"), "").await.json();
        assert_eq!(answer["paid"], true);
    }
}

#[tokio::test]
async fn the_hash_filter_is_the_arbiter_except_on_0_12() {
    for version in SERVERS {
        let world = world(version).await;
        let (hash, stranger) = (world.coffee(), world.fake.add_wallet("stranger"));
        let query = format!("{PAGES}?payment_hash={hash}");
        let ours = world.get(&query, &world.shop.invoice_key).await;
        if version == Version::V0_12 {
            assert_eq!(ours.status, 500);
            continue;
        }
        assert_eq!(ours.json()["data"][0]["payment_hash"], json!(hash));
        assert_eq!(
            world.get(&query, &stranger.invoice_key).await.json(),
            json!({"data": [], "total": 0})
        );
        let wrong = world.get(&query, "wrong").await;
        assert_eq!(
            (wrong.status, wrong.json()),
            (404, json!({"detail": "Wallet not found."}))
        );
    }
}

#[tokio::test]
async fn the_status_filter_is_ignored_on_0_12() {
    for (version, total) in [
        (Version::V0_12, 3),
        (Version::V1_0, 2),
        (Version::V1_2, 2),
        (Version::V1_6, 2),
    ] {
        let world = world(version).await;
        world.fake.settle(&world.coffee());
        world.fake.insert_many(
            &world.shop,
            2,
            Status::Pending,
            Timestamp::now(),
            SignedDuration::from_secs(1),
        );
        let page = world
            .get(&format!("{PAGES}?status=pending"), &world.shop.invoice_key)
            .await
            .json();
        assert_eq!(page["total"], total, "{version:?}");
    }
}

#[tokio::test]
async fn only_1_6_sorts_by_updated_at_and_moves_it() {
    for (version, status) in [
        (Version::V0_12, 500),
        (Version::V1_0, 400),
        (Version::V1_2, 400),
        (Version::V1_6, 200),
    ] {
        let world = world(version).await;
        let key = &world.shop.invoice_key;
        let old = world.coffee();
        let long_ago = Timestamp::now() - SignedDuration::from_hours(48);
        world
            .fake
            .backdate(&old, long_ago, Timestamp::now() + SignedDuration::from_hours(1));
        world.fake.insert(
            &world.shop,
            [Entry {
                created: Some(long_ago + SignedDuration::from_hours(1)),
                ..Entry::default()
            }],
        );
        world.fake.settle(&old);
        let page = world
            .get(&format!("{PAGES}?sortby=updated_at&direction=desc"), key)
            .await;
        assert_eq!(page.status, status, "{version:?}");
        let row = &world
            .get(&format!("{PAGES}?sortby=time&direction=asc"), key)
            .await
            .json()["data"][0];
        assert_eq!(row["payment_hash"], json!(old));
        if status == 200 {
            assert_eq!(page.json()["data"][0]["payment_hash"], json!(old));
            assert_ne!(row["updated_at"], row["created_at"]);
        } else {
            assert_eq!(
                row.get("updated_at"),
                row.get("created_at"),
                "{version:?} has no word of the settling"
            );
        }
    }
}

#[tokio::test]
async fn a_page_has_a_thousand_rows_at_most() {
    let world = world(Version::V1_6).await;
    let first = Timestamp::now() - SignedDuration::from_hours(24 * 30);
    world.fake.insert_many(
        &world.shop,
        100_000,
        Status::Success,
        first,
        SignedDuration::from_secs(20),
    );
    let key = &world.shop.invoice_key;
    let page = world
        .get(
            &format!("{PAGES}?limit=5000&offset=99500&sortby=time&direction=asc"),
            key,
        )
        .await
        .json();
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["total"]),
        (500, &json!(100_000))
    );
    let page = world
        .get(&format!("{PAGES}?limit=5000&sortby=time&direction=desc"), key)
        .await
        .json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1000);
    assert!(page["data"][0]["time"].as_str() > page["data"][1]["time"].as_str());
}

#[tokio::test]
async fn what_failed_leaves_the_list() {
    let world = world(Version::V1_6).await;
    let hash = world.coffee();
    assert!(world.fake.fail(&hash));
    assert_eq!(
        world
            .get("/api/v1/payments", &world.shop.invoice_key)
            .await
            .json(),
        json!([])
    );
    assert_eq!(
        world.get(&format!("/api/v1/payments/{hash}"), "").await.json(),
        json!({"paid": false, "status": "failed"})
    );
}

#[tokio::test]
async fn the_admin_key_gives_itself_away_by_the_id() {
    for version in SERVERS {
        let world = world(version).await;
        world.fake.settle(&world.coffee());
        let wallet = world.get("/api/v1/wallet", &world.shop.invoice_key).await.json();
        assert_eq!(wallet, json!({"name": "shop", "balance": 1_000_000}));
        assert_eq!(
            world.get("/api/v1/wallet", &world.shop.admin_key).await.json()["id"],
            json!(world.shop.id)
        );
        let in_query = format!("/api/v1/wallet?api-key={}", world.shop.invoice_key);
        assert_eq!(world.get(&in_query, "").await.status, 200);
        for key in ["wrong", &world.shop.id] {
            let answer = world.get("/api/v1/wallet", key).await;
            assert_eq!(
                (answer.status, answer.json()),
                (404, json!({"detail": "Wallet not found."}))
            );
        }
    }
}

#[tokio::test]
async fn the_version_and_the_date_need_no_key() {
    for version in SERVERS {
        let world = world(version).await;
        let answer = world.get("/openapi.json", "").await;
        assert_eq!(answer.json()["info"]["version"], version.number());
        assert!(answer.headers["date"].ends_with(" GMT"));
        assert_eq!(world.get("/api/v1/health", "").await.status, 200);
    }
}

#[tokio::test]
async fn a_server_without_rates_says_so_in_its_own_way() {
    for (version, status, rate) in [
        (Version::V0_12, 200, json!(0.010000000001)),
        (Version::V1_6, 200, json!(0.0)),
        (Version::V1_0, 400, json!(null)),
    ] {
        let world = world(version).await;
        let answer = world.get("/api/v1/rate/EUR", "").await;
        assert_eq!((answer.status, &answer.json()["rate"]), (status, &rate));
        let euros = json!({"out": false, "amount": 2.5, "unit": "EUR", "memo": "Tea"});
        let refused = world
            .post("/api/v1/payments", &world.shop.invoice_key, &euros)
            .await;
        assert_eq!(
            (refused.status, refused.json()),
            (400, json!({"detail": "Could not get exchange rate"}))
        );
        world.fake.set_rate("EUR", 1_000.0);
        assert_eq!(world.get("/api/v1/rate/EUR", "").await.json()["rate"], 1000.0);
        let made = world
            .post("/api/v1/payments", &world.shop.invoice_key, &euros)
            .await;
        assert_eq!(made.status, 201);
        assert_eq!(world.fake.payments(&world.shop)[0].amount_msat, 2_500_000);
    }
}

#[tokio::test]
async fn an_empty_memo_comes_back_as_the_servers_name() {
    let world = world(Version::V1_6).await;
    let odd = "<script>\u{202e}\0";
    for (memo, kept) in [("", "LNbits"), (odd, odd)] {
        let invoice = json!({"out": false, "amount": 1, "memo": memo});
        let made = world
            .post("/api/v1/payments", &world.shop.invoice_key, &invoice)
            .await;
        assert_eq!(made.json()["memo"], kept);
    }
}

#[tokio::test]
async fn only_the_admin_key_pays() {
    let world = world(Version::V1_6).await;
    let invoice = world
        .fake
        .make_invoice(&world.shop, NewInvoice::sats(1_000, "Coffee"));
    let pay = json!({"out": true, "bolt11": invoice.bolt11});
    assert_eq!(
        world
            .post("/api/v1/payments", &world.customer.invoice_key, &pay)
            .await
            .status,
        401
    );
    assert_eq!(
        world
            .post("/api/v1/payments", &world.customer.admin_key, &pay)
            .await
            .status,
        201
    );
    assert_eq!(world.fake.balance_msat(&world.shop), 1_000_000);
    assert_eq!(world.fake.balance_msat(&world.customer), -1_000_000);
    assert_eq!(
        world
            .post("/api/v1/payments", &world.customer.admin_key, &pay)
            .await
            .status,
        520,
        "only once"
    );
}

#[tokio::test]
async fn a_display_can_say_something_to_itself() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    let path = format!("/api/v1/ws/{}?data=are%20you%20there", world.shop.invoice_key);
    assert_eq!(
        world.post(&path, "", &json!({})).await.json(),
        json!({"sent": true, "data": "are you there"})
    );
    assert_eq!(ear.text().await, "are you there");
    world
        .get(&format!("/api/v1/ws/{}/ping", world.shop.invoice_key), "")
        .await;
    assert_eq!(ear.text().await, "ping");
}

#[cfg(not(feature = "faults"))]
#[tokio::test]
async fn nobody_can_forge_a_payment_in_the_demo() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    let path = format!(
        "/api/v1/ws/{}?data=%20%7B%22payment%22:%7B%7D%7D",
        world.shop.invoice_key
    );
    assert_eq!(world.post(&path, "", &json!({})).await.json()["sent"], false);
    assert!(ear.heard_so_far().await.is_empty());
}

#[tokio::test]
async fn sockets_end_as_they_are_told() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen("shop").await;
    assert_eq!(world.fake.listeners("shop"), 1);
    assert_eq!(world.fake.drop_sockets(Ending::Close(1012)), 1);
    assert!(
        matches!(ear.next().await, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1012)
    );
    for (ending, reset) in [(Ending::Silent, false), (Ending::Reset, true)] {
        let mut ear = world.listen("shop").await;
        world.fake.drop_sockets(ending);
        match ear.next().await {
            Some(Err(tungstenite::Error::Io(error))) => {
                assert_eq!(
                    error.kind() == std::io::ErrorKind::ConnectionReset,
                    reset,
                    "{ending:?}: {error}"
                );
            }
            Some(Err(tungstenite::Error::Protocol(_))) => assert!(!reset, "{ending:?}"),
            other => panic!("{ending:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_dropped() {
    let options = Options {
        ping_every: Duration::from_millis(10),
        ..Options::default()
    };
    let fake = FakeLnbits::start(options).await.unwrap();
    let world = crate::client::World {
        shop: fake.add_wallet("shop"),
        customer: fake.add_wallet("customer"),
        fake,
    };
    let mut attentive = world.listen("attentive").await;
    let _asleep = world.listen("asleep").await;
    // Reading answers the pings, for as long as the server needs to give the other one up.
    while world.fake.listeners("asleep") > 0 {
        assert!(matches!(attentive.next().await, Some(Ok(Message::Ping(_)))));
    }
    assert_eq!(world.fake.listeners("attentive"), 1);
}

#[tokio::test]
async fn after_a_restart_it_knows_what_it_knew() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world.fake.settle(&world.coffee());
    world.fake.stop().await;
    assert!(world.ask("GET", "/api/v1/health", "", "").await.is_err());
    ear.hear().await;
    assert!(!matches!(ear.next().await, Some(Ok(_))));
    world.fake.restart().await.unwrap();
    assert_eq!(
        world.get("/api/v1/wallet", &world.shop.invoice_key).await.json()["balance"],
        1_000_000
    );
}

#[tokio::test]
async fn with_the_last_handle_the_server_ends() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen("shop").await;
    let addr = world.fake.addr();
    let second = world.fake.clone();
    drop(world);
    assert_eq!(second.listeners("shop"), 1);
    drop(second);
    assert!(!matches!(ear.next().await, Some(Ok(_))));
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_may_live_under_a_prefix() {
    let options = Options {
        prefix: "/lnbits".to_owned(),
        ..Options::default()
    };
    let fake = FakeLnbits::start(options).await.unwrap();
    let world = crate::client::World {
        shop: fake.add_wallet("shop"),
        customer: fake.add_wallet("customer"),
        fake,
    };
    assert!(world.fake.base_url().ends_with("/lnbits"));
    assert_eq!(world.get("/api/v1/health", "").await.status, 404);
    assert_eq!(world.get("/lnbits/api/v1/health", "").await.status, 200);
    let mut ear = world.listen(&world.shop.invoice_key).await;
    world.fake.settle(&world.coffee());
    ear.hear().await;
    assert_eq!(world.fake.requests().count(Path::Health), 1);
    assert_eq!(world.fake.requests().count(Path::Socket), 1);
}

#[tokio::test]
async fn card_and_cash_come_as_rows_of_the_same_list_and_as_the_same_frame() {
    let world = world(Version::V1_6).await;
    let mut ear = world.listen(&world.shop.invoice_key).await;
    for (invoice, id, provider, labels, method) in [
        (
            NewInvoice::by_card(2_400, "Coffee", "EUR", 1.5),
            "fiat_stripe_pi_",
            json!("stripe"),
            json!([]),
            "terminal",
        ),
        (
            NewInvoice::in_cash(2_400, "Coffee", "EUR", 1.5),
            "internal_cash_",
            json!(null),
            json!(["cash"]),
            "cash",
        ),
    ] {
        let hash = world.fake.make_invoice(&world.shop, invoice).payment_hash;
        let row = |answer: &serde_json::Value| {
            assert_eq!(answer["checking_id"], format!("{id}{hash}"));
            assert_eq!(
                (&answer["fiat_provider"], &answer["labels"]),
                (&provider, &labels)
            );
            let extra = &answer["extra"];
            assert_eq!(
                (
                    &extra["fiat_method"],
                    &extra["fiat_currency"],
                    &extra["fiat_amount"]
                ),
                (&json!(method), &json!("EUR"), &json!(1.5))
            );
            (answer["amount"].clone(), answer["status"].clone())
        };
        let path = format!("/api/v1/payments/{hash}");
        let open = world.get(&path, &world.shop.invoice_key).await.json();
        assert_eq!(row(&open["details"]), (json!(2_400_000), json!("pending")));
        assert!(world.fake.settle(&hash));
        assert_eq!(
            row(&ear.hear().await["payment"]),
            (json!(2_400_000), json!("success"))
        );
        let paid = world.get(&path, &world.shop.invoice_key).await.json();
        assert_eq!(row(&paid["details"]).1, json!("success"));
    }
}
