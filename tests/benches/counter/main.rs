//! What a counter feels, beside a browser that shows the documentation's own script: `cargo xtask bench`.
//!
//! Both programs hear the same server, draw on screens of the same kind and are measured in turns in one run, because
//! only the ratio says anything on another machine. Nothing here is asserted.
#![expect(clippy::print_stdout, reason = "a table is all that it is for")]

mod page;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tillbell_fake_lnbits::{NewInvoice, Version, Wallet};
use tillbell_tests::{Fake, Profile, Running, Screen, ScreenProbe, Sound, headless, tree, until};

const SIZE: (u32, u32) = (1280, 800);
const STARTS: usize = 5;
const PAYMENTS: u32 = 20;
/// After a start and after the last payment: what was begun is finished by then.
const REST: Duration = Duration::from_secs(5);
/// How long an idle program is watched.
const IDLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// As short as it gets. The page's script stays as long.
const SETTINGS: &[u8] = b"theme = \"light\"\ndwell_s = 2\nvolume = 0\n";
const CHROMIUM: &str = "/usr/bin/chromium";

/// Points that nobody writes on, from the upper edge to the lower.
const EDGES: [(u32, u32); 5] = [(8, 8), (640, 4), (1271, 8), (8, 791), (1271, 791)];
/// Along here lies the dot that says how the link is, and its colour when that is well (`LinkState.svelte`).
const DOT: [(u32, u32); 5] = [(48, 752), (51, 752), (54, 752), (57, 752), (60, 752)];
const LIVE: [u8; 3] = [0x1d, 0x9e, 0x57];

/// A program that tells a counter of payments.
struct Contender<'a> {
    name: &'static str,
    wallet: &'a Wallet,
    /// How it is started on this screen.
    command: &'a dyn Fn(&Screen) -> Command,
    /// True when the glass shows that it is ready.
    ready: &'a dyn Fn(&mut ScreenProbe) -> anyhow::Result<bool>,
}

/// It, running.
struct Counter {
    program: Running,
    probe: ScreenProbe,
    _screen: Screen,
}

/// What it reached: milliseconds, megabytes, percent.
#[derive(Debug, Default)]
struct Reached {
    starts: Vec<f64>,
    first: Vec<f64>,
    whole: Vec<f64>,
    processes: usize,
    fresh: Vec<f64>,
    used: f64,
    idle: f64,
}

fn main() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("{cores} cores, load {load} at the start. Whatever else runs here spoils the figures.");

    let server = Fake::start(Version::V1_6)?;
    let sound = Sound::start()?;

    let wallet = server.add_wallet("Bean & Bell");
    let shop = Profile::new()?;
    shop.write("settings.toml", SETTINGS)?;
    let url = server.base_url();
    let pairing = format!("lndhub://invoice:{}@{url}/lndhub/ext/", wallet.invoice_key);
    headless(&shop, &["pair", &pairing])?.well().context("pairing")?;
    let tillbell = Contender {
        name: "Tillbell",
        wallet: &wallet,
        command: &|screen| {
            let mut command = shop.command("tillbell");
            screen.dress(&mut command);
            sound.dress(&mut command);
            command.arg("--kiosk").arg("--profile").arg(shop.path());
            command.env("NO_AT_BRIDGE", "1");
            command
        },
        ready: &|probe| any(probe, &DOT, |colour| colour == LIVE),
    };

    let wallet = server.add_wallet("Bean & Browser");
    let home = Profile::new()?;
    let address = page::serve(&server.ws_url(&wallet.invoice_key))?;
    let chromium = Contender {
        name: "Chromium",
        wallet: &wallet,
        command: &|screen| {
            // An absolute path is taken as it is.
            let mut command = home.command(CHROMIUM);
            screen.dress(&mut command);
            sound.dress(&mut command);
            command.args([
                "--kiosk",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Without a window manager nobody else says it.
                "--window-position=0,0",
                &format!("--window-size={},{}", SIZE.0, SIZE.1),
                &format!("--user-data-dir={}", home.path().display()),
                &address,
            ]);
            command
        },
        ready: &|probe| all(probe, &EDGES, |colour| colour == page::CALM),
    };
    let [ours, theirs] = measure(&[tillbell, chromium], &server)?;
    report(&ours, &theirs);
    Ok(())
}

/// They take turns, so that whatever else the machine does hits both.
fn measure(contenders: &[Contender<'_>; 2], server: &Fake) -> anyhow::Result<[Reached; 2]> {
    let mut reached = [Reached::default(), Reached::default()];
    for _ in 0..STARTS {
        for (contender, reached) in contenders.iter().zip(&mut reached) {
            let (counter, took) = contender.open(server)?;
            reached.starts.push(took);
            // Each by itself: together they would share libraries.
            std::thread::sleep(REST);
            reached.processes = tree::count(counter.program.id())?;
            reached
                .fresh
                .push(tree::memory(counter.program.id())?.proportional);
            counter.close()?;
        }
    }
    for (contender, reached) in contenders.iter().zip(&reached) {
        println!("{}: starts {:.0?} ms", contender.name, reached.starts);
    }

    let mut counters = [contenders[0].open(server)?.0, contenders[1].open(server)?.0];
    std::thread::sleep(REST);
    for nth in 0..PAYMENTS {
        for ((contender, counter), reached) in contenders.iter().zip(&mut counters).zip(&mut reached) {
            let (first, whole) = contender
                .pay(server, &mut counter.probe, nth)
                .with_context(|| counter.program.last_words())?;
            reached.first.push(first);
            reached.whole.push(whole);
        }
    }
    for (contender, reached) in contenders.iter().zip(&reached) {
        println!("{}: payments {:.1?} ms", contender.name, reached.first);
    }

    std::thread::sleep(REST);
    for (counter, reached) in counters.iter().zip(&mut reached) {
        let root = counter.program.id();
        let (before, began) = (tree::taken(root)?, Instant::now());
        std::thread::sleep(IDLE);
        let worked = tree::taken(root)?.saturating_sub(before);
        reached.idle = worked.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
        reached.used = tree::memory(root)?.proportional;
    }
    counters.into_iter().try_for_each(Counter::close)?;
    Ok(reached)
}

impl Counter {
    /// As a user would: a browser that was killed complains at its next start.
    fn close(mut self) -> anyhow::Result<()> {
        self.program.stop().map(drop)
    }
}

impl Contender<'_> {
    /// Opens it on a new screen, and says how long it took until it was painted and the server had its socket.
    fn open(&self, server: &Fake) -> anyhow::Result<(Counter, f64)> {
        let listeners = || server.listeners(&self.wallet.invoice_key);
        until("the end of the one before", PATIENCE, || {
            Ok((listeners() == 0).then_some(()))
        })?;
        let screen = Screen::start(SIZE.0, SIZE.1)?;
        let mut probe = ScreenProbe::on(&screen)?;
        let command = (self.command)(&screen);
        let began = Instant::now();
        let program = Running::start(self.name, command)?;
        let ready = probe
            .until(self.name, PATIENCE, |probe| {
                Ok((self.ready)(probe)? && listeners() > 0)
            })
            .with_context(|| program.last_words())?;
        let counter = Counter {
            program,
            probe,
            _screen: screen,
        };
        Ok((counter, milliseconds(ready - began)))
    }

    /// Sells something, and says when the first point changed and when they all had.
    fn pay(&self, server: &Fake, probe: &mut ScreenProbe, nth: u32) -> anyhow::Result<(f64, f64)> {
        let sale = NewInvoice::sats(21_000 + u64::from(nth), "2 × flat white");
        let invoice = server.make_invoice(self.wallet, sale);
        // In step with no timer of anybody's.
        std::thread::sleep(Duration::from_millis(400 + u64::from(nth * 97 % 200)));
        let settled = Instant::now();
        anyhow::ensure!(
            server.settle(&invoice.payment_hash),
            "there was nothing to settle"
        );
        let first = probe.until("a first changed point", PATIENCE, |probe| {
            any(probe, &EDGES, is_paid)
        })?;
        let whole = probe.until("every point changed", PATIENCE, |probe| {
            all(probe, &EDGES, is_paid)
        })?;
        // The other's turn comes when nothing moves here any more.
        probe.until("the calm screen", PATIENCE, |probe| {
            all(probe, &EDGES, |colour| !is_paid(colour))
        })?;
        Ok((milliseconds(first - settled), milliseconds(whole - settled)))
    }
}

fn any(
    probe: &mut ScreenProbe,
    points: &[(u32, u32)],
    like: impl Fn([u8; 3]) -> bool,
) -> anyhow::Result<bool> {
    for point in points {
        if like(probe.colour(*point)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all(
    probe: &mut ScreenProbe,
    points: &[(u32, u32)],
    like: impl Fn([u8; 3]) -> bool,
) -> anyhow::Result<bool> {
    any(probe, points, |colour| !like(colour)).map(|unlike| !unlike)
}

/// Every green of a verified payment, and nothing else that either screen has at its edges.
fn is_paid([red, green, blue]: [u8; 3]) -> bool {
    green > red.saturating_add(40) && green > blue.saturating_add(40)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

fn report(ours: &Reached, theirs: &Reached) {
    println!();
    println!("| what | Tillbell | Chromium | ratio |");
    println!("|---|---|---|---|");
    row("frame → first changed pixel, ms", &ours.first, &theirs.first);
    row(
        "frame → changed from edge to edge, ms",
        &ours.whole,
        &theirs.whole,
    );
    row("start → painted and live, ms", &ours.starts, &theirs.starts);
    row("memory (PSS) after the start, MB", &ours.fresh, &theirs.fresh);
    row(
        "memory (PSS) after the payments, MB",
        &[ours.used],
        &[theirs.used],
    );
    row("idle, % of a core", &[ours.idle], &[theirs.idle]);
    println!("| processes | {} | {} | |", ours.processes, theirs.processes);
    println!("\nMedians (least … most) of {PAYMENTS} payments and {STARTS} starts.");
}

fn row(what: &str, ours: &[f64], theirs: &[f64]) {
    let ratio = match median(theirs) {
        0.0 => "–".to_owned(),
        theirs => format!("{:.2}", median(ours) / theirs),
    };
    println!("| {what} | {} | {} | {ratio} |", figure(ours), figure(theirs));
}

fn figure(values: &[f64]) -> String {
    let median = median(values);
    if values.len() == 1 {
        return format!("{median:.2}");
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{median:.1} ({least:.1} … {most:.1})")
}
