//! A text as a QR code, made to be read from afar: as few modules as hold it.

use qrcode::bits::Bits;
use qrcode::types::QrResult;
use qrcode::{Color, EcLevel, QrCode, Version};

/// How many versions of QR codes there are; the last one has 177 modules a side.
const VERSIONS: i16 = 40;

/// Modules a side, and an SVG path of the dark ones, one unit each; `None` where no code holds the text.
pub(super) fn draw(text: &str) -> Option<(u32, String)> {
    let code = smallest(text)?;
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
    Some((u32::try_from(modules).ok()?, path))
}

/// The smallest code, with as much error correction as it has room for. On a screen nothing is torn or dirty, so large modules
/// count for more.
fn smallest(text: &str) -> Option<QrCode> {
    let smallest = encode(text, EcLevel::L).ok()?;
    let safer = [EcLevel::H, EcLevel::Q, EcLevel::M].into_iter();
    let safest = safer
        .filter_map(|level| encode(text, level).ok())
        .find(|code| code.width() == smallest.width());
    Some(safest.unwrap_or(smallest))
}

fn encode(text: &str, level: EcLevel) -> QrResult<QrCode> {
    if text.is_ascii() {
        return QrCode::with_error_correction_level(text, level);
    }
    // Some pairs of UTF-8 bytes could also be Shift JIS. The library would write them as that, and readers show them so.
    let of_version = |version| {
        let mut bits = Bits::new(Version::Normal(version));
        bits.push_byte_data(text.as_bytes())?;
        bits.push_terminator(level)?;
        QrCode::with_bits(bits, level)
    };
    (1..VERSIONS)
        .map(of_version)
        .find(Result::is_ok)
        .unwrap_or_else(|| of_version(VERSIONS))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What an independent reader finds in the drawing, at three pixels a module and with its quiet zone.
    pub(in crate::screen::pay_code) fn read(modules: u32, path: &str) -> String {
        const SCALE: usize = 3;
        let side = usize::try_from(modules).unwrap();
        let mut dark = vec![vec![false; side]; side];
        for run in path.split_terminator('z') {
            let number = |part: &str| part.parse::<usize>().unwrap();
            let (start, rest) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = start.split_once(' ').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            for module in &mut dark[number(y)][number(x)..][..number(length)] {
                *module = true;
            }
        }
        let at = |pixel: usize| (pixel / SCALE).checked_sub(4).filter(|module| *module < side);
        let whole = (side + 8) * SCALE;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(whole, whole, |x, y| {
            let is_dark = at(x).zip(at(y)).is_some_and(|(x, y)| dark[y][x]);
            if is_dark { 0 } else { 255 }
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn an_independent_reader_reads_what_was_drawn() {
        for text in [
            "lightning:shop@example.com",
            "BITCOIN:BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4?amount=0.001",
            "Beans ☕ 東京 ₿",
            &"novel ".repeat(200),
        ] {
            let (modules, path) = draw(text).unwrap();
            assert_eq!(read(modules, &path), text);
        }
    }

    #[test]
    fn a_code_has_as_few_modules_as_hold_its_text() {
        let side = |text: &str| draw(text).unwrap().0;
        assert_eq!(side("lightning:shop@example.com"), 25);
        assert_eq!(side(&"Q".repeat(1_300)), 101, "capitals");
        assert_eq!(side(&"q".repeat(1_300)), 121);
        assert_eq!(draw(&"novel ".repeat(1_000)), None);
    }
}
