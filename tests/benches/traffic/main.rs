//! What a display costs on a metered line: `cargo xtask bench traffic [--minutes N]`.
//!
//! A real LNbits holds two wallets, each with 60 payments and 1,000 unpaid invoices. Nothing happens in one of them; in the
//! other somebody pays as often as in a shop that sells 200 times a day. Two displays listen to each, one of them through
//! TLS. Between each display and what it connects to stands a relay that counts.
#![expect(clippy::print_stdout, reason = "a table is all that it is for")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tillbell_tests::{Passed, Profile, RealLnbits, Relay, TlsFront, Wallet, Watch, headless};

const PAYMENTS: u32 = 60;
const UNPAID: u32 = 1_000;
const SALES_A_DAY: u32 = 200;
const MINUTES: u32 = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// From the start on: the list is read by then, and all is calm.
const START: Duration = Duration::from_secs(30);
/// Until the line of the last payment has come.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a day may cost, in MB.
const MOST: f64 = 20.0;

fn main() -> anyhow::Result<()> {
    let minutes = std::env::args().skip_while(|word| word != "--minutes").nth(1);
    let minutes = minutes.map_or(Ok(MINUTES), |minutes| minutes.parse());
    let minutes: u32 = minutes.context("--minutes wants a number")?;
    let time = Duration::from_secs(60) * minutes;
    // Every payment in the middle of its share of the day.
    let between = DAY / SALES_A_DAY;
    ensure!(time >= between, "--minutes: say at least 8, for one payment");

    let lnbits = RealLnbits::start()?;
    let customer = lnbits.customer()?;
    let idle = furnished(&lnbits, &customer, "idle")?;
    let busy = furnished(&lnbits, &customer, "busy")?;
    let mut lines = Vec::new();
    for (name, wallet) in [("nothing happens", &idle), ("200 payments a day", &busy)] {
        lines.push(Line::plain(name, &lnbits, wallet)?);
        lines.push(Line::secure(name, &lnbits, wallet)?);
    }
    println!("{minutes} minutes with {PAYMENTS} payments and {UNPAID} unpaid invoices in each wallet.");

    lines.iter_mut().try_for_each(Line::start)?;
    std::thread::sleep(START);
    lines.iter_mut().for_each(Line::started);
    let began = Instant::now();
    let mut sold = Vec::new();
    let mut due = between / 2;
    while due < time {
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let sats = 21 + sold.len() as u64;
        sold.push(
            lnbits
                .sell(&busy, &customer, sats, "2 × flat white")?
                .payment_hash,
        );
        due += between;
    }
    std::thread::sleep(time.saturating_sub(began.elapsed()));
    let took = began.elapsed();
    lines.iter_mut().for_each(|line| line.end(took));

    report(&lines, sold.len());
    for line in &mut lines {
        let sold: &[String] = if line.name.starts_with("200") { &sold } else { &[] };
        line.judge(sold)?;
    }
    Ok(())
}

/// A wallet of a shop that has sold for a while, and in which many left without paying.
fn furnished(lnbits: &RealLnbits, customer: &Wallet, name: &str) -> anyhow::Result<Wallet> {
    let wallet = lnbits.wallet(name)?;
    for nth in 0..PAYMENTS.max(UNPAID) {
        if nth < UNPAID {
            lnbits.invoice(&wallet, 500 + u64::from(nth), "Two cappuccinos, take away")?;
        }
        if nth < PAYMENTS {
            lnbits.sell(&wallet, customer, 100 + u64::from(nth), "Two cappuccinos, here")?;
        }
    }
    Ok(wallet)
}

/// A display, and the relay through which it reaches its server.
struct Line {
    name: &'static str,
    way: &'static str,
    relay: Relay,
    _front: Option<TlsFront>,
    profile: Profile,
    watch: Option<Watch>,
    before: Passed,
    start: Passed,
    /// In this time …
    took: Duration,
    /// … this passed.
    then: Passed,
}

impl Line {
    fn plain(name: &'static str, lnbits: &RealLnbits, wallet: &Wallet) -> anyhow::Result<Self> {
        let relay = Relay::to(lnbits.port())?;
        let url = relay.url();
        Self::paired(name, "plain", relay, None, Profile::new()?, &wallet.lndhub(&url))
    }

    fn secure(name: &'static str, lnbits: &RealLnbits, wallet: &Wallet) -> anyhow::Result<Self> {
        let mut profile = Profile::new()?;
        let front = TlsFront::before(lnbits.port(), &mut profile)?;
        let relay = Relay::to(front.port())?;
        let pairing = wallet.lndhub(&format!("https://localhost:{}", relay.port()));
        Self::paired(name, "TLS", relay, Some(front), profile, &pairing)
    }

    fn paired(
        name: &'static str,
        way: &'static str,
        relay: Relay,
        front: Option<TlsFront>,
        profile: Profile,
        pairing: &str,
    ) -> anyhow::Result<Self> {
        headless(&profile, &["pair", pairing])?
            .well()
            .context("pairing")?;
        Ok(Self {
            name,
            way,
            relay,
            _front: front,
            profile,
            watch: None,
            before: Passed::default(),
            start: Passed::default(),
            took: Duration::ZERO,
            then: Passed::default(),
        })
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.before = self.relay.passed();
        self.watch = Some(Watch::live(&self.profile)?);
        Ok(())
    }

    fn started(&mut self) {
        let now = self.relay.passed();
        self.start = now - self.before;
        self.before = now;
    }

    fn end(&mut self, took: Duration) {
        self.then = self.relay.passed() - self.before;
        self.took = took;
    }

    /// What a day costs, in MB. Once a day, as at a start, the whole list is read.
    fn day(&self) -> f64 {
        self.a_day(self.then.up + self.then.down) + megabytes(self.start)
    }

    fn a_day(&self, count: u64) -> f64 {
        count as f64 / 1e6 * DAY.as_secs_f64() / self.took.as_secs_f64()
    }

    /// Every payment was told once, and none besides.
    fn judge(&mut self, sold: &[String]) -> anyhow::Result<()> {
        let watch = self.watch.as_mut().context("it was not started")?;
        watch.until("the last payment's line", PATIENCE, |watch| {
            (watch.payments().count() >= sold.len()).then_some(())
        })?;
        // One too many would come now.
        watch.listen(Duration::from_secs(2))?;
        ensure!(
            watch.announced() == sold,
            "{}, {}: paid was {sold:?}, told was {:?}",
            self.name,
            self.way,
            watch.announced()
        );
        Ok(())
    }
}

fn megabytes(passed: Passed) -> f64 {
    (passed.up + passed.down) as f64 / 1e6
}

fn report(lines: &[Line], sold: usize) {
    println!();
    println!(
        "| what | start, kB | up, MB a day | down, MB a day | connections a day | MB a day, one start included |"
    );
    println!("|---|---|---|---|---|---|");
    for line in lines {
        println!(
            "| {}, {} | {:.1} | {:.2} | {:.2} | {:.0} | {:.2}{} |",
            line.name,
            line.way,
            megabytes(line.start) * 1e3,
            line.a_day(line.then.up),
            line.a_day(line.then.down),
            line.a_day(line.then.connections) * 1e6,
            line.day(),
            if line.day() > MOST { " (too much)" } else { "" },
        );
    }
    println!(
        "\n{sold} payments in this time. Bytes within the connections; the headers of TCP and IP come on top."
    );
}
