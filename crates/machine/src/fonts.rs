//! Fonts for what customers write into memos.

use std::process::Command;

/// A script, and a character that only a font for it has.
const WANTED: [(&str, char); 4] = [
    ("emoji", '🥐'),
    ("Chinese and Japanese", '茶'),
    ("Korean", '한'),
    ("Arabic", 'ق'),
];

/// The scripts that no font here has.
///
/// # Errors
/// When fontconfig's `fc-list` cannot be run.
pub fn missing() -> std::io::Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for (script, character) in WANTED {
        if !is_there(character)? {
            missing.push(script);
        }
    }
    Ok(missing)
}

fn is_there(character: char) -> std::io::Result<bool> {
    let pattern = format!(":charset={:x}", u32::from(character));
    let listed = Command::new("fc-list").args([&pattern, "family"]).output()?;
    Ok(listed.stdout.iter().any(|byte| !byte.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::is_there;

    #[test]
    fn a_character_that_no_font_has_is_missing() {
        // A noncharacter: no font draws it.
        assert!(!is_there('\u{10ffff}').unwrap());
        assert!(is_there('a').unwrap());
    }
}
