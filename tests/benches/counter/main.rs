//! What a counter feels, beside browsers that show the documentation's own script: `cargo xtask bench counter`.
//!
//! All programs hear the same server, draw on screens of the same kind and are measured in turns in one run, because only the
//! ratio says anything on another machine. Then Tillbell alone hears a server that is far away. With `--memory` nothing is measured
//! but what many payments leave behind, with `--displays` nothing but displays in browsers. Nothing here is asserted.
#![expect(clippy::print_stdout, reason = "tables are all that it is for")]

mod contender;
mod displays;
mod distance;
mod glass;
mod memory;
mod page;
mod table;

use std::time::{Duration, Instant};

use tillbell_fake_lnbits::Version;
use tillbell_tests::figures::percentile;
use tillbell_tests::{Fake, Sound, tree};

use crate::contender::{Contender, Counter, Told};
use crate::table::{cell, one, print_steps, ratio};

const STARTS: usize = 5;
const PAYMENTS: u32 = 40;
/// Between two payments, whoever's they are. Whoever was told last shows it still, and nothing moves there; whoever was told
/// before that has become calm halfway between.
const TURN: Duration = Duration::from_millis(1_300);
/// After a start and after the last payment: what was begun is finished by then.
const REST: Duration = Duration::from_secs(5);
/// How long an idle program is watched.
const IDLE: Duration = Duration::from_secs(20);

/// The first changed pixel, in parts of Chromium's median, and so many ms beyond its 95th percentile at most.
const FIRST_GOAL: f64 = 0.8;
const RARE_GOAL: f64 = 5.0;
/// The page's own frame, in parts of MiniBrowser's.
const OWN_GOAL: f64 = 1.3;

/// What a program reached: milliseconds, megabytes, percent.
#[derive(Debug, Default)]
struct Reached {
    starts: Vec<f64>,
    told: Vec<Told>,
    processes: usize,
    fresh: Vec<f64>,
    used: Vec<f64>,
    idle: Vec<f64>,
}

impl Reached {
    fn each(&self, of: impl Fn(&Told) -> f64) -> Vec<f64> {
        self.told.iter().map(of).collect()
    }
}

fn main() -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("{cores} cores, load {load} at the start. Whatever else runs here spoils the figures.");

    let server = Fake::start(Version::V1_6)?;
    let sound = Sound::start()?;
    if std::env::args().any(|word| word == "--displays") {
        return displays::measure(&server, &sound);
    }
    let tillbell = Contender::tillbell(&server, &sound)?;
    let chromium = Contender::chromium(&server, &sound)?;
    if std::env::args().any(|word| word == "--memory") {
        return memory::measure(&[tillbell, chromium], &server);
    }
    let mini_browser = Contender::mini_browser(&server, &sound)?;
    measure([tillbell, chromium, mini_browser], &server)?;
    distance::measure(&sound)
}

/// They take turns, so that whatever else the machine does hits all.
fn measure(contenders: [Contender<'_>; 3], server: &Fake) -> anyhow::Result<()> {
    let mut reached = <[Reached; 3]>::default();
    for _ in 0..STARTS {
        // The small browser is there for its drawing only.
        for (contender, reached) in contenders.iter().zip(&mut reached).take(2) {
            let (counter, took) = contender.open(server)?;
            reached.starts.push(took);
            // Each by itself: together they would share libraries.
            std::thread::sleep(REST);
            reached.processes = tree::count(counter.program.id())?;
            let memory = tree::memory(counter.program.id())?;
            reached.fresh.push(memory.proportional);
            counter.close()?;
        }
    }

    let mut counters = Vec::new();
    for contender in &contenders {
        counters.push(contender.open(server)?.0);
    }
    std::thread::sleep(REST);
    let mut due = Instant::now();
    for nth in 0..PAYMENTS {
        for ((contender, counter), reached) in contenders.iter().zip(&mut counters).zip(&mut reached) {
            // In step with no timer of anybody's.
            let jitter = Duration::from_millis(u64::from(nth * 37 % 100));
            let told = contender.pay(server, counter, due + jitter, nth)?;
            reached.told.push(told);
            due = Instant::now() + TURN;
        }
    }
    let log = counters[0].program.stderr();

    // It shares its libraries with Tillbell, and would take part of their memory on itself.
    counters.pop().map_or(Ok(()), Counter::close)?;
    std::thread::sleep(REST);
    for (counter, reached) in counters.iter().zip(&mut reached) {
        let root = counter.program.id();
        let (before, began) = (tree::taken(root)?, Instant::now());
        std::thread::sleep(IDLE);
        let worked = tree::taken(root)?.saturating_sub(before);
        reached.idle = vec![worked.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0];
        reached.used = vec![tree::memory(root)?.proportional];
    }
    counters.into_iter().try_for_each(Counter::close)?;
    report(&reached);
    print_steps(&log, &reached[0].told);
    Ok(())
}

fn report(all: &[Reached; 3]) {
    let [ours, chromium, mini_browser] = all;
    println!("\n| what | Tillbell | Chromium | MiniBrowser | of Chromium's | of MiniBrowser's |");
    println!("|---|---|---|---|---|---|");
    let row = |what: &str, [ours, chromium, mini_browser]: [Vec<f64>; 3]| {
        println!(
            "| {what} | {} | {} | {} | {} | {} |",
            cell(&ours),
            cell(&chromium),
            cell(&mini_browser),
            ratio(&ours, &chromium),
            ratio(&ours, &mini_browser)
        );
    };
    let of = |figure: fn(&Reached) -> Vec<f64>| [figure(ours), figure(chromium), figure(mini_browser)];
    let first = of(|reached| reached.each(|told| told.first));
    let own = of(|reached| reached.each(|told| told.own));
    row("frame → first changed pixel, ms", first.clone());
    row("frame → the page's own frame, ms", own.clone());
    row(
        "frame → changed from edge to edge, ms",
        of(|reached| reached.each(|told| told.whole)),
    );
    row(
        "start → painted and live, ms",
        of(|reached| reached.starts.clone()),
    );
    row(
        "memory (PSS) after the start, MB",
        of(|reached| reached.fresh.clone()),
    );
    row(
        "memory (PSS) after the payments, MB",
        of(|reached| reached.used.clone()),
    );
    row("idle, % of a core", of(|reached| reached.idle.clone()));
    println!(
        "| processes | {} | {} | | | |",
        ours.processes, chromium.processes
    );
    println!(
        "\nMedians, 95th percentiles (least … most) of {PAYMENTS} payments to each and {STARTS} starts. The documentation's page paints \
         once; Tillbell's own frame is the one with “Paid” in it.\n"
    );
    let [first, chromium, _] = first;
    println!(
        "First changed pixel: {} of Chromium's median; the goal is at most {FIRST_GOAL}.",
        ratio(&first, &chromium)
    );
    println!(
        "The slowest of twenty: {} ms beside Chromium's {} ms; the goal is at most {RARE_GOAL} ms more.",
        one(percentile(&first, 95)),
        one(percentile(&chromium, 95))
    );
    println!(
        "The page's own frame: {} of MiniBrowser's median; the goal is at most {OWN_GOAL}.",
        ratio(&own[0], &own[2])
    );
}
