//! What many payments leave behind: memory after as many as a page lives for.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tillbell_tests::{Fake, tree};

use crate::contender::{Contender, Counter, PATIENCE};
use crate::glass;
use crate::table::{cell, ratio};

/// Tillbell's page is loaded anew after so many, once it has been calm for 10 s; it is measured before that.
const PAYMENTS: u32 = 150;
const REST: Duration = Duration::from_secs(5);
/// In parts of Chromium's.
const GOAL: f64 = 0.55;

/// Lets both be paid, each again as soon as both have put the last one away, and prints what they take before and after.
pub(crate) fn measure(contenders: &[Contender<'_>; 2], server: &Fake) -> anyhow::Result<()> {
    let mut counters = Vec::new();
    for contender in contenders {
        counters.push(contender.open(server)?.0);
    }
    std::thread::sleep(REST);
    let before = memory(&counters)?;
    let page = page(&counters)?;
    for nth in 0..PAYMENTS {
        for contender in contenders {
            let hash = contender.sell(server, nth);
            ensure!(server.settle(&hash), "there was nothing to settle");
        }
        for wait in [glass::until_paid, glass::until_calm] {
            for Counter { program, probe, .. } in &mut counters {
                wait(probe, PATIENCE).with_context(|| program.last_words())?;
            }
        }
    }
    std::thread::sleep(REST);
    let after = memory(&counters)?;
    ensure!(page == self::page(&counters)?, "the page was loaded anew");
    counters.into_iter().try_for_each(Counter::close)?;

    println!("\n| memory (PSS), MB | Tillbell | Chromium | ratio |");
    println!("|---|---|---|---|");
    for (what, memory) in [
        ("after the start".to_owned(), before),
        (format!("after {PAYMENTS} payments in one page"), after),
    ] {
        let [ours, theirs] = memory.map(|memory| [memory]);
        println!(
            "| {what} | {} | {} | {} |",
            cell(&ours),
            cell(&theirs),
            ratio(&ours, &theirs)
        );
    }
    println!("\nThe goal is a ratio of at most {GOAL}.");
    Ok(())
}

fn memory(counters: &[Counter]) -> anyhow::Result<[f64; 2]> {
    let mut memory = [0.0; 2];
    for (counter, memory) in counters.iter().zip(&mut memory) {
        *memory = tree::memory(counter.program.id())?.proportional;
    }
    Ok(memory)
}

/// The process that holds Tillbell's page.
fn page(counters: &[Counter]) -> anyhow::Result<Vec<u32>> {
    let tillbell = counters.first().context("Tillbell")?;
    tree::named(tillbell.program.id(), "WebKitWebProcess")
}
