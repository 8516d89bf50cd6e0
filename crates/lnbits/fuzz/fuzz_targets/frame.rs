//! A WebSocket text message, from whomever.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbell_lnbits::{Reading, Text, frame};

fuzz_target!(|text: &str| {
    if let Reading::Hint(hint) = frame::read(text) {
        let memo = hint.memo.as_str();
        assert_eq!(
            Text::clean(memo).as_str(),
            memo,
            "a memo crossed the border unclean"
        );
        assert_eq!(hint.payment_hash.to_string().len(), 64);
    }
});
