//! Whom this machine trusts: its own judgement, and a word for each reason not to.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, OtherError,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use webpki::EndEntityCert;

use super::error::{DialError, cause};
use crate::Text;

/// How to speak TLS, and with whom. The certificates that this machine trusts are read when first needed, and anew after a server
/// was not trusted: somebody may install its authority while we run. Cheap to clone; clones share what was read.
#[derive(Clone, Default)]
pub(super) struct Tls {
    config: Arc<Mutex<Option<Arc<ClientConfig>>>>,
    others: Option<Others>,
}

/// Reads the certificates that are trusted beside the machine's own.
type Others = Arc<dyn Fn() -> Vec<CertificateDer<'static>> + Send + Sync>;

impl Tls {
    pub(super) fn with<F>(others: F) -> Self
    where
        F: Fn() -> Vec<CertificateDer<'static>> + Send + Sync + 'static,
    {
        Self {
            config: Arc::default(),
            others: Some(Arc::new(others)),
        }
    }

    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, DialError> {
        if let Some(config) = &*self.lock() {
            return Ok(Arc::clone(config));
        }
        // Reads some hundred files on Linux. Failure is not kept: the next attempt looks again.
        let others = self.others.clone();
        let config = tokio::task::spawn_blocking(move || read(others))
            .await
            .map_err(|_| DialError::NoAuthorities)?
            .map_err(|_| DialError::NoAuthorities)?;
        Ok(Arc::clone(self.lock().insert(Arc::new(config))))
    }

    /// Why a handshake with `host` failed. Where nobody is known who signed its certificate, the next one reads anew whom to trust.
    pub(super) fn failed(&self, host: &str, error: &io::Error) -> DialError {
        let error = insecure(host, error);
        if matches!(
            error,
            DialError::UnknownIssuer { .. } | DialError::ChainIncomplete { .. }
        ) {
            *self.lock() = None;
        }
        error
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<ClientConfig>>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn read(others: Option<Others>) -> Result<ClientConfig, rustls::Error> {
    // The provider is named here: with two of them in the build, rustls' default would panic.
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let others = others.map(|read| read()).unwrap_or_default();
    let verifier = CertificateVerifier {
        system: Verifier::new_with_extra_roots(others.iter().cloned(), Arc::clone(&ring))?,
        others,
    };
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The system's verifier. Beside it:
///
/// - A certificate that is its own authority, as most guides make them, is that of a server, too, where this machine trusts exactly
///   this one. Its dates and its name are checked like any other's.
/// - Two causes have names of their own, which the system's verifier does not tell apart.
#[derive(Debug)]
struct CertificateVerifier {
    system: Verifier,
    others: Vec<CertificateDer<'static>>,
}

/// What the system's verifier has no name for.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the chain is incomplete")]
    ChainIncomplete,
    #[error("an authority's certificate is used as a server's")]
    AuthorityAsServer,
}

impl From<Cause> for rustls::Error {
    fn from(cause: Cause) -> Self {
        CertificateError::Other(OtherError(Arc::new(cause))).into()
    }
}

impl CertificateVerifier {
    fn trusts_exactly(&self, shown: &CertificateDer<'_>) -> bool {
        let is_it = |trusted: &CertificateDer<'_>| trusted.as_ref() == shown.as_ref();
        // The verifier keeps only names and keys of what it trusts. So it is read again, with what was installed meanwhile.
        self.others.iter().any(is_it) || rustls_native_certs::load_native_certs().certs.iter().any(is_it)
    }
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let error = match self.system.verify_server_cert(shown, sent, name, ocsp, now) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let unknown = CertificateError::UnknownIssuer.into();
        if is_webpki(&error, &webpki::Error::CaUsedAsEndEntity) {
            // Its dates were checked before that was found.
            if self.trusts_exactly(shown) {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                return Ok(ServerCertVerified::assertion());
            }
            return Err(if is_issued_by(shown, shown) {
                unknown
            } else {
                Cause::AuthorityAsServer.into()
            });
        }
        let is_alone = || !is_issued_by(shown, shown) && !sent.iter().any(|above| is_issued_by(shown, above));
        if error == unknown && is_alone() {
            return Err(Cause::ChainIncomplete.into());
        }
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls12_signature(message, shown, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls13_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

/// True when `issuer` bears the name of who signed `certificate`. The names are compared, not the signature.
fn is_issued_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok(certificate), Ok(issuer)) = (
        EndEntityCert::try_from(certificate),
        EndEntityCert::try_from(issuer),
    ) else {
        return false;
    };
    certificate.issuer() == issuer.subject()
}

fn is_webpki(error: &rustls::Error, wanted: &webpki::Error) -> bool {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error {
        other.downcast_ref::<webpki::Error>() == Some(wanted)
    } else {
        false
    }
}

/// Why a handshake failed.
fn insecure(host: &str, error: &io::Error) -> DialError {
    let host = host.to_owned();
    // `source` of an `io::Error` skips the error that it wraps.
    let wrapped = error.get_ref().map(|wrapped| wrapped as &(dyn Error + 'static));
    let Some(tls) = wrapped.and_then(cause::<rustls::Error>) else {
        return DialError::HungUp { host };
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' errors are open-ended")]
    match tls {
        rustls::Error::InvalidCertificate(certificate) => untrusted(host, certificate, tls),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => DialError::NotTls { host },
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
        ) => DialError::TlsTooOld { host },
        _ => other(host, tls),
    }
}

/// Why a certificate is not trusted.
fn untrusted(host: String, certificate: &CertificateError, tls: &rustls::Error) -> DialError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' errors are open-ended")]
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            DialError::CertificateExpired { host }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            DialError::CertificateNotYetValid { host }
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            DialError::CertificateNameless { host }
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            DialError::WrongHost { host }
        }
        // A bad signature: its issuer bears a trusted one's name, and is another.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => DialError::UnknownIssuer { host },
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            DialError::WrongPurpose { host }
        }
        CertificateError::Revoked => DialError::CertificateRevoked { host },
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            DialError::WeakSignature { host }
        }
        CertificateError::Other(OtherError(found)) => match found.downcast_ref::<Cause>() {
            Some(Cause::ChainIncomplete) => DialError::ChainIncomplete { host },
            Some(Cause::AuthorityAsServer) => DialError::AuthorityAsServer { host },
            None if is_webpki(tls, &webpki::Error::UnsupportedCertVersion) => {
                DialError::CertificateTooOld { host }
            }
            // The system's verifier keeps this type to itself.
            None if format!("{found:?}") == "EkuError" => DialError::WrongPurpose { host },
            None => other(host, tls),
        },
        _ => other(host, tls),
    }
}

fn other(host: String, tls: &rustls::Error) -> DialError {
    DialError::TlsOther {
        host,
        reason: Text::clean_to(&tls.to_string(), Text::MAX_ERROR),
    }
}

#[cfg(test)]
mod tests {
    use rustls::PeerIncompatible;

    use super::*;

    fn said(tls: rustls::Error) -> DialError {
        insecure("h.example", &io::Error::other(tls))
    }

    #[test]
    fn each_reason_not_to_trust_a_certificate_has_its_own_sentence() {
        let host = || "h.example".to_owned();
        let by_webpki = |error| CertificateError::Other(OtherError(Arc::new(error)));
        let weak = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        };
        for (certificate, error) in [
            (weak, DialError::WeakSignature { host: host() }),
            (
                CertificateError::Revoked,
                DialError::CertificateRevoked { host: host() },
            ),
            (
                CertificateError::InvalidPurpose,
                DialError::WrongPurpose { host: host() },
            ),
            (
                CertificateError::BadSignature,
                DialError::UnknownIssuer { host: host() },
            ),
            (
                by_webpki(webpki::Error::UnsupportedCertVersion),
                DialError::CertificateTooOld { host: host() },
            ),
        ] {
            assert_eq!(said(certificate.into()), error);
        }
        let critical = by_webpki(webpki::Error::UnsupportedCriticalExtension);
        assert!(matches!(said(critical.into()), DialError::TlsOther { .. }));
        let old = PeerIncompatible::ServerDoesNotSupportTls12Or13;
        assert_eq!(said(old.into()), DialError::TlsTooOld { host: host() });
    }

    /// Whoever is not trusted is dialled again and again, and each time this is read anew.
    #[test]
    fn what_this_machine_trusts_is_read_within_a_moment() {
        let began = std::time::Instant::now();
        // A machine without any is as quick.
        let _ = read(None);
        assert!(
            began.elapsed() < std::time::Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}
