//! A settings file that people edit while the display runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::TokioClock;
use tillbell_till::engine::{BellOrder, Reply, Request};
use tillbell_till::screen::view::{Display, Role, SettingsForm, SettingsView, Theme};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const WALLET_PAGE: &str = "https://h.example/wallet?usr=0123456789abcdef0123456789abcdef";

/// An engine, and the settings file that it started with.
struct Shop {
    engine: Engine,
    outlets: Outlets,
    file: PathBuf,
    _folder: TempDir,
}

impl Shop {
    fn open(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let file = profile.settings_file();
        fs::write(&file, settings).unwrap();
        let (engine, outlets) = Engine::start(Options {
            profile,
            output: Output::Screen,
            dialer: Dialer::default(),
            clock: Arc::new(TokioClock::starting_at("2026-11-24T14:03:00Z".parse().unwrap())),
            chimes: vec!["counter".to_owned(), "glass".to_owned()],
            demo: None,
            only: None,
        })
        .unwrap();
        Self {
            engine,
            outlets,
            file,
            _folder: folder,
        }
    }

    async fn until(&self, is: impl Fn(&Display) -> bool) {
        let mut pictures = self.engine.display();
        let seen = timeout(SOON, pictures.wait_for(|display| is(display)))
            .await
            .is_ok();
        assert!(seen, "the last picture is {:?}", self.engine.display().borrow());
    }

    async fn until_noticed(&self, codes: &[&str]) {
        self.until(|display| notices(display) == codes).await;
    }

    async fn ask(&self, request: Request) -> Reply {
        self.engine.ask(Role::Operator, request).await
    }

    async fn settings(&self) -> SettingsView {
        let reply = self.ask(Request::Settings).await;
        let Reply::Settings { settings } = reply else {
            panic!("{reply:?}")
        };
        settings
    }

    async fn set_pay_code(&self, text: &str) -> Reply {
        let form = SettingsForm {
            pay_code: Some(text.to_owned()),
            ..SettingsForm::default()
        };
        self.ask(Request::ChangeSettings { form }).await
    }
}

fn notices(display: &Display) -> Vec<&str> {
    let sentences = display.notices.iter().map(|notice| &notice.sentence);
    sentences.map(|sentence| sentence.code.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_taken_over_without_a_restart() {
    let mut shop = Shop::open("volume = 10\n");
    fs::write(
        &shop.file,
        "volume = 35\nsound_awake = true\nchime = \"glass\"\ntheme = \"dark\"\npay_code = \"shop@example.com\"\n",
    )
    .unwrap();
    shop.until(|display| display.theme == Theme::Dark).await;
    let settings = shop.settings().await;
    assert_eq!((settings.volume, settings.chime.as_str()), (35, "glass"));
    assert_eq!(
        (settings.pay_code.as_str(), settings.pay_code_modules),
        ("shop@example.com", Some(25))
    );
    let mut orders = Vec::new();
    while let Ok(order) = shop.outlets.bell.try_recv() {
        orders.push(order);
    }
    for order in [BellOrder::Volume(35), BellOrder::KeepAwake(true)] {
        assert!(orders.contains(&order), "the bell knows: {order:?} in {orders:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_file_is_said_once_and_until_it_is_mended() {
    let shop = Shop::open("dwell_s = 7.5\nchime = \"gong\"\ntheme = \"dark\"\n");
    shop.until_noticed(&["setting-not-used", "setting-not-used"])
        .await;
    shop.until(|display| display.theme == Theme::Dark).await;
    fs::write(&shop.file, "theme = \"light\"\nchime = \"gong\"\npay_code = \n").unwrap();
    shop.until_noticed(&["setting-not-used", "setting-left-out"])
        .await;
    shop.until(|display| display.theme == Theme::Light).await;
    shop.set_pay_code("shop@example.com").await;
    shop.until_noticed(&["setting-not-used"]).await;
    fs::write(&shop.file, "[more]\nof = it\n").unwrap();
    shop.until_noticed(&["setting-left-out"]).await;
    let reply = shop.set_pay_code("shop@example.com").await;
    let Reply::Refused { sentence } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (sentence.code.as_str(), sentence.args["line"].as_u64()),
        ("settings-unreadable", Some(2))
    );
    fs::write(&shop.file, "theme = \"dark\"\n").unwrap();
    shop.until_noticed(&[]).await;
    assert_eq!(shop.engine.display().borrow().theme, Theme::Dark);
}

#[tokio::test(start_paused = true)]
async fn a_pay_code_that_customers_must_not_scan_is_refused_in_whatever_way_it_is_set() {
    // In the file that it starts with.
    let shop = Shop::open(&format!("pay_code = \"{WALLET_PAGE}\"\nvolume = 10\n"));
    shop.until_noticed(&["pay-code-opens-wallet"]).await;
    let settings = shop.settings().await;
    assert_eq!(
        (
            settings.pay_code.as_str(),
            settings.pay_code_modules,
            settings.volume
        ),
        ("", None, 10)
    );
    // In the sheet, and by whoever else asks.
    for (text, code) in [
        (WALLET_PAGE, "pay-code-opens-wallet"),
        (
            "lnurlw://h.example/withdraw/api/v1/lnurl/abc",
            "pay-code-withdraws",
        ),
        ("lightning:lnbc10u1pj9q", "pay-code-is-invoice"),
    ] {
        let reply = shop.set_pay_code(text).await;
        let Reply::Refused { sentence } = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(sentence.code, code);
    }
    let taken = shop.set_pay_code("shop@example.com").await;
    assert!(matches!(taken, Reply::Settings { .. }), "{taken:?}");
    shop.until_noticed(&[]).await;
    assert_eq!(shop.settings().await.pay_code_modules, Some(25));
    // In the file while it runs.
    fs::write(&shop.file, "pay_code = \"lnurlw://h.example/a\"\n").unwrap();
    shop.until_noticed(&["pay-code-withdraws"]).await;
    assert_eq!(shop.settings().await.pay_code_modules, None);
    // And a customer sets none.
    let form = SettingsForm::default();
    let refused = shop
        .engine
        .ask(Role::Customer, Request::ChangeSettings { form })
        .await;
    assert!(matches!(refused, Reply::Refused { sentence } if sentence.code == "not-allowed"));
}
