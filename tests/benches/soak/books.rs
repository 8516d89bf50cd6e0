//! What is counted while trade goes on, and what must hold at the end.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use anyhow::ensure;
use tillbell_tests::tree;

use crate::DRIFT;

/// One look at a program when all was well.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    memory: tree::Memory,
    handles: usize,
}

/// A program and how it looked.
#[derive(Debug)]
struct Display {
    name: &'static str,
    process: u32,
    looks: Vec<Look>,
}

/// All that was counted.
#[derive(Debug)]
pub(crate) struct Books {
    time: Duration,
    /// When the window's page had been loaded anew for the first time. From then on WebKit keeps a process in stock.
    renewed: Option<Duration>,
    renewals: usize,
    displays: [Display; 2],
}

impl Books {
    pub(crate) fn new(time: Duration, window: u32, terminal: u32) -> Self {
        let display = |name, process| Display {
            name,
            process,
            looks: Vec::new(),
        };
        Self {
            time,
            renewed: None,
            renewals: 0,
            displays: [display("window", window), display("terminal", terminal)],
        }
    }

    /// Looks at both programs, the window's page having been loaded anew so many times.
    pub(crate) fn look(&mut self, at: Duration, renewals: usize) -> anyhow::Result<()> {
        self.renewals = renewals;
        if renewals > 0 {
            self.renewed.get_or_insert(at);
        }
        for display in &mut self.displays {
            display.looks.push(Look {
                at,
                memory: tree::memory(display.process)?,
                handles: tree::handles(display.process)?,
            });
        }
        Ok(())
    }

    /// A line for whoever reads along.
    pub(crate) fn line(&self, at: Duration, sold: usize, told: usize, faults: u32) -> anyhow::Result<String> {
        let mut line = format!(
            "{:>3} min  {sold} paid, {told} told, {faults} faults",
            at.as_secs() / 60
        );
        for display in &self.displays {
            let memory = tree::memory(display.process)?;
            let worked = tree::taken(display.process)?.as_secs_f64() / at.as_secs_f64().max(1.0) * 100.0;
            write!(
                line,
                "  │ {}: RSS {:.1} MB, PSS {:.1} MB, {} handles, {worked:.1} % of a core",
                display.name,
                memory.resident,
                memory.proportional,
                tree::handles(display.process)?
            )?;
        }
        Ok(line)
    }

    /// Memory and handles must not have grown between the sixth of the time that begins when all is warm, and the last.
    pub(crate) fn steady(&self) -> anyhow::Result<()> {
        let mut wrong = String::new();
        let sixth = self.time / 6;
        let warm = self.renewed.map_or(sixth, |renewed| sixth.max(renewed));
        println!(
            "the window's page was loaded anew {} times; all was warm after {} min",
            self.renewals,
            warm.as_secs() / 60
        );
        ensure!(
            warm + sixth * 2 <= self.time,
            "the end comes too soon after all is warm: take more minutes"
        );
        for display in &self.displays {
            let warm = display.between(warm, warm + sixth);
            let last = display.between(self.time - sixth, self.time);
            ensure!(
                !warm.is_empty() && !last.is_empty(),
                "there was no quiet moment to look at the {}: take more minutes",
                display.name
            );
            let memory = |looks: &[Look]| median(looks.iter().map(|look| look.memory.resident));
            let handles = |looks: &[Look]| Spread::of(looks.iter().map(|look| look.handles));
            let grown = memory(&last) / memory(&warm);
            println!(
                "{}: memory (RSS, medians) {:.1} MB warm, {:.1} MB at the end: {:+.1} %; handles {} warm, {} at the end",
                display.name,
                memory(&warm),
                memory(&last),
                (grown - 1.0) * 100.0,
                handles(&warm),
                handles(&last)
            );
            if grown > DRIFT {
                writeln!(wrong, "the {}'s memory grows", display.name)?;
            }
            // How many are open for a moment varies, and so does the fewest, while a socket is dialled: one that leaked
            // is there at every later look.
            if handles(&last).median > handles(&warm).median {
                writeln!(wrong, "the {}'s handles grow", display.name)?;
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.trim_end());
        Ok(())
    }
}

/// How many of something there were, over some looks.
struct Spread {
    fewest: usize,
    median: usize,
    most: usize,
}

impl Spread {
    fn of(counts: impl Iterator<Item = usize>) -> Self {
        let mut counts: Vec<_> = counts.collect();
        counts.sort_unstable();
        let at = |place: usize| counts.get(place).copied().unwrap_or(0);
        Self {
            fewest: at(0),
            median: at(counts.len() / 2),
            most: at(counts.len().saturating_sub(1)),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{} ({} to {})", self.median, self.fewest, self.most)
    }
}

impl Display {
    fn between(&self, from: Duration, to: Duration) -> Vec<Look> {
        let within = |look: &&Look| look.at >= from && look.at <= to;
        self.looks.iter().filter(within).copied().collect()
    }
}

/// Each payment told once, and nothing else.
pub(crate) fn judge(display: &str, sold: &[String], told: &[String]) -> anyhow::Result<()> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for hash in told {
        *times.entry(hash).or_default() += 1;
    }
    let twice = times.values().filter(|times| **times > 1).count();
    let lost: Vec<_> = sold
        .iter()
        .filter(|hash| !times.contains_key(hash.as_str()))
        .collect();
    let known: std::collections::BTreeSet<_> = sold.iter().map(String::as_str).collect();
    let wrong = times.keys().filter(|hash| !known.contains(*hash)).count();
    println!("{display}: {} lost, {twice} twice, {wrong} false", lost.len());
    ensure!(
        lost.is_empty() && twice == 0 && wrong == 0,
        "the {display} did not tell the truth: lost {lost:?}, {twice} twice, {wrong} false"
    );
    Ok(())
}

/// Whatever its record says: nothing was announced that had been announced before.
pub(crate) fn never_repeated(display: &str, repeated: usize) -> anyhow::Result<()> {
    println!("{display}: {repeated} announced again");
    ensure!(repeated == 0, "the {display} announced {repeated} payments again");
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
