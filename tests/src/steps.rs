//! A payment's steps through a display, read from the log that `TILLBELL_LOG=warn,json,steps` asks for.

use jiff::Timestamp;
use serde_json::Value;

/// What the log calls a step.
const TARGET: &str = "tillbell::steps";

/// What a display that is to tell its steps gets as `TILLBELL_LOG`.
pub const LOG: &str = "warn,json,steps";

/// A step. It is of a payment (the first eight digits of its hash), of a showing, or of both: then it ties them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    at: Timestamp,
    name: String,
    payment: Option<String>,
    showing: Option<u64>,
}

/// Every step that a display has logged.
#[derive(Debug, Clone, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Those of this log. Lines of other kinds are passed over.
    #[must_use]
    pub fn read(log: &str) -> Self {
        Self(log.lines().filter_map(read).collect())
    }

    /// The steps of the payment with this hash, each with the milliseconds since then, in the order of time. What came more
    /// than once counts when it came first.
    #[must_use]
    pub fn of(&self, payment_hash: &str, since: Timestamp) -> Vec<(String, f64)> {
        let is_named = |step: &&Step| {
            let named = step.payment.as_deref();
            named.is_some_and(|named| !named.is_empty() && payment_hash.starts_with(named))
        };
        let showing = self.0.iter().filter(is_named).find_map(|step| step.showing);
        let is_shown = |step: &Step| step.payment.is_none() && step.showing == showing && showing.is_some();
        let mut found = Vec::<(String, f64)>::new();
        for step in &self.0 {
            let is_its = is_named(&step) || is_shown(step);
            if is_its && !found.iter().any(|(name, _)| *name == step.name) {
                let after = step.at.duration_since(since).as_secs_f64() * 1e3;
                found.push((step.name.clone(), after));
            }
        }
        found.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        found
    }
}

fn read(line: &str) -> Option<Step> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line.get("target")? != TARGET {
        return None;
    }
    let fields = line.get("fields")?;
    Some(Step {
        at: line.get("timestamp")?.as_str()?.parse().ok()?,
        name: fields.get("step")?.as_str()?.to_owned(),
        payment: fields.get("payment").and_then(Value::as_str).map(str::to_owned),
        showing: fields.get("showing").and_then(Value::as_u64),
    })
}

#[cfg(test)]
mod tests {
    use super::Steps;

    const LOG: &str = r#"
{"timestamp":"2026-11-24T14:03:00.001500Z","level":"TRACE","fields":{"step":"framed","payment":"0123abcd"},"target":"tillbell::steps"}
{"timestamp":"2026-11-24T14:03:00.001700Z","level":"TRACE","fields":{"step":"framed","payment":"ffffffff"},"target":"tillbell::steps"}
{"timestamp":"2026-11-24T14:03:00.004000Z","level":"WARN","fields":{"message":"something else"},"target":"tillbell_till"}
Gtk-Message: this is no JSON
{"timestamp":"2026-11-24T14:03:00.005000Z","level":"TRACE","fields":{"step":"staged","payment":"0123abcd","showing":7},"target":"tillbell::steps"}
{"timestamp":"2026-11-24T14:03:00.006000Z","level":"TRACE","fields":{"step":"sent","showing":7},"target":"tillbell::steps"}
{"timestamp":"2026-11-24T14:03:00.007000Z","level":"TRACE","fields":{"step":"sent","showing":8},"target":"tillbell::steps"}
{"timestamp":"2026-11-24T14:03:00.009000Z","level":"TRACE","fields":{"step":"sent","showing":7},"target":"tillbell::steps"}
"#;

    #[test]
    fn the_steps_of_one_payment_are_followed_through_its_showing() {
        let hash = format!("0123abcd{}", "0".repeat(56));
        let since = "2026-11-24T14:03:00Z".parse().unwrap();
        let steps = Steps::read(LOG).of(&hash, since);
        let expected = [("framed", 1.5), ("staged", 5.0), ("sent", 6.0)];
        assert_eq!(steps, expected.map(|(name, after)| (name.to_owned(), after)));
    }

    #[test]
    fn a_payment_that_was_never_shown_has_the_steps_before() {
        let hash = "f".repeat(64);
        let since = "2026-11-24T14:03:00Z".parse().unwrap();
        let steps = Steps::read(LOG).of(&hash, since);
        assert_eq!(steps, [("framed".to_owned(), 1.7)]);
    }
}
