//! Encrypted and plain on one port: whom a browser trusts, and who may do what there.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tillbell_till::displays::DisplayRole;
use tillbell_till::store::profile::Profile;
use tillbell_web::Outside;
use tillbell_web::tls::Certificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::browser::Browser;
use crate::shop::{SOON, Shop, token_of};

/// A browser on a tablet that trusts this authority and nobody else.
fn trusting(authority: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn ask(shop: &Shop, tls: &TlsConnector, name: &str, request: &str) -> std::io::Result<String> {
    let connection = TcpStream::connect(shop.address()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = tls.connect(name, connection).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // An end without a farewell is one, too.
    let _ = timeout(SOON, connection.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn authority(shop: &Shop) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(shop.profile().authority_file()).unwrap()
}

fn own(profile: &Profile) -> Outside {
    with(Certificates::Own(profile.clone()))
}

fn with(certificates: Certificates) -> Outside {
    Outside {
        certificates: Some(certificates),
        ..Outside::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_works_from_another_machine_over_tls_and_not_without_it() {
    let shop = Shop::open_with(own).await;
    let tls = trusting(authority(&shop));
    let token = token_of(&shop.add(DisplayRole::Operator, "office").await);
    let host = "192.168.1.5:7878";
    let body = json!({"token": token, "nonce": "7".repeat(64)}).to_string();
    let join = format!(
        "POST /door/join HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let joined = ask(&shop, &tls, "127.0.0.1", &join).await.unwrap();
    assert!(joined.starts_with("HTTP/1.1 204"), "{joined}");
    let cookie = joined
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(
        cookie.starts_with("__Host-tillbell_") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();

    let me =
        format!("GET /door/me HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
    let known = ask(&shop, &tls, "127.0.0.1", &me).await.unwrap();
    assert!(known.contains(r#""name":"office""#), "{known}");
    // The same over plain http, on the same port: the cookie is none there.
    let mut plain = Browser::new(shop.address());
    assert_eq!(plain.get("/").await.status, 200);
    plain.cookie = Some(cookie.to_owned());
    assert_eq!(plain.get("/door/me").await.status, 401);
    plain.cookie = Some(cookie.trim_start_matches("__Host-").to_owned());
    let elsewhere = plain.send("GET", "/door/me", &[("Host", host)], "").await;
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (403, "not-private")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_over_plain_http_is_a_stranger_to_one_over_tls() {
    let shop = Shop::open_with(own).await;
    let tls = trusting(authority(&shop));
    let knock = |origin: &str| {
        let body = json!({"nonce": "7".repeat(64)}).to_string();
        format!(
            "POST /door/knock HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let from = async |origin| ask(&shop, &tls, "localhost", &knock(origin)).await.unwrap();
    assert!(from("http://localhost").await.starts_with("HTTP/1.1 403"));
    assert!(from("https://localhost").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_vouches_for_this_machine_and_for_nobody_else() {
    let shop = Shop::open_with(own).await;
    let tls = trusting(authority(&shop));
    let home = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for name in ["127.0.0.1", "localhost", "::1"] {
        assert!(
            ask(&shop, &tls, name, home)
                .await
                .unwrap()
                .starts_with("HTTP/1.1 200"),
            "{name}"
        );
    }
    for name in ["evil.example", "192.0.2.7", "localhost.evil.example"] {
        assert!(ask(&shop, &tls, name, home).await.is_err(), "{name}");
    }
    // Who has its key cannot vouch for a shop on the Internet, nor make another authority.
    let key = std::fs::read_to_string(shop.profile().authority_key_file()).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    assert_eq!(mode(&shop.profile().authority_key_file()), 0o600);
    let forged = forged_by(&key, &authority(&shop), "evil.example");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        forged.accept(connection).await.is_ok()
    });
    let connection = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("evil.example").unwrap();
    let refused = tls.connect(name, connection).await.unwrap_err();
    assert!(
        refused.to_string().contains("NameConstraintViolation"),
        "{refused}"
    );
    assert!(!server.await.unwrap());
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn forged_by(
    key: &rcgen::KeyPair,
    authority: &CertificateDer<'static>,
    name: &str,
) -> tokio_rustls::TlsAcceptor {
    let id = &hex::encode(<sha2::Sha256 as sha2::Digest>::digest(key.public_key_raw()))[..8];
    let mut issuer = rcgen::CertificateParams::default();
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    issuer
        .distinguished_name
        .push(rcgen::DnType::CommonName, format!("Tillbell {id}"));
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(issuer, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &issuer).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone(), authority.clone()],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_the_same_after_a_restart_and_its_fingerprint_is_shown() {
    let shop = Shop::open_with(own).await;
    let first = shop.web.fingerprint().unwrap().to_owned();
    assert_eq!(first.len(), 32 * 3 - 1);
    let again = tillbell_web::Web::open_with(
        shop.engine.clone(),
        Arc::new(tillbell_till::clock::SystemClock::default()),
        "127.0.0.1:0".parse().unwrap(),
        &own(&shop.profile()),
    );
    assert_eq!(again.unwrap().fingerprint(), Some(first.as_str()));
    assert!(shop.web.addresses().operators.starts_with("https://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_own_certificate_is_shown_and_one_that_is_none_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["till.shop.example".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = Certificates::Files(chain.clone(), key.clone());
    let shop = Shop::open_with(|_| with(files.clone())).await;
    let tls = trusting(made.cert.der().clone());
    let home = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page = ask(&shop, &tls, "till.shop.example", home).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert_eq!(shop.web.fingerprint(), None);

    for (wrong, words) in [
        (Certificates::Files(key.clone(), key.clone()), "key.pem"),
        (Certificates::Files(chain.clone(), chain.clone()), "chain.pem"),
        (
            Certificates::Files(folder.path().join("nothing.pem"), key),
            "nothing.pem",
        ),
    ] {
        let refused = tillbell_web::Web::open_with(
            shop.engine.clone(),
            Arc::new(tillbell_till::clock::SystemClock::default()),
            "127.0.0.1:0".parse().unwrap(),
            &with(wrong),
        );
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}
