//! What Linux tells of a running program.

use std::time::Duration;

use anyhow::Context as _;

/// The program's name, its parent's id and the fields behind, as in `/proc/ID/stat`.
fn stat(id: u32) -> anyhow::Result<(String, u32, Vec<String>)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (before, after) = text.rsplit_once(')').context("no such form")?;
    let name = before.split_once('(').map_or("", |(_, name)| name).to_owned();
    let fields: Vec<_> = after.split_whitespace().map(str::to_owned).collect();
    let parent = fields.get(1).context("no parent")?.parse()?;
    Ok((name, parent, fields))
}

/// How much processor time a program has taken since it began.
///
/// # Errors
/// When it is gone.
pub fn processor_time(id: u32) -> anyhow::Result<Duration> {
    let (_, _, fields) = stat(id)?;
    // The 14th and 15th of all fields, in hundredths of a second.
    let ticks =
        |nth: usize| -> anyhow::Result<u64> { Ok(fields.get(nth).context("too few fields")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// The programs of this name (its first 15 letters) that `parent` or a child of it has started.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn descendants(parent: u32, name: &str) -> anyhow::Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok())
            && let Ok((name, parent, _)) = stat(id)
        {
            all.push((id, parent, name));
        }
    }
    let mut family = vec![parent];
    let mut found = Vec::new();
    while let Some(elder) = family.pop() {
        for (id, _, its_name) in all.iter().filter(|(_, parent, _)| *parent == elder) {
            family.push(*id);
            if name.starts_with(its_name.as_str()) && !its_name.is_empty() {
                found.push(*id);
            }
        }
    }
    Ok(found)
}

/// Sends a signal: `KILL`, `STOP`, `CONT`.
///
/// # Errors
/// When there is no such program.
pub fn signal(id: u32, signal: &str) -> anyhow::Result<()> {
    // The shell's own `kill`: the program of that name is not everywhere.
    let script = format!("kill -{signal} {id}");
    let status = std::process::Command::new("sh").args(["-c", &script]).status()?;
    anyhow::ensure!(status.success(), "{id} cannot be sent {signal}");
    Ok(())
}
