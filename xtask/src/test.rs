//! `cargo xtask test`: everything that is checked before a change goes in.
//!
//! The groups run in a fixed order, and a group that fails does not keep the later ones from running.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::cache::Cache;
use crate::need::Purpose;
use crate::tally::Tally;
use crate::{architecture, deny, fuzz, lnbits, need, shell, ui};

/// The package that holds what crosses a process.
const END_TO_END: &str = "tillbell-tests";

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// What takes long or needs the network, too.
    all: bool,
    /// One group, or one end-to-end test file.
    only: Option<String>,
    /// For the end-to-end tests' runner.
    runner: Vec<String>,
}

impl Options {
    /// # Errors
    /// With what was not understood.
    pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--all" => options.all = true,
                "--only" => {
                    options.only = Some(arguments.next().context("--only wants a name after it")?.clone())
                }
                "--" => options.runner = arguments.by_ref().cloned().collect(),
                other => bail!("`cargo xtask test` does not know «{other}»."),
            }
        }
        if let Some(only) = &options.only
            && Group::named(only).is_none()
        {
            bail!("--only {only}: there is no such group and no tests/tests/{only}.rs.");
        }
        Ok(options)
    }

    fn wants(&self, group: Group) -> bool {
        match &self.only {
            Some(only) => Group::named(only) == Some(group),
            None => self.all || !group.is_long(),
        }
    }

    /// The single end-to-end test file that was asked for.
    fn file(&self) -> Option<&str> {
        self.only.as_deref().filter(|only| is_test_file(only))
    }
}

/// What is run together and reported on one line, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// What must be absent.
    Architecture,
    /// `rustfmt`.
    Fmt,
    /// The screen: built, checked, tested.
    Ui,
    /// Every lint an error.
    Clippy,
    /// The tests beside the code, and the types made from it.
    Unit,
    /// Licences and sources.
    Deny,
    /// A million random schedules instead of ten thousand; only when asked for, or with `--all`.
    Schedules,
    /// A minute of strange bytes for each target; likewise.
    Fuzz,
    /// The real LNbits, the documented interface, the real window, the chime.
    EndToEnd,
}

impl Group {
    const ALL: [Self; 9] = [
        Self::Architecture,
        Self::Fmt,
        Self::Ui,
        Self::Clippy,
        Self::Unit,
        Self::Deny,
        Self::Schedules,
        Self::Fuzz,
        Self::EndToEnd,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Architecture => "architecture",
            Self::Fmt => "fmt",
            Self::Ui => "ui",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::Deny => "deny",
            Self::Schedules => "schedules",
            Self::Fuzz => "fuzz",
            Self::EndToEnd => "end-to-end",
        }
    }

    /// True for what runs only when asked for.
    const fn is_long(self) -> bool {
        match self {
            Self::Schedules | Self::Fuzz => true,
            Self::Architecture
            | Self::Fmt
            | Self::Ui
            | Self::Clippy
            | Self::Unit
            | Self::Deny
            | Self::EndToEnd => false,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let group = Self::ALL.into_iter().find(|group| group.name() == name);
        group.or_else(|| is_test_file(name).then_some(Self::EndToEnd))
    }

    fn run(self, cache: &Cache, options: &Options, tally: &mut Tally) -> anyhow::Result<()> {
        match self {
            Self::Architecture => architecture(cache, tally),
            Self::Fmt => shell::run(cache.cargo().args(["fmt", "--all", "--check"])),
            Self::Ui => screen(tally),
            Self::Clippy => clippy(cache),
            Self::Unit => unit(cache, tally),
            Self::Deny => deny::check(cache, options.all),
            Self::Schedules => schedules(cache, tally),
            Self::Fuzz => fuzz::fuzz(cache, Duration::from_secs(60), |_, well| tally.count(well)),
            Self::EndToEnd => end_to_end(cache, options, tally),
        }
    }
}

/// Runs what was asked for, all of it, and says at the end how it went.
///
/// # Errors
/// When any group failed.
pub(crate) fn test(options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let cache = Cache::open()?;
    let _lock = cache.lock()?;
    let mut tally = Tally::default();
    let mut results: Vec<(&str, Duration, anyhow::Result<()>)> = Vec::new();
    let mut group = |name, work: &mut dyn FnMut(&mut Tally) -> anyhow::Result<()>| {
        shell::heading(name);
        let began = Instant::now();
        let result = work(&mut tally);
        if let Err(error) = &result {
            println!("FAILED: {error:#}");
        }
        results.push((name, began.elapsed(), result));
    };

    let purpose = if options.all {
        Purpose::TestAll
    } else {
        Purpose::Test
    };
    group("what is needed", &mut |_| need::ensure(purpose));
    // Its runner's own summary lines are to be the last of their kind.
    for each in Group::ALL.into_iter().filter(|each| options.wants(*each)) {
        group(each.name(), &mut |tally| each.run(&cache, options, tally));
    }

    shell::heading(&format!("summary after {} s", began.elapsed().as_secs()));
    for (name, took, result) in &results {
        let outcome = result
            .as_ref()
            .map_or_else(|error| format!("FAILED: {error:#}"), |()| "ok".to_owned());
        println!("{name:<16} {:>6.1} s  {outcome}", took.as_secs_f32());
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    let failed: Vec<_> = results
        .iter()
        .filter(|(_, _, result)| result.is_err())
        .map(|(name, _, _)| *name)
        .collect();
    if !failed.is_empty() {
        bail!("Not everything is well: {}", failed.join(", "));
    }
    Ok(())
}

fn architecture(cache: &Cache, tally: &mut Tally) -> anyhow::Result<()> {
    let mut wrong = 0;
    for (check, found) in architecture::check(cache)? {
        tally.count(found.is_empty());
        wrong += usize::from(!found.is_empty());
        println!("{} {check}", if found.is_empty() { "ok    " } else { "FAILED" });
        for each in found {
            println!("         {each}");
        }
    }
    if wrong > 0 {
        bail!("{wrong} of the architecture's rules are broken");
    }
    Ok(())
}

fn screen(tally: &mut Tally) -> anyhow::Result<()> {
    ui::build()?;
    let checked = shell::run(&mut ui::script("check"));
    let tested = shell::run_heard(&mut ui::script("test"), |line| tally.hear(line));
    checked.and(tested)
}

fn clippy(cache: &Cache) -> anyhow::Result<()> {
    require_screen()?;
    let mut cargo = cache.cargo();
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]);
    shell::run(&mut cargo)
}

/// Every test beside the code; and the UI's types, made anew from the Rust ones, must be those that are committed.
fn unit(cache: &Cache, tally: &mut Tally) -> anyhow::Result<()> {
    require_screen()?;
    let made = cache.path("generated-types");
    if made.exists() {
        std::fs::remove_dir_all(&made)?;
    }
    let mut cargo = cache.cargo();
    cargo.env("TS_RS_EXPORT_DIR", &made);
    cargo.args([
        "test",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--exclude",
        END_TO_END,
    ]);
    let tested = shell::run_heard(&mut cargo, |line| tally.hear(line));
    let stale = differences(&made, &crate::paths::top().join("ui/src/host/generated"));
    tally.count(stale.as_ref().is_ok_and(Vec::is_empty));
    tested?;
    let stale = stale?;
    if !stale.is_empty() {
        bail!(
            "ui/src/host/generated is stale ({}): run `cargo test -p tillbell-till` and commit it",
            stale.join(", ")
        );
    }
    Ok(())
}

/// A million schedules, in a release build.
fn schedules(cache: &Cache, tally: &mut Tally) -> anyhow::Result<()> {
    let mut cargo = cache.cargo();
    cargo.env("TILLBELL_SCHEDULES", "1000000");
    cargo.args([
        "test",
        "--release",
        "-p",
        "tillbell-till",
        "--lib",
        "engine::schedules",
    ]);
    shell::run_heard(&mut cargo, |line| tally.hear(line))
}

/// The names of the files that are not the same in both folders.
fn differences(one: &Path, other: &Path) -> anyhow::Result<Vec<String>> {
    let read = |folder: &Path| -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("no types were made: {}", folder.display()))?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let entry = entry?;
            files.insert(
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path())?,
            );
        }
        Ok(files)
    };
    let (one, other) = (read(one)?, read(other)?);
    let mut names: Vec<_> = one
        .keys()
        .chain(other.keys())
        .filter(|name| one.get(*name) != other.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Builds the programs as a shop would get them, only with less optimisation, and lets the tests at them.
fn end_to_end(cache: &Cache, options: &Options, tally: &mut Tally) -> anyhow::Result<()> {
    let servers = if options.all {
        &lnbits::ALL[..]
    } else {
        std::slice::from_ref(&lnbits::CURRENT)
    };
    let servers = servers
        .iter()
        .map(|version| Ok((version.variable(), version.ensure(cache)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    ui::build()?;
    mortal(cache)?;
    shell::run(
        cache
            .cargo()
            .args(["build", "-p", "tillbell", "-p", "tillbell-headless"]),
    )?;

    let mut cargo = cache.cargo();
    cargo
        .env("TILLBELL_BIN_DIR", cache.target().join("debug"))
        .envs(servers);
    cargo.args(["test", "-p", END_TO_END, "--no-fail-fast"]);
    if options.all {
        cargo.args(["--features", "slow"]);
    }
    if let Some(file) = options.file() {
        cargo.args(["--test", file]);
    }
    if !options.runner.is_empty() {
        cargo.arg("--").args(&options.runner);
    }
    shell::run_heard(&mut cargo, |line| tally.hear(line))
}

/// Builds both programs once more, so that tests can kill them or have a fault at chosen places, and puts them aside.
fn mortal(cache: &Cache) -> anyhow::Result<()> {
    // Both packages, so that nothing below them is built twice.
    shell::run(cache.cargo().args([
        "build",
        "-p",
        "tillbell",
        "-p",
        "tillbell-headless",
        "--features",
        "tillbell/failpoints,tillbell-headless/failpoints",
    ]))?;
    let folder = cache.target().join("debug");
    let mortal = folder.join("mortal");
    std::fs::create_dir_all(&mortal)?;
    for program in ["tillbell", "tillbell-headless"] {
        std::fs::copy(folder.join(program), mortal.join(program))
            .with_context(|| format!("{program} cannot be put aside"))?;
    }
    Ok(())
}

/// The desktop shell does not compile without a built screen.
fn require_screen() -> anyhow::Result<()> {
    if crate::paths::top().join("ui/dist/index.html").exists() {
        Ok(())
    } else {
        ui::build()
    }
}

fn is_test_file(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain
        && crate::paths::top()
            .join("tests/tests")
            .join(format!("{name}.rs"))
            .exists()
}

#[cfg(test)]
mod tests {
    use super::{Group, Options, differences};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn without_arguments_every_group_runs_but_the_long_ones() {
        let options = Options::parse(&[]).unwrap();
        assert!(
            Group::ALL
                .into_iter()
                .all(|group| options.wants(group) != group.is_long())
        );
        let options = Options::parse(&words("--all")).unwrap();
        assert!(Group::ALL.into_iter().all(|group| options.wants(group)));
    }

    #[test]
    fn a_group_or_a_test_file_can_be_asked_for() {
        let options = Options::parse(&words("--only clippy")).unwrap();
        assert!(options.wants(Group::Clippy) && !options.wants(Group::Unit));

        let options = Options::parse(&words("--only real_lnbits -- --nocapture")).unwrap();
        assert!(options.wants(Group::EndToEnd) && !options.wants(Group::Ui));
        assert_eq!(options.file(), Some("real_lnbits"));
        assert_eq!(options.runner, ["--nocapture"]);

        assert!(Options::parse(&words("--only nonsense")).is_err());
        assert!(Options::parse(&words("--fast")).is_err());
    }

    #[test]
    fn stale_types_are_named_whether_changed_missing_or_left_over() {
        let folder = std::env::temp_dir().join(format!("tillbell-xtask-{}", std::process::id()));
        let (made, kept) = (folder.join("made"), folder.join("kept"));
        for (place, name, text) in [
            (&made, "A.ts", "1"),
            (&kept, "A.ts", "2"),
            (&made, "B.ts", "1"),
            (&kept, "C.ts", "1"),
        ] {
            std::fs::create_dir_all(place).unwrap();
            std::fs::write(place.join(name), text).unwrap();
        }
        for place in [&made, &kept] {
            std::fs::write(place.join("Same.ts"), "1").unwrap();
        }
        let named = differences(&made, &kept);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(named.unwrap(), ["A.ts", "B.ts", "C.ts"]);
    }
}
