//! The merchant's own code to scan: any text they give, drawn by the qrcode crate.

use qrcode::{Color, EcLevel, QrCode};
use serde::Serialize;

use crate::screen::view::PayCode;

/// A text that does not fit into a QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename = "pay-code-too-long")]
#[error("This pay code is too long for a QR code: use a shorter one.")]
pub struct TooLong {}

/// Draws `text`; `None` when there is nothing to draw.
///
/// # Errors
/// When the text does not fit.
pub fn draw(text: &str) -> Result<Option<PayCode>, TooLong> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    // LNURL and BOLT12 offers are case-insensitive and much denser in capitals.
    let dense = ["lnurl1", "lno1"]
        .iter()
        .any(|prefix| text.to_ascii_lowercase().starts_with(prefix));
    let encoded = if dense {
        text.to_ascii_uppercase()
    } else {
        text.to_owned()
    };
    let code = QrCode::with_error_correction_level(&encoded, EcLevel::M).map_err(|_| TooLong {})?;
    let modules = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(modules).enumerate() {
        let mut x = 0;
        while x < modules {
            let dark = row[x..].iter().take_while(|color| **color == Color::Dark).count();
            if dark > 0 {
                path.push_str(&format!("M{x} {y}h{dark}v1h-{dark}z"));
            }
            x += dark.max(1);
        }
    }
    Ok(Some(PayCode {
        text: text.to_owned(),
        modules: u32::try_from(modules).unwrap_or(u32::MAX),
        path,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lightning_address_becomes_a_code() {
        let code = draw(" shop@example.com ").unwrap().unwrap();
        assert_eq!(code.text, "shop@example.com");
        assert!(code.modules >= 21 && code.path.starts_with("M0 0h7v1h-7z"));
    }

    #[test]
    fn no_text_is_no_code_and_a_novel_is_too_long() {
        assert_eq!(draw("  "), Ok(None));
        assert_eq!(draw(&"novel ".repeat(1_000)), Err(TooLong {}));
    }
}
