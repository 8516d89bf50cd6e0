//! What a ledger of a million payments costs. Needed: it opens within 100 ms, and with what else a start reads and
//! writes of it leaves room for the 1.5 s until the display is live. A day's sums and a page are read within 50 ms.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot set its shop up has nothing to measure"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use tillbell_lnbits::{
    CheckingId, Direction, Method, Msat, PaymentHash, PaymentRow, Server, Status, Text, WalletId,
};
use tillbell_till::ledger::{Ledger, Outlet, Reader, Seq, Upkeep, Wanted};
use tillbell_till::payment::Found;
use tillbell_till::wallet::verify::{Arrived, Verified};

const PAYMENTS: u64 = 1_000_000;
const REFERENCE: &str = "shop";

fn first_sale() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// The nth sale of a shop that sells something each minute.
fn sale(nth: u64) -> (Arrived, Found) {
    // The golden ratio's bits: neighbours in time lie far apart in the index, as hashes do.
    let spread = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let created = first_sale() + SignedDuration::from_mins(i64::try_from(nth).unwrap());
    let payment_hash = PaymentHash([spread; 4].concat().try_into().unwrap());
    let row = PaymentRow {
        checking_id: CheckingId(payment_hash.to_string()),
        payment_hash,
        wallet_id: WalletId::new("w").unwrap(),
        direction: Direction::Incoming,
        method: Method::Lightning,
        fiat: None,
        amount: Msat(21_000),
        status: Status::Settled,
        memo: Text::clean("Two coffees and a piece of cake"),
        comment: None,
        created,
        settled: Some(created),
        expires: None,
    };
    (
        Arrived::Verified(Verified::prove(row, None, None).unwrap()),
        Found::Live,
    )
}

fn ledger(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.sqlite3");
    let mut ledger = Ledger::open(&file).unwrap();
    let server: Server = "https://example.com".parse().unwrap();
    let shop = ledger.wallet(&server, REFERENCE).unwrap();
    for batch in 0..PAYMENTS / 1_000 {
        let sales: Vec<_> = (batch * 1_000..(batch + 1) * 1_000).map(sale).collect();
        let recorded = ledger.record(shop, &sales, first_sale()).unwrap();
        let places: Vec<_> = recorded.iter().map(|entry| entry.seq).collect();
        ledger.delivered(Outlet::Screens, &places, first_sale()).unwrap();
    }
    drop(ledger);

    let mut group = c.benchmark_group("a million payments");
    group.sample_size(20);
    group.bench_function("opened", |b| b.iter(|| Ledger::open(black_box(&file)).unwrap()));
    let mut ledger = Ledger::open(&file).unwrap();
    group.bench_function("the newest thousand read", |b| {
        b.iter(|| ledger.newest(shop, 1_000).unwrap());
    });
    let day = |nth| first_sale() + SignedDuration::from_hours(24 * nth);
    let today = i64::try_from(PAYMENTS).unwrap() / (24 * 60);
    let reads = |until: i64| Wanted {
        from: Some(day(until - 30)),
        until: Some(day(until)),
        ..Wanted::default()
    };
    group.bench_function("the sums of a day read", |b| {
        b.iter(|| Reader::open(&file).unwrap().sums(day(today)).unwrap());
    });
    for (which, wanted) in [
        ("in the middle", Wanted::default()),
        ("of a month", reads(today / 2)),
        (
            "of all years",
            Wanted {
                until: None,
                ..reads(30)
            },
        ),
    ] {
        let middle = Some(Seq(i64::try_from(PAYMENTS / 2).unwrap()));
        group.bench_function(format!("a page {which} read"), |b| {
            b.iter(|| Reader::open(&file).unwrap().page(&wanted, middle, 100).unwrap());
        });
    }
    let upkeep = Upkeep::start(&file, &folder.path().join("copy")).unwrap();
    group.bench_function("copied, checked and synced", |b| {
        b.iter(|| {
            let (tell, told) = std::sync::mpsc::channel();
            upkeep.copy(move |copied| tell.send(copied.is_ok()).unwrap());
            assert!(told.recv().unwrap());
        });
    });
    let mut nth = PAYMENTS;
    group.bench_function("one more recorded", |b| {
        b.iter_batched(
            || {
                nth += 1;
                [sale(nth)]
            },
            |sale| ledger.record(shop, &sale, first_sale()).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
