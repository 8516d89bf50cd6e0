//! The spare connection of questions, against a server that tells what it saw: real sockets, and time that passes at once.

#![expect(clippy::unwrap_used, reason = "a test may: the helpers too")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tillbell_lnbits::dial::{DialError, Dialer};
use tillbell_lnbits::rest::{NewInvoice, RestError};
use tillbell_lnbits::{InvoiceKey, Rest, Sat, Text};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use Seen::{Asked, Ended, Opened};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const HOST: &str = "shop.example.com";
const SECOND: Duration = Duration::from_secs(1);
/// The server never hangs up.
const NEVER: Duration = Duration::MAX;

/// What a server saw, on its connection of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is there, its handshakes made.
    Opened(usize),
    Asked(usize),
    /// By whichever side.
    Ended(usize),
}

/// How a server treats its connections.
#[derive(Clone, Copy)]
struct Manners {
    /// It hangs up so long after an answer. uvicorn: 5 s.
    answered: Duration,
    /// It hangs up so long after a connection was opened on which nothing was asked, its first excepted. uvicorn: never; nginx: 60 s.
    unasked: Duration,
    /// It hangs up instead of answering: a connection, and the how manieth question on it.
    rude_to: &'static [(usize, usize)],
    /// What it says before it is asked, on its second connection.
    unasked_word: &'static str,
}

/// As LNbits' own server treats them.
const UVICORN: Manners = Manners {
    answered: Duration::from_secs(5),
    unasked: NEVER,
    rude_to: &[],
    unasked_word: "",
};

/// A server that tells what it saw.
#[derive(Clone)]
struct Shop {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    manners: Manners,
}

impl Shop {
    async fn open(manners: Manners) -> Self {
        let (shop, listener) = Self::build(manners).await;
        let serving = shop.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(tcp, number));
            }
        });
        shop
    }

    async fn build(manners: Manners) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            manners,
        };
        (shop, listener)
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, number: usize) {
        self.note(Opened(number));
        if number == 2 {
            let word = self.manners.unasked_word.as_bytes();
            stream.write_all(word).await.unwrap();
        }
        let mut patience = if number == 1 { NEVER } else { self.manners.unasked };
        for nth in 1.. {
            let asked = timeout(patience, read_question(&mut stream)).await == Ok(true);
            if asked {
                self.note(Asked(number));
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            let rude = self.manners.rude_to.contains(&(number, nth));
            if !asked || rude || stream.write_all(answer).await.is_err() {
                break;
            }
            patience = self.manners.answered;
        }
        drop(stream);
        self.note(Ended(number));
    }

    fn note(&self, what: Seen) {
        self.seen.lock().unwrap().push(what);
    }

    fn rest(&self) -> Rest {
        rest_at(&format!("http://{}", self.address), Dialer::default())
    }

    /// Its address for who finds `shop.example.com` on this machine.
    fn by_name(&self, scheme: &str) -> String {
        format!("{scheme}://{HOST}:{}", self.address.port())
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn opened(&self) -> usize {
        let seen = self.seen();
        seen.iter().filter(|what| matches!(what, Opened(_))).count()
    }

    fn asked(&self) -> Vec<usize> {
        let asked = |what| {
            if let Asked(number) = what {
                Some(number)
            } else {
                None
            }
        };
        self.seen().into_iter().filter_map(asked).collect()
    }

    /// Waits until it has seen this, for ten real seconds at most, and what follows from it has happened on this machine.
    async fn sees(&self, what: Seen) {
        let began = std::time::Instant::now();
        while !self.seen().contains(&what) {
            assert!(began.elapsed().as_secs() < 10, "no {what:?} in {:?}", self.seen());
            tokio::task::yield_now().await;
        }
        settle().await;
    }
}

fn rest_at(address: &str, dialer: Dialer) -> Rest {
    let key: InvoiceKey = KEY.parse().unwrap();
    Rest::new(dialer, address.parse().unwrap(), Some(key))
}

/// True when a whole question came.
async fn read_question(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => question.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// So much time passes for every timer, and what follows from it has happened on this machine.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    settle().await;
}

/// Lets everyone look at the sockets a few times.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A display that has asked once, and its spare connection, the server's second.
async fn with_spare(manners: Manners) -> (Shop, Rest) {
    let shop = Shop::open(manners).await;
    let rest = shop.rest().with_spare();
    rest.health().await.unwrap();
    passes(SECOND).await;
    shop.sees(Opened(2)).await;
    (shop, rest)
}

fn coffee() -> NewInvoice {
    NewInvoice {
        amount: Sat(1_000),
        memo: Text::clean("Coffee"),
        expiry: None,
    }
}

#[tokio::test]
async fn after_a_pause_in_which_the_server_hung_up_a_question_goes_out_on_the_spare() {
    let (shop, rest) = with_spare(UVICORN).await;
    passes(SECOND * 5).await;
    shop.sees(Ended(1)).await;
    rest.health().await.unwrap();
    assert_eq!(
        shop.seen(),
        [Opened(1), Asked(1), Opened(2), Ended(1), Asked(2)],
        "it was there before the question"
    );
    passes(SECOND).await;
    shop.sees(Opened(3)).await;
}

#[tokio::test]
async fn after_an_hour_a_question_goes_out_on_a_spare_that_is_not_a_minute_old() {
    let nginx = Manners {
        unasked: SECOND * 60,
        ..UVICORN
    };
    let (shop, rest) = with_spare(nginx).await;
    for nth in 1..=80 {
        passes(SECOND * 45).await;
        shop.sees(Opened(2 + nth)).await;
        shop.sees(Ended(1 + nth)).await;
    }
    rest.health().await.unwrap();
    assert_eq!(shop.asked(), [1, 82]);
    assert_eq!(
        shop.opened(),
        82,
        "each was renewed once, none was opened for the question"
    );
}

#[tokio::test]
async fn a_spare_is_renewed_after_45_seconds_and_not_before() {
    let (shop, _rest) = with_spare(UVICORN).await;
    passes(SECOND * 44).await;
    assert_eq!(shop.opened(), 2);
    passes(SECOND).await;
    shop.sees(Opened(3)).await;
    shop.sees(Ended(2)).await;
}

#[tokio::test]
async fn while_a_connection_is_kept_questions_need_no_spare() {
    let kept = Manners {
        answered: NEVER,
        ..UVICORN
    };
    let (shop, rest) = with_spare(kept).await;
    for _ in 0..5 {
        passes(SECOND * 12).await;
        rest.health().await.unwrap();
    }
    assert_eq!(shop.asked(), [1; 6]);
    assert_eq!(shop.opened(), 3, "it was renewed once");
}

#[tokio::test]
async fn a_spare_on_which_the_server_hangs_up_in_that_very_moment_costs_one_more_question() {
    let rude = Manners {
        rude_to: &[(2, 1)],
        ..UVICORN
    };
    let (shop, rest) = with_spare(rude).await;
    passes(SECOND * 15).await;
    assert_eq!(rest.health().await.map(|answer| answer.value), Ok(true));
    assert_eq!(shop.asked(), [1, 2, 3]);
}

#[tokio::test]
async fn a_question_that_meets_a_hang_up_is_asked_again_on_a_connection_that_did_not_wait() {
    // Both that wait are lost at once: the one that answered, and the spare.
    let rude = Manners {
        answered: NEVER,
        rude_to: &[(1, 2), (2, 1)],
        ..UVICORN
    };
    let (shop, rest) = with_spare(rude).await;
    assert_eq!(rest.health().await.map(|answer| answer.value), Ok(true));
    assert_eq!(shop.asked(), [1, 1, 3]);
}

#[tokio::test]
async fn an_invoice_is_not_made_twice_because_of_a_hang_up_on_the_spare() {
    let rude = Manners {
        rude_to: &[(2, 1)],
        ..UVICORN
    };
    let (shop, rest) = with_spare(rude).await;
    passes(SECOND * 15).await;
    assert_eq!(rest.create_invoice(&coffee()).await, Err(RestError::Cut));
    assert_eq!(shop.asked(), [1, 2]);
}

#[tokio::test]
async fn what_a_server_says_before_it_is_asked_is_no_answer() {
    let talkative = Manners {
        unasked_word: "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
        ..UVICORN
    };
    let (shop, rest) = with_spare(talkative).await;
    shop.sees(Ended(2)).await;
    passes(SECOND * 15).await;
    shop.sees(Opened(3)).await;
    assert_eq!(rest.health().await.map(|answer| answer.value), Ok(true));
    assert_eq!(shop.asked(), [1, 3]);
}

#[tokio::test]
async fn nothing_is_opened_before_the_first_question() {
    let shop = Shop::open(UVICORN).await;
    let rest = shop.rest().with_spare();
    passes(SECOND * 3_600).await;
    rest.health().await.unwrap();
    assert_eq!(shop.seen(), [Opened(1), Asked(1)]);
}

#[tokio::test]
async fn who_asks_once_keeps_no_spare() {
    let shop = Shop::open(UVICORN).await;
    let rest = shop.rest();
    rest.health().await.unwrap();
    for _ in 0..60 {
        passes(SECOND * 60).await;
    }
    rest.health().await.unwrap();
    assert_eq!(shop.seen(), [Opened(1), Asked(1), Ended(1), Opened(2), Asked(2)]);
}

#[tokio::test]
async fn after_a_loss_the_spare_is_left_and_none_is_opened_until_the_next_question() {
    let (shop, mut rest) = with_spare(UVICORN).await;
    let clone = rest.clone();
    rest.leave_connections();
    shop.sees(Ended(2)).await;
    for _ in 0..60 {
        passes(SECOND * 60).await;
    }
    assert_eq!(shop.opened(), 2);
    rest.health().await.unwrap();
    assert_eq!(shop.asked(), [1, 3]);
    passes(SECOND).await;
    shop.sees(Opened(4)).await;
    drop(clone);
}

#[tokio::test]
async fn the_spare_ends_with_the_last_clone_of_its_client() {
    let (shop, rest) = with_spare(UVICORN).await;
    let clone = rest.clone();
    drop(rest);
    passes(SECOND * 10).await;
    assert!(!shop.seen().contains(&Ended(2)));
    drop(clone);
    shop.sees(Ended(2)).await;
    for _ in 0..60 {
        passes(SECOND * 60).await;
    }
    assert_eq!(shop.opened(), 2);
}

#[tokio::test]
async fn a_spare_on_which_the_server_hangs_up_after_a_while_is_replaced() {
    let impatient = Manners {
        unasked: SECOND * 20,
        ..UVICORN
    };
    let (shop, rest) = with_spare(impatient).await;
    passes(SECOND * 20).await;
    shop.sees(Ended(2)).await;
    shop.sees(Opened(3)).await;
    rest.health().await.unwrap();
    assert_eq!(shop.asked(), [1, 3]);
}

#[tokio::test]
async fn a_server_that_hangs_up_on_every_spare_at_once_sees_few_of_them() {
    let at_once = Manners {
        unasked: Duration::ZERO,
        ..UVICORN
    };
    let (shop, _rest) = with_spare(at_once).await;
    shop.sees(Ended(2)).await;
    passes(SECOND * 14).await;
    assert_eq!(shop.opened(), 2, "15 s lie between two of them");
    let mut opened = Vec::new();
    for _ in 0..240 {
        passes(SECOND * 15).await;
        opened.push(shop.opened() - 2);
    }
    assert_eq!(opened[0], 1, "the next one was tried");
    let in_an_hour = *opened.last().unwrap();
    assert!((10..=20).contains(&in_an_hour), "{in_an_hour}: ever more rarely");
}

/// Counts how often it dials `shop.example.com`, which is this machine. A dial with the number `lost` finds no way.
fn counting(lost: usize) -> (Dialer, Arc<AtomicUsize>) {
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dials);
    let dialer = Dialer::default().with_resolver(move |_| {
        let nth = counted.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            if nth == lost {
                std::future::pending::<()>().await;
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        }
    });
    (dialer, dials)
}

#[tokio::test]
async fn a_spare_that_ended_while_the_next_one_was_dialled_is_not_asked_on() {
    let shop = Shop::open(Manners {
        unasked: SECOND * 48,
        ..UVICORN
    })
    .await;
    let (dialer, dials) = counting(3);
    let rest = rest_at(&shop.by_name("http"), dialer).with_spare();
    rest.health().await.unwrap();
    passes(SECOND).await;
    shop.sees(Opened(2)).await;
    passes(SECOND * 46).await;
    assert_eq!(dials.load(Ordering::Relaxed), 3, "the next one is being dialled");
    passes(SECOND * 2).await;
    shop.sees(Ended(2)).await;
    // Only once, as it is an invoice: on the spare it would have been cut.
    assert_eq!(rest.create_invoice(&coffee()).await, Err(RestError::Unreadable));
    assert_eq!(shop.asked(), [1, 3]);
}

#[tokio::test]
async fn a_server_that_is_down_is_dialled_for_questions_only() {
    let (shop, listener) = Shop::build(UVICORN).await;
    let serving = shop.clone();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        // It refuses everyone after the first.
        drop(listener);
        serving.serve(tcp, 1).await;
    });
    let (dialer, dials) = counting(0);
    let rest = rest_at(&shop.by_name("http"), dialer).with_spare();
    rest.health().await.unwrap();
    for _ in 0..240 {
        passes(SECOND * 15).await;
    }
    assert_eq!(
        dials.load(Ordering::Relaxed),
        2,
        "the question's, and one for a spare"
    );
    let refused = RestError::Dial(DialError::Refused {
        host: HOST.to_owned(),
    });
    for nth in 1..=3 {
        assert_eq!(rest.health().await.unwrap_err(), refused);
        passes(SECOND * 60).await;
        assert_eq!(dials.load(Ordering::Relaxed), 2 + nth, "the question's");
    }
}

#[tokio::test]
async fn the_spare_has_its_tls_handshake_behind_it_and_resumes_the_session() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (shop, listener) = Shop::build(UVICORN).await;
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let (serving, noted) = (shop.clone(), Arc::clone(&kinds));
    tokio::spawn(async move {
        for number in 1.. {
            let tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            noted
                .lock()
                .unwrap()
                .push(tls.get_ref().1.handshake_kind().unwrap());
            tokio::spawn(serving.clone().serve(tls, number));
        }
    });
    let trusted = cert.der().clone();
    let dialer = counting(0).0.with_authorities(move || vec![trusted.clone()]);
    let rest = rest_at(&shop.by_name("https"), dialer).with_spare();
    rest.health().await.unwrap();
    passes(SECOND).await;
    shop.sees(Opened(2)).await;
    passes(SECOND * 5).await;
    rest.health().await.unwrap();
    assert_eq!(shop.asked(), [1, 2]);
    assert_eq!(
        *kinds.lock().unwrap(),
        [HandshakeKind::Full, HandshakeKind::Resumed]
    );
    // A spare's ticket is read while it waits, so that the next one resumes, too.
    passes(SECOND).await;
    shop.sees(Opened(3)).await;
    assert_eq!(kinds.lock().unwrap()[2], HandshakeKind::Resumed);
}
