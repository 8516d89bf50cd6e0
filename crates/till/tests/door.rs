//! The control door of a real engine on a fake server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tillbell_fake_lnbits::faults::{Fault, RestFault};
use tillbell_fake_lnbits::{Ending, FakeLnbits, NewInvoice, Options as FakeOptions, Version, Wallet};
use tillbell_lnbits::dial::Dialer;
use tillbell_till::clock::SystemClock;
use tillbell_till::engine::door::{Door, DoorError, ask};
use tillbell_till::engine::{DemoWallet, Line, PaymentLine, Reply, Request, WalletLine};
use tillbell_till::ledger::Ledger;
use tillbell_till::screen::view::{KeyPlace, LinkState, PairingForm, Role, Scene};
use tillbell_till::store::pairings;
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// An engine with an open door, and a server with wallets.
struct House {
    fake: FakeLnbits,
    folder: TempDir,
    engine: Engine,
    outlets: Outlets,
    door: Option<Door>,
}

fn start(profile: &Profile, output: Output) -> (Engine, Outlets) {
    Engine::start(Options {
        profile: profile.clone(),
        output,
        dialer: Dialer::default(),
        clock: Arc::new(SystemClock::default()),
        chimes: Vec::new(),
        demo: None,
        only: None,
    })
    .unwrap()
}

impl House {
    async fn open(output: Output) -> Self {
        let fake = FakeLnbits::start(FakeOptions::version(Version::V1_6))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let (engine, outlets) = start(&profile, output);
        let door = Door::open(&profile, engine.clone(), Box::new(|| false))
            .await
            .unwrap();
        Self {
            fake,
            folder,
            engine,
            outlets,
            door: Some(door),
        }
    }

    fn profile(&self) -> Profile {
        Profile::at(self.folder.path())
    }

    fn form(&self, wallet: &Wallet) -> PairingForm {
        PairingForm {
            pairing: format!(
                "lndhub://invoice:{}@{}/lndhub/ext/",
                wallet.invoice_key,
                self.fake.base_url()
            ),
            invoice_key: None,
            name: None,
            allow_insecure: false,
        }
    }

    async fn ask(&self, asked: Request) -> Reply {
        ask(&self.profile(), &asked, &mut |_| {}).await.unwrap()
    }

    async fn pair(&self, wallet: &Wallet) -> Reply {
        let form = self.form(wallet);
        self.ask(Request::Pair { form }).await
    }

    async fn wallets(&self) -> Vec<WalletLine> {
        let answer = self.ask(Request::Wallets).await;
        let Reply::Wallets { wallets } = answer else {
            panic!("{answer:?}")
        };
        wallets
    }

    async fn names(&self) -> Vec<String> {
        self.wallets()
            .await
            .into_iter()
            .map(|wallet| wallet.name)
            .collect()
    }

    /// Waits until every wallet is live.
    async fn until_live(&self) {
        let is_live = |wallet: &WalletLine| wallet.state == Some(LinkState::Live);
        timeout(SOON, async {
            while !self.wallets().await.iter().all(is_live) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    /// Takes lines until one says this of a wallet's link; returns the sentence.
    async fn until_link(&mut self, wallet: &str, state: LinkState) -> Option<String> {
        timeout(SOON, async {
            loop {
                match self.outlets.lines.recv().await.unwrap() {
                    Line::Link(link) if link.wallet == wallet && link.state == state => return link.detail,
                    Line::Payment(payment) => self.engine.line_written(payment.seq).await.unwrap(),
                    Line::Link(_) | Line::Pending(_) | Line::Rejected(_) => {}
                }
            }
        })
        .await
        .unwrap()
    }

    async fn next_payment(&mut self) -> PaymentLine {
        timeout(SOON, async {
            loop {
                if let Line::Payment(payment) = self.outlets.lines.recv().await.unwrap() {
                    self.engine.line_written(payment.seq).await.unwrap();
                    return payment;
                }
            }
        })
        .await
        .unwrap()
    }

    fn sell(&self, wallet: &Wallet, sats: u64) -> String {
        let invoice = self.fake.make_invoice(wallet, NewInvoice::sats(sats, "Coffee"));
        assert!(self.fake.settle(&invoice.payment_hash));
        invoice.payment_hash
    }

    /// Port and word, as they stand in the profile.
    fn sign(&self) -> (u16, String) {
        let sign = std::fs::read_to_string(self.profile().front_door_file()).unwrap();
        let (port, word) = sign.split_once(' ').unwrap();
        (port.parse().unwrap(), word.to_owned())
    }

    /// Says this at the door as one who knows this word; returns the answer, or nothing where the connection was closed
    /// instead.
    async fn knock(&self, word: &str, message: &[u8]) -> Option<Value> {
        let mut guest = TcpStream::connect(("127.0.0.1", self.sign().0)).await.unwrap();
        let answer = async {
            let asker = [7; 32];
            guest.write_all(&asker).await.ok()?;
            let mut engine = [0; 64];
            guest.read_exact(&mut engine).await.ok()?;
            let (nonce, proof) = engine.split_at(32);
            let right = &self.sign().1;
            assert_eq!(
                proof,
                mac(right, [b"e", &asker, nonce]),
                "the engine knows the word"
            );
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let said = [&mac(word, [b"a", &asker, nonce]), &length[..], message].concat();
            // Whoever is turned away cannot say everything.
            let _ = guest.write_all(&said).await;
            let length = guest.read_u32().await.ok()?;
            let mut answer = vec![0; usize::try_from(length).ok()?];
            guest.read_exact(&mut answer).await.ok()?;
            serde_json::from_slice(&answer).ok()
        };
        timeout(Duration::from_secs(5), answer).await.unwrap()
    }
}

fn mac(word: &str, parts: [&[u8]; 3]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(word.as_bytes()).unwrap();
    let mac = parts.into_iter().fold(mac, Mac::chain_update);
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_paired_by_the_door_is_listened_to_at_once() {
    let mut house = House::open(Output::Lines).await;
    let wallet = house.fake.add_wallet("shop");
    let mut steps = Vec::new();
    let asked = Request::Pair {
        form: house.form(&wallet),
    };
    let answer = ask(&house.profile(), &asked, &mut |progress| {
        steps.push(progress.clone());
    })
    .await
    .unwrap();
    let Reply::Paired { paired } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((paired.name.as_str(), paired.known_as), ("shop", None));
    assert_eq!(paired.server, house.fake.base_url());
    assert_eq!(paired.key_place, Some(KeyPlace::File));
    assert!(steps.len() > 6, "each step is told: {steps:?}");

    house.until_live().await;
    let hash = house.sell(&wallet, 21);
    let payment = house.next_payment().await;
    assert_eq!(
        (payment.wallet.as_str(), payment.payment_hash.to_string()),
        ("shop", hash)
    );

    // The same wallet again is joined with it.
    let Reply::Paired { paired } = house.pair(&wallet).await else {
        panic!("it is not paired again")
    };
    assert_eq!(paired.known_as.as_deref(), Some("shop"));
    assert_eq!(house.names().await, ["shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_paired_by_two_keys_before_its_first_payment_is_told_once() {
    for owner_first in [true, false] {
        let mut house = House::open(Output::Lines).await;
        let owner = house.fake.add_wallet("shop");
        let shared = house.fake.share(&owner);
        let keys = if owner_first {
            [&owner, &shared]
        } else {
            [&shared, &owner]
        };
        for wallet in keys {
            assert!(matches!(house.pair(wallet).await, Reply::Paired { .. }));
        }
        assert_eq!(
            house.names().await.len(),
            2,
            "nobody can know yet that they are one"
        );
        house.until_live().await;
        let first = [1, 2, 3].map(|sats| house.sell(&owner, sats));
        for _ in &first {
            assert!(first.contains(&house.next_payment().await.payment_hash.to_string()));
        }
        // Nothing is pushed by the shared key: the other learns of the payments when it looks next.
        house.fake.drop_sockets(Ending::Close(1_012));
        timeout(SOON, async {
            while house.names().await.len() > 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        let second = house.sell(&owner, 4);
        assert_eq!(
            house.next_payment().await.payment_hash.to_string(),
            second,
            "no other was told twice"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_wallet_has_any_more_has_a_last_line_that_says_why() {
    let mut house = House::open(Output::Lines).await;
    let owner = house.fake.add_wallet("shop");
    let shared = house.fake.share(&owner);
    for wallet in [&owner, &shared] {
        assert!(matches!(house.pair(wallet).await, Reply::Paired { .. }));
    }
    let second = house.names().await.remove(1);
    house.until_live().await;
    house.sell(&owner, 1);
    house.next_payment().await;
    // Nothing is pushed by the shared key: it learns of the payment when it looks next.
    house.fake.drop_sockets(Ending::Close(1_012));
    let joined = house.until_link(&second, LinkState::Down).await.unwrap();
    assert!(joined.contains("the same wallet as “shop”"), "{joined}");

    let (name, to) = ("shop".to_owned(), "terrace".to_owned());
    let changed = house.ask(Request::Rename { name, to }).await;
    assert!(matches!(changed, Reply::Settings { .. }), "{changed:?}");
    let renamed = house.until_link("shop", LinkState::Down).await.unwrap();
    assert!(renamed.contains("“terrace”"), "{renamed}");
    assert_eq!(house.until_link("terrace", LinkState::Live).await, None);

    let name = "terrace".to_owned();
    let changed = house.ask(Request::Unpair { name }).await;
    assert!(matches!(changed, Reply::Settings { .. }), "{changed:?}");
    let gone = house.until_link("terrace", LinkState::Down).await.unwrap();
    assert!(gone.contains("not paired any more"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_by_the_door_does_not_take_the_screen_and_ends_a_welcome() {
    let house = House::open(Output::Screen).await;
    let scene = || house.engine.display().borrow().scene.clone();
    assert!(matches!(scene(), Scene::Welcome { .. }));
    let [first, second] = ["shop", "bar"].map(|name| house.fake.add_wallet(name));
    assert!(matches!(house.pair(&first).await, Reply::Paired { .. }));
    house.until_live().await;
    assert!(matches!(scene(), Scene::Idle { .. }), "{:?}", scene());

    let mut pictures = house.engine.display();
    pictures.mark_unchanged();
    assert!(matches!(house.pair(&second).await, Reply::Paired { .. }));
    house.until_live().await;
    assert!(matches!(scene(), Scene::Idle { .. }), "{:?}", scene());
    let mut bad = house.form(&first);
    bad.pairing = bad.pairing.replace(&first.invoice_key, &"f".repeat(32));
    let answer = house.ask(Request::Pair { form: bad }).await;
    assert!(matches!(answer, Reply::Refused { .. }), "{answer:?}");
    assert!(matches!(scene(), Scene::Idle { .. }), "{:?}", scene());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_renamed_and_unpaired_by_the_door() {
    let house = House::open(Output::Lines).await;
    for name in ["shop", "bar"] {
        let wallet = house.fake.add_wallet(name);
        assert!(matches!(house.pair(&wallet).await, Reply::Paired { .. }));
    }
    let rename = |name: &str, to: &str| Request::Rename {
        name: name.to_owned(),
        to: to.to_owned(),
    };
    let unpair = |name: &str| Request::Unpair {
        name: name.to_owned(),
    };
    let changed = |reply| assert!(matches!(reply, Reply::Settings { .. }), "{reply:?}");
    changed(house.ask(rename("bar", "terrace")).await);
    assert_eq!(house.names().await, ["shop", "terrace"]);
    assert!(matches!(
        house.ask(rename("shop", "terrace")).await,
        Reply::Refused { .. }
    ));

    let refused = |reply| {
        let Reply::Refused { sentence } = reply else {
            panic!("not refused: {reply:?}")
        };
        sentence
    };
    let sentence = refused(house.ask(unpair("bar")).await);
    assert_eq!(
        sentence.text,
        "No wallet is called “bar”. Paired are: “shop”, “terrace”."
    );
    let args = json!({"name": "bar", "names": ["shop", "terrace"]});
    assert_eq!(
        (sentence.code.as_str(), json!(sentence.args)),
        ("not-paired", args)
    );
    changed(house.ask(unpair("shop")).await);
    assert_eq!(house.names().await, ["terrace"]);
    let stored = pairings::read(&house.profile()).unwrap();
    assert_eq!(stored.len(), 1);
    changed(house.ask(unpair("terrace")).await);
    let sentence = refused(house.ask(unpair("terrace")).await);
    assert_eq!(sentence.text, "Nothing is paired.");
    let keys = std::fs::read_to_string(house.profile().secrets_file()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&keys).unwrap(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paired_shop_whose_record_cannot_be_opened_gives_way_to_no_demo_and_can_be_unpaired() {
    let house = House::open(Output::Lines).await;
    let wallet = house.fake.add_wallet("shop");
    assert!(matches!(house.pair(&wallet).await, Reply::Paired { .. }));
    house.engine.stop().await;
    // Like a full disk: nothing can be recorded, and nothing is ruined.
    let ledger = house.profile().ledger_file();
    std::fs::remove_file(&ledger).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    let (engine, _outlets) = start(&house.profile(), Output::Lines);
    let ask = |request| engine.ask(Role::Operator, request);

    let demo = DemoWallet {
        server: house.fake.base_url().parse().unwrap(),
        key: house.fake.add_wallet("demo").invoice_key.parse().unwrap(),
        name: "demo".to_owned(),
    };
    engine.start_demo(demo).await.unwrap();
    let Reply::Wallets { wallets } = ask(Request::Wallets).await else {
        panic!("no wallets")
    };
    let named: Vec<_> = wallets.iter().map(|wallet| wallet.name.as_str()).collect();
    assert_eq!((named, engine.display().borrow().demo), (vec!["shop"], false));

    let name = "shop".to_owned();
    let answer = ask(Request::Unpair { name }).await;
    assert!(matches!(answer, Reply::Settings { .. }), "{answer:?}");
    assert_eq!(pairings::read(&house.profile()).unwrap(), []);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_unpaired_and_paired_again_keeps_its_history_and_rings_for_nothing_of_meanwhile() {
    let mut house = House::open(Output::Lines).await;
    let wallet = house.fake.add_wallet("shop");
    assert!(matches!(house.pair(&wallet).await, Reply::Paired { .. }));
    house.until_live().await;
    let before = house.sell(&wallet, 1);
    assert_eq!(house.next_payment().await.payment_hash.to_string(), before);
    let open = house.fake.make_invoice(&wallet, NewInvoice::sats(2, "Tea"));
    let name = "shop".to_owned();
    let unpaired = house.ask(Request::Unpair { name }).await;
    assert!(matches!(unpaired, Reply::Settings { .. }), "{unpaired:?}");

    assert!(house.fake.settle(&open.payment_hash));
    let meanwhile = house.sell(&wallet, 3);
    // Servers tell the time in whole seconds: this one is over.
    house
        .fake
        .faults()
        .set(Fault::ClockOffset(SignedDuration::from_secs(1)));
    assert!(matches!(house.pair(&wallet).await, Reply::Paired { .. }));
    house.until_live().await;
    let after = house.sell(&wallet, 4);
    assert_eq!(
        house.next_payment().await.payment_hash.to_string(),
        after,
        "and nothing before it"
    );
    let recorded = || {
        let ledger = Ledger::open(&house.profile().ledger_file()).unwrap();
        let [(row, ..)] = ledger.wallets().unwrap()[..] else {
            panic!("not one wallet")
        };
        let entries = ledger.newest(row, 10).unwrap();
        entries
            .into_iter()
            .map(|entry| entry.payment_hash.to_string())
            .collect::<BTreeSet<_>>()
    };
    let all = BTreeSet::from([before, open.payment_hash, meanwhile, after]);
    timeout(SOON, async {
        while recorded() != all {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let notices = house.engine.display().borrow().notices.clone();
    let code = "recorded-silently";
    assert!(
        notices.iter().any(|notice| notice.sentence.code == code),
        "{notices:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_wrong_word_gets_no_answer() {
    let house = House::open(Output::Lines).await;
    let (_, word) = house.sign();
    let mode = std::fs::metadata(house.profile().front_door_file()).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(word.len() == 64 && word.bytes().all(|digit| digit.is_ascii_hexdigit()));

    let asked = br#"{"ask":"wallets"}"#;
    let other_end = if word.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{other_end}", &word[..63]);
    assert_eq!(house.knock(&wrong, asked).await, None);
    assert_eq!(house.knock("", asked).await, None, "nor whoever has none");
    let answer = house.knock(&word, asked).await;
    assert_eq!(answer, Some(json!({"answer": "wallets", "wallets": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_answered_and_what_is_too_long_is_not_read() {
    let house = House::open(Output::Lines).await;
    let (_, word) = house.sign();
    let key = "0123456789abcdef0123456789abcdef";
    for (message, said) in [
        (r#"{"ask":"serve","port":1}"#, "does not know that request"),
        (r#"{"ask":"pair","form":"KEY"}"#, "does not understand"),
        (r#"{"ask":"unpair"}"#, "does not understand"),
        ("KEY", "does not understand"),
        (r#"{"ask":"show"}"#, "no window"),
    ] {
        let answer = house
            .knock(&word, message.replace("KEY", key).as_bytes())
            .await
            .unwrap();
        assert_eq!(answer["answer"], "refused", "{message}");
        let sentence = answer["sentence"]["text"].as_str().unwrap();
        assert!(sentence.contains(said) && !sentence.contains(key), "{sentence}");
    }
    let long = format!(r#"{{"ask":"wallets","and":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(house.knock(&word, long.as_bytes()).await, None);
    let form = PairingForm {
        pairing: "x".repeat(64 * 1024),
        invoice_key: None,
        name: None,
        allow_insecure: false,
    };
    let asked = Request::Pair { form };
    let error = ask(&house.profile(), &asked, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, DoorError::TooLong), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_pair_at_once_are_served_one_after_the_other() {
    let house = House::open(Output::Lines).await;
    let slowly = RestFault::Drip(50, Duration::from_millis(20));
    house.fake.faults().set(Fault::Rest(None, slowly));
    let [first, second] = ["shop", "bar"].map(|name| house.fake.add_wallet(name));
    let (one, other) = tokio::join!(house.pair(&first), house.pair(&second));
    assert!(matches!(one, Reply::Paired { .. }), "{one:?}");
    assert!(matches!(other, Reply::Paired { .. }), "{other:?}");
    let mut names = house.names().await;
    names.sort();
    assert_eq!(names, ["bar", "shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_holds_eight_at_once_and_nobody_keeps_it_shut() {
    let house = House::open(Output::Lines).await;
    let (port, word) = house.sign();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let asked = br#"{"ask":"wallets"}"#;
    assert_eq!(house.knock(&word, asked).await, None, "the ninth is turned away");
    // Those who say nothing are let go after two seconds.
    for guest in &mut silent {
        let end = timeout(Duration::from_secs(4), guest.read(&mut [0])).await;
        assert_eq!(end.unwrap().unwrap_or(0), 0);
    }
    assert!(house.knock(&word, asked).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_gives_the_pairing_up() {
    let house = House::open(Output::Lines).await;
    let wallet = house.fake.add_wallet("shop");
    house.fake.faults().set(Fault::Rest(None, RestFault::Hang));
    let pairing = timeout(Duration::from_millis(300), house.pair(&wallet)).await;
    assert!(pairing.is_err(), "it was still under way");
    assert!(house.wallets().await.is_empty());
    house.fake.faults().clear();
    // Who comes next does not wait for it.
    assert!(matches!(house.pair(&wallet).await, Reply::Paired { .. }));
}

/// What a stranger answers who was given the port of an engine that died.
#[derive(Clone, Copy, Debug)]
enum Stranger {
    Silent,
    /// Whatever it hears, again and again.
    Echo,
    /// Bytes that look like a proof.
    Nonsense,
}

/// Asks for a pairing where a stranger has the port; returns all that the stranger hears.
async fn heard_by(stranger: Stranger) -> Vec<u8> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let port = listener.local_addr().unwrap().port();
    std::fs::write(profile.front_door_file(), format!("{port} {}", "5".repeat(64))).unwrap();
    let hearing = tokio::spawn(async move {
        let (mut guest, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        loop {
            let before = heard.len();
            if guest.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                return heard;
            }
            // Whoever has seen through it is gone.
            let _ = match stranger {
                Stranger::Silent => Ok(()),
                Stranger::Echo => guest.write_all(&heard[before..].repeat(2)).await,
                Stranger::Nonsense => guest.write_all(&[5; 64]).await,
            };
        }
    });
    let form = PairingForm {
        pairing: "lndhub://invoice:0123456789abcdef0123456789abcdef@https://pay.example.com/lndhub/ext/"
            .to_owned(),
        invoice_key: None,
        name: None,
        allow_insecure: false,
    };
    let error = ask(&profile, &Request::Pair { form }, &mut |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, DoorError::Nobody(_)), "{stranger:?}: {error}");
    timeout(SOON, hearing).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_has_the_port_is_told_neither_word_nor_key() {
    for stranger in [Stranger::Silent, Stranger::Echo, Stranger::Nonsense] {
        let heard = heard_by(stranger).await;
        assert_eq!(heard.len(), 32, "random bytes and no more: {stranger:?}");
        assert_ne!(heard, heard_by(stranger).await, "others each time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_closed_door_is_nobody() {
    let mut house = House::open(Output::Lines).await;
    let path = house.profile().front_door_file();
    let sign = std::fs::read(&path).unwrap();
    house.door = None;
    assert!(!path.exists());
    // As an engine leaves it that was killed, and whatever else may stand there.
    for stale in [&sign[..], b"", b"nonsense", b"70000 word"] {
        std::fs::write(&path, stale).unwrap();
        let error = ask(&house.profile(), &Request::Wallets, &mut |_| {})
            .await
            .unwrap_err();
        assert!(matches!(error, DoorError::Nobody(_)), "{error}");
    }
    // A door that was opened meanwhile stays.
    let first = Door::open(&house.profile(), house.engine.clone(), Box::new(|| true)).await;
    let second = Door::open(&house.profile(), house.engine.clone(), Box::new(|| true)).await;
    drop(first);
    assert_eq!(house.ask(Request::Show).await, Reply::Done);
    drop(second);
    assert!(!path.exists());
}
