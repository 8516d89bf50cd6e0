//! What a merchant pastes or scans.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbell_lnbits::Pairing;
use tillbell_lnbits::pairing::Credential;

fuzz_target!(|text: &str| {
    match text.parse::<Pairing>() {
        Ok(pairing) => {
            // Only what the server's own address says may stand in both.
            let shown = format!("{pairing:?}").replace(pairing.server.as_str(), "");
            if let Credential::Key(key) | Credential::KeyOrWalletId(key, _) = &pairing.credential {
                let named = pairing
                    .name
                    .as_ref()
                    .is_some_and(|name| name.as_str().contains(key.reveal()));
                assert!(named || !shown.contains(key.reveal()), "a key in a log");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error without a word"),
    }
});
