//! A machine that slept: the clock that counts sleep has gone on, tokio's has not, and the socket looks open.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tillbell_fake_lnbits::faults::Fault;
use tillbell_fake_lnbits::{FakeLnbits, NewInvoice, Options as FakeOptions, Version};
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, Now, SystemClock};
use tillbell_till::engine::enrol::{enrol, read_form};
use tillbell_till::engine::{Line, PaymentLine, adopt};
use tillbell_till::screen::view::{Kind, LinkState, PairingForm};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};

/// The machine's clocks, and the sleep that a test adds to them.
#[derive(Debug, Default)]
struct Sleeper {
    awake: SystemClock,
    slept_s: AtomicU64,
}

impl Clock for Sleeper {
    fn now(&self) -> Now {
        let awake = self.awake.now();
        let slept = Duration::from_secs(self.slept_s.load(Ordering::SeqCst));
        Now {
            at: awake.at + slept,
            wall: awake.wall.checked_add(slept).unwrap(),
        }
    }
}

/// Reads lines until `done`, acknowledging payments.
async fn read(
    engine: &Engine,
    outlets: &mut Outlets,
    payments: &mut Vec<PaymentLine>,
    within: Duration,
    mut done: impl FnMut(&Line) -> bool,
) -> bool {
    let deadline = tokio::time::Instant::now() + within;
    while let Ok(Some(line)) = tokio::time::timeout_at(deadline, outlets.lines.recv()).await {
        let over = done(&line);
        if let Line::Payment(payment) = line {
            engine.line_written(payment.seq).await.unwrap();
            payments.push(payment);
        }
        if over {
            return true;
        }
    }
    false
}

fn is_live(line: &Line) -> bool {
    matches!(line, Line::Link(link) if link.state == LinkState::Live)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_hours_of_sleep_it_dials_at_once_and_tells_late_and_once_what_was_paid() {
    let fake = FakeLnbits::start(FakeOptions::version(Version::V1_6))
        .await
        .unwrap();
    let wallet = fake.add_wallet("shop");
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let form = PairingForm {
        pairing: format!(
            "lndhub://invoice:{}@{}/lndhub/ext/",
            wallet.invoice_key,
            fake.base_url()
        ),
        invoice_key: None,
        name: None,
        allow_insecure: false,
    };
    let enrolled = enrol(read_form(&form).unwrap(), &Dialer::default(), &mut |_| {})
        .await
        .unwrap();
    adopt(enrolled, &profile, &profile.lock().unwrap(), Timestamp::now())
        .await
        .unwrap();
    let clock = Arc::new(Sleeper::default());
    let (engine, mut outlets) = Engine::start(Options {
        profile,
        output: Output::Lines,
        dialer: Dialer::default(),
        clock: clock.clone(),
        chimes: Vec::new(),
        demo: None,
        only: None,
    })
    .unwrap();
    let mut payments = Vec::new();
    assert!(
        read(
            &engine,
            &mut outlets,
            &mut payments,
            Duration::from_secs(10),
            is_live
        )
        .await
    );
    let sell = |memo: &str| {
        let hash = fake
            .make_invoice(&wallet, NewInvoice::sats(21, memo))
            .payment_hash;
        assert!(fake.settle(&hash));
        hash
    };
    // A socket that died while nobody was there to notice: it stays open and tells nothing.
    fake.faults().set(Fault::PushDead);
    let (one, two) = (sell("asleep"), sell("asleep, too"));
    assert_eq!(fake.listeners(&wallet.invoice_key), 1);
    fake.reset_requests();

    clock.slept_s.store(9 * 3_600, Ordering::SeqCst);
    let woke = Instant::now();
    let mut dialled = false;
    let live_again = read(
        &engine,
        &mut outlets,
        &mut payments,
        Duration::from_secs(12),
        |line| {
            dialled |= matches!(line, Line::Link(link) if link.state == LinkState::Connecting);
            dialled && is_live(line)
        },
    )
    .await;
    assert!(live_again, "{payments:?}");
    assert!(dialled, "what was open counts no more");
    // It looks around every five seconds.
    assert!(woke.elapsed() < Duration::from_secs(8), "{:?}", woke.elapsed());
    fake.faults().clear();
    let _nothing_more = read(
        &engine,
        &mut outlets,
        &mut payments,
        Duration::from_secs(3),
        |_| false,
    )
    .await;
    let mut told: Vec<_> = payments
        .iter()
        .map(|payment| payment.payment_hash.to_string())
        .collect();
    told.sort_unstable();
    let mut expected = [one, two];
    expected.sort_unstable();
    assert_eq!(told, expected, "each once");
    assert!(
        payments.iter().all(|payment| payment.kind == Kind::Late),
        "{payments:?}"
    );

    let awake = sell("awake");
    let live = |line: &Line| matches!(line, Line::Payment(payment) if payment.payment_hash.to_string() == awake && payment.kind == Kind::Live);
    assert!(read(&engine, &mut outlets, &mut payments, Duration::from_secs(5), live).await);
    engine.stop().await;
}
