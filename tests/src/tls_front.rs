//! A TLS front before a server, whose certificate can go bad while a display relies on it.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::Profile;
use crate::self_signed::acceptor;

/// What a front shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// A certificate as it should be.
    Good,
    /// One whose time is over.
    Expired,
    /// One whose time has not begun.
    NotYetValid,
    /// One for another name.
    AnotherName,
    /// One that it signed itself.
    SelfSigned,
}

/// HTTPS on `localhost` before a plain server on this machine.
pub struct TlsFront {
    port: u16,
    authority: CertifiedIssuer<'static, KeyPair>,
    bundle: PathBuf,
    /// For each new connection; the open ones end when it changes.
    shown: watch::Sender<TlsAcceptor>,
    _runtime: Runtime,
}

impl TlsFront {
    /// A front before this port, which the programs of this profile trust: its authority is the only one they know.
    ///
    /// # Errors
    /// When it cannot listen, or the authority's certificate cannot be written.
    pub fn before(port: u16, profile: &mut Profile) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let bundle = profile.home().join("authority.pem");
        std::fs::write(&bundle, authority.pem())?;
        profile.set("SSL_CERT_FILE", &bundle.display().to_string());
        let (shown, _) = watch::channel(certified(&authority, Shows::Good)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let front = Self {
            port: listener.local_addr()?.port(),
            authority,
            bundle,
            shown,
            _runtime: runtime,
        };
        let show = front.shown.clone();
        front._runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, port, show.subscribe()));
            }
        });
        Ok(front)
    }

    /// Shows another certificate from now on, and ends what is open.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn show(&self, certificate: Shows) -> anyhow::Result<()> {
        self.shown.send_replace(certified(&self.authority, certificate)?);
        Ok(())
    }

    /// The file of those whom the profile's programs trust.
    #[must_use]
    pub fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// The certificate of somebody who has nothing to do with it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn strangers_certificate() -> anyhow::Result<String> {
        let names = vec!["stranger.example.com".to_owned()];
        Ok(rcgen::generate_simple_self_signed(names)?.cert.pem())
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

fn certified(authority: &CertifiedIssuer<'static, KeyPair>, shows: Shows) -> anyhow::Result<TlsAcceptor> {
    let name = match shows {
        Shows::AnotherName => "other.example.com",
        Shows::Good | Shows::Expired | Shows::NotYetValid | Shows::SelfSigned => "localhost",
    };
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    match shows {
        Shows::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Shows::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
        Shows::Good => params.not_after = date_time_ymd(2100, 1, 1),
        Shows::AnotherName | Shows::SelfSigned => {}
    }
    let key = KeyPair::generate()?;
    let certificate = match shows {
        Shows::SelfSigned => params.self_signed(&key)?,
        Shows::Good | Shows::Expired | Shows::NotYetValid | Shows::AnotherName => {
            params.signed_by(&key, authority)?
        }
    };
    acceptor(&certificate, &key)
}

async fn pass_on(client: TcpStream, port: u16, mut shown: watch::Receiver<TlsAcceptor>) {
    let acceptor = shown.borrow_and_update().clone();
    let line = async {
        // It may trust none of this, or hang up.
        let mut client = acceptor.accept(client).await?;
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        _ended = line => {}
        _changed = shown.changed() => {}
    }
}
