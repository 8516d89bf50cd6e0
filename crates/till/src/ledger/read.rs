//! The ledger for who only reads while an engine writes: programs at the HTTP door.
//!
//! A [`Reader`] has a connection of its own that cannot write. In WAL mode it waits for no writer, and none waits for it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};
use tillbell_lnbits::{Fiat, Method, Msat};

use super::entry::{Entry, Seq, WalletRow};
use super::error::LedgerError;
use super::record::{self, Ledger};
use super::schema;

/// A search for less of a hash than this is one for words.
const DIGITS: usize = 6;
/// Of a span that holds no more than this every place is looked at for each page: some milliseconds.
const NARROW: i64 = 20_000;

const AFTER: &str = "SELECT * FROM payment WHERE seq > ?1 AND found <> 'silently' ORDER BY seq LIMIT ?2";
const SINCE: &str = concat!(
    "SELECT method, amount_msat, fiat_currency, fiat_amount FROM payment WHERE ",
    schema::arrived_us!(),
    " >= ?1"
);
const WITHIN: &str = concat!(
    "SELECT count(*) FROM (SELECT 1 FROM payment INDEXED BY payment_arrived WHERE ",
    schema::arrived_us!(),
    " >= ?1 AND ",
    schema::arrived_us!(),
    " < ?2 LIMIT ?3)"
);

/// The ledger, to be read.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
}

/// Which payments a page is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that arrived then or later …
    pub from: Option<Timestamp>,
    /// … and before this.
    pub until: Option<Timestamp>,
    /// Those of these wallets; `None` for all.
    pub wallets: Option<Vec<WalletRow>>,
    /// Those that are searched for.
    pub search: Option<Search>,
}

/// What is searched for. It is compared with every payment of the span and the wallets, newest first, until the page is full: no
/// index helps, and over a million payments that takes a second or so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Exactly so much.
    Amount(Msat),
    /// Hash or checking id begin with these digits.
    Id(String),
    /// The memo has words that begin with each of these. Capitals count as small letters where they are plain Latin ones.
    Words(Vec<String>),
}

/// Payments, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// So many as were asked for, if there were.
    pub entries: Vec<Entry>,
    /// The next page is of what comes after this; `None` on the last one.
    pub next: Option<Seq>,
}

/// What came, method by method. Several are never added up: sats, card and cash are not in one till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Every method, Lightning first.
    pub methods: Vec<MethodSum>,
    /// What customers paid in fiat, by method and currency.
    pub fiat: Vec<FiatSum>,
}

/// What came by one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodSum {
    /// Which.
    pub method: Method,
    /// So many payments.
    pub count: u64,
    /// In millisatoshis, as the server counts them.
    pub total: Msat,
}

/// What came in one currency by one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiatSum {
    /// How it was paid; never Lightning, whatever those sats were worth.
    pub method: Method,
    /// So many payments: those of the method whose fiat amount is known.
    pub count: u64,
    /// How much.
    pub total: Fiat,
}

impl Search {
    /// Reads what somebody typed; `None` where that is nothing. Digits are an amount in sats, six hex digits or more the beginning
    /// of a hash or checking id, and everything else is words.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More than there can be is an amount that nobody paid.
            let sats = text.parse().unwrap_or(u64::MAX);
            return Some(Self::Amount(Msat(sats.saturating_mul(1_000))));
        }
        if text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(Self::Id(text.to_owned()));
        }
        Some(Self::Words(text.split_whitespace().map(str::to_owned).collect()))
    }
}

impl Reader {
    /// Opens the ledger at `path`, which an engine has open. Before the first pairing there is none: then it is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            let Ledger { db, .. } = Ledger::in_memory()?;
            return Ok(Self { db });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(2))?;
        Ok(Self { db })
    }

    /// Every wallet that has a row, with its server and the reference of its pairing.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn wallets(&self) -> Result<Vec<(WalletRow, String, String)>, LedgerError> {
        record::wallets(&self.db)
    }

    /// The newest payments that are wanted, of those that were recorded before `after`. Pages follow each other without a gap
    /// while new payments come.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn page(&self, wanted: &Wanted, after: Option<Seq>, limit: u32) -> Result<Page, LedgerError> {
        let is_narrow = wanted.has_span() && self.is_narrow(wanted)?;
        let (sql, mut values) = wanted.query(is_narrow);
        values[0] = after.map_or(i64::MAX, |seq| seq.0).into();
        // One more says whether another page follows.
        values[1] = (i64::from(limit) + 1).into();
        let mut query = self.db.prepare(&sql)?;
        let rows = query.query_map(params_from_iter(values), record::read_entry)?;
        let mut entries: Vec<Entry> = rows.collect::<Result<_, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more).map(|last| last.seq);
        Ok(Page { entries, next })
    }

    /// True for a span that holds so few that its index is read as a whole for each page. Of a wider one the payments are read as
    /// they were recorded, which is nearly the order in which they arrived.
    fn is_narrow(&self, wanted: &Wanted) -> Result<bool, LedgerError> {
        let at = |at: Option<Timestamp>, open: i64| at.map_or(open, Timestamp::as_microsecond);
        let (from, until) = (at(wanted.from, i64::MIN), at(wanted.until, i64::MAX));
        let mut query = self.db.prepare(WITHIN)?;
        let held: i64 = query.query_row(params![from, until, NARROW + 1], |row| row.get(0))?;
        Ok(held <= NARROW)
    }

    /// What came since.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn sums(&self, since: Timestamp) -> Result<Sums, LedgerError> {
        let mut sums = Sums::default();
        let mut query = self.db.prepare(SINCE)?;
        let mut rows = query.query([since.as_microsecond()])?;
        while let Some(row) = rows.next()? {
            sums.add(record::method(row)?, record::amount(row)?, record::fiat(row)?);
        }
        sums.fiat.sort_by_key(|sum| (sum.method, sum.total.currency()));
        Ok(sums)
    }

    /// What was recorded after this payment, oldest first, so many at most. What was found silently is left out: most of it was
    /// told before the record was replaced by its copy.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn after(&self, seq: Seq, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        let mut query = self.db.prepare(AFTER)?;
        let entries = query.query_map(params![seq.0, limit], record::read_entry)?;
        Ok(entries.collect::<Result<_, _>>()?)
    }
}

impl Wanted {
    const fn has_span(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// Its query, and what stands for its parameters. The first two are for the place after which the page begins, and its length.
    fn query(&self, is_narrow: bool) -> (String, Vec<Value>) {
        let mut values = vec![Value::Null, Value::Null];
        let mut conditions = "seq < ?1".to_owned();
        let mut is_so = |condition: &str, value: Value| {
            values.push(value);
            let place = format!("?{}", values.len());
            conditions.push_str(" AND ");
            conditions.push_str(&condition.replace('?', &place));
        };
        let spans = [
            (self.from, concat!(schema::arrived_us!(), " >= ?")),
            (self.until, concat!(schema::arrived_us!(), " < ?")),
        ];
        for (at, condition) in spans {
            if let Some(at) = at {
                is_so(condition, at.as_microsecond().into());
            }
        }
        match &self.search {
            None => {}
            Some(Search::Amount(amount)) => {
                let amount = i64::try_from(amount.0).unwrap_or(-1);
                is_so("amount_msat = ?", amount.into());
            }
            Some(Search::Id(digits)) => is_so(
                "(payment_hash LIKE ? OR checking_id LIKE ?)",
                format!("{digits}%").into(),
            ),
            Some(Search::Words(words)) => {
                for word in words {
                    let pattern = format!("% {}%", plain(word));
                    is_so(r"' ' || memo LIKE ? ESCAPE '\'", pattern.into());
                }
            }
        }
        if let Some(wallets) = &self.wallets {
            let rows: Vec<_> = wallets.iter().map(|row| row.0.to_string()).collect();
            conditions.push_str(&format!(" AND wallet IN ({})", rows.join(", ")));
        }
        let order = "ORDER BY seq DESC";
        let sql = match (self.has_span(), is_narrow) {
            // The index has the places, too: of the whole span nothing else is read.
            (true, true) => format!(
                "SELECT * FROM payment WHERE seq IN
                 (SELECT seq FROM payment INDEXED BY payment_arrived WHERE {conditions} {order} LIMIT ?2) {order}"
            ),
            (true, false) => {
                format!("SELECT * FROM payment NOT INDEXED WHERE {conditions} {order} LIMIT ?2")
            }
            (false, _) => format!("SELECT * FROM payment WHERE {conditions} {order} LIMIT ?2"),
        };
        (sql, values)
    }
}

/// A word in which no letter means any other.
fn plain(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    plain
}

impl Default for Sums {
    /// Nothing came.
    fn default() -> Self {
        let nothing = |method| MethodSum {
            method,
            count: 0,
            total: Msat(0),
        };
        Self {
            methods: Method::ALL.map(nothing).into(),
            fiat: Vec::new(),
        }
    }
}

impl Sums {
    fn add(&mut self, method: Method, amount: Msat, fiat: Option<Fiat>) {
        for sum in self.methods.iter_mut().filter(|sum| sum.method == method) {
            sum.count += 1;
            sum.total = sum.total.saturating_add(amount);
        }
        // Whoever paid sats paid no fiat.
        let Some(fiat) = fiat.filter(|_| method != Method::Lightning) else {
            return;
        };
        for sum in self.fiat.iter_mut().filter(|sum| sum.method == method) {
            if let Some(total) = sum.total.checked_add(fiat) {
                sum.total = total;
                sum.count += 1;
                return;
            }
        }
        self.fiat.push(FiatSum {
            method,
            count: 1,
            total: fiat,
        });
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::civil::{Time, date};
    use jiff::tz::TimeZone;
    use tillbell_lnbits::{Currency, PaymentHash, PaymentRow, Server, Text};

    use super::*;
    use crate::day::ShopDays;
    use crate::payment::Found;
    use crate::wallet::verify::tests::row;
    use crate::wallet::verify::{Arrived, Verified};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon() -> Timestamp {
        at("2026-11-24T12:00:00Z")
    }

    fn wallet(ledger: &mut Ledger, name: &str) -> WalletRow {
        let server: Server = "https://pay.example.com".parse().unwrap();
        ledger.wallet(&server, name).unwrap()
    }

    fn hash(number: u16) -> PaymentHash {
        let mut hash = [0xab; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        PaymentHash(hash)
    }

    /// A sale of so many sats, settled then.
    fn sale(number: u16, sats: u64, settled: Timestamp) -> PaymentRow {
        let payment_hash = hash(number);
        PaymentRow {
            checking_id: tillbell_lnbits::CheckingId(payment_hash.to_string()),
            payment_hash,
            amount: Msat(sats * 1_000),
            created: settled,
            settled: Some(settled),
            ..row(1)
        }
    }

    fn paid_with(method: Method, fiat: Option<(&str, &str)>, sale: PaymentRow) -> PaymentRow {
        let fiat = fiat.and_then(|(currency, amount)| Fiat::new(Currency::new(currency)?, amount));
        PaymentRow { method, fiat, ..sale }
    }

    fn record(ledger: &mut Ledger, wallet: WalletRow, sale: PaymentRow, found: Found) -> Seq {
        let proof = Arrived::Verified(Verified::prove(sale, None, None).unwrap());
        ledger.record(wallet, &[(proof, found)], noon()).unwrap()[0].seq
    }

    fn reader(ledger: Ledger) -> Reader {
        let Ledger { db, .. } = ledger;
        Reader { db }
    }

    fn seqs(entries: &[Entry]) -> Vec<i64> {
        entries.iter().map(|entry| entry.seq.0).collect()
    }

    fn all(reader: &Reader, wanted: &Wanted) -> Vec<i64> {
        seqs(&reader.page(wanted, None, 1_000).unwrap().entries)
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_while_new_payments_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        let shop = wallet(&mut ledger, "a");
        for number in 1..=25 {
            record(&mut ledger, shop, sale(number, 1, noon()), Found::Live);
        }
        let reader = Reader::open(&path).unwrap();
        let (mut read, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = reader.page(&Wanted::default(), after, 10).unwrap();
            read.extend(seqs(&page.entries));
            record(&mut ledger, shop, sale(100 + pages, 1, noon()), Found::Live);
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, (1..=25).rev().collect::<Vec<_>>());
        assert_eq!(pages, 3);
        let whole = reader.page(&Wanted::default(), None, 28).unwrap();
        assert_eq!(
            (whole.entries.len(), whole.next),
            (28, None),
            "no empty page follows"
        );
    }

    #[test]
    fn a_span_is_of_when_payments_arrived_and_its_end_is_not_in_it() {
        let mut ledger = Ledger::in_memory().unwrap();
        let shop = wallet(&mut ledger, "a");
        let hour = |hour: i64| noon() + SignedDuration::from_hours(hour);
        let unsettled = |number, created| PaymentRow {
            settled: None,
            ..sale(number, 1, created)
        };
        record(&mut ledger, shop, sale(1, 1, hour(0)), Found::Live);
        record(&mut ledger, shop, sale(2, 1, hour(2)), Found::Live);
        // What is found late arrived when it was made, and what is found live when it was heard, at noon.
        record(&mut ledger, shop, unsettled(3, hour(-2)), Found::Late);
        record(&mut ledger, shop, unsettled(4, hour(-3)), Found::Silently);
        record(&mut ledger, shop, unsettled(5, hour(-4)), Found::Live);
        let reader = reader(ledger);
        for entry in reader.page(&Wanted::default(), None, 9).unwrap().entries {
            let alone = Wanted {
                from: Some(entry.arrived_at()),
                until: Some(entry.arrived_at() + SignedDuration::from_micros(1)),
                ..Wanted::default()
            };
            assert!(all(&reader, &alone).contains(&entry.seq.0), "{entry:?}");
        }
        let span = |from, until| Wanted {
            from,
            until,
            ..Wanted::default()
        };
        for is_narrow in [true, false] {
            let (sql, mut values) = span(Some(hour(0)), Some(hour(2))).query(is_narrow);
            values[..2].clone_from_slice(&[i64::MAX.into(), 9.into()]);
            let mut query = reader.db.prepare(&sql).unwrap();
            let rows = query.query_map(params_from_iter(values), record::read_entry);
            let found: Vec<_> = rows.unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(seqs(&found), [5, 1], "narrow: {is_narrow}");
        }
        assert_eq!(all(&reader, &span(Some(hour(1)), None)), [2]);
        assert_eq!(all(&reader, &span(None, Some(hour(-2)))), [4]);
        let first = reader.page(&span(Some(hour(-3)), None), None, 2).unwrap();
        assert_eq!((seqs(&first.entries), first.next), (vec![5, 4], Some(Seq(4))));
    }

    #[test]
    fn a_wallet_an_amount_a_hash_or_words_are_found() {
        let mut ledger = Ledger::in_memory().unwrap();
        let [a, b] = ["a", "b"].map(|name| wallet(&mut ledger, name));
        let called = |memo: &str, sale| PaymentRow {
            memo: Text::clean(memo),
            ..sale
        };
        let with_id = |id: &str, sale| PaymentRow {
            checking_id: tillbell_lnbits::CheckingId(id.to_owned()),
            ..sale
        };
        record(
            &mut ledger,
            a,
            called("Coffee to go", sale(0x1234, 21, noon())),
            Found::Live,
        );
        record(
            &mut ledger,
            b,
            called("100% Kaffee", sale(0xfedc, 2_100, noon())),
            Found::Live,
        );
        record(
            &mut ledger,
            a,
            with_id("c0ffee00-1", called("Tea", sale(3, 210, noon()))),
            Found::Live,
        );
        let reader = reader(ledger);
        let search = |text: &str| Wanted {
            search: Some(Search::read(text).unwrap()),
            ..Wanted::default()
        };
        for (text, found) in [
            ("21", &[1][..]),
            ("2100", &[2]),
            ("99999999999999999999999", &[]),
            ("fedcab", &[2]),
            ("FEDCAB", &[2]),
            ("c0ffee", &[3]),
            ("fedcac", &[]),
            ("cof", &[1]),
            ("GO coffee", &[1]),
            ("offee", &[]),
            ("100%", &[2]),
            ("%", &[]),
            ("_ea", &[]),
            ("\\", &[]),
            ("' OR 1=1 --", &[]),
        ] {
            assert_eq!(all(&reader, &search(text)), found, "{text}");
            let in_a_span = Wanted {
                from: Some(noon()),
                ..search(text)
            };
            assert_eq!(all(&reader, &in_a_span), found, "{text}, in a span");
        }
        assert_eq!(Search::read("  "), None);
        let of = |wallets: &[WalletRow]| Wanted {
            wallets: Some(wallets.to_vec()),
            ..Wanted::default()
        };
        assert_eq!(all(&reader, &of(&[a])), [3, 1]);
        assert_eq!(all(&reader, &of(&[a, b])), [3, 2, 1]);
        assert_eq!(all(&reader, &of(&[])), [] as [i64; 0]);
    }

    #[test]
    fn the_sums_of_a_day_with_an_hour_more_are_of_what_arrived_on_it_method_by_method() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let days = ShopDays::new(Some(zone), Time::midnight());
        let sunday = date(2026, 10, 25);
        let mut ledger = Ledger::in_memory().unwrap();
        let shop = wallet(&mut ledger, "a");
        let mut number = 0;
        let mut came = |method, fiat, sats, when| {
            number += 1;
            let sale = paid_with(method, fiat, sale(number, sats, at(when)));
            record(&mut ledger, shop, sale, Found::Live);
        };
        let euros = |amount| Some(("EUR", amount));
        // Still Saturday.
        came(Method::Lightning, None, 1, "2026-10-24T21:59:59.999Z");
        came(Method::Cash, euros("9.99"), 1, "2026-10-24T21:30:00Z");
        // Its first and its last minute, and the hour that the clocks show twice.
        came(Method::Lightning, euros("0.63"), 10, "2026-10-24T22:00:00Z");
        came(Method::Card, euros("0.1"), 20, "2026-10-25T00:30:00Z");
        came(Method::Card, euros("0.2"), 30, "2026-10-25T01:30:00Z");
        came(Method::Card, None, 40, "2026-10-25T02:00:00Z");
        came(Method::Card, Some(("JPY", "150")), 50, "2026-10-25T22:00:00Z");
        came(Method::Cash, euros("5"), 60, "2026-10-25T22:59:00Z");
        let reader = reader(ledger);
        let sums = reader.sums(days.begin(sunday).unwrap()).unwrap();
        let methods: Vec<_> = sums
            .methods
            .iter()
            .map(|sum| (sum.method.as_str(), sum.count, sum.total.0))
            .collect();
        assert_eq!(
            methods,
            [
                ("lightning", 1, 10_000),
                ("card", 4, 140_000),
                ("cash", 1, 60_000),
                ("other", 0, 0)
            ]
        );
        let fiat: Vec<_> = sums
            .fiat
            .iter()
            .map(|sum| format!("{} {} {}", sum.method.as_str(), sum.count, sum.total))
            .collect();
        assert_eq!(fiat, ["card 2 0.30 EUR", "card 1 150 JPY", "cash 1 5.00 EUR"]);
        let monday = reader.sums(days.end(sunday).unwrap()).unwrap();
        assert_eq!(monday, Sums::default());
    }

    #[test]
    fn what_was_recorded_after_a_payment_is_told_in_order_but_not_what_was_told_before() {
        let mut ledger = Ledger::in_memory().unwrap();
        let shop = wallet(&mut ledger, "a");
        for (number, found) in [
            (1, Found::Live),
            (2, Found::Silently),
            (3, Found::Late),
            (4, Found::Live),
        ] {
            record(&mut ledger, shop, sale(number, 1, noon()), found);
        }
        let reader = reader(ledger);
        let after = |seq, limit| seqs(&reader.after(Seq(seq), limit).unwrap());
        assert_eq!(after(0, 9), [1, 3, 4]);
        assert_eq!(after(1, 1), [3]);
        assert_eq!(after(4, 9), [] as [i64; 0]);
    }

    #[test]
    fn a_record_that_does_not_exist_yet_is_empty_and_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let reader = Reader::open(&path).unwrap();
        assert_eq!(all(&reader, &Wanted::default()), [] as [i64; 0]);
        assert_eq!(reader.sums(noon()).unwrap(), Sums::default());
        assert!(!path.exists());
    }

    #[test]
    fn a_reader_cannot_write_and_holds_no_writer_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        let shop = wallet(&mut ledger, "a");
        record(&mut ledger, shop, sale(1, 1, noon()), Found::Live);
        let reader = Reader::open(&path).unwrap();
        assert!(reader.db.execute("DELETE FROM payment", []).is_err());
        // In the middle of reading.
        let mut query = reader.db.prepare("SELECT * FROM payment").unwrap();
        let mut rows = query.query([]).unwrap();
        rows.next().unwrap().unwrap();
        record(&mut ledger, shop, sale(2, 1, noon()), Found::Live);
        assert!(
            rows.next().unwrap().is_none(),
            "it reads what was there when it began"
        );
    }

    #[test]
    fn no_page_and_no_sum_reads_more_than_its_span() {
        let ledger = Ledger::in_memory().unwrap();
        let steps = |sql: &str| -> Vec<String> {
            let mut plan = ledger.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.raw_query().mapped(|row| row.get("detail"));
            steps.collect::<Result<_, _>>().unwrap()
        };
        let (page, _) = Wanted::default().query(false);
        assert_eq!(
            steps(&page),
            ["SEARCH payment USING INTEGER PRIMARY KEY (rowid<?)"]
        );
        let of_a_wallet = Wanted {
            wallets: Some(vec![WalletRow(1)]),
            ..Wanted::default()
        };
        assert_eq!(
            steps(&of_a_wallet.query(false).0),
            ["SEARCH payment USING INDEX payment_of_wallet (wallet=? AND seq<?)"]
        );
        let of_years = Wanted {
            from: Some(noon()),
            ..Wanted::default()
        };
        assert_eq!(
            steps(&of_years.query(false).0),
            ["SEARCH payment USING INTEGER PRIMARY KEY (rowid<?)"]
        );
        let of_a_day = Wanted {
            from: Some(noon()),
            until: Some(noon()),
            ..Wanted::default()
        };
        let of_a_day = steps(&of_a_day.query(true).0);
        let by_arrival = "COVERING INDEX payment_arrived (<expr>>? AND <expr><?)";
        assert!(
            of_a_day.iter().any(|step| step.contains(by_arrival)),
            "{of_a_day:?}"
        );
        let within = steps(WITHIN);
        assert!(within.iter().any(|step| step.contains(by_arrival)), "{within:?}");
        let sums = steps(SINCE);
        assert!(sums[0].contains("INDEX payment_arrived (<expr>>?)"), "{sums:?}");
        let after = steps(AFTER);
        assert_eq!(after, ["SEARCH payment USING INTEGER PRIMARY KEY (rowid>?)"]);
    }
}
