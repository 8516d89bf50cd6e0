//! A display whose key is not to be had: it looks for it now and then, and sleeps in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, Now, TokioClock};
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::Role;
use tillbell_till::store::pairings::{self, Paired};
use tillbell_till::store::profile::Profile;
use tillbell_till::wallet::Listen;
use tillbell_till::{Engine, Options, Output};

/// Each time that the engine wakes it reads the clock.
#[derive(Debug)]
struct Counting {
    clock: TokioClock,
    read: AtomicU32,
}

impl Clock for Counting {
    fn now(&self) -> Now {
        let read = self.read.fetch_add(1, Ordering::SeqCst);
        assert!(read < 10_000, "the engine never sleeps");
        self.clock.now()
    }
}

#[tokio::test(start_paused = true)]
async fn it_sleeps_between_its_looks_and_after_the_pairing_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let paired = Paired {
        version: 1,
        server: serde_json::from_str("\"https://pay.example.com/\"").unwrap(),
        reference: "wallet-a".to_owned(),
        name: "shop".to_owned(),
        listen: Listen::Key,
        wallet: None,
        paired_at: "2026-11-24T14:03:00Z".parse().unwrap(),
        baseline: None,
        begin_anew: false,
    };
    pairings::store(&profile, &[paired]).unwrap();
    let clock = Arc::new(Counting {
        clock: TokioClock::starting_at("2026-11-24T14:03:00Z".parse().unwrap()),
        read: AtomicU32::new(0),
    });
    let (engine, _outlets) = Engine::start(Options {
        profile,
        output: Output::Screen,
        dialer: Dialer::default(),
        clock: clock.clone(),
        chimes: Vec::new(),
        demo: None,
        only: None,
    })
    .unwrap();
    let a_minute = || tokio::time::sleep(Duration::from_secs(60));
    let wakes = || clock.read.swap(0, Ordering::SeqCst);

    a_minute().await;
    let detail = engine.display().borrow().link.detail.clone();
    assert!(detail.unwrap().text.contains("pair again"));
    let looking = wakes();
    assert!((12..200).contains(&looking), "{looking} wakes in a minute");

    let name = "shop".to_owned();
    let unpaired = engine.ask(Role::Operator, Request::Unpair { name }).await;
    assert!(matches!(unpaired, Reply::Settings { .. }), "{unpaired:?}");
    wakes();
    a_minute().await;
    let unpaired = wakes();
    assert!(unpaired < 100, "{unpaired} wakes in a minute without a pairing");
}
