//! A body that a server, or whoever answers in its place, sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbell_lnbits::rest::{Looked, Page};
use tillbell_lnbits::{PaymentRow, Text};

fuzz_target!(|body: &[u8]| {
    if let Ok(Looked::Ours(row)) = Looked::read(body) {
        check(&row);
    }
    if let Ok(page) = Page::read(body) {
        assert!(page.rows.len() <= page.sent as usize, "rows that nobody sent");
        page.rows.iter().for_each(check);
    }
});

fn check(row: &PaymentRow) {
    for text in [Some(&row.memo), row.comment.as_ref()].into_iter().flatten() {
        assert_eq!(
            Text::clean(text.as_str()),
            *text,
            "a text crossed the border unclean"
        );
    }
}
