//! The whole engine against a server that misbehaves: real sockets, real answers, deadlines instead of sleeps.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tillbell_fake_lnbits::faults::{Fault, RestFault, UpgradeFault};
use tillbell_fake_lnbits::{
    Ending, FakeLnbits, NewInvoice, Options as FakeOptions, Path, Status, Version, Wallet,
};
use tillbell_lnbits::Method;
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::SystemClock;
use tillbell_till::engine::enrol::{EnrolError, Enrolled, enrol, read_form};
use tillbell_till::engine::{End, Line, LinkLine, PaymentLine, RejectedLine, adopt};
use tillbell_till::ledger::Ledger;
use tillbell_till::screen::view::{Kind, LinkState, PairingForm, PairingProgress, Scene};
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A display paired with a fake server.
struct Counter {
    fake: FakeLnbits,
    wallet: Wallet,
    folder: TempDir,
    said: Mutex<Vec<String>>,
}

/// A display that is switched on.
struct Watching {
    engine: Engine,
    outlets: Outlets,
    payments: Vec<PaymentLine>,
    rejected: Vec<RejectedLine>,
    link: Option<LinkLine>,
}

impl Counter {
    async fn paired(version: Version) -> Self {
        Self::paired_ago(SignedDuration::ZERO, version).await
    }

    /// The line between history and news is so long ago.
    async fn paired_ago(ago: SignedDuration, version: Version) -> Self {
        let counter = Self::open(version).await;
        counter.pair_ago(ago).await;
        counter
    }

    /// A wallet, and a display that is not paired with it yet.
    async fn open(version: Version) -> Self {
        Self::open_below("", version).await
    }

    /// The same behind a proxy that puts this before every path.
    async fn open_below(prefix: &str, version: Version) -> Self {
        let options = FakeOptions {
            prefix: prefix.to_owned(),
            ..FakeOptions::version(version)
        };
        let fake = FakeLnbits::start(options).await.unwrap();
        let wallet = fake.add_wallet("shop");
        Self {
            fake,
            wallet,
            folder: tempfile::tempdir().unwrap(),
            said: Mutex::default(),
        }
    }

    async fn pair(&self) {
        self.pair_ago(SignedDuration::ZERO).await;
    }

    async fn enrol(&self) -> Result<Enrolled, EnrolError> {
        self.enrol_at(&format!("{}/lndhub/ext/", self.fake.base_url()))
            .await
    }

    /// As a merchant does who pastes the address of some page, and the key.
    async fn enrol_at(&self, page: &str) -> Result<Enrolled, EnrolError> {
        let form = PairingForm {
            pairing: page.to_owned(),
            invoice_key: Some(self.wallet.invoice_key.clone()),
            name: None,
            allow_insecure: false,
        };
        let mut said = Vec::new();
        let mut tell = |progress: &PairingProgress| {
            said = progress
                .steps
                .iter()
                .filter_map(|step| Some(step.detail.as_ref()?.text.clone()))
                .collect();
        };
        let enrolled = enrol(read_form(&form).unwrap(), &Dialer::default(), &mut tell).await;
        *self.said.lock().unwrap() = said;
        enrolled
    }

    /// What the steps of the last pairing found.
    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    async fn pair_ago(&self, ago: SignedDuration) {
        let mut enrolled = self.enrol().await.unwrap();
        if let Some(baseline) = &mut enrolled.baseline {
            baseline.taken -= ago;
        }
        let profile = self.profile();
        adopt(enrolled, &profile, &profile.lock().unwrap(), Timestamp::now())
            .await
            .unwrap();
    }

    fn profile(&self) -> Profile {
        Profile::at(self.folder.path())
    }

    async fn watch(&self) -> Watching {
        self.watch_until(LinkState::Live).await
    }

    async fn watch_until(&self, state: LinkState) -> Watching {
        let options = Options {
            profile: self.profile(),
            output: Output::Lines,
            dialer: Dialer::default(),
            clock: Arc::new(SystemClock::default()),
            chimes: Vec::new(),
            demo: None,
            only: None,
        };
        let (engine, outlets) = Engine::start(options).unwrap();
        let mut watching = Watching {
            engine,
            outlets,
            payments: Vec::new(),
            rejected: Vec::new(),
            link: None,
        };
        watching.until_link(state, Duration::from_secs(10)).await;
        watching
    }

    /// An invoice of `sats`; returns its hash.
    fn invoice(&self, sats: u64) -> String {
        self.fake
            .make_invoice(&self.wallet, NewInvoice::sats(sats, "Coffee"))
            .payment_hash
    }

    fn sell(&self, sats: u64) -> String {
        let hash = self.invoice(sats);
        assert!(self.fake.settle(&hash));
        hash
    }

    /// A frame as LNbits 1.6 sends it, about any hash and with any amount.
    fn forged(&self, hash: &str, msat: i64) -> String {
        format!(
            r#"{{"wallet_balance":1,"payment":{{"checking_id":"{hash}","payment_hash":"{hash}","wallet_id":"{}","amount":{msat},"status":"success","memo":"forged"}}}}"#,
            self.wallet.id
        )
    }
}

impl Watching {
    /// Takes one line, if one comes in time, and acknowledges it.
    async fn next(&mut self, within: Duration) -> bool {
        match tokio::time::timeout(within, self.outlets.lines.recv()).await {
            Err(_) => false,
            Ok(line) => {
                match line.unwrap() {
                    Line::Link(link) => self.link = Some(link),
                    Line::Payment(payment) => {
                        self.engine.line_written(payment.seq).await.unwrap();
                        self.payments.push(payment);
                    }
                    Line::Pending(_) => {}
                    Line::Rejected(rejected) => self.rejected.push(rejected),
                }
                true
            }
        }
    }

    async fn until(&mut self, what: &str, within: Duration, mut done: impl FnMut(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !done(self) {
            let left = within.saturating_sub(began.elapsed());
            assert!(
                !left.is_zero(),
                "{what}: not within {within:?}; {:?}, {} paid",
                self.link,
                self.payments.len()
            );
            self.next(left).await;
        }
        began.elapsed()
    }

    async fn until_link(&mut self, state: LinkState, within: Duration) {
        self.until("the link", within, |seen| {
            seen.link.as_ref().is_some_and(|link| link.state == state)
        })
        .await;
    }

    async fn until_paid(&mut self, hash: &str, within: Duration) -> PaymentLine {
        self.until("the payment", within, |seen| seen.told(hash) > 0)
            .await;
        self.payments
            .iter()
            .find(|payment| payment.payment_hash.to_string() == hash)
            .unwrap()
            .clone()
    }

    /// The code and the text of the only notice, as soon as there is one.
    async fn first_notice(&self) -> (String, String) {
        let mut pictures = self.engine.display();
        let said = pictures.wait_for(|picture| !picture.notices.is_empty());
        let picture = tokio::time::timeout(Duration::from_secs(20), said)
            .await
            .unwrap()
            .unwrap();
        let [notice] = &picture.notices[..] else {
            panic!("{:?}", picture.notices);
        };
        (notice.sentence.code.clone(), notice.sentence.text.clone())
    }

    fn told(&self, hash: &str) -> usize {
        self.payments
            .iter()
            .filter(|payment| payment.payment_hash.to_string() == hash)
            .count()
    }

    /// Takes whatever comes for a while: for what must not happen.
    async fn listen(&mut self, span: Duration) {
        let began = Instant::now();
        while began.elapsed() < span {
            self.next(span.saturating_sub(began.elapsed())).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_of_an_lnbits_pairs_with_its_key() {
    for (prefix, version) in [
        ("", Version::V1_6),
        ("/lnbits", Version::V1_6),
        ("/shop/lnbits", Version::V1_0),
        ("/wallets", Version::V0_12),
    ] {
        let counter = Counter::open_below(prefix, version).await;
        for page in [
            "",
            "/",
            "/wallet?usr=0123456789abcdef0123456789abcdef&wal=fedcba9876543210fedcba9876543210",
            "/wallet/fedcba9876543210fedcba9876543210",
            "/wallets",
            "/extensions#all",
            "/tpos/AbC123",
            "/tpos/",
            "/withdraw/",
            "/withdraw/AbC123",
            "/lndhub/ext/",
            "/lnurlp/print/AbC123?usr=0123456789abcdef0123456789abcdef",
            "/docs",
            "/api/v1/payments",
        ] {
            let pasted = format!("{}{page}", counter.fake.base_url());
            let enrolled = counter.enrol_at(&pasted).await.unwrap();
            assert_eq!(enrolled.server.as_str(), counter.fake.base_url(), "{pasted}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_below_no_lnbits_gets_no_key() {
    let counter = Counter::open(Version::V1_6).await;
    counter
        .fake
        .faults()
        .set(Fault::Rest(None, RestFault::Status(404, None)));
    counter.fake.reset_requests();
    let page = format!("{}/a/b/c/d/e/f/g/h/i/j/k", counter.fake.base_url());
    let error = counter.enrol_at(&page).await.unwrap_err();
    assert!(matches!(error, EnrolError::NotLnbits { .. }), "{error}");
    assert!(
        counter.fake.requests().total() <= 20,
        "{:?}",
        counter.fake.requests()
    );
}

/// What stands before an LNbits, or LNbits before its first start, as it answers every question; and what is said of it.
const BARRIERS: [(RestFault, &str); 8] = [
    (
        RestFault::Page(307, "location", "/first_install"),
        "finish its first installation",
    ),
    (
        RestFault::Page(403, "cf-mitigated", "challenge"),
        "Cloudflare asks for a human",
    ),
    (
        RestFault::Page(503, "cf-mitigated", "challenge"),
        "Cloudflare asks for a human",
    ),
    (
        RestFault::Page(403, "server", "nginx"),
        "Something before LNbits blocks this display (403)",
    ),
    (
        RestFault::Page(401, "www-authenticate", "Basic realm=\"shop\""),
        "asks for a password of its own",
    ),
    (
        RestFault::Page(502, "server", "nginx"),
        "The proxy before LNbits cannot reach it (502)",
    ),
    (
        RestFault::Page(504, "server", "nginx"),
        "The proxy before LNbits cannot reach it (504)",
    ),
    (
        RestFault::Page(521, "server", "cloudflare"),
        "The proxy before LNbits cannot reach it (521)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_in_lnbits_place_is_named_when_pairing() {
    let counter = Counter::open(Version::V1_6).await;
    for (answer, said) in BARRIERS {
        counter.fake.faults().set(Fault::Rest(None, answer));
        for page in ["/lndhub/ext/", "/tpos/AbC123"] {
            let page = format!("{}{page}", counter.fake.base_url());
            let error = counter.enrol_at(&page).await.unwrap_err().to_string();
            assert!(error.contains(said), "{page}: {error}");
        }
    }
    counter.fake.faults().clear();
    counter.pair().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_in_lnbits_place_is_named_while_it_runs_and_got_over() {
    for (answer, said) in BARRIERS {
        let counter = Counter::paired(Version::V1_6).await;
        let mut watching = counter.watch().await;
        counter.fake.faults().set(Fault::Rest(None, answer));
        counter.fake.drop_sockets(Ending::Reset);
        watching
            .until(said, Duration::from_secs(20), |seen| {
                let detail = seen.link.as_ref().and_then(|link| link.detail.as_ref());
                detail.is_some_and(|detail| detail.contains(said))
            })
            .await;
        counter.fake.faults().clear();
        watching
            .until_link(LinkState::Live, Duration::from_secs(20))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_lets_no_socket_through_a_display_pairs_and_finds_payments_by_asking() {
    for (answer, said) in [
        (UpgradeFault::Status(405), "have its proxy let WebSockets through"),
        (UpgradeFault::Status(403), "have its proxy let WebSockets through"),
        (UpgradeFault::Status(404), "have its proxy let WebSockets through"),
        (
            UpgradeFault::Status(502),
            "The proxy before LNbits cannot reach it",
        ),
        (UpgradeFault::Html, "What answers there is not LNbits"),
    ] {
        let counter = Counter::open(Version::V1_6).await;
        counter.fake.faults().set(Fault::Upgrade(answer));
        counter.pair().await;
        for said in [said, "payments are found by asking every few seconds"] {
            assert!(counter.said().contains(said), "{}", counter.said());
        }
        let mut watching = counter.watch_until(LinkState::Polling).await;
        let hash = counter.sell(21);
        let paid = watching.until_paid(&hash, Duration::from_secs(6)).await;
        assert_eq!(paid.kind, Kind::Live);
        let detail = watching.link.as_ref().and_then(|link| link.detail.clone());
        assert!(
            detail.as_ref().is_some_and(|detail| detail.contains(said)),
            "{detail:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_can_only_be_heard_is_not_paired_without_a_socket() {
    let counter = Counter::open(Version::Documented).await;
    counter
        .fake
        .faults()
        .set(Fault::Upgrade(UpgradeFault::Status(405)));
    let socket = counter.fake.ws_url(&counter.wallet.id);
    let error = counter.enrol_at(&socket).await.unwrap_err();
    assert!(matches!(error, EnrolError::Socket { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_our_own_word_says_nothing_about_the_push() {
    let counter = Counter::open(Version::V1_6).await;
    for answer in [
        RestFault::Page(405, "allow", "GET"),
        RestFault::Page(403, "server", "nginx"),
        RestFault::Status(429, Some(60)),
    ] {
        counter.fake.faults().set(Fault::Rest(Some(Path::Say), answer));
        counter.enrol().await.unwrap();
        assert!(
            counter.said().contains("could not be tried"),
            "{}",
            counter.said()
        );
    }
    counter.fake.faults().clear();
    counter.fake.faults().set(Fault::PushDead);
    counter.enrol().await.unwrap();
    assert!(counter.said().contains("nothing came back"), "{}", counter.said());
}

fn stranger(n: u32) -> String {
    format!("{n:064x}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_faster_than_the_servers_own_database_still_rings_live() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter
        .fake
        .faults()
        .set(Fault::RestLag(Duration::from_millis(700)));
    let hash = counter.sell(21);
    let payment = watching.until_paid(&hash, Duration::from_secs(4)).await;
    assert_eq!((payment.kind, payment.amount_msat.0), (Kind::Live, 21_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forged_frames_a_second_cost_a_real_payment_three_seconds_at_most() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter.fake.reset_requests();
    let began = Instant::now();
    let (fake, channel) = (counter.fake.clone(), counter.wallet.invoice_key.clone());
    let template = counter.forged("HASH", 1_000);
    let (mut pictures, mut checked) = (watching.engine.display(), 0);
    let flickers = tokio::spawn(async move {
        while pictures.changed().await.is_ok() {
            checked += usize::from(matches!(pictures.borrow_and_update().scene, Scene::Checking));
        }
        checked
    });
    let flood = tokio::spawn(async move {
        fake.flood(&channel, 50_000, 10_000, move |n| {
            template.replace("HASH", &stranger(n))
        })
        .await;
    });
    watching.listen(Duration::from_secs(1)).await;
    let hash = counter.sell(21);
    let payment = watching.until_paid(&hash, Duration::from_secs(3)).await;
    assert_eq!(payment.kind, Kind::Live);
    flood.await.unwrap();
    // Longer than a payment without a frame makes the push suspect.
    watching.listen(Duration::from_secs(5)).await;
    let link = watching.link.as_ref().unwrap();
    assert_eq!(link.state, LinkState::Live, "{:?}", link.detail);
    let asked = counter.fake.requests();
    let lived = began.elapsed().as_secs() + 1;
    assert!(
        asked.count(Path::Payment) <= 5 * lived && asked.count(Path::Paginated) <= 5 * lived / 2,
        "in {lived} s: {:?}",
        asked
    );
    assert_eq!(watching.payments.len(), 1, "nothing false");
    assert!(!watching.rejected.is_empty(), "each is told as refused");
    let notices = watching.engine.display().borrow().notices.clone();
    assert!(
        notices
            .iter()
            .any(|notice| notice.sentence.text.contains("sending false payment messages")),
        "the merchant is told: {notices:?}"
    );
    watching.engine.stop().await;
    drop(watching);
    assert_eq!(flickers.await.unwrap(), 0, "“checking” does not flicker");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nobody_to_ask_ten_thousand_invented_frames_a_second_are_bounded_and_said() {
    let counter = Counter::open(Version::Documented).await;
    let enrolled = counter
        .enrol_at(&counter.fake.ws_url(&counter.wallet.id))
        .await
        .unwrap();
    let profile = counter.profile();
    adopt(enrolled, &profile, &profile.lock().unwrap(), Timestamp::now())
        .await
        .unwrap();
    let mut watching = counter.watch().await;
    let (fake, channel) = (counter.fake.clone(), counter.wallet.id.clone());
    let flood = tokio::spawn(async move {
        let invented = |n| {
            let hash = stranger(n);
            format!(
                r#"{{"type":"payment","payment_hash":"{hash}","amount":1,"memo":"forged","status":"success"}}"#
            )
        };
        fake.flood(&channel, 30_000, 10_000, invented).await;
    });
    let (code, text) = watching.first_notice().await;
    assert_eq!(code, "too-many");
    assert!(text.contains("somebody may be inventing them"), "{text}");
    flood.await.unwrap();
    watching.listen(Duration::from_secs(1)).await;
    let told = watching.payments.len();
    assert!((1..200).contains(&told), "{told} of 30,000 are told");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_names_one_unpaid_invoice_for_a_minute_stays_below_the_servers_limit() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    let unpaid = counter.invoice(7);
    counter.fake.reset_requests();
    // As LNbits has it, within the sixth part of a minute.
    counter.fake.faults().set(Fault::RateLimit {
        per_minute: 200 / 6,
        retry_after: None,
    });
    let frame = counter.forged(&unpaid, 99_000_000);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        counter.fake.say(&counter.wallet.invoice_key, &frame);
        watching.listen(Duration::from_millis(60)).await;
    }
    let busiest = counter.fake.requests().busiest_minute();
    assert!(
        busiest.as_ref().is_some_and(|(_, count)| *count < 200 / 6),
        "{busiest:?}"
    );
    assert!(watching.payments.is_empty());
    counter.fake.settle(&unpaid);
    let paid = watching.until_paid(&unpaid, Duration::from_secs(3)).await;
    assert_eq!((paid.kind, paid.amount_msat.0), (Kind::Live, 7_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_say_its_version_is_asked_until_it_does() {
    let counter = Counter::paired(Version::V1_6).await;
    counter.fake.reset_requests();
    let silent = Fault::Rest(Some(Path::OpenApi), RestFault::Status(500, None));
    counter.fake.faults().set(silent);
    let mut watching = counter.watch().await;
    counter.fake.faults().clear();
    let six_seconds = Duration::from_secs(6);
    watching.listen(six_seconds).await;
    assert_eq!(counter.fake.requests().count(Path::OpenApi), 2);
    watching.listen(six_seconds).await;
    assert_eq!(counter.fake.requests().count(Path::OpenApi), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_wants_a_pause_does_not_silence_the_look_ups() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter.fake.faults().set(Fault::Rest(
        Some(Path::Paginated),
        RestFault::Status(429, Some(100)),
    ));
    counter.fake.reset_requests();
    while counter.fake.requests().count(Path::Paginated) == 0 {
        watching.listen(Duration::from_millis(50)).await;
    }
    let asked = Instant::now();
    let hash = counter.sell(21);
    watching.until_paid(&hash, Duration::from_secs(17)).await;
    watching
        .listen(Duration::from_secs(25).saturating_sub(asked.elapsed()))
        .await;
    let lists = counter.fake.requests().count(Path::Paginated);
    assert_eq!(lists, 1, "the list is left alone for as long as was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forger_gets_nothing_with_any_hash_and_any_amount() {
    let counter = Counter::paired(Version::V1_6).await;
    let somebody = counter.fake.add_wallet("somebody else");
    let theirs = counter
        .fake
        .make_invoice(&somebody, NewInvoice::sats(5, "theirs"))
        .payment_hash;
    counter.fake.settle(&theirs);
    let mut watching = counter.watch().await;
    let unpaid = counter.invoice(7);
    let real = counter.sell(21);
    watching.until_paid(&real, Duration::from_secs(5)).await;
    for hash in [
        stranger(1),
        theirs,
        unpaid.clone(),
        "../wallet".to_owned(),
        "..%2Fwallet".to_owned(),
    ] {
        counter
            .fake
            .say(&counter.wallet.invoice_key, &counter.forged(&hash, 99_000_000));
    }
    for _ in 0..1_000 {
        counter
            .fake
            .say(&counter.wallet.invoice_key, &counter.forged(&real, 99_000_000));
    }
    watching.listen(Duration::from_secs(3)).await;
    assert_eq!(watching.payments.len(), 1, "{:?}", watching.payments);
    // What was forged while unpaid still rings when it is really paid, with the real amount.
    counter.fake.settle(&unpaid);
    assert_eq!(
        watching
            .until_paid(&unpaid, Duration::from_secs(5))
            .await
            .amount_msat
            .0,
        7_000
    );
}

/// A payment over 2,400 sats by card or with cash, which is 1.50 EUR.
type NotLightning = fn(u64, &str, &str, f64) -> NewInvoice;
const NOT_LIGHTNING: [(Method, NotLightning); 2] = [
    (Method::Card, NewInvoice::by_card),
    (Method::Cash, NewInvoice::in_cash),
];

impl Counter {
    /// A sale whose row and frame have this amount.
    fn with_amount(&self, amount: serde_json::Value) -> String {
        let invoice = NewInvoice {
            fields: std::iter::once(("amount".to_owned(), amount)).collect(),
            ..NewInvoice::sats(21, "Coffee")
        };
        let hash = self.fake.make_invoice(&self.wallet, invoice).payment_hash;
        assert!(self.fake.settle(&hash));
        hash
    }

    fn not_lightning(&self, invoice: NotLightning) -> String {
        let invoice = invoice(2_400, "Coffee", "EUR", 1.5);
        self.fake.make_invoice(&self.wallet, invoice).payment_hash
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn card_and_cash_are_told_as_what_they_are() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    for (method, invoice) in NOT_LIGHTNING {
        let hash = counter.not_lightning(invoice);
        assert!(counter.fake.settle(&hash));
        let payment = watching.until_paid(&hash, Duration::from_secs(5)).await;
        assert_eq!((payment.method, payment.kind), (method, Kind::Live));
        let fiat = payment.fiat.unwrap();
        assert_eq!((fiat.currency.as_str(), fiat.amount.as_str()), ("EUR", "1.50"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn card_and_cash_that_are_not_settled_never_ring_whatever_a_frame_says() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    let mut open = Vec::new();
    for (_, invoice) in NOT_LIGHTNING {
        let hash = counter.not_lightning(invoice);
        let channel = &counter.wallet.invoice_key;
        assert!(counter.fake.say(channel, &counter.forged(&hash, 2_400_000)) > 0);
        open.push(hash);
    }
    let sold = counter.sell(21);
    watching.until_paid(&sold, Duration::from_secs(5)).await;
    watching.listen(Duration::from_secs(2)).await;
    assert_eq!(watching.payments.len(), 1, "{:?}", watching.payments);
    for hash in &open {
        assert!(counter.fake.settle(hash));
        watching.until_paid(hash, Duration::from_secs(20)).await;
        assert_eq!(watching.told(hash), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_does_not_want_told_is_recorded_and_counted_and_nobody_is_told() {
    let counter = Counter::paired(Version::V1_6).await;
    std::fs::write(
        counter.profile().settings_file(),
        "announce_card = false\nannounce_cash = false\n",
    )
    .unwrap();
    let mut watching = counter.watch().await;
    let mut withheld = Vec::new();
    for (_, invoice) in NOT_LIGHTNING {
        let hash = counter.not_lightning(invoice);
        assert!(counter.fake.settle(&hash));
        withheld.push(hash);
    }
    let sold = counter.sell(21);
    watching.until_paid(&sold, Duration::from_secs(5)).await;
    let counted = |seen: &Counter| {
        let ledger = Ledger::open(&seen.profile().ledger_file()).unwrap();
        let (wallet, ..) = ledger.wallets().unwrap().remove(0);
        let methods: Vec<_> = ledger
            .newest(wallet, 9)
            .unwrap()
            .iter()
            .map(|entry| entry.method)
            .collect();
        (methods.len() as u64, ledger.state(wallet).unwrap().explained)
    };
    let began = Instant::now();
    while counted(&counter) != (3, Some(3)) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            counted(&counter)
        );
        watching.next(Duration::from_millis(200)).await;
    }
    watching.engine.stop().await;
    assert_eq!((&mut watching.outlets.end).await.unwrap(), End::Stopped);
    std::fs::write(counter.profile().settings_file(), "").unwrap();
    let mut again = counter.watch().await;
    let later = counter.not_lightning(NewInvoice::by_card);
    assert!(counter.fake.settle(&later));
    again.until_paid(&later, Duration::from_secs(5)).await;
    for hash in &withheld {
        assert_eq!((watching.told(hash), again.told(hash)), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_amount_is_written_as_a_fraction_without_one_is_told() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    let hash = counter.with_amount(serde_json::json!(21_000.0));
    let payment = watching.until_paid(&hash, Duration::from_secs(5)).await;
    assert_eq!((payment.kind, payment.amount_msat.0), (Kind::Live, 21_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_cannot_be_read_is_said_and_hides_no_other() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    let unreadable = counter.with_amount(serde_json::json!("a lot"));
    let (code, text) = watching.first_notice().await;
    assert_eq!(code, "unreadable");
    assert!(
        text.starts_with("1 payment to “shop” could not be read"),
        "{text}"
    );
    let sold = counter.sell(21);
    watching.until_paid(&sold, Duration::from_secs(5)).await;
    assert_eq!((watching.told(&unreadable), watching.rejected.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_dead_is_found_in_sixteen_seconds_and_named() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter.fake.faults().set(Fault::PushDead);
    let hash = counter.sell(21);
    let payment = watching.until_paid(&hash, Duration::from_secs(16)).await;
    assert_eq!(payment.kind, Kind::Live);
    watching
        .until_link(LinkState::Polling, Duration::from_secs(6))
        .await;
    let detail = watching.link.as_ref().unwrap().detail.clone().unwrap_or_default();
    assert!(detail.contains("does not push"), "{detail}");
    let next = counter.sell(22);
    watching.until_paid(&next, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_invoice_on_the_screen_a_push_that_is_dead_is_found_in_four_seconds() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    watching.engine.await_invoice(true).await.unwrap();
    counter.fake.faults().set(Fault::PushDead);
    // The list has just been looked at: the next look is as far away as it can be.
    counter.fake.reset_requests();
    while counter.fake.requests().count(Path::Paginated) == 0 {
        watching.listen(Duration::from_millis(20)).await;
    }
    watching.listen(Duration::from_millis(200)).await;
    let hash = counter.sell(21);
    let payment = watching.until_paid(&hash, Duration::from_secs(4)).await;
    assert_eq!(payment.kind, Kind::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_invoice_on_the_screen_a_socket_that_is_dead_is_noticed_in_six_seconds() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    watching.engine.await_invoice(true).await.unwrap();
    watching.listen(Duration::from_millis(500)).await;
    counter.fake.faults().set(Fault::SilentSockets);
    watching
        .until("a link that is not live", Duration::from_secs(6), |seen| {
            seen.link
                .as_ref()
                .is_some_and(|link| link.state != LinkState::Live)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_no_frame_told_is_found_whole_although_offsets_shift() {
    let counter = Counter::paired(Version::V1_6).await;
    counter.fake.faults().set(Fault::InsertWhilePaging(3));
    for nth in 0..2_500 {
        let invoice = NewInvoice {
            amount_msat: 1_000 + nth,
            ..NewInvoice::sats(1, "while away")
        };
        let hash = counter.fake.make_invoice(&counter.wallet, invoice).payment_hash;
        counter.fake.settle(&hash);
    }
    let mut watching = counter.watch().await;
    let paid = || counter.fake.payments(&counter.wallet).len();
    watching
        .until("all of them", Duration::from_secs(60), |seen| {
            seen.payments.len() >= 2_500
        })
        .await;
    counter.fake.faults().clear();
    watching
        .until("what shifted the offsets, too", Duration::from_secs(30), |seen| {
            seen.payments.len() == paid()
        })
        .await;
    let mut hashes: Vec<_> = watching
        .payments
        .iter()
        .map(|payment| payment.payment_hash)
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), paid(), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_failed_before_it_was_seen_and_is_paid_without_a_frame_is_told() {
    let counter = Counter::paired_ago(SignedDuration::from_hours(1), Version::V1_6).await;
    let (now, minutes) = (Timestamp::now(), SignedDuration::from_mins);
    let (count, step) = (120, SignedDuration::from_secs(15));
    counter
        .fake
        .insert_many(&counter.wallet, count, Status::Success, now - minutes(40), step);
    let mut watching = counter.watch().await;
    watching
        .until("the others", Duration::from_secs(10), |seen| {
            seen.payments.len() == count as usize
        })
        .await;
    // Lists leave failed rows out, so this one stands far down in it all of a sudden.
    let paid = counter
        .fake
        .insert_many(&counter.wallet, 1, Status::Success, now - minutes(50), step);
    let stray = paid[0].clone();
    watching.until_paid(&stray, Duration::from_secs(16)).await;
    watching.listen(Duration::from_secs(5)).await;
    assert_eq!(
        (watching.told(&stray), watching.payments.len()),
        (1, count as usize + 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_or_asks_for_patience_costs_time_and_no_payment() {
    for fault in [
        RestFault::Status(500, None),
        RestFault::Status(429, None),
        RestFault::Status(429, Some(1)),
        RestFault::Html,
        RestFault::Cut,
        RestFault::Body("{\"paid\": true}".to_owned()),
    ] {
        let counter = Counter::paired(Version::V1_6).await;
        let mut watching = counter.watch().await;
        counter.fake.faults().set(Fault::Rest(None, fault.clone()));
        let hash = counter.sell(21);
        watching.listen(Duration::from_millis(600)).await;
        assert!(watching.payments.is_empty(), "{fault:?} became a payment");
        counter.fake.faults().clear();
        let payment = watching.until_paid(&hash, Duration::from_secs(12)).await;
        assert_eq!(payment.amount_msat.0, 21_000, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_running_is_said() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter.fake.rotate_keys(&counter.wallet);
    watching
        .until_link(LinkState::Down, Duration::from_secs(30))
        .await;
    let detail = watching.link.as_ref().unwrap().detail.clone().unwrap_or_default();
    assert!(detail.contains("pair again"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_receive_but_not_view_payments_is_not_paired() {
    let counter = Counter::open(Version::V1_6).await;
    counter.sell(21);
    let sees_none = Fault::Rest(
        Some(Path::Paginated),
        RestFault::Body(r#"{"data":[],"total":0}"#.to_owned()),
    );
    counter.fake.faults().set(sees_none.clone());
    let refused = counter.enrol().await.unwrap_err();
    assert!(matches!(refused, EnrolError::Blind), "{refused}");
    counter.fake.faults().lift(&sees_none);
    assert!(counter.enrol().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_of_the_same_wallet_keeps_the_baseline() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    let told = counter.sell(21);
    watching.until_paid(&told, Duration::from_secs(5)).await;
    watching.engine.stop().await;
    // While nobody listens: a payment, then the key is rotated and the display is paired again.
    let missed = counter.sell(22);
    let wallet = counter.fake.rotate_keys(&counter.wallet);
    let counter = Counter { wallet, ..counter };
    counter.pair().await;
    let mut watching = counter.watch().await;
    assert_eq!(
        watching.until_paid(&missed, Duration::from_secs(5)).await.kind,
        Kind::Late
    );
    watching.listen(Duration::from_secs(1)).await;
    assert_eq!(watching.told(&told), 0, "nothing twice");
}

/// A wallet in which 1,200 invoices wait, the oldest first.
async fn many_wait() -> (Counter, Vec<String>) {
    let counter = Counter::open(Version::V1_6).await;
    let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
    let a_second = SignedDuration::from_secs(1);
    let waiting = counter
        .fake
        .insert_many(&counter.wallet, 1_200, Status::Pending, yesterday, a_second);
    (counter, waiting)
}

/// No page of a thousand rows comes on it; one of five hundred does.
fn short_line() -> Fault {
    Fault::Rest(Some(Path::Paginated), RestFault::CutBeyond(600_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_is_paired_on_a_line_on_which_no_page_of_a_thousand_rows_comes() {
    let (counter, waiting) = many_wait().await;
    counter.fake.faults().set(short_line());
    counter.pair().await;
    let mut watching = counter.watch().await;
    for hash in [&waiting[0], &waiting[600], &waiting[1_199]] {
        assert!(counter.fake.settle(hash));
        watching.until_paid(hash, Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_whose_ledger_is_gone_begins_anew_on_a_line_on_which_no_page_of_a_thousand_rows_comes() {
    let (counter, waiting) = many_wait().await;
    counter.pair().await;
    std::fs::remove_file(counter.profile().ledger_file()).unwrap();
    counter.fake.faults().set(short_line());
    let mut watching = counter.watch().await;
    assert!(counter.fake.settle(&waiting[0]));
    watching.until_paid(&waiting[0], Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_display_asks_little() {
    let counter = Counter::paired(Version::V1_6).await;
    let mut watching = counter.watch().await;
    counter.fake.reset_requests();
    watching.listen(Duration::from_secs(16)).await;
    let asked = counter.fake.requests();
    assert!((1..=2).contains(&asked.count(Path::Paginated)), "{asked:?}");
    assert_eq!(watching.payments.len(), 0);
}

/// Passes connections on to the server. Counts those that are open and on which nothing was said within half a second.
async fn counting_the_silent(counter: &Counter) -> (String, watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/lndhub/ext/", listener.local_addr().unwrap());
    let server = counter.fake.addr();
    let (silent, count) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut display, _)) = listener.accept().await {
            let silent = silent.clone();
            tokio::spawn(async move {
                let first = async |display: &TcpStream| drop(display.peek(&mut [0]).await);
                if tokio::time::timeout(Duration::from_millis(500), first(&display))
                    .await
                    .is_err()
                {
                    silent.send_modify(|count| *count += 1);
                    first(&display).await;
                    silent.send_modify(|count| *count -= 1);
                }
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut display, &mut server).await;
            });
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_that_listens_keeps_one_connection_ready_for_its_next_question() {
    let counter = Counter::open(Version::V1_6).await;
    let (address, mut silent) = counting_the_silent(&counter).await;
    let enrolled = counter.enrol_at(&address).await.unwrap();
    let profile = counter.profile();
    adopt(enrolled, &profile, &profile.lock().unwrap(), Timestamp::now())
        .await
        .unwrap();
    assert_eq!(*silent.borrow(), 0, "who pairs keeps none");
    let watching = counter.watch().await;
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, silent.wait_for(|count| *count == 1))
        .await
        .unwrap()
        .unwrap();
    // It ends with the display.
    drop(watching);
    tokio::time::timeout(soon, silent.wait_for(|count| *count == 0))
        .await
        .unwrap()
        .unwrap();
}
