//! Import cycles: between files, and between folders.
//!
//! Files: [`rust`] says when a Rust file imports another, [`ui`] when a file of the UI does.
//!
//! Folders: whatever lies in one folder, its files and its folders, must not form a cycle. Example: when `link/mod.rs`
//! imports `rest.rs` and `rest.rs` imports `link/lost.rs`, the files form none, but the folder `link` and `rest.rs` do.

mod graph;
mod rust;
mod ui;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::graph::{Sources, between_files, between_folders};

/// Folders whose cycles are known, and why they may stay. One that has no cycle any more must be taken off.
const EXCEPT: [(&str, &str); 0] = [];

/// The cycles found, each in a line.
#[derive(Debug, Default)]
pub(crate) struct Cycles {
    pub(crate) between_files: Vec<String>,
    pub(crate) between_folders: Vec<String>,
}

/// Looks through every package's `src` (but for [`EXCEPT`] and the tests' own package) and through `ui/src`.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn check(files: &[PathBuf]) -> anyhow::Result<Cycles> {
    let mut found = Cycles::default();
    for folder in folders(files) {
        let graph = if folder == Path::new("ui") {
            ui::imports(&read(files, &folder.join("src"), &["ts", "svelte"])?)
        } else {
            rust::imports(&read(files, &folder.join("src"), &["rs"])?)?
        };
        let (between_files, between_folders) = (between_files(&graph), between_folders(&graph));
        match EXCEPT.iter().find(|(except, _)| folder == Path::new(except)) {
            None => {
                found.between_files.extend(between_files);
                found.between_folders.extend(between_folders);
            }
            Some((except, why)) if between_files.is_empty() && between_folders.is_empty() => {
                found.between_files.push(format!(
                    "{except} has no cycle any more: take it off the exceptions ({why})"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

/// The folders with a `src` to look through.
fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let of = |file: &PathBuf| {
        let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["crates", package, "src", ..] => Some(Path::new("crates").join(package)),
            [folder @ ("src-tauri" | "ui" | "xtask"), "src", ..] => Some(PathBuf::from(folder)),
            _ => None,
        }
    };
    files.iter().filter_map(of).collect()
}

fn read(files: &[PathBuf], below: &Path, endings: &[&str]) -> anyhow::Result<Sources> {
    let is_source = |file: &&PathBuf| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        file.starts_with(below) && ending.is_some_and(|ending| endings.contains(&ending))
    };
    let mut sources = Sources::new();
    for file in files.iter().filter(is_source) {
        let path = crate::paths::top().join(file);
        // Git still lists a file that was deleted a moment ago.
        if path.exists() {
            let text = std::fs::read_to_string(&path).with_context(|| file.display().to_string())?;
            sources.insert(file.clone(), text);
        }
    }
    Ok(sources)
}
