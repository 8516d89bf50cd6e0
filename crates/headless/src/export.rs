//! `export --csv`: the record of payments, for a spreadsheet.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tillbell_till::ledger::{Entry, Ledger, Snapshot, WalletRow};
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
    /// Begin with a byte order mark: Excel takes a file without one for something else than UTF-8
    #[arg(long)]
    bom: bool,
}

/// The columns; new ones are added at the end.
///
/// | column | holds |
/// |---|---|
/// | `heard_at`, `settled_at`, `created_at`, `announced_at` | RFC 3339, UTC: for programs |
/// | `arrived_local` | when it arrived, as a spreadsheet reads it: `2026-11-24 14:03:00` by this machine's time zone |
/// | `amount_msat` | millisatoshis, a whole number |
/// | `amount_sat` | sats: `21`; or `1500E-3` where they are no whole number (see [`number`]) |
/// | `method` | `lightning`, `card`, `cash` or `other` |
/// | `fiat_currency`, `fiat_amount` | what was paid by card or in cash: `EUR` and `3`, or `112E-2`; empty where the row has none |
const COLUMNS: &[&str] = &[
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
    "arrived_local",
];

pub(crate) fn run(profile: &Profile, arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let zone = TimeZone::system();
    let span = Span::read(arguments.from.as_deref(), arguments.to.as_deref(), &zone)?;
    let path = profile.ledger_file();
    anyhow::ensure!(
        path.exists(),
        "There is no record yet: it begins with the first pairing."
    );
    let snapshot = Snapshot::of(&path)?;
    let ledger = snapshot.ledger();
    let names = names(profile, ledger)?;
    if let Some(wallet) = &arguments.wallet
        && !names.values().any(|name| name == wallet)
    {
        let known: Vec<_> = names.values().map(|name| format!("“{name}”")).collect();
        anyhow::bail!(
            "The record knows no wallet called “{wallet}”. It knows: {}.",
            known.join(", ")
        );
    }
    let mut out = begin(io::stdout().lock(), arguments.bom).context("writing the heading")?;
    ledger.for_each(|server, entry| -> anyhow::Result<()> {
        let wallet = names.get(&entry.wallet).map_or("", String::as_str);
        let is_wanted = arguments.wallet.as_deref().is_none_or(|wanted| wanted == wallet);
        if is_wanted && span.holds(entry.arrived_at()) {
            out.write_record(row(server, wallet, entry, &zone))?;
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

/// Writes what stands above the rows.
fn begin<W: Write>(mut out: W, bom: bool) -> csv::Result<csv::Writer<W>> {
    if bom {
        out.write_all("\u{feff}".as_bytes())?;
    }
    let mut out = csv::Writer::from_writer(out);
    out.write_record(COLUMNS)?;
    Ok(out)
}

fn row(server: &str, wallet: &str, entry: &Entry, zone: &TimeZone) -> [String; COLUMNS.len()] {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let arrived = entry.arrived_at().to_zoned_datetime(zone.clone());
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
        number(entry.amount.0, 3),
        harmless(&entry.memo),
        harmless(entry.comment.as_deref().unwrap_or_default()),
        verdict.to_owned(),
        kind.to_owned(),
        entry.payment_hash.to_string(),
        harmless(entry.checking_id.as_deref().unwrap_or_default()),
        harmless(server),
        time(entry.announced_at),
        harmless(wallet),
        entry.method.as_str().to_owned(),
        entry
            .fiat
            .map_or_else(String::new, |fiat| fiat.currency().to_string()),
        entry.fiat.map_or_else(String::new, |fiat| {
            let (units, digits) = fiat.smallest_units();
            number(units, digits)
        }),
        arrived.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    ]
}

/// So many units, of which `digits` stand after the point, as a number that every spreadsheet reads right, whatever its language.
///
/// `1.500` is one and a half in English and fifteen hundred in German, `1,500` the other way round, and `1.12` is the first of
/// December. Written with an exponent it is the same number everywhere: 1,500 msat are `1500E-3` sats, 1.12 EUR are `112E-2`.
fn number(units: u64, digits: u8) -> String {
    let whole = 10_u64.pow(digits.into());
    if units.is_multiple_of(whole) {
        (units / whole).to_string()
    } else {
        format!("{units}E-{digits}")
    }
}

/// What begins a formula in some spreadsheet; also as a form of full width, or small.
const SIGNS: [char; 13] = [
    '=', '+', '-', '@', '\u{2212}', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\u{fe66}', '\u{fe62}',
    '\u{fe63}', '\u{fe6b}',
];

/// What ends a cell or a row for some program. A control character does, too.
const ENDS: [char; 5] = [',', ';', '|', '\u{2028}', '\u{2029}'];

/// A spreadsheet runs a cell that begins like a formula. So a sign gets a quote in front where a cell may begin: at the start, and
/// behind whatever another program may take for a separator, for that may split the text there, quoted or not. What such a program
/// skips before it looks (white space, quotes, what is not to be seen) hides no sign. Control characters become spaces.
///
/// `Coffee;=1+1;` becomes `Coffee;'=1+1;`.
fn harmless(text: &str) -> String {
    let is_skipped = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{2064}' | '\u{feff}')
    };
    let mut harmless = String::with_capacity(text.len());
    let mut may_begin = true;
    for c in text.chars() {
        if may_begin && SIGNS.contains(&c) {
            harmless.push('\'');
        }
        may_begin = ENDS.contains(&c) || c.is_control() || (may_begin && is_skipped(c));
        harmless.push(if c.is_control() { ' ' } else { c });
    }
    harmless
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};
    use tillbell_lnbits::{Currency, Fiat, Method, Msat};
    use tillbell_till::ledger::Seq;

    use super::*;

    /// A payment on which strangers wrote this.
    fn entry(memo: &str, comment: &str, msat: u64) -> Entry {
        let noon: Timestamp = "2026-11-24T13:03:00.25Z".parse().unwrap();
        Entry {
            seq: Seq(1),
            wallet: WalletRow(1),
            verdict: Verdict::Verified,
            kind: Kind::Live,
            amount: Msat(msat),
            method: Method::Lightning,
            fiat: None,
            memo: memo.to_owned(),
            comment: Some(comment.to_owned()),
            payment_hash: "ab".repeat(32).parse().unwrap(),
            checking_id: Some(memo.to_owned()),
            created_at: None,
            settled_at: Some(noon),
            heard_at: noon,
            announced_at: None,
        }
    }

    fn file(entry: &Entry, bom: bool) -> Vec<u8> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let mut out = begin(Vec::new(), bom).unwrap();
        out.write_record(row("https://pay.example.com/", &entry.memo, entry, &zone))
            .unwrap();
        out.into_inner().unwrap()
    }

    fn cell(entry: &Entry, column: &str) -> String {
        let file = file(entry, false);
        let mut reader = csv::Reader::from_reader(file.as_slice());
        let place = reader.headers().unwrap().iter().position(|name| name == column);
        let row = reader.records().next().unwrap().unwrap();
        row[place.unwrap()].to_owned()
    }

    /// The cells as a program sees them that splits at this byte, and heeds quotes or does not.
    fn cells(file: &[u8], separator: u8, quoting: bool) -> Vec<String> {
        let reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .quoting(quoting)
            .has_headers(false)
            .flexible(true)
            .from_reader(file);
        let rows = reader.into_byte_records().map(Result::unwrap);
        rows.flat_map(|row| {
            row.iter()
                .map(|cell| String::from_utf8_lossy(cell).into_owned())
                .collect::<Vec<_>>()
        })
        .collect()
    }

    fn runs(cell: &str) -> bool {
        let cell = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '"');
        cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_wherever_a_program_splits(
            memo in "[a=+@＝－;,|\"' \t\r\n\0\u{a0}\u{200b}-]{0,12}",
            comment in "[a=+@＝－;,|\"' \t\r\n\0\u{a0}\u{200b}-]{0,12}",
        ) {
            let file = file(&entry(&memo, &comment, 21_000), false);
            for separator in *b",;\t|" {
                for quoting in [true, false] {
                    let formula = cells(&file, separator, quoting).into_iter().find(|cell| runs(cell));
                    prop_assert_eq!(formula, None, "split at {}", char::from(separator));
                }
            }
        }
    }

    #[test]
    fn a_sign_gets_a_quote_where_a_cell_may_begin_and_nowhere_else() {
        for (memo, written) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("Coffee;=1+1;", "Coffee;'=1+1;"),
            ("a| \"@b\t-c", "a| \"'@b '-c"),
            ("\0＝1", " '＝1"),
            ("Coffee", "Coffee"),
            (
                "2-1 + 1 = 2, or so; at cafe@example.com",
                "2-1 + 1 = 2, or so; at cafe@example.com",
            ),
        ] {
            assert_eq!(cell(&entry(memo, "", 1), "memo"), written);
        }
    }

    #[test]
    fn amounts_are_the_same_numbers_in_every_language() {
        for (msat, sat) in [
            (21_000, "21"),
            (0, "0"),
            (1_500, "1500E-3"),
            (1, "1E-3"),
            (2_100_000_000_000_000_000, "2100000000000000"),
        ] {
            let entry = entry("", "", msat);
            assert_eq!(cell(&entry, "amount_sat"), sat);
            assert_eq!(cell(&entry, "amount_msat"), msat.to_string());
            let read: f64 = sat.parse().unwrap();
            assert!(
                (read * 1_000.0 - msat as f64).abs() < 0.5,
                "{sat} is read as {read}"
            );
        }
    }

    #[test]
    fn how_it_was_paid_stands_there_and_fiat_is_the_same_number_in_every_language() {
        let lightning = entry("", "", 21_000);
        assert_eq!(cell(&lightning, "method"), "lightning");
        assert_eq!(cell(&lightning, "fiat_currency"), "");
        assert_eq!(cell(&lightning, "fiat_amount"), "");
        for (method, currency, amount, written) in [
            (Method::Card, "EUR", "1.12", "112E-2"),
            (Method::Cash, "EUR", "3.00", "3"),
            (Method::Card, "EUR", "0.05", "5E-2"),
            (Method::Other, "JPY", "1500", "1500"),
            (Method::Cash, "KWD", "1.500", "1500E-3"),
        ] {
            let fiat = Fiat::new(Currency::new(currency).unwrap(), amount);
            let paid = Entry {
                method,
                fiat,
                ..entry("", "", 21_000)
            };
            assert_eq!(cell(&paid, "method"), method.as_str());
            assert_eq!(cell(&paid, "fiat_currency"), currency);
            assert_eq!(cell(&paid, "fiat_amount"), written);
            let (read, meant): (f64, f64) = (written.parse().unwrap(), amount.parse().unwrap());
            assert!((read - meant).abs() < 1e-9, "{written} is read as {read}");
        }
    }

    #[test]
    fn times_stand_there_for_programs_and_for_spreadsheets() {
        let entry = entry("", "", 1);
        assert_eq!(cell(&entry, "settled_at"), "2026-11-24T13:03:00.25Z");
        assert_eq!(cell(&entry, "arrived_local"), "2026-11-24 14:03:00");
    }

    #[test]
    fn a_byte_order_mark_stands_first_when_it_is_asked_for() {
        let entry = entry("Café", "", 1);
        let (with, without) = (file(&entry, true), file(&entry, false));
        assert_eq!(with.strip_prefix("\u{feff}".as_bytes()), Some(without.as_slice()));
        assert!(without.starts_with(b"heard_at,"));
        assert!(String::from_utf8(without).unwrap().contains("Café"));
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
