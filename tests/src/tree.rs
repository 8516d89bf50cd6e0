//! A program and every process it started, as `/proc` counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

/// Linux counts a program's time in these, whatever its clock.
const TICK: Duration = Duration::from_millis(10);

/// Memory in MB (10⁶ bytes).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// All that lies in memory; what processes share is counted for each.
    pub resident: f64,
    /// What processes share is counted in part.
    pub proportional: f64,
}

/// A process, from its `stat` line.
#[derive(Debug, Clone)]
struct Process {
    name: String,
    parent: u32,
    ticks: u32,
}

/// How many processes the program consists of.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn count(root: u32) -> anyhow::Result<usize> {
    Ok(below(root)?.len())
}

/// The processor time that all of them have taken so far.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn taken(root: u32) -> anyhow::Result<Duration> {
    Ok(TICK * below(root)?.values().map(|process| process.ticks).sum::<u32>())
}

/// The processor time that this one process has taken so far.
///
/// # Errors
/// When it is gone.
pub fn taken_alone(id: u32) -> anyhow::Result<Duration> {
    let own = below(id)?.remove(&id).context("the program has ended")?;
    Ok(TICK * own.ticks)
}

/// Those of them with this name (Linux keeps its first 15 letters).
///
/// # Errors
/// When `/proc` cannot be read.
pub fn named(root: u32, name: &str) -> anyhow::Result<Vec<u32>> {
    let kept = name.get(..15).unwrap_or(name);
    let all = below(root)?.into_iter();
    Ok(all
        .filter(|(_, process)| process.name == kept)
        .map(|(id, _)| id)
        .collect())
}

/// Every process with this name (Linux keeps its first 15 letters) that was given this argument, whoever started it.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn with_argument(name: &str, argument: &str) -> anyhow::Result<Vec<u32>> {
    let kept = name.get(..15).unwrap_or(name);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended has neither.
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let has_name = read("comm").trim_ascii_end() == kept.as_bytes();
        let mut arguments = read("cmdline");
        arguments.push(0);
        let has_argument = || {
            arguments
                .split(|byte| *byte == 0)
                .any(|each| each == argument.as_bytes())
        };
        if has_name && has_argument() {
            found.push(id);
        }
    }
    Ok(found)
}

/// Their memory, added up.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn memory(root: u32) -> anyhow::Result<Memory> {
    let mut memory = Memory::default();
    for id in below(root)?.into_keys() {
        let path = format!("/proc/{id}/smaps_rollup");
        let rollup = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let read = |name: &str| -> anyhow::Result<f64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            let kib: u32 = kib.with_context(|| path.clone())?.parse()?;
            Ok(f64::from(kib) * 1024.0 / 1e6)
        };
        memory.resident += read("Rss:")?;
        memory.proportional += read("Pss:")?;
    }
    Ok(memory)
}

/// How many files, sockets and pipes all of them hold open.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn handles(root: u32) -> anyhow::Result<usize> {
    let mut handles = 0;
    for id in below(root)?.into_keys() {
        let path = format!("/proc/{id}/fd");
        handles += std::fs::read_dir(&path).with_context(|| path)?.count();
    }
    Ok(handles)
}

/// The process `root` and all its descendants.
fn below(root: u32) -> anyhow::Result<BTreeMap<u32, Process>> {
    let mut all = BTreeMap::<u32, Process>::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile is no longer of interest.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(process) = read(&stat) {
            all.insert(id, process);
        }
    }
    let mut found = BTreeMap::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        if let Some(process) = all.remove(&id) {
            found.insert(id, process);
            next.extend(
                all.iter()
                    .filter(|(_, other)| other.parent == id)
                    .map(|(id, _)| *id),
            );
        }
    }
    anyhow::ensure!(!found.is_empty(), "the program has ended");
    Ok(found)
}

/// The line begins with the id and, in brackets, a name that may hold anything.
fn read(stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let fields: Vec<_> = after.split_whitespace().collect();
    let number = |nth: usize| fields.get(nth)?.parse::<u32>().ok();
    Some(Process {
        name: before.split_once('(')?.1.to_owned(),
        parent: number(1)?,
        ticks: number(11)? + number(12)?,
    })
}
