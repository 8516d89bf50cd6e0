//! Two hundred wallets in one window, a thousand payments a second between them: `cargo xtask bench crowd`.
//!
//! The wallets lie on twenty servers: looks at one server rest for each other, so that two hundred wallets on one would be
//! looked at every two minutes. Nobody's till sees such a rush. It shows whether anything grows with the number of
//! wallets that should not. Meanwhile the page asks the engine for its settings ten times a second, as a hand would that
//! opens them, and notes how long each answer took from the moment when it was due.
#![expect(clippy::print_stdout, reason = "a table is all that it is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tillbell_fake_lnbits::faults::Fault;
use tillbell_fake_lnbits::{NewInvoice, Path, Version, Wallet};
use tillbell_tests::{Fake, Ledger, Profile, Screen, Sound, Window, headless, tree, until};

const SERVERS: usize = 20;
const WALLETS: usize = 200;
const A_SECOND: u32 = 1_000;
const RUSH: Duration = Duration::from_secs(10);
const PAYMENTS: u32 = A_SECOND * RUSH.as_secs() as u32;
/// After the start: every wallet has had its first reading and a calm look.
const SETTLE: Duration = Duration::from_secs(15);
/// All is recorded by then.
const AFTER: Duration = Duration::from_secs(30);
/// What is not recorded by then is lost.
const PATIENCE: Duration = Duration::from_secs(180);
const SETTINGS: &[u8] = b"dwell_s = 2\n";
/// As LNbits comes.
const LIMIT: Fault = Fault::RateLimit {
    per_minute: 200,
    retry_after: None,
};

/// Asks for the settings every 100 ms. Where an answer is late, those that were due meanwhile are late as well.
const ASK: &str = "
const took = window.tillbellTook = [];
window.tillbellEnough = false;
window.tillbellAsked = true;
const began = performance.now();
const ask = async () => {
  const due = began + took.length * 100;
  const reply = await window.__TAURI_INTERNALS__.invoke('ask', { request: { ask: 'settings' } });
  if (reply.answer !== 'settings') throw new Error(`it answers ${reply.answer}`);
  took.push(performance.now() - due);
  window.tillbellAsked = !window.tillbellEnough;
  if (window.tillbellAsked) setTimeout(ask, Math.max(0, began + took.length * 100 - performance.now()));
};
ask();
";

fn main() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("{cores} cores, load {load} at the start. The servers run on the same.");

    let crowd = Crowd::paired()?;
    let (screen, sound) = (Screen::start(1280, 800)?, Sound::start()?);
    let window = Window::open(&screen, Some(&sound), &crowd.profile, &[])?;
    until("two hundred open sockets", Duration::from_secs(60), || {
        Ok((crowd.listeners() == WALLETS).then_some(()))
    })
    .with_context(|| window.stderr())?;
    std::thread::sleep(SETTLE);
    let program = window.program_id()?;

    let calm = asked(&window, || {
        std::thread::sleep(RUSH);
        Ok(())
    })?;
    let invoices = crowd.invoices();
    let (before, worked, worked_alone) = (
        tree::memory(program)?.proportional,
        tree::taken(program)?,
        tree::taken_alone(program)?,
    );
    let mut late = Duration::ZERO;
    let mut counted = 0;
    let mut most = before;
    let busy = asked(&window, || {
        late = crowd.pay(&invoices);
        counted = crowd.recorded()?.len();
        most = most.max(tree::memory(program)?.proportional);
        Ok(())
    })?;
    let rush = tree::taken(program)?.saturating_sub(worked);
    let rush_alone = tree::taken_alone(program)?.saturating_sub(worked_alone);
    let last = Instant::now();
    let after = asked(&window, || {
        std::thread::sleep(AFTER);
        Ok(())
    })?;
    let in_time = crowd.recorded()?.len();
    let all = until("the last payment", PATIENCE, || {
        Ok((crowd.recorded()?.len() >= PAYMENTS as usize).then_some(()))
    });
    let took = last.elapsed();
    most = most.max(tree::memory(program)?.proportional);
    let whole = tree::taken(program)?.saturating_sub(worked);

    println!();
    println!("| what | figure |");
    println!("|---|---|");
    println!(
        "| the last payment was settled after, s (due after {RUSH:?}) | {:.2} |",
        late.as_secs_f64()
    );
    println!("| recorded when it was | {counted} of {PAYMENTS} |");
    println!("| recorded {AFTER:?} later | {in_time} of {PAYMENTS} |");
    println!(
        "| questions to the servers for each payment: look-ups, lists | {} |",
        crowd.questions()
    );
    println!("| an answer to the window, ms: calm | {} |", answers(&calm));
    println!("| … during the rush | {} |", answers(&busy));
    println!("| … after it | {} |", answers(&after));
    println!("| memory (PSS) of all processes, MB: calm, then the most seen | {before:.0}, {most:.0} |");
    println!(
        "| processor time during the rush, s: the program, all processes | {:.1}, {:.1} |",
        rush_alone.as_secs_f64(),
        rush.as_secs_f64()
    );
    println!(
        "| … and until {took:.0?} after it, all processes | {:.1} |",
        whole.as_secs_f64()
    );
    all.with_context(|| window.stderr())?;
    crowd.judge(&invoices)?;
    println!("\nEvery payment stands in the ledger once.");
    Ok(())
}

/// The servers, the wallets on them, and the profile that is paired with all of them.
struct Crowd {
    servers: Vec<Fake>,
    wallets: Vec<(usize, Wallet)>,
    profile: Profile,
}

impl Crowd {
    fn paired() -> anyhow::Result<Self> {
        let profile = Profile::new()?;
        profile.write("settings.toml", SETTINGS)?;
        let servers = (0..SERVERS).map(|_| Fake::start(Version::V1_6));
        let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
        for server in &servers {
            server.faults().set(LIMIT);
        }
        let began = Instant::now();
        let mut wallets = Vec::new();
        for nth in 0..WALLETS {
            let server = &servers[nth % SERVERS];
            let wallet = server.add_wallet(&format!("Stall {}", nth + 1));
            let (key, url) = (&wallet.invoice_key, server.base_url());
            let pairing = format!("lndhub://invoice:{key}@{url}/lndhub/ext/");
            headless(&profile, &["pair", &pairing])?
                .well()
                .context("pairing")?;
            wallets.push((nth % SERVERS, wallet));
        }
        println!(
            "{WALLETS} wallets on {SERVERS} servers, paired within {:.0?}.",
            began.elapsed()
        );
        Ok(Self {
            servers,
            wallets,
            profile,
        })
    }

    fn listeners(&self) -> usize {
        let of = |(server, wallet): &(usize, Wallet)| self.servers[*server].listeners(&wallet.invoice_key);
        self.wallets.iter().map(of).sum()
    }

    /// Every wallet's in turn, each with its server.
    fn invoices(&self) -> Vec<(usize, String)> {
        let invoice = |(nth, (server, wallet)): (u32, &(usize, Wallet))| {
            let new = NewInvoice::sats(u64::from(nth) + 1, "2 × flat white");
            let invoice = self.servers[*server].make_invoice(wallet, new);
            (*server, invoice.payment_hash)
        };
        (0..PAYMENTS)
            .zip(self.wallets.iter().cycle())
            .map(invoice)
            .collect()
    }

    /// Settles them, so many a second. Says when the last one was.
    fn pay(&self, invoices: &[(usize, String)]) -> Duration {
        for server in &self.servers {
            server.reset_requests();
        }
        let began = Instant::now();
        for ((server, hash), nth) in invoices.iter().zip(1..) {
            let due = Duration::from_secs(1) * nth / A_SECOND;
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            self.servers[*server].settle(hash);
        }
        began.elapsed()
    }

    /// The hash of every row of the ledger.
    fn recorded(&self) -> anyhow::Result<Vec<String>> {
        Ledger::of(&self.profile)?.hashes()
    }

    fn questions(&self) -> String {
        let of = |path| -> u64 {
            self.servers
                .iter()
                .map(|server| server.requests().count(path))
                .sum()
        };
        let each = |count: u64| count as f64 / f64::from(PAYMENTS);
        format!("{:.2}, {:.2}", each(of(Path::Payment)), each(of(Path::Paginated)))
    }

    /// Every payment stands in the ledger once, and nothing else does.
    fn judge(&self, invoices: &[(usize, String)]) -> anyhow::Result<()> {
        let recorded = self.recorded()?;
        let mut times = BTreeMap::<&str, u32>::new();
        for hash in &recorded {
            *times.entry(hash).or_default() += 1;
        }
        let paid: BTreeSet<&str> = invoices.iter().map(|(_, hash)| hash.as_str()).collect();
        let lost = paid.iter().filter(|hash| !times.contains_key(*hash)).count();
        let doubled = times.values().filter(|count| **count > 1).count();
        let false_ones = times.keys().filter(|hash| !paid.contains(*hash)).count();
        ensure!(
            (lost, doubled, false_ones) == (0, 0, 0),
            "{lost} payments lost, {doubled} doubled, {false_ones} false"
        );
        Ok(())
    }
}

/// How long the page's questions took while this went on, in milliseconds, sorted.
fn asked(window: &Window, what: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    window.run(ASK)?;
    what()?;
    window.run("window.tillbellEnough = true")?;
    // One that is on its way is waited for: it may be the worst.
    let asked = until("the page's last answer", Duration::from_secs(60), || {
        let took = window.run("return window.tillbellAsked ? null : window.tillbellTook")?;
        Ok(took.as_array().cloned())
    })?;
    let mut took: Vec<f64> = asked.iter().filter_map(serde_json::Value::as_f64).collect();
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// The median, the 95th percentile and the longest.
fn answers(sorted: &[f64]) -> String {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    format!(
        "median {:.0}, 95 % within {:.0}, the longest {:.0} ({} questions)",
        at(0.5),
        at(0.95),
        at(1.0),
        sorted.len()
    )
}
