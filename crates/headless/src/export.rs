//! `export --csv`: the record of payments, for a spreadsheet.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use tillbell_till::ledger::{Entry, Ledger};
use tillbell_till::screen::view::{Kind, Verdict};
use tillbell_till::store::profile::Profile;

/// The columns; new ones are added at the end.
const COLUMNS: [&str; 13] = [
    "heard_at",
    "settled_at",
    "created_at",
    "amount_msat",
    "amount_sat",
    "memo",
    "comment",
    "verdict",
    "kind",
    "payment_hash",
    "checking_id",
    "server",
    "announced_at",
];

pub(crate) fn run(profile: &Profile) -> anyhow::Result<ExitCode> {
    let path = profile.ledger_file();
    anyhow::ensure!(
        path.exists(),
        "There is no record yet: it begins with the first pairing."
    );
    let ledger = Ledger::open(&path)?;
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    out.write_record(COLUMNS).context("writing the heading")?;
    ledger.for_each(|server, entry| -> anyhow::Result<()> {
        out.write_record(row(server, entry)).map_err(Into::into)
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn row(server: &str, entry: &Entry) -> [String; 13] {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let verdict = match entry.verdict {
        Verdict::Verified => "verified",
        Verdict::Reported => "reported",
    };
    let kind = match entry.kind {
        Kind::Live => "live",
        Kind::Late => "late",
    };
    [
        entry.heard_at.to_string(),
        time(entry.settled_at),
        time(entry.created_at),
        entry.amount.0.to_string(),
        format!("{}.{:03}", entry.amount.0 / 1_000, entry.amount.0 % 1_000),
        harmless(&entry.memo),
        harmless(entry.comment.as_deref().unwrap_or_default()),
        verdict.to_owned(),
        kind.to_owned(),
        entry.payment_hash.to_string(),
        harmless(entry.checking_id.as_deref().unwrap_or_default()),
        server.to_owned(),
        time(entry.announced_at),
    ]
}

/// A spreadsheet runs a cell that begins like a formula: what strangers wrote gets a quote in front.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_memo_is_never_a_formula() {
        assert_eq!(harmless("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(harmless("Coffee"), "Coffee");
    }
}
