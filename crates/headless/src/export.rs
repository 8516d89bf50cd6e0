//! `export --csv`: the record of payments, for a spreadsheet.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tillbell_till::ledger::{Entry, Ledger, WalletRow};
use tillbell_till::screen::view::{Kind, Verdict};
use tillbell_till::store::pairings;
use tillbell_till::store::profile::Profile;

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// As comma-separated values
    #[arg(long, required = true)]
    csv: bool,
    /// What arrived in this wallet only; one that is not paired any more goes by what stands in the column `wallet`
    #[arg(long, value_name = "NAME")]
    wallet: Option<String>,
    /// What arrived on this day or later, by this machine's time zone: 2026-11-24
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// What arrived on this day or before
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
}

/// The columns; new ones are added at the end.
const COLUMNS: [&str; 17] = [
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
    "wallet",
    "method",
    "fiat_currency",
    "fiat_amount",
];

pub(crate) fn run(profile: &Profile, arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let span = Span::read(
        arguments.from.as_deref(),
        arguments.to.as_deref(),
        &TimeZone::system(),
    )?;
    let path = profile.ledger_file();
    anyhow::ensure!(
        path.exists(),
        "There is no record yet: it begins with the first pairing."
    );
    let ledger = Ledger::open(&path)?;
    let names = names(profile, &ledger)?;
    if let Some(wallet) = &arguments.wallet
        && !names.values().any(|name| name == wallet)
    {
        let known: Vec<_> = names.values().map(|name| format!("“{name}”")).collect();
        anyhow::bail!(
            "The record knows no wallet called “{wallet}”. It knows: {}.",
            known.join(", ")
        );
    }
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    out.write_record(COLUMNS).context("writing the heading")?;
    ledger.for_each(|server, entry| -> anyhow::Result<()> {
        let wallet = names.get(&entry.wallet).map_or("", String::as_str);
        let is_wanted = arguments.wallet.as_deref().is_none_or(|wanted| wanted == wallet);
        if is_wanted && span.holds(entry.arrived_at()) {
            out.write_record(row(server, wallet, entry))?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What to call each wallet of the record: its name, or its reference where it is not paired any more.
fn names(profile: &Profile, ledger: &Ledger) -> anyhow::Result<BTreeMap<WalletRow, String>> {
    let paired = pairings::read(profile).unwrap_or_else(|error| {
        tracing::warn!(%error, "the pairings cannot be read: wallets go by their references");
        Vec::new()
    });
    let named = |(row, server, reference): (WalletRow, String, String)| {
        let is_it =
            |paired: &&pairings::Paired| paired.server.as_str() == server && paired.reference == reference;
        let name = paired.iter().find(is_it).map(|paired| paired.name.clone());
        (row, name.unwrap_or(reference))
    };
    Ok(ledger.wallets()?.into_iter().map(named).collect())
}

/// The time from the beginning of one day to the end of another.
#[derive(Debug, Default, PartialEq)]
struct Span {
    from: Option<Timestamp>,
    /// The first moment after it.
    until: Option<Timestamp>,
}

impl Span {
    fn read(from: Option<&str>, to: Option<&str>, zone: &TimeZone) -> anyhow::Result<Self> {
        let (from, to) = (from.map(day).transpose()?, to.map(day).transpose()?);
        if let (Some(from), Some(to)) = (from, to) {
            anyhow::ensure!(
                from <= to,
                "Nothing arrived between {from} and {to}: --from must not be after --to."
            );
        }
        let begins = |day: Date| anyhow::Ok(day.to_zoned_datetime(zone.clone())?.timestamp());
        Ok(Self {
            from: from.map(begins).transpose()?,
            // After the last day that there is comes none.
            until: to.and_then(|day| day.tomorrow().ok()).map(begins).transpose()?,
        })
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

fn day(text: &str) -> anyhow::Result<Date> {
    let is_plain = text.len() == "2026-11-24".len();
    Date::strptime("%Y-%m-%d", text)
        .ok()
        .filter(|_| is_plain)
        .with_context(|| format!("“{text}” is no date. Write it as year, month and day: 2026-11-24."))
}

fn row(server: &str, wallet: &str, entry: &Entry) -> [String; 17] {
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
        harmless(wallet),
        entry.method.as_str().to_owned(),
        entry
            .fiat
            .map_or_else(String::new, |fiat| fiat.currency().to_string()),
        entry.fiat.map_or_else(String::new, |fiat| fiat.amount()),
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
    use super::*;

    #[test]
    fn a_memo_is_never_a_formula() {
        assert_eq!(harmless("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(harmless("Coffee"), "Coffee");
    }

    #[test]
    fn days_are_those_of_the_time_zone_and_the_last_one_is_included() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let span = Span::read(Some("2026-11-24"), Some("2026-11-25"), &zone).unwrap();
        for (at, is_in) in [
            ("2026-11-23T21:59:59Z", false),
            ("2026-11-23T22:00:00Z", true),
            ("2026-11-25T21:59:59.999Z", true),
            ("2026-11-25T22:00:00Z", false),
        ] {
            assert_eq!(span.holds(at.parse().unwrap()), is_in, "{at}");
        }
        let all = Span::read(None, Some("9999-12-31"), &zone).unwrap();
        assert_eq!(all, Span::default());
    }

    #[test]
    fn what_is_no_date_is_said() {
        for text in [
            "",
            "today",
            "2026-02-30",
            "2026-1-2",
            "24.11.2026",
            "2026-11-24T14:00",
            "20261124",
        ] {
            let error = Span::read(Some(text), None, &TimeZone::UTC)
                .unwrap_err()
                .to_string();
            assert!(error.contains("2026-11-24"), "{text}: {error}");
        }
        let error = Span::read(Some("2026-11-25"), Some("2026-11-24"), &TimeZone::UTC).unwrap_err();
        assert!(error.to_string().contains("--from"), "{error}");
    }
}
