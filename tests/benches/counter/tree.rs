//! A program and every process it started, as `/proc` counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

/// Linux counts a program's time in these, whatever its clock.
const TICK: Duration = Duration::from_millis(10);

/// A process, from its `stat` line.
#[derive(Debug, Clone, Copy)]
struct Process {
    parent: u32,
    ticks: u32,
}

/// How many processes the program consists of.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn count(root: u32) -> anyhow::Result<usize> {
    Ok(below(root)?.len())
}

/// The processor time that all of them have taken so far.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn taken(root: u32) -> anyhow::Result<Duration> {
    Ok(TICK * below(root)?.values().map(|process| process.ticks).sum::<u32>())
}

/// Their memory in MB, what they share with others counted in part (PSS).
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn memory(root: u32) -> anyhow::Result<f64> {
    let mut kib = 0;
    for id in below(root)?.into_keys() {
        let path = format!("/proc/{id}/smaps_rollup");
        let rollup = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let pss = pss.and_then(|rest| rest.split_whitespace().next());
        kib += pss.context(path)?.parse::<u32>()?;
    }
    Ok(f64::from(kib) * 1024.0 / 1e6)
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
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |nth: usize| fields.get(nth)?.parse::<u32>().ok();
    Some(Process {
        parent: number(1)?,
        ticks: number(11)? + number(12)?,
    })
}
