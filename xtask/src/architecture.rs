//! What must be absent: a toolkit under `crates/`, Tauri in the UI outside its one door, other people's folders, big files, tests that are
//! only named, import cycles.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cache::Cache;
use crate::cycles::{self, Cycles};
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
    let Cycles {
        between_files,
        between_folders,
    } = cycles::check(&files)?;
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
        (
            "The fuzzers' Cargo.lock holds what crates/lnbits needs",
            stale_fuzzers(cache)?,
        ),
        ("No import cycle between files", between_files),
        ("No import cycle between folders", between_folders),
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

/// The fuzzers are a workspace of their own, built only by `--all`: without this their lock file would fall behind unseen.
fn stale_fuzzers(cache: &Cache) -> anyhow::Result<Vec<String>> {
    let resolved = cache
        .cargo()
        .args(["tree", "--locked", "--quiet", "--manifest-path"])
        .arg("crates/lnbits/fuzz/Cargo.toml")
        .output()
        .context("cargo tree cannot be run")?;
    if resolved.status.success() {
        return Ok(Vec::new());
    }
    let why = String::from_utf8_lossy(&resolved.stderr);
    Ok(why.lines().take(1).map(str::to_owned).collect())
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
    let size =
        |file: &PathBuf| std::fs::metadata(crate::paths::top().join(file)).map_or(0, |data| data.len());
    files
        .iter()
        .map(|file| (file, size(file)))
        .filter(|(_, size)| *size > LARGEST)
        .map(|(file, size)| format!("{} has {} KiB", file.display(), size / 1024))
        .collect()
}

/// Documents name tests as `file::test`: the test must be a function of a file that goes by that name.
fn tests_that_are_only_named(files: &[PathBuf]) -> Vec<String> {
    let read = |file: &PathBuf| std::fs::read_to_string(crate::paths::top().join(file)).unwrap_or_default();
    let with = |ending: &'static str| {
        let ends = move |file: &&PathBuf| file.extension().is_some_and(|extension| extension == ending);
        files.iter().filter(ends)
    };
    let mut missing = Vec::new();
    for document in with("md").filter(|file| file.starts_with("docs")) {
        let text = read(document);
        let named = text.split('`').skip(1).step_by(2);
        for (group, test) in named.filter_map(|code| code.split_once("::")) {
            // How a document says how it names them.
            let is_form = (group, test) == ("file", "test");
            let mut sources = with("rs").filter(|file| goes_by(file, group));
            if !is_form && !sources.any(|file| has_function(&read(file), test)) {
                missing.push(format!("{}: {group}::{test}", document.display()));
            }
        }
    }
    missing
}

/// True for a source that is called `group`, or lies in a folder that is, below `tests/tests`, `crates/*/tests` or a `src`.
fn goes_by(file: &Path, group: &str) -> bool {
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    let below = match parts.as_slice() {
        ["tests", "tests", below @ ..]
        | ["crates", _, "tests" | "src", below @ ..]
        | ["src-tauri", "src", below @ ..] => below,
        _ => return false,
    };
    below
        .iter()
        .any(|part| part.strip_suffix(".rs").unwrap_or(part) == group)
}

/// True when the source has `fn name`, or hands the name, on a line of its own, to a macro that makes functions.
fn has_function(source: &str, name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let written = source.split("fn ").skip(1).any(|rest| {
        rest.strip_prefix(name)
            .is_some_and(|rest| !rest.starts_with(is_letter))
    });
    let made = || {
        let mut lines = source
            .lines()
            .map(|line| line.trim().trim_end_matches([',', ';']));
        source.contains("fn $") && lines.any(|line| line == name)
    };
    !name.is_empty() && (written || made())
}

fn holds(file: &Path, text: &str) -> bool {
    std::fs::read(crate::paths::top().join(file))
        .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Every file that is, or may become, part of the repository, relative to its top.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    // Whoever checks the project need not own the clone.
    git.current_dir(crate::paths::top())
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
    for entry in std::fs::read_dir(crate::paths::top().join("crates"))? {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{goes_by, has_function};

    #[test]
    fn a_test_is_looked_for_where_its_document_says() {
        for file in [
            "tests/tests/link.rs",
            "crates/lnbits/tests/link.rs",
            "crates/lnbits/src/link.rs",
            "crates/lnbits/src/link/tests.rs",
            "crates/till/tests/link/main.rs",
        ] {
            assert!(goes_by(Path::new(file), "link"), "{file}");
        }
        for file in [
            "crates/lnbits/src/links.rs",
            "crates/link/src/frame.rs",
            "xtask/src/link.rs",
            "tests/src/link.rs",
        ] {
            assert!(!goes_by(Path::new(file), "link"), "{file}");
        }
    }

    #[test]
    fn a_name_that_only_stands_somewhere_is_no_test() {
        let source = "async fn it_rings() {} // it_sings, it_rin";
        assert!(has_function(source, "it_rings"));
        assert!(!has_function(source, "it_sings"));
        assert!(!has_function(source, "it_rin"));
        assert!(!has_function(source, ""));
    }

    #[test]
    fn a_name_that_a_macro_makes_into_a_test_is_one() {
        let made = "fn $name() {}\nmatrix! {\n    it_rings,\n    it_sings;\n}";
        assert!(has_function(made, "it_rings") && has_function(made, "it_sings"));
        assert!(!has_function("matrix! {\n    it_rings,\n}", "it_rings"));
    }
}
