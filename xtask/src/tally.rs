//! Counting what the test runners say of themselves.

/// Passed and failed tests, over all runners.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u32,
    /// Tests that failed.
    pub(crate) failed: u32,
}

impl Tally {
    /// Adds what a summary line says; other lines say nothing.
    pub(crate) fn hear(&mut self, line: &str) {
        let line = plain(line);
        let line = line.trim();
        // `test result: ok. 12 passed; 0 failed; …` (cargo) or `Tests  1 failed | 12 passed (13)` (Vitest)
        let counts = line
            .strip_prefix("test result:")
            .or_else(|| line.strip_prefix("Tests  "));
        for part in counts
            .into_iter()
            .flat_map(|counts| counts.split([';', '|', '.']))
        {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                _ => {}
            }
        }
    }

    /// Counts a check that is not a test runner's.
    pub(crate) fn count(&mut self, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// The line without its colours.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('m').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn heard(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.hear(line);
        }
        tally
    }

    #[test]
    fn both_runners_are_understood() {
        let tally = heard(&[
            "running 3 tests",
            "test a ... ok",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            " Test Files  3 passed (3)",
            "      \u{1b}[2mTests\u{1b}[22m  \u{1b}[1m1 failed\u{1b}[22m | 8 passed (9)",
        ]);
        assert_eq!(
            tally,
            Tally {
                passed: 20,
                failed: 2
            }
        );
    }
}
