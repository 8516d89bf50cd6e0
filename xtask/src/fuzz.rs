//! `cargo xtask fuzz`: strange bytes for everything that strangers can send, guided by coverage.
//!
//! The targets have the layout of `cargo fuzz`, but need neither it nor a nightly toolchain: the compiler's own
//! passes count the edges, and `libfuzzer-sys` brings the fuzzer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cache::Cache;
use crate::shell;

const TARGETS: [&str; 3] = ["frame", "pairing", "rest"];

/// What `cargo fuzz` passes, without the sanitizers, which a stable toolchain does not have: this code is safe Rust.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// What merchants paste, to begin with.
const PAIRINGS: [&str; 5] = [
    "lndhub://invoice:0123456789abcdef0123456789abcdef@https://lnbits.example/lndhub/ext/",
    "https://lnbits.example/wallet?usr=0123456789abcdef0123456789abcdef&wal=fedcba9876543210fedcba9876543210",
    "wss://lnbits.example/api/v1/ws/0123456789abcdef0123456789abcdef",
    "tillbell:pair?server=https%3A%2F%2Flnbits.example&key=0123456789abcdef0123456789abcdef&name=Caf%C3%A9",
    "http://user:password@127.0.0.1:5000/lnbits/",
];

/// The command: `--minutes N` for each target.
///
/// # Errors
/// See [`fuzz`].
pub(crate) fn command(arguments: &[String]) -> anyhow::Result<()> {
    let minutes = crate::arguments::minutes("fuzz", arguments)?;
    let cache = Cache::open()?;
    let _lock = cache.lock()?;
    fuzz(&cache, Duration::from_secs(60) * minutes, |_, _| {})
}

/// Runs every target for this long and tells `ran` how each went.
///
/// # Errors
/// When a target does not build, or when one found something: the input that does it is kept and named.
pub(crate) fn fuzz(cache: &Cache, time: Duration, mut ran: impl FnMut(&str, bool)) -> anyhow::Result<()> {
    let home = crate::paths::top().join("crates/lnbits/fuzz");
    let machine = machine()?;
    let target = cache.path("target-fuzz");
    shell::run(
        Command::new(crate::cache::cargo())
            .args([
                "build",
                "--release",
                "--locked",
                "--target",
                &machine,
                "--manifest-path",
            ])
            .arg(home.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", FLAGS),
    )?;
    let mut found = Vec::new();
    for name in TARGETS {
        let corpus = cache.path("fuzz-corpus").join(name);
        std::fs::create_dir_all(&corpus)?;
        seed(name, &corpus)?;
        let kept = home.join("artifacts").join(name);
        std::fs::create_dir_all(&kept)?;
        let outcome = shell::run(
            Command::new(target.join(&machine).join("release").join(name))
                .arg(&corpus)
                .arg(format!("-max_total_time={}", time.as_secs()))
                .arg(format!("-artifact_prefix={}/", kept.display()))
                .args([
                    "-max_len=8192",
                    "-timeout=5",
                    "-rss_limit_mb=1024",
                    "-print_final_stats=1",
                    "-verbosity=0",
                ]),
        );
        ran(name, outcome.is_ok());
        if outcome.is_err() {
            found.push(format!("{name}: see {}", kept.display()));
        }
    }
    if !found.is_empty() {
        bail!("inputs that do harm were found. {}", found.join("; "));
    }
    Ok(())
}

/// Real frames, real answers, real pairing strings.
fn seed(name: &str, corpus: &Path) -> anyhow::Result<()> {
    let mut seeds: Vec<String> = Vec::new();
    if name == "pairing" {
        seeds.extend(PAIRINGS.map(str::to_owned));
    }
    for file in ["lnbits-1.0.0.jsonl", "lnbits-1.6.2.jsonl"] {
        let path: PathBuf = crate::paths::top().join("tests/frames").join(file);
        let recorded = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for line in recorded.lines() {
            let line: Value = serde_json::from_str(line)?;
            let kind = line["kind"].as_str().unwrap_or_default();
            match (name, kind) {
                ("frame", "frame") => seeds.push(text(&line["text"])),
                ("rest", "get_payment" | "list" | "get_wallet") => seeds.push(text(&line["body"])),
                _ => {}
            }
        }
    }
    anyhow::ensure!(!seeds.is_empty(), "there is nothing to begin with for {name}");
    for (nth, seed) in seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("seed-{nth:03}")), seed)?;
    }
    Ok(())
}

/// A recorded body, as it was sent.
fn text(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), str::to_owned)
}

/// The name of this machine's kind, as the compiler has it.
fn machine() -> anyhow::Result<String> {
    let said = shell::answer(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say what it compiles for")?
        .to_owned())
}
