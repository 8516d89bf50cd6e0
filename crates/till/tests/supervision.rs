//! Faults of our own inside the engine: each is got over or said, and whoever holds the engine hears of its end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use tillbell_fake_lnbits::{FakeLnbits, NewInvoice, Options as FakeOptions, Version, Wallet};
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, Now, SystemClock};
use tillbell_till::engine::{End, Reply, Request};
use tillbell_till::screen::view::{Display, LinkState, PairingForm, Role, Scene};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};
use tokio::sync::mpsc;
use tokio::task::Id;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(15);

/// A clock in which whoever reads it next may have a fault.
#[derive(Debug, Default)]
struct FaultyClock {
    clock: SystemClock,
    /// The engine's own task: it reads the clock before any wallet is paired.
    engine: OnceLock<Id>,
    faults_of_engine: AtomicU32,
    faults_of_others: AtomicU32,
}

impl Clock for FaultyClock {
    fn now(&self) -> Now {
        if let Some(reader) = tokio::task::try_id() {
            let faults = match *self.engine.get_or_init(|| reader) == reader {
                true => &self.faults_of_engine,
                false => &self.faults_of_others,
            };
            let less_one = |left: u32| left.checked_sub(1);
            let fault = faults.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one);
            assert!(fault.is_err(), "a test wants it");
        }
        self.clock.now()
    }
}

/// An engine with a screen, at a server.
struct Shop {
    fake: FakeLnbits,
    clock: Arc<FaultyClock>,
    engine: Engine,
    outlets: Outlets,
    _folder: TempDir,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::<FaultyClock>::default();
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
        let fake = FakeLnbits::start(FakeOptions::version(Version::V1_6)).await;
        Self {
            fake: fake.unwrap(),
            clock,
            engine,
            outlets,
            _folder: folder,
        }
    }

    /// Pairs a wallet and waits until it is heard.
    async fn pair(&self) -> Wallet {
        let wallet = self.fake.add_wallet("shop");
        let (key, url) = (&wallet.invoice_key, self.fake.base_url());
        let form = PairingForm {
            pairing: format!("lndhub://invoice:{key}@{url}/lndhub/ext/"),
            invoice_key: None,
            name: None,
            allow_insecure: false,
        };
        let (steps, _untold) = mpsc::channel(32);
        let reply = self.engine.pair_and_wait(form, steps).await;
        assert!(matches!(reply, Reply::Paired { .. }), "{reply:?}");
        self.until(|display| display.link.state == LinkState::Live).await;
        wallet
    }

    fn sell(&self, wallet: &Wallet, sats: u64) {
        let invoice = self.fake.make_invoice(wallet, NewInvoice::sats(sats, "Coffee"));
        assert!(self.fake.settle(&invoice.payment_hash));
    }

    /// Waits for a picture.
    async fn until(&self, is: impl Fn(&Display) -> bool) -> Arc<Display> {
        let mut pictures = self.engine.display();
        let seen = timeout(SOON, pictures.wait_for(|display| is(display))).await;
        match seen {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("the last picture is {:?}", self.engine.display().borrow()),
        }
    }

    /// Lets the engine have a fault, and waits for its end.
    async fn fail(&mut self) {
        self.clock.faults_of_engine.store(1, Ordering::SeqCst);
        // It may have failed before it took this.
        self.engine.ask(Role::Operator, Request::TestRing).await;
        let end = timeout(SOON, &mut self.outlets.end).await.unwrap();
        assert_eq!(end.unwrap(), End::Fault);
    }
}

/// The notice that says so.
fn said(display: &Display) -> Option<&str> {
    let mut texts = display.notices.iter().map(|notice| notice.sentence.text.as_str());
    texts.find(|text| text.contains("a fault of Tillbell's own"))
}

#[tokio::test]
async fn an_engine_with_a_fault_of_its_own_says_in_its_last_picture_that_it_cannot_be_relied_on() {
    let mut shop = Shop::open().await;
    shop.pair().await;
    let mut display = shop.engine.display();
    let before = display.borrow_and_update().clone();
    assert!(before.unreliable.is_none());
    shop.fail().await;
    let last = display.borrow_and_update().clone();
    assert!(last.revision > before.revision);
    assert!(matches!(last.scene, Scene::Idle { pay_code: None, .. }));
    assert_eq!(last.link.state, LinkState::Down);
    assert_eq!(last.wallets.len(), 1);
    assert!(last.wallets.iter().all(|wallet| wallet.link == last.link));
    let unreliable = last.unreliable.as_ref().unwrap();
    assert!(
        unreliable
            .detail
            .as_ref()
            .unwrap()
            .text
            .contains("fault of its own")
    );
}

#[tokio::test]
async fn a_page_that_is_loaded_after_the_engines_end_gets_the_last_picture_and_no_other() {
    let mut shop = Shop::open().await;
    shop.pair().await;
    let loaded_before = shop.engine.display();
    shop.fail().await;
    let loaded_after = shop.engine.clone().display();
    for mut page in [loaded_before, loaded_after] {
        let picture = page.borrow_and_update().clone();
        assert!(picture.unreliable.is_some(), "{picture:?}");
        assert!(page.changed().await.is_err(), "it is the last one");
    }
}

#[tokio::test]
async fn whoever_asks_an_engine_that_has_ended_gets_a_sentence() {
    let mut shop = Shop::open().await;
    shop.fail().await;
    let engine = &shop.engine;
    let form = || PairingForm {
        pairing: String::new(),
        invoice_key: None,
        name: None,
        allow_insecure: false,
    };
    let (steps, _untold) = mpsc::channel(1);
    let replies = [
        engine.ask(Role::Operator, Request::TestRing).await,
        engine.ask(Role::Operator, Request::Settings).await,
        engine.ask(Role::Customer, Request::Painted { showing: 1 }).await,
        engine.pair_and_wait(form(), steps).await,
    ];
    for reply in replies {
        let Reply::Refused { sentence } = reply else {
            panic!("not refused: {reply:?}")
        };
        assert_eq!(sentence.code, "closing");
        assert!(sentence.text.contains("start it again"), "{}", sentence.text);
    }
    engine.stop().await;
}

#[tokio::test]
async fn an_engine_that_is_stopped_has_no_fault() {
    let shop = Shop::open().await;
    shop.engine.stop().await;
    assert_eq!(shop.outlets.end.await.unwrap(), End::Stopped);
    assert!(shop.engine.display().borrow().unreliable.is_none());
}

#[tokio::test]
async fn a_wallet_whose_task_fails_is_not_shown_as_heard_and_the_second_time_that_is_said() {
    let shop = Shop::open().await;
    let wallet = shop.pair().await;
    let is_heard = |display: &Display| display.link.state == LinkState::Live;
    let fail = |sats| {
        shop.clock.faults_of_others.store(1, Ordering::SeqCst);
        shop.sell(&wallet, sats);
        shop.until(|display| !is_heard(display))
    };

    let picture = fail(1).await;
    assert_eq!(picture.link.state, LinkState::Connecting);
    assert!(picture.unreliable.is_none(), "it is begun again in a second");
    assert!(said(&picture).is_none(), "once is nothing to worry about");
    shop.until(is_heard).await;

    let picture = fail(2).await;
    assert_eq!(picture.link.state, LinkState::Down);
    assert!(picture.unreliable.is_some(), "{picture:?}");
    assert!(said(&picture).unwrap().contains("“shop”"));
    let picture = shop.until(is_heard).await;
    assert!(picture.unreliable.is_none(), "{picture:?}");
    assert!(said(&picture).is_some(), "until somebody puts it away");
}
