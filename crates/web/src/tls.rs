//! TLS: a certificate of our own small authority, renewed by itself, or the merchant's.
//!
//! The authority is made once and lies in the profile. It may only vouch for this machine's names and for addresses of private networks,
//! and for no other authority. A tablet that trusts it trusts nothing else by that.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tillbell_till::clock::Clock;
use tillbell_till::files::replace;
use tillbell_till::store::profile::Profile;
use tokio_rustls::TlsAcceptor;

use crate::names::{Names, in_the_network};

/// The authority is good for this long.
const AUTHORITY_LASTS: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// Browsers take no certificate that is good for longer than 398 days.
const LASTS: SignedDuration = SignedDuration::from_hours(395 * 24);
/// It is renewed after this.
const RENEWED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Clocks of tablets may be behind.
const EARLIER: SignedDuration = SignedDuration::from_hours(24);
/// How often the merchant's own files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificates {
    /// Our own authority's, in this profile.
    Own(Profile),
    /// The merchant's, in PEM: the chain, and its key.
    Files(PathBuf, PathBuf),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{} cannot be read or written: {error}.", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What a file holds.
    #[error("{} is no certificate, or no key, in PEM: {error}.", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Key and certificate do not fit, or one of them is of a kind that is not known.
    #[error("The certificate and the key cannot be used: {0}.")]
    Unusable(String),
}

fn unusable(error: impl ToString) -> TlsError {
    TlsError::Unusable(error.to_string())
}

/// A certificate for whoever connects.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's, as browsers show it; `None` for a merchant's own.
    pub(crate) fingerprint: Option<String>,
}

impl Tls {
    /// With these certificates, for this machine's names.
    pub(crate) fn new(
        certificates: &Certificates,
        names: Names,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let source = match certificates {
            Certificates::Own(profile) => {
                Source::Own(Box::new(Authority::open(profile, clock.now().wall)?), names)
            }
            Certificates::Files(chain, key) => Source::Files(chain.clone(), key.clone()),
        };
        let fingerprint = match &source {
            Source::Own(authority, _) => Some(authority.fingerprint()),
            Source::Files(..) => None,
        };
        let resolver = Resolver {
            current: Mutex::new(source.make(clock.now().wall)?),
            source,
            clock,
        };
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint,
        })
    }
}

enum Source {
    Own(Box<Authority>, Names),
    Files(PathBuf, PathBuf),
}

/// A certificate in use.
struct Current {
    key: Arc<CertifiedKey>,
    made: Timestamp,
    /// What it was made for, or from.
    of: Of,
}

#[derive(Debug, PartialEq, Eq)]
enum Of {
    Address(Option<IpAddr>),
    Files(Option<SystemTime>),
}

impl Source {
    fn make(&self, now: Timestamp) -> Result<Current, TlsError> {
        let of = self.of();
        let key = match (self, &of) {
            (Self::Own(authority, names), Of::Address(address)) => {
                authority.vouch_for(names, *address, now)?
            }
            (Self::Own(authority, names), Of::Files(_)) => authority.vouch_for(names, None, now)?,
            (Self::Files(chain, key), _) => read(chain, key)?,
        };
        Ok(Current {
            key: Arc::new(key),
            made: now,
            of,
        })
    }

    fn of(&self) -> Of {
        match self {
            Self::Own(..) => Of::Address(in_the_network()),
            Self::Files(chain, _) => Of::Files(fs::metadata(chain).and_then(|file| file.modified()).ok()),
        }
    }
}

impl Current {
    fn is_old(&self, source: &Source, now: Timestamp) -> bool {
        let age = now.duration_since(self.made);
        match self.of {
            Of::Address(_) => age >= RENEWED || self.of != source.of(),
            Of::Files(_) => {
                age >= SignedDuration::try_from(LOOK).unwrap_or(RENEWED) && self.of != source.of()
            }
        }
    }
}

/// Renews what is old when somebody connects.
struct Resolver {
    source: Source,
    current: Mutex<Current>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.clock.now().wall;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_old(&self.source, now) {
            match self.source.make(now) {
                Ok(fresh) => *current = fresh,
                Err(error) => tracing::warn!(%error, "the certificate stays as it is"),
            }
        }
        Some(current.key.clone())
    }
}

fn read(chain: &PathBuf, key: &PathBuf) -> Result<CertifiedKey, TlsError> {
    let pem = |path: &PathBuf, error: &dyn ToString| TlsError::Pem {
        path: path.clone(),
        error: error.to_string(),
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem(chain, &error))?;
    if certificates.is_empty() {
        return Err(pem(chain, &"there is none in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| pem(key, &error))?;
    certified(certificates, &private)
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<CertifiedKey, TlsError> {
    let certified = CertifiedKey::new(chain, any_supported_type(key).map_err(unusable)?);
    certified.keys_match().map_err(unusable)?;
    Ok(certified)
}

// ── Our own authority ──────────────────────────────────────────────────────────────────────────────

struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The profile's; made when there is none, or when it is no longer good for long.
    fn open(profile: &Profile, now: Timestamp) -> Result<Self, TlsError> {
        let (key_file, file) = (profile.authority_key_file(), profile.authority_file());
        let made = fs::metadata(&file).and_then(|file| file.modified()).ok();
        let made = made.and_then(|made| Timestamp::try_from(made).ok());
        let is_old = made.is_some_and(|made| now.duration_since(made) > AUTHORITY_LASTS - 2 * LASTS);
        if let (Ok(key), Ok(certificate)) = (
            fs::read_to_string(&key_file),
            CertificateDer::from_pem_file(&file),
        ) && let Ok(key) = KeyPair::from_pem(&key)
            && !is_old
        {
            return Ok(Self { key, certificate });
        }
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = params(&key, now)
            .and_then(|params| params.self_signed(&key))
            .map_err(unusable)?;
        let write = |path: PathBuf, text: &str| {
            replace(&path, text.as_bytes()).map_err(|error| TlsError::File { path, error })
        };
        write(key_file, &key.serialize_pem())?;
        write(file, &certificate.pem())?;
        Ok(Self {
            key,
            certificate: certificate.der().clone(),
        })
    }

    /// SHA-256, as browsers show it.
    fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.certificate);
        let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// A certificate for this machine.
    fn vouch_for(
        &self,
        names: &Names,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<CertifiedKey, TlsError> {
        let key = KeyPair::generate().map_err(unusable)?;
        let made = || {
            let day = |at| {
                let (year, month, day) = day_of(at);
                rcgen::date_time_ymd(year, month, day)
            };
            let mut leaf = CertificateParams::default();
            leaf.distinguished_name = rcgen::DistinguishedName::new();
            leaf.distinguished_name.push(DnType::CommonName, "Tillbell");
            (leaf.not_before, leaf.not_after) = (day(now - EARLIER), day(now + LASTS));
            leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            for name in names.all().iter().filter(|name| is_local(name)) {
                leaf.subject_alt_names
                    .push(SanType::DnsName(name.as_str().try_into()?));
            }
            let loopback = [
                IpAddr::from([127, 0, 0, 1]),
                IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
            ];
            let addresses = loopback.into_iter().chain(address.filter(is_private));
            leaf.subject_alt_names.extend(addresses.map(SanType::IpAddress));
            let issuer = Issuer::new(params(&self.key, now)?, &self.key);
            leaf.signed_by(&key, &issuer)
        };
        let leaf = made().map_err(|error: rcgen::Error| unusable(error))?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(unusable)?;
        certified(vec![leaf.der().clone(), self.certificate.clone()], &private)
    }
}

/// What an authority with this key is.
fn params(key: &KeyPair, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let day = |at| {
        let (year, month, day) = day_of(at);
        rcgen::date_time_ymd(year, month, day)
    };
    let mut params = CertificateParams::new(Vec::new())?;
    // Each has its own name: a browser that knows several would take the wrong one.
    let id = hex::encode(&Sha256::digest(key.public_key_raw())[..4]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Tillbell {id}"));
    (params.not_before, params.not_after) = (day(now - EARLIER), day(now + AUTHORITY_LASTS));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let dns = LOCAL
        .map(|name| GeneralSubtree::DnsName(name.to_owned()))
        .into_iter();
    let addresses = PRIVATE
        .iter()
        .map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *prefix)));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: dns.chain(addresses).collect(),
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

/// Names that are nobody's on the Internet. What this machine is called may change; what the authority may vouch for does not.
const LOCAL: [&str; 2] = ["localhost", "local"];

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".local")
}

/// Networks that are nobody's on the Internet (RFC 1918, 3927, 4193, 4291), and this very machine.
const PRIVATE: [(IpAddr, u8); 8] = [
    (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
    (
        IpAddr::V6(std::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)),
        7,
    ),
    (
        IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)),
        10,
    ),
];

fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
    }
}

/// Year, month and day in UTC.
fn day_of(at: Timestamp) -> (i32, u8, u8) {
    let day = at.to_zoned_datetime(TimeZone::UTC).date();
    let part = |part: i8| u8::try_from(part).unwrap_or(1);
    (day.year().into(), part(day.month()), part(day.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_certificate_is_renewed_after_a_month_and_when_this_machines_address_changes() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let authority = Authority::open(&Profile::at(folder.path()), now).unwrap();
        let source = Source::Own(Box::new(authority), Names::of_this_machine());
        let mut current = source.make(now).unwrap();
        assert!(!current.is_old(&source, now + RENEWED - SignedDuration::from_secs(1)));
        assert!(current.is_old(&source, now + RENEWED));
        current.of = Of::Address(Some(IpAddr::from([10, 7, 7, 7])));
        assert!(current.is_old(&source, now));
    }

    #[test]
    fn an_address_on_the_internet_is_not_vouched_for() {
        for (address, ours) in [
            ("192.168.1.5", true),
            ("10.0.0.1", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
            ("172.32.0.1", false),
        ] {
            assert_eq!(is_private(&address.parse().unwrap()), ours, "{address}");
        }
    }
}
