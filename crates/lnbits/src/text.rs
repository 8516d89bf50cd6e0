//! Text from outside, cleaned once, at the border.

use std::fmt;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// Text that somebody else wrote, made safe to show: no controls, no bidi overrides or isolates, no tag
/// characters, a bounded number of combining marks per letter, a bounded length; white space folded.
///
/// Only cleaning makes one, and cleaning what is clean changes nothing. Markup is not touched: `<b>` is
/// text, and whoever shows it must show it as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The longest text kept, in characters. LNbits takes memos of up to 640.
    pub const MAX_CHARS: usize = 640;

    /// The longest name kept, in characters: of a wallet, of a display.
    pub const MAX_NAME: usize = 60;

    /// The longest piece of a server's error message kept, in characters.
    pub const MAX_ERROR: usize = 160;

    /// Cleans `raw` and keeps at most [`Text::MAX_CHARS`] characters.
    #[must_use]
    pub fn clean(raw: &str) -> Self {
        Self::clean_to(raw, Self::MAX_CHARS)
    }

    /// Cleans `raw` and keeps at most `max_chars` characters (Unicode scalar values); where something was
    /// cut off, the last of them is an ellipsis.
    #[must_use]
    pub fn clean_to(raw: &str, max_chars: usize) -> Self {
        if raw.len() <= max_chars && is_plain(raw) {
            return Self(raw.to_owned());
        }
        // What one pass drops can bring two characters together that compose, so passes go on until nothing
        // changes. They end: each that changes more than the normal form leaves fewer characters.
        let mut text = pass(raw, max_chars);
        loop {
            let again = pass(&text, max_chars);
            if again == text {
                return Self(text);
            }
            text = again;
        }
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Marks that may be stacked on one letter. Hebrew with points and cantillation, Thai, Vietnamese and
/// Burmese stay within four; text that climbs out of its line does not. Spacing marks are not counted: they
/// stand beside their letter.
const MAX_MARKS: usize = 4;

/// Characters beyond the wanted length that are still cleaned, so that a cut finds its border.
const LOOK_AHEAD: usize = 64;

/// ASCII that needs no cleaning: most memos, and all that the decoder's speed depends on.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|b| (b' '..=b'~').contains(b))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
        && !bytes.windows(2).any(|pair| pair == b"  ")
}

/// One round of cleaning: drop what hides, normalise (NFC), then judge each character by its neighbours.
fn pass(raw: &str, max_chars: usize) -> String {
    let mut line = Line::default();
    let mut kept = 0;
    for c in raw.chars().filter(|&c| !is_hidden(c)).nfc() {
        kept += usize::from(line.push(c));
        if kept > max_chars.saturating_add(LOOK_AHEAD) {
            break;
        }
    }
    shorten(line.out, max_chars)
}

/// White space in the wide sense: also the Braille pattern without dots, which is nothing to see.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// Characters that are never kept, wherever they stand: they show nothing, or they change how others show.
fn is_hidden(c: char) -> bool {
    if is_space(c) || matches!(c, ZWJ | ZWNJ) {
        return false;
    }
    match c.general_category() {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::Surrogate
        | GeneralCategory::PrivateUse => true,
        GeneralCategory::Unassigned => {
            let noncharacter = matches!(c, '\u{FDD0}'..='\u{FDEF}') || (c as u32) & 0xFFFE == 0xFFFE;
            let ignorable = matches!(c, '\u{2065}' | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}');
            noncharacter || ignorable
        }
        // Variation selectors other than those of emoji, the grapheme joiner, Hangul and Khmer fillers.
        GeneralCategory::NonspacingMark => matches!(
            c,
            '\u{34F}' | '\u{17B4}' | '\u{17B5}' | '\u{FE00}'..='\u{FE0D}' | '\u{E0100}'..='\u{E01EF}'
        ),
        GeneralCategory::OtherLetter => matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}'),
        GeneralCategory::UppercaseLetter
        | GeneralCategory::LowercaseLetter
        | GeneralCategory::TitlecaseLetter
        | GeneralCategory::ModifierLetter
        | GeneralCategory::SpacingMark
        | GeneralCategory::EnclosingMark
        | GeneralCategory::DecimalNumber
        | GeneralCategory::LetterNumber
        | GeneralCategory::OtherNumber
        | GeneralCategory::ConnectorPunctuation
        | GeneralCategory::DashPunctuation
        | GeneralCategory::OpenPunctuation
        | GeneralCategory::ClosePunctuation
        | GeneralCategory::InitialPunctuation
        | GeneralCategory::FinalPunctuation
        | GeneralCategory::OtherPunctuation
        | GeneralCategory::MathSymbol
        | GeneralCategory::CurrencySymbol
        | GeneralCategory::ModifierSymbol
        | GeneralCategory::OtherSymbol
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::SpaceSeparator => false,
    }
}

const ZWJ: char = '\u{200D}';
const ZWNJ: char = '\u{200C}';

/// Text or emoji presentation of the emoji before it.
fn is_presentation(c: char) -> bool {
    matches!(c, '\u{FE0E}' | '\u{FE0F}')
}

fn is_stacking(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    )
}

fn is_mark(c: char) -> bool {
    is_stacking(c) || c.general_category() == GeneralCategory::SpacingMark
}

/// Scripts whose letters change shape by their neighbours: Arabic to Indic and their later kin. Between
/// Latin letters a joiner only hides.
fn is_shaping(c: char) -> bool {
    let script = matches!(c, '\u{600}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}' | '\u{10A00}'..='\u{11FFF}' | '\u{1E900}'..='\u{1E95F}');
    script && (c.is_alphabetic() || is_mark(c))
}

/// Emoji that joiners join; digits are emoji too, but only of keycaps.
fn is_pictograph(c: char) -> bool {
    !c.is_ascii() && c.is_emoji_char()
}

/// What is kept, and what must be known of it to judge the next character.
#[derive(Default)]
struct Line {
    out: String,
    last: Option<char>,
    /// A joiner that waits for something to join.
    joiner: Option<char>,
    /// White space that waits for something to part.
    space: bool,
    /// Marks stacked on the last letter.
    marks: usize,
}

impl Line {
    /// Takes `c`, or not; true when the line grew.
    fn push(&mut self, c: char) -> bool {
        if is_space(c) {
            self.space = true;
            self.joiner = None;
            return false;
        }
        let last = if self.space { None } else { self.last };
        if matches!(c, ZWJ | ZWNJ) {
            // After a virama a joiner chooses the letter's form even when no letter follows.
            match last {
                Some(virama) if canonical_combining_class(virama) == 9 => self.put(c),
                Some(_) => self.joiner = self.joiner.or(Some(c)),
                None => {}
            }
            return self.last == Some(c);
        }
        let joiner = self.joiner.take();
        if is_presentation(c) {
            let fits = last.is_some_and(|last| last.is_emoji_char());
            if fits {
                self.put(c);
            }
            return fits;
        }
        if is_stacking(c) {
            // A mark without its letter would settle on whatever is shown before the text.
            if last.is_none() || self.marks == MAX_MARKS {
                return false;
            }
            self.marks += 1;
        } else if !is_mark(c) {
            self.marks = 0;
        }
        if std::mem::take(&mut self.space) && !self.out.is_empty() {
            self.put(' ');
        }
        if let (Some(joiner), Some(last)) = (joiner, last)
            && joins(last, joiner, c)
        {
            self.put(joiner);
        }
        self.put(c);
        true
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.last = Some(c);
    }
}

/// True when `joiner` has something to do between its neighbours.
fn joins(before: char, joiner: char, after: char) -> bool {
    let emoji = (is_pictograph(before) || is_presentation(before)) && is_pictograph(after);
    (joiner == ZWJ && emoji) || (is_shaping(before) && is_shaping(after))
}

/// Cuts `text` to `max_chars`, the ellipsis included, where a reader would not notice half a character.
fn shorten(text: String, max_chars: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= max_chars {
        return text;
    }
    let Some(room) = max_chars.checked_sub(1) else {
        return String::new();
    };
    let border = (0..=room)
        .rev()
        .find(|&at| is_border(&chars, at))
        .filter(|&at| at > 0);
    let mut short: String = chars.iter().take(border.unwrap_or(room)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// True when the characters before and after `at` do not belong together.
fn is_border(chars: &[char], at: usize) -> bool {
    let (before, after) = chars.split_at(at);
    let Some(&next) = after.first() else { return true };
    let joined = before.last().is_some_and(|&last| matches!(last, ZWJ | ZWNJ));
    let flags = before.iter().rev().take_while(|&&c| is_flag_half(c)).count();
    let extends = is_mark(next)
        || matches!(next, ZWJ | ZWNJ | '\u{1F3FB}'..='\u{1F3FF}')
        || (is_flag_half(next) && flags % 2 == 1);
    !joined && !extends
}

fn is_flag_half(c: char) -> bool {
    matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::is_nfc;

    use super::*;

    fn clean(raw: &str) -> String {
        Text::clean(raw).0
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in [
            "Coffee",
            "Espresso ☕ <b>bold</b>",
            "2 × Käse, 1 € Trinkgeld",
            "Phở Việt Nam",
            "กาแฟร้อนที่ร้าน",
            "हिन्दी में धन्यवाद",
            "मृत्युंजय क्‍ष",
            "می‌خواهم",
            "ශ්‍රී ලංකා",
            "ကြွို့ မြို့",
            "שָׁלוֹם",
            "コーヒー 二つ",
            "👨‍👩‍👧 ❤️‍🔥 👩🏽‍🚀 🏳️‍🌈 1️⃣ 🇨🇭",
        ] {
            assert_eq!(clean(text), text.nfc().collect::<String>(), "{text}");
        }
    }

    #[test]
    fn controls_vanish_and_white_space_folds_into_one_space() {
        assert_eq!(clean("a\0b\u{7}c\u{1b}[31m\u{9b}"), "abc[31m");
        assert_eq!(
            clean("\r\n one \t\n two\u{a0}\u{3000}three\u{2028}\u{2800} "),
            "one two three"
        );
    }

    #[test]
    fn what_turns_or_hides_text_vanishes() {
        let hiding = [
            0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0x200E, 0x200F, 0x61C,
            0x200B, 0x2060, 0xFEFF, 0xAD, 0xFFF9, 0xFFFA, 0xFFFB, 0xE0001, 0xE0041, 0xE007F, 0xE0100,
            0xE01EF, 0xFE01, 0x34F, 0x3164, 0xE000, 0xF8FF, 0x10FFFD, 0xFDD0, 0xFFFE, 0x1FFFF, 0x2065,
            0x180E,
        ];
        for hidden in hiding {
            let hidden = char::from_u32(hidden).unwrap();
            assert_eq!(
                clean(&format!("1000{hidden} sat")),
                "1000 sat",
                "U+{:04X}",
                hidden as u32
            );
        }
    }

    #[test]
    fn joiners_stay_only_where_they_join() {
        assert_eq!(clean("pay\u{200D}ment \u{200C}now\u{200D}"), "payment now");
        assert_eq!(
            clean("👨\u{200D}\u{200D}👩 👨\u{200D} 1\u{200D}2"),
            "👨\u{200D}👩 👨 12"
        );
        assert_eq!(
            clean("a\u{FE0F} ☕\u{FE0F}\u{FE0F}"),
            "a ☕\u{FE0F}\u{FE0F}".replace("\u{FE0F}\u{FE0F}", "\u{FE0F}")
        );
        assert_eq!(
            clean("അവന്\u{200D}"),
            "അവന്\u{200D}",
            "an old-style chillu at the end of a word"
        );
    }

    #[test]
    fn a_flag_made_with_tags_keeps_its_base() {
        assert_eq!(
            clean("🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}!"),
            "🏴!"
        );
    }

    #[test]
    fn marks_do_not_climb_out_of_their_line() {
        let tower = format!("e{}", "\u{301}\u{316}".repeat(40));
        let marks = |text: &str| text.chars().filter(|&c| is_mark(c)).count();
        assert!(marks(&clean(&tower)) <= MAX_MARKS);
        let fenced = format!("क{}", "\u{301}\u{200D}\u{93E}".repeat(40));
        assert!(
            clean(&fenced).chars().filter(|&c| is_stacking(c)).count() <= MAX_MARKS,
            "nothing resets the count"
        );
        assert_eq!(clean("\u{301}\u{302}x"), "x", "a mark needs a letter");
    }

    #[test]
    fn composed_and_decomposed_spellings_become_one() {
        assert_eq!(clean("Cafe\u{301}"), "Café");
        assert_eq!(
            clean("Cafe\u{200B}\u{301}"),
            "Café",
            "also when something hid between them"
        );
        assert_eq!(clean("Cafe\u{FE0F}\u{301}"), "Café");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_and_never_in_half_a_character() {
        assert_eq!(clean(&"x".repeat(640)).len(), 640);
        let cut = clean(&"x".repeat(641));
        assert_eq!(cut.chars().count(), 640);
        assert!(cut.ends_with("x…"));
        assert_eq!(Text::clean_to("one two", 5).as_str(), "one…");
        assert_eq!(Text::clean_to("ab👨‍👩‍👧cd", 5).as_str(), "ab…");
        assert_eq!(Text::clean_to("a🇨🇭🇩🇪", 4).as_str(), "a🇨🇭…");
        assert_eq!(Text::clean_to("ab", 1).as_str(), "…");
        assert_eq!(Text::clean_to("ab", 0).as_str(), "");
    }

    #[test]
    fn a_huge_text_is_cleaned_quickly() {
        let started = std::time::Instant::now();
        let tower = format!("e{}", "\u{301}".repeat(500_000));
        assert_eq!(clean(&tower).chars().next(), Some('é'));
        assert!(started.elapsed().as_secs() < 5);
    }

    fn nasty() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(
            "eu1क़्་\u{64B}\u{301}\u{308}\u{304}\u{31B}\u{316}\u{327}\u{94D}\u{93C}\u{9BE}\u{9C7}\u{200B}\u{200C}\u{200D}\u{FE0F}\u{202E}\
             \u{2800}\u{1100}\u{1161}\u{1160}\u{11A8}\u{16D67}\u{16D63}\u{1F3FB}\u{1F1E8}❤👨☕🏴\u{E0067} \n"
                .chars()
                .collect::<Vec<_>>(),
        );
        prop::collection::vec(prop_oneof![8 => nasty, 1 => any::<char>()], 0..60)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn cleaning_twice_is_cleaning_once(raw in nasty(), max in 0usize..40) {
            let once = Text::clean_to(&raw, max);
            prop_assert_eq!(&Text::clean_to(once.as_str(), max), &once);
            prop_assert_eq!(Text::clean(once.as_str()), once);
        }

        #[test]
        fn clean_text_is_normal_bounded_and_trimmed(raw in nasty(), max in 0usize..40) {
            let text = Text::clean_to(&raw, max);
            prop_assert!(text.as_str().chars().count() <= max);
            prop_assert!(is_nfc(text.as_str()));
            prop_assert_eq!(text.as_str().trim(), text.as_str());
            prop_assert!(!text.as_str().chars().any(is_hidden));
        }

        #[test]
        fn anything_can_be_cleaned(raw in any::<String>()) {
            let _ = Text::clean(&raw);
        }
    }
}
