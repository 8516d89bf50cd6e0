//! A shop with one wallet and a web server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tillbell_bell::Chime;
use tillbell_fake_lnbits::{FakeLnbits, NewInvoice, Options as FakeOptions, Version, Wallet};
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::{Clock, SystemClock};
use tillbell_till::displays::{AddedDisplay, DisplayRole};
use tillbell_till::engine::{Line, Reply, Request};
use tillbell_till::screen::view::{LinkState, PairingForm, Role};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Output};
use tillbell_web::{Outside, Web};
use tokio::sync::mpsc;

use crate::browser::Browser;

/// What is awaited comes within this.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Shop {
    pub(crate) fake: FakeLnbits,
    pub(crate) wallet: Wallet,
    pub(crate) engine: Engine,
    pub(crate) web: Web,
    folder: TempDir,
}

impl Shop {
    /// Opens it and waits until its wallet is heard.
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| Outside::default()).await
    }

    /// The same, as it is reached from outside; certificates may lie in its profile.
    pub(crate) async fn open_with(outside: impl Fn(&Profile) -> Outside) -> Self {
        let fake = FakeLnbits::start(FakeOptions::version(Version::V1_6))
            .await
            .unwrap();
        let wallet = fake.add_wallet("Beans");
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (engine, mut outlets) = Engine::start(Options {
            profile: Profile::at(folder.path()),
            output: Output::Service,
            dialer: Dialer::default(),
            clock: clock.clone(),
            chimes: Chime::ALL.iter().map(|chime| chime.name().to_owned()).collect(),
            demo: None,
            only: None,
        })
        .unwrap();
        let outside = outside(&Profile::at(folder.path()));
        let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
        let web = Web::open_with(engine.clone(), clock, anywhere, &outside).unwrap();
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
        let paired = engine.pair_and_wait(form, mpsc::channel(32).0).await;
        assert!(matches!(paired, Reply::Paired { .. }), "{paired:?}");
        // Somebody reads the lines.
        let reader = engine.clone();
        tokio::spawn(async move {
            while let Some(line) = outlets.lines.recv().await {
                if let Line::Payment(payment) = line {
                    let _ = reader.line_written(payment.seq).await;
                }
            }
        });
        let shop = Self {
            fake,
            wallet,
            engine,
            web,
            folder,
        };
        let mut display = shop.engine.display();
        let live = display.wait_for(|picture| picture.link.state == LinkState::Live);
        tokio::time::timeout(SOON, live).await.unwrap().unwrap();
        shop
    }

    pub(crate) fn profile(&self) -> Profile {
        Profile::at(self.folder.path())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.web.address()
    }

    pub(crate) fn sell(&self, sats: u64, memo: &str) {
        let invoice = self.fake.make_invoice(&self.wallet, NewInvoice::sats(sats, memo));
        assert!(self.fake.settle(&invoice.payment_hash));
    }

    pub(crate) async fn add(&self, role: DisplayRole, name: &str) -> AddedDisplay {
        let name = Some(name.to_owned());
        let reply = self
            .engine
            .ask(Role::Operator, Request::AddDisplay { role, name })
            .await;
        let Reply::DisplayAdded { added, .. } = reply else {
            panic!("{reply:?}")
        };
        added
    }

    /// A browser that has opened a link.
    pub(crate) async fn joined(&self, role: DisplayRole, name: &str) -> Browser {
        let added = self.add(role, name).await;
        let mut browser = Browser::new(self.address());
        let token = token_of(&added);
        assert_eq!(browser.join(&token).await.status, 204);
        browser
    }
}

pub(crate) fn token_of(added: &AddedDisplay) -> String {
    added.link.as_ref().unwrap().split_once('#').unwrap().1.to_owned()
}
