//! The fake's answers have the fields and types of what real servers sent.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use tillbell_fake_lnbits::Version;

use crate::client::{World, world};

fn recorded(server: &str) -> Vec<Value> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/frames/lnbits-{server}.jsonl"));
    let lines = std::fs::read_to_string(file).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The names and kinds of all fields, objects within objects included.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(number) => json!(if number.is_f64() { "float" } else { "integer" }),
        Value::String(_) => json!("text"),
        Value::Array(items) => json!(items.first().map(shape).into_iter().collect::<Vec<_>>()),
        Value::Object(fields) => {
            json!(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), shape(field)))
                    .collect::<BTreeMap<_, _>>()
            )
        }
    }
}

fn first(recorded: &[Value], wanted: &[(&str, &str)]) -> Value {
    let found = recorded
        .iter()
        .find(|line| wanted.iter().all(|(field, value)| line[*field] == json!(value)));
    let line = found.unwrap_or_else(|| panic!("no recording of {wanted:?}"));
    match &line["text"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        _ => line["body"].clone(),
    }
}

async fn compare(server: &str, version: Version) {
    let recorded = recorded(server);
    let world = world(version).await;
    let World { fake, shop, customer } = &world;
    let same = |ours: &Value, wanted: &[(&str, &str)]| {
        assert_eq!(
            shape(ours),
            shape(&first(&recorded, wanted)),
            "{server}: {wanted:?}"
        );
    };

    let invoice = json!({"out": false, "amount": 1000, "unit": "sat", "memo": "Coffee"});
    let made = world.post("/api/v1/payments", &shop.invoice_key, &invoice).await;
    assert_eq!(made.status, 201);
    same(&made.json(), &[("kind", "create_invoice")]);
    let hash = made.json()["payment_hash"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/payments/{hash}");

    let keys = [
        ("none", ""),
        ("invoice", &shop.invoice_key),
        ("wrong", "no-key"),
        ("other wallet", &customer.invoice_key),
    ];
    for (name, key) in &keys[..2] {
        let answer = world.get(&path, key).await.json();
        same(
            &answer,
            &[("kind", "get_payment"), ("when", "unpaid"), ("key", name)],
        );
    }

    let mut ears = [
        ("payment hash", world.listen(&hash).await),
        ("invoice key", world.listen(&shop.invoice_key).await),
        ("admin key", world.listen(&shop.admin_key).await),
    ];
    assert!(fake.pay_between(customer, &hash));
    for (channel, ear) in &mut ears {
        same(&ear.hear().await, &[("kind", "frame"), ("channel", channel)]);
    }
    for (name, key) in keys {
        let answer = world.get(&path, key).await.json();
        same(
            &answer,
            &[("kind", "get_payment"), ("when", "paid"), ("key", name)],
        );
    }

    let keys = [
        ("invoice", &*shop.invoice_key),
        ("admin", &*shop.admin_key),
        ("wrong", "no-key"),
    ];
    for (name, key) in keys {
        same(
            &world.get("/api/v1/wallet", key).await.json(),
            &[("kind", "get_wallet"), ("key", name)],
        );
    }
    for query in [
        "?limit=3",
        "/paginated?limit=3&sortby=time&direction=desc",
        "/paginated?limit=3&sortby=updated_at&direction=desc",
    ] {
        let answer = world
            .get(&format!("/api/v1/payments{query}"), &shop.invoice_key)
            .await
            .json();
        same(&answer, &[("kind", "list"), ("query", query)]);
    }
    for path in ["/api/v1/rate/EUR", "/api/v1/health"] {
        let Value::String(body) = first(&recorded, &[("kind", "misc"), ("path", path)]) else {
            panic!("no text")
        };
        let theirs: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            shape(&world.get(path, "").await.json()),
            shape(&theirs),
            "{server}: {path}"
        );
    }
}

#[tokio::test]
async fn it_answers_as_1_0_0_did() {
    compare("1.0.0", Version::V1_0).await;
}

#[tokio::test]
async fn it_answers_as_1_6_2_did() {
    compare("1.6.2", Version::V1_6).await;
}
