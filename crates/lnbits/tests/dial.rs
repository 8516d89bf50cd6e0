//! Dialling real listeners on this machine: each way to fail has its own word.

#![expect(clippy::unwrap_used, reason = "a test may: the helpers too")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tillbell_lnbits::dial::{Budgets, DialError, Dialer, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

const HOST: &str = "shop.example.com";

fn host() -> String {
    HOST.to_owned()
}

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let params = authority_named("Root of the shop");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// One that this one vouches for.
    fn below(&self) -> Self {
        let params = authority_named("Below the root");
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn sign(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().clone(), key)
    }

    /// A dialler that trusts it and finds every name on this machine.
    fn dialer(&self) -> Dialer {
        trusting(&self.certificate())
    }
}

fn authority_named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A dialler that trusts this certificate beside the machine's own and finds every name on this machine.
fn trusting(certificate: &CertificateDer<'static>) -> Dialer {
    let trusted = vec![certificate.clone()];
    at_home(Dialer::default()).with_authorities(move || trusted.clone())
}

/// Every name leads to this machine.
fn at_home(dialer: Dialer) -> Dialer {
    dialer.with_resolver(async |_| Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]))
}

fn certificate_for(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A certificate that is its own authority, as most guides make them.
fn its_own_authority(name: &str) -> CertificateParams {
    let mut params = certificate_for(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn self_signed(params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().der().clone(), key)
}

/// A TLS server that echoes four bytes to everyone who trusts it.
async fn tls_server((certificate, key): (CertificateDer<'static>, KeyPair)) -> u16 {
    tls_server_sending(vec![certificate], key).await
}

/// One that sends this chain, its own certificate first.
async fn tls_server_sending(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> u16 {
    let acceptor = tls_acceptor(chain, &key);
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let mut four = [0; 4];
                let _ = tls.read_exact(&mut four).await;
                let _ = tls.write_all(&four).await;
                let _ = tls.shutdown().await;
            }
        }
    });
    port
}

fn tls_acceptor(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn secure_url(port: u16) -> Url {
    format!("wss://{HOST}:{port}/api/v1/ws/0123456789abcdef0123456789abcdef")
        .parse()
        .unwrap()
}

async fn fails(dialer: &Dialer, port: u16) -> DialError {
    let error = dialer
        .connect(&secure_url(port))
        .await
        .map(|_| "connected")
        .unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("0123456789abcdef"),
        "{error}"
    );
    error
}

#[tokio::test]
async fn a_trusted_server_is_reached_through_tls() {
    let authority = Authority::new();
    let port = tls_server(authority.sign(&certificate_for(HOST))).await;
    let mut wire = authority.dialer().connect(&secure_url(port)).await.unwrap();
    wire.write_all(b"bell").await.unwrap();
    wire.flush().await.unwrap();
    let mut back = Vec::new();
    wire.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"bell");
}

/// Without that every connection would cost a whole handshake, certificates and all.
#[tokio::test]
async fn a_later_connection_resumes_the_session_of_the_first() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&certificate_for(HOST));
    let acceptor = tls_acceptor(vec![certificate], &key);
    let (listener, port) = listen().await;
    let serving = tokio::spawn(async move {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            kinds.push(tls.get_ref().1.handshake_kind().unwrap());
            tls.write_all(b"bell").await.unwrap();
            tls.shutdown().await.unwrap();
        }
        kinds
    });
    let dialer = authority.dialer();
    for _ in 0..3 {
        let mut wire = dialer.clone().connect(&secure_url(port)).await.unwrap();
        wire.read_to_end(&mut Vec::new()).await.unwrap();
    }
    let resumed = HandshakeKind::Resumed;
    assert_eq!(serving.await.unwrap(), [HandshakeKind::Full, resumed, resumed]);
}

#[tokio::test]
async fn an_expired_certificate_is_named_as_such() {
    let authority = Authority::new();
    let mut params = certificate_for(HOST);
    params.not_after = date_time_ymd(2020, 1, 1);
    let port = tls_server(authority.sign(&params)).await;
    let error = fails(&authority.dialer(), port).await;
    assert_eq!(error, DialError::CertificateExpired { host: host() });
    assert!(error.to_string().contains("date and time"));
}

#[tokio::test]
async fn a_certificate_of_the_future_points_at_the_clock() {
    let authority = Authority::new();
    let mut params = certificate_for(HOST);
    params.not_before = date_time_ymd(3000, 1, 1);
    let port = tls_server(authority.sign(&params)).await;
    let error = fails(&authority.dialer(), port).await;
    assert_eq!(error, DialError::CertificateNotYetValid { host: host() });
    assert!(error.to_string().contains("date and time"));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let port = tls_server(authority.sign(&certificate_for("other.example.com"))).await;
    assert_eq!(
        fails(&authority.dialer(), port).await,
        DialError::WrongHost { host: host() }
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_from_nobody() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = certificate_for(HOST);
        params.is_ca = is_ca;
        let port = tls_server(self_signed(&params)).await;
        assert_eq!(
            fails(&Authority::new().dialer(), port).await,
            DialError::UnknownIssuer { host: host() }
        );
    }
}

#[tokio::test]
async fn the_machines_own_authorities_do_not_trust_a_strangers_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&certificate_for(HOST));
    let port = tls_server_sending(vec![certificate, authority.certificate()], key).await;
    let error = fails(&at_home(Dialer::default()), port).await;
    // A machine without CA certificates says so instead.
    assert!(
        matches!(error, DialError::UnknownIssuer { .. } | DialError::NoAuthorities),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_where_it_is_installed() {
    let certified = self_signed(&its_own_authority(HOST));
    let dialer = trusting(&certified.0);
    let port = tls_server(certified).await;
    dialer.connect(&secure_url(port)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_checked_like_any_other() {
    let another_name = its_own_authority("other.example.com");
    let mut expired = its_own_authority(HOST);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut of_the_future = its_own_authority(HOST);
    of_the_future.not_before = date_time_ymd(3000, 1, 1);
    for (params, error) in [
        (another_name, DialError::WrongHost { host: host() }),
        (expired, DialError::CertificateExpired { host: host() }),
        (of_the_future, DialError::CertificateNotYetValid { host: host() }),
    ] {
        let certified = self_signed(&params);
        let dialer = trusting(&certified.0);
        let port = tls_server(certified).await;
        assert_eq!(fails(&dialer, port).await, error);
    }
}

#[tokio::test]
async fn only_the_very_certificate_that_is_installed_is_trusted_as_its_own_authority() {
    let installed = self_signed(&its_own_authority(HOST)).0;
    let twin = tls_server(self_signed(&its_own_authority(HOST))).await;
    assert_eq!(
        fails(&trusting(&installed), twin).await,
        DialError::UnknownIssuer { host: host() }
    );
    // One that a trusted authority signed may sign others, but is no server's.
    let authority = Authority::new();
    let port = tls_server(authority.sign(&its_own_authority(HOST))).await;
    assert_eq!(
        fails(&authority.dialer(), port).await,
        DialError::AuthorityAsServer { host: host() }
    );
}

#[tokio::test]
async fn a_server_that_does_not_send_its_whole_chain_is_named_as_such() {
    let root = Authority::new();
    let (between, stranger) = (root.below(), Authority::new());
    let signed = || between.sign(&certificate_for(HOST));
    let (certificate, key) = signed();
    let whole = tls_server_sending(vec![certificate, between.certificate()], key).await;
    root.dialer().connect(&secure_url(whole)).await.unwrap();

    let alone = tls_server(signed()).await;
    let (certificate, key) = signed();
    let with_a_strangers = tls_server_sending(vec![certificate, stranger.certificate()], key).await;
    for port in [alone, with_a_strangers] {
        let error = fails(&root.dialer(), port).await;
        assert_eq!(error, DialError::ChainIncomplete { host: host() });
        assert!(error.to_string().contains("does not send its whole chain"));
    }
    // The whole chain of somebody whom this machine does not know is no fault of the chain.
    assert_eq!(
        fails(&stranger.dialer(), whole).await,
        DialError::UnknownIssuer { host: host() }
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_made_for_a_server_is_named_as_such() {
    let authority = Authority::new();
    let mut for_clients = certificate_for(HOST);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let port = tls_server(authority.sign(&for_clients)).await;
    assert_eq!(
        fails(&authority.dialer(), port).await,
        DialError::WrongPurpose { host: host() }
    );
}

#[tokio::test]
async fn a_certificate_that_names_no_host_is_named_as_such() {
    let authority = Authority::new();
    let mut nameless = CertificateParams::new(Vec::new()).unwrap();
    nameless.distinguished_name.push(DnType::CommonName, HOST);
    let port = tls_server(authority.sign(&nameless)).await;
    assert_eq!(
        fails(&authority.dialer(), port).await,
        DialError::CertificateNameless { host: host() }
    );
}

/// What TLS 1.0 answers to somebody who speaks 1.2 and 1.3 only: alert 70, `protocol_version`.
#[tokio::test]
async fn a_server_whose_tls_is_too_old_is_named_as_such() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(&[21, 3, 1, 0, 2, 2, 70]).await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(
        fails(&Authority::new().dialer(), port).await,
        DialError::TlsTooOld { host: host() }
    );
}

#[tokio::test]
async fn an_authority_that_is_installed_while_it_runs_is_trusted_with_the_next_dial() {
    let (authority, installed) = (Authority::new(), Arc::new(Mutex::new(Vec::new())));
    let reads = Arc::new(Mutex::new(0));
    let dialer = {
        let (installed, reads) = (Arc::clone(&installed), Arc::clone(&reads));
        at_home(Dialer::default()).with_authorities(move || {
            *reads.lock().unwrap() += 1;
            installed.lock().unwrap().clone()
        })
    };
    let port = tls_server(authority.sign(&certificate_for(HOST))).await;
    // A clone, as REST and the socket have one each.
    fails(&dialer.clone(), port).await;
    installed.lock().unwrap().push(authority.certificate());
    for _ in 0..3 {
        dialer.connect(&secure_url(port)).await.unwrap();
    }
    assert_eq!(
        *reads.lock().unwrap(),
        2,
        "what is trusted is not read for every dial"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_named_as_such() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = tcp.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(
        fails(&Authority::new().dialer(), port).await,
        DialError::NotTls { host: host() }
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_is_named_as_such() {
    let (listener, port) = listen().await;
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    assert_eq!(
        fails(&Authority::new().dialer(), port).await,
        DialError::HungUp { host: host() }
    );
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_ended() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let _mute = listener.accept().await;
        std::future::pending::<()>().await;
    });
    let budgets = Budgets {
        tls: Duration::from_millis(50),
        ..Budgets::default()
    };
    let error = fails(&at_home(Dialer::new(budgets)), port).await;
    assert_eq!(
        error,
        DialError::TimedOut {
            host: host(),
            step: Step::Tls
        }
    );
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let (listener, port) = listen().await;
    drop(listener);
    assert_eq!(
        fails(&at_home(Dialer::default()), port).await,
        DialError::Refused { host: host() }
    );
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_named_as_such_after_5_s() {
    let dialer = Dialer::default().with_resolver(|_| std::future::pending());
    let asked = tokio::time::Instant::now();
    assert_eq!(
        fails(&dialer, 443).await,
        DialError::ResolverSilent { host: host() }
    );
    assert!(
        asked.elapsed() <= Duration::from_millis(5_010),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_name_without_an_address_does_not_exist() {
    let nowhere = Dialer::default().with_resolver(async |_| Ok(Vec::new()));
    assert_eq!(fails(&nowhere, 443).await, DialError::NoSuchHost { host: host() });
    let failing = Dialer::default().with_resolver(async |_| Err(io::Error::other("no such name")));
    assert_eq!(fails(&failing, 443).await, DialError::NoSuchHost { host: host() });
}

#[tokio::test]
async fn an_address_that_refuses_does_not_hide_one_that_answers() {
    let (listener, port) = listen().await;
    let two = Dialer::default().with_resolver(async |_| {
        Ok(vec![
            SocketAddr::from(([0_u16, 0, 0, 0, 0, 0, 0, 1], 0)),
            SocketAddr::from(([127, 0, 0, 1], 0)),
        ])
    });
    let url: Url = format!("ws://{HOST}:{port}/").parse().unwrap();
    let (dialled, accepted) = tokio::join!(two.connect(&url), listener.accept());
    dialled.unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn names_below_localhost_are_this_machine_whatever_a_name_server_says() {
    let (listener, port) = listen().await;
    let dialer = Dialer::default().with_resolver(|_| std::future::pending());
    let url: Url = format!("http://shop.localhost:{port}/").parse().unwrap();
    let (connected, accepted) = tokio::join!(dialer.connect(&url), listener.accept());
    assert!(connected.is_ok() && accepted.is_ok());
}
