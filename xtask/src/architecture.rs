//! What must be absent: a toolkit under `crates/`, Tauri in the UI outside its one door, other people's folders, big files, tests that are
//! only named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cache::Cache;
use crate::shell;

/// The one UI file that may speak to Tauri.
const DOOR: &str = "ui/src/host/tauri.ts";
/// Larger files do not belong into a repository that is cloned often.
const LARGEST: u64 = 1024 * 1024;

/// Each check in a sentence, with what is wrong (empty when nothing is).
///
/// # Errors
/// When the project cannot be read.
pub(crate) fn check(cache: &Cache) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let files = files()?;
    Ok(vec![
        (
            "No package under crates/ has Tauri in its tree",
            toolkit_under_crates(cache)?,
        ),
        (
            "crates/lnbits and crates/bell stand alone",
            ours_below_the_engine(cache)?,
        ),
        (
            "Only ui/src/host/tauri.ts imports @tauri-apps/",
            tauri_outside_its_door(&files),
        ),
        (
            "Nothing names a folder outside the clone",
            folders_outside(&files),
        ),
        ("No file is larger than 1 MiB", large(&files)),
        (
            "Every test that a document names is there",
            tests_that_are_only_named(&files),
        ),
    ])
}

fn toolkit_under_crates(cache: &Cache) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for package in packages()? {
        let tree = tree(cache, &package, "normal,build,dev")?;
        let toolkit = tree
            .iter()
            .filter(|name| name.as_str() == "tauri" || name.starts_with("tauri-") || *name == "wry");
        found.extend(toolkit.map(|name| format!("{package} depends on {name}")));
    }
    Ok(found)
}

fn ours_below_the_engine(cache: &Cache) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for package in ["tillbell-lnbits", "tillbell-bell"] {
        let tree = tree(cache, package, "normal")?;
        let ours = tree
            .iter()
            .filter(|name| name.starts_with("tillbell") && *name != package);
        found.extend(ours.map(|name| format!("{package} depends on {name}")));
    }
    Ok(found)
}

fn tauri_outside_its_door(files: &[PathBuf]) -> Vec<String> {
    let sources = files
        .iter()
        .filter(|file| file.starts_with("ui/src") && *file != Path::new(DOOR));
    sources
        .filter(|file| holds(file, "@tauri-apps/"))
        .map(|file| file.display().to_string())
        .collect()
}

fn folders_outside(files: &[PathBuf]) -> Vec<String> {
    // Put together here, so that this file does not name it.
    let outside = ["..", "shared"].join("/");
    files
        .iter()
        .filter(|file| holds(file, &outside))
        .map(|file| file.display().to_string())
        .collect()
}

fn large(files: &[PathBuf]) -> Vec<String> {
    let size = |file: &PathBuf| std::fs::metadata(crate::top().join(file)).map_or(0, |data| data.len());
    files
        .iter()
        .map(|file| (file, size(file)))
        .filter(|(_, size)| *size > LARGEST)
        .map(|(file, size)| format!("{} has {} KiB", file.display(), size / 1024))
        .collect()
}

/// Documents name tests as `file::test`, or as `::test` in the file named before.
fn tests_that_are_only_named(files: &[PathBuf]) -> Vec<String> {
    let read = |file: &PathBuf| std::fs::read_to_string(crate::top().join(file)).unwrap_or_default();
    let with = |ending: &'static str| {
        let ends = move |file: &&PathBuf| file.extension().is_some_and(|extension| extension == ending);
        files.iter().filter(ends)
    };
    let sources: BTreeSet<String> = with("rs")
        .flat_map(|file| words(&read(file)).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut missing = Vec::new();
    for document in with("md").filter(|file| file.starts_with("docs")) {
        let text = read(document);
        let named = text.split('`').skip(1).step_by(2);
        let tests = named.filter_map(|code| code.split_once("::").map(|(_, test)| test));
        for test in tests.filter(|test| !sources.contains(*test)) {
            missing.push(format!("{}: {test}", document.display()));
        }
    }
    missing
}

/// Everything in a source that may be a name.
fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

fn holds(file: &Path, text: &str) -> bool {
    std::fs::read(crate::top().join(file))
        .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Every file that is, or may become, part of the repository, relative to its top.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    // Whoever checks the project need not own the clone.
    git.current_dir(crate::top())
        .args(["-c", "safe.directory=*", "ls-files", "-z"]);
    git.args(["--cached", "--others", "--exclude-standard"]);
    let listed = shell::answer(&mut git).context("git is asked which files are ours")?;
    Ok(listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect())
}

/// The names of the packages under `crates/`.
fn packages() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(crate::top().join("crates"))? {
        let manifest = entry?.path().join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            continue;
        };
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = "))
            .map(|name| name.trim_matches('"').to_owned());
        names.push(name.with_context(|| format!("{} has no name", manifest.display()))?);
    }
    if names.is_empty() {
        bail!("there is no package under crates/");
    }
    names.sort();
    Ok(names)
}

/// The names in a package's dependency tree, on every platform and with every feature.
fn tree(cache: &Cache, package: &str, edges: &str) -> anyhow::Result<Vec<String>> {
    let mut cargo = cache.cargo();
    cargo.args([
        "tree",
        "--quiet",
        "--all-features",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let lines = shell::answer(cargo.args(["-e", edges, "-p", package]))?;
    let mut names: Vec<_> = lines
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
