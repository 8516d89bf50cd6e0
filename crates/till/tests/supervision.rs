//! An engine that ends by a fault of ours: its last picture says so, and whoever holds it hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, Now, TokioClock};
use tillbell_till::engine::{End, Reply, Request};
use tillbell_till::screen::view::{LinkState, Role, Scene};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Output};

/// A clock that has a fault when it is read next.
#[derive(Debug)]
struct Faulty {
    clock: TokioClock,
    fault: AtomicBool,
}

impl Clock for Faulty {
    fn now(&self) -> Now {
        assert!(!self.fault.swap(false, Ordering::SeqCst), "a test wants it");
        self.clock.now()
    }
}

#[tokio::test]
async fn an_engine_with_a_fault_of_its_own_says_in_its_last_picture_that_it_cannot_be_relied_on() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Faulty {
        clock: TokioClock::starting_at("2026-11-24T14:03:00Z".parse().unwrap()),
        fault: AtomicBool::new(false),
    });
    let options = Options {
        profile: Profile::at(folder.path()),
        output: Output::Screen,
        dialer: Dialer::default(),
        clock: clock.clone(),
        chimes: Vec::new(),
        demo: None,
        only: None,
    };
    let (engine, outlets) = Engine::start(options).unwrap();
    let mut display = engine.display();
    let before = display.borrow_and_update().revision;
    clock.fault.store(true, Ordering::SeqCst);
    assert_eq!(engine.ask(Role::Operator, Request::TestRing).await, Reply::Done);
    assert_eq!(outlets.end.await.unwrap(), End::Fault);
    let last = display.borrow_and_update().clone();
    assert!(last.revision > before);
    assert!(matches!(last.scene, Scene::Idle { pay_code: None, .. }));
    assert_eq!(last.link.state, LinkState::Down);
    let unreliable = last.unreliable.as_ref().unwrap();
    assert!(unreliable.since.starts_with("2026-11-24T14:03:00"));
    assert!(
        unreliable
            .detail
            .as_ref()
            .unwrap()
            .text
            .contains("fault of its own")
    );
    let Reply::Refused { sentence } = engine.ask(Role::Operator, Request::TestRing).await else {
        panic!("nobody is there any more")
    };
    assert_eq!(sentence.code, "closing");
}

#[tokio::test]
async fn an_engine_that_is_stopped_has_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        profile: Profile::at(folder.path()),
        output: Output::Screen,
        dialer: Dialer::default(),
        clock: Arc::new(TokioClock::starting_at("2026-11-24T14:03:00Z".parse().unwrap())),
        chimes: Vec::new(),
        demo: None,
        only: None,
    };
    let (engine, outlets) = Engine::start(options).unwrap();
    engine.stop().await;
    assert_eq!(outlets.end.await.unwrap(), End::Stopped);
    assert!(engine.display().borrow().unreliable.is_none());
}
