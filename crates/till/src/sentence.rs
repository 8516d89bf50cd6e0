//! What is said to people: a code with its arguments, and how it reads in English.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use ts_rs::TS;

/// What is said to people. Programs, and pages in other languages, go by the code and its arguments.
///
/// `{"code":"no-such-host","args":{"host":"pay.example.com"},"text":"No server called pay.example.com was found: …"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Sentence {
    /// Which sentence it is, in kebab-case. It stays the same from version to version.
    pub code: String,
    /// What it speaks of, by name.
    #[ts(type = "Record<string, unknown>")]
    pub args: BTreeMap<String, Value>,
    /// How it reads in English.
    pub text: String,
}

/// Something that can be said: it serialises as an object whose `code` is a string and whose other fields are its arguments, and
/// displays as it reads in English.
pub trait Say: Serialize + fmt::Display {
    /// Says it.
    fn say(&self) -> Sentence {
        let fields = serde_json::to_value(self).ok();
        let mut args: BTreeMap<_, _> = match fields {
            Some(Value::Object(fields)) => fields.into_iter().collect(),
            Some(_) | None => BTreeMap::new(),
        };
        let code = match args.remove("code") {
            Some(Value::String(code)) => code,
            // What has a name that is no UTF-8 among its arguments, say.
            Some(_) | None => "other".to_owned(),
        };
        Sentence {
            code,
            args,
            text: self.to_string(),
        }
    }
}

impl<T: Serialize + fmt::Display> Say for T {}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// For an argument that is a path.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// For an argument that is the system's own word for what went wrong.
pub(crate) fn shown<T: fmt::Display, S: Serializer>(shown: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(shown)
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::dial::{DialError, Step};
    use tillbell_lnbits::link::Lost;
    use tillbell_lnbits::pairing::PairingError;
    use tillbell_lnbits::rest::RestError;
    use tillbell_lnbits::server::ServerError;

    use super::*;

    #[test]
    fn an_error_is_said_with_its_code_its_arguments_and_in_english() {
        let host = "pay.example.com".to_owned();
        let error = DialError::TimedOut {
            host,
            step: Step::Tls,
        };
        let said = serde_json::to_value(error.say()).unwrap();
        let expected = serde_json::json!({
            "code": "no-connection-in-time",
            "args": {"host": "pay.example.com", "step": "tls"},
            "text": "pay.example.com did not answer in time (the TLS handshake): check that the server is up.",
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn an_error_within_an_error_has_its_own_code() {
        let dialled = || DialError::NoSuchHost {
            host: "a.example".to_owned(),
        };
        for said in [RestError::from(dialled()).say(), Lost::from(dialled()).say()] {
            assert_eq!(said, dialled().say());
        }
        assert_eq!(PairingError::from(ServerError::NotWeb).say().code, "not-web");
    }

    #[test]
    fn what_cannot_wait_forever_says_no_more_than_that() {
        let busy = RestError::Busy {
            retry_after: Some(std::time::Duration::from_secs(5)),
        };
        assert_eq!((busy.say().code.as_str(), busy.say().args.len()), ("busy", 0));
    }
}
