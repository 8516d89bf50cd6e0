//! `cargo xtask bench`: what a counter feels, beside browsers and far from its server; what a crowd of wallets costs; what a day
//! costs on a metered line.
//!
//! A figure never fails it. A payment that was lost or told twice does.

use anyhow::bail;

use crate::cache::Cache;
use crate::lnbits;
use crate::need::Purpose;
use crate::{need, shell, ui};

/// The benches, each a file below `tests/benches`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bench {
    /// The display beside Chromium and the least browser around its own engine, and far from its server.
    Counter,
    /// What many payments leave behind in it, and in Chromium.
    Memory,
    /// Two hundred wallets in one window.
    Crowd,
    /// Displays in browsers.
    Displays,
    /// Bytes to and from a real LNbits; for so many minutes, or its own choice.
    Traffic(Option<u32>),
}

impl Bench {
    fn read(arguments: &[String]) -> anyhow::Result<Vec<Self>> {
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        Ok(match words[..] {
            [] => vec![Self::Counter, Self::Crowd, Self::Displays],
            ["counter"] => vec![Self::Counter],
            ["counter", "--memory"] => vec![Self::Memory],
            ["crowd"] => vec![Self::Crowd],
            ["displays"] => vec![Self::Displays],
            ["traffic"] => vec![Self::Traffic(None)],
            ["traffic", ..] => vec![Self::Traffic(Some(crate::arguments::minutes(
                "bench traffic",
                &arguments[1..],
            )?))],
            _ => bail!(
                "`cargo xtask bench` takes nothing, `counter [--memory]`, `crowd`, `displays` or `traffic [--minutes N]`, and there is «{}».",
                words.join(" ")
            ),
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Counter | Self::Memory | Self::Displays => "counter",
            Self::Crowd => "crowd",
            Self::Traffic(_) => "traffic",
        }
    }
}

/// Builds what a shop runs and measures it.
///
/// # Errors
/// When something is missing or does not build, or when a program does not do what is to be measured.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let benches = Bench::read(arguments)?;
    if !cfg!(target_os = "linux") {
        bail!("`cargo xtask bench` reads the glass of an Xvfb and /proc, so it needs Linux.");
    }
    let cache = Cache::open()?;
    let lock = cache.lock()?;
    need::ensure(Purpose::Bench)?;
    ui::build()?;
    shell::run(
        cache
            .cargo()
            .args(["build", "--release", "-p", "tillbell", "-p", "tillbell-headless"]),
    )?;
    let command = |bench: Bench| {
        let mut command = cache.cargo();
        command
            .env("TILLBELL_BIN_DIR", cache.target().join("release"))
            // Nobody's display is talkative.
            .env("TILLBELL_LOG", "warn")
            .args(["bench", "-p", "tillbell-tests", "--bench", bench.name()]);
        command
    };
    for bench in &benches {
        shell::run(command(*bench).arg("--no-run"))?;
    }
    let mut lock = Some(lock);
    for bench in benches {
        let mut command = command(bench);
        if bench == Bench::Memory {
            command.args(["--", "--memory"]);
        }
        if bench == Bench::Displays {
            command.args(["--", "--displays"]);
        }
        if let Bench::Traffic(minutes) = bench {
            let venv = lnbits::CURRENT.ensure(&cache)?;
            command.env(lnbits::CURRENT.variable(), venv);
            if let Some(minutes) = minutes {
                command.args(["--", "--minutes", &minutes.to_string()]);
            }
            // It takes half an hour, and whatever else is built meanwhile does not touch what runs.
            lock = None;
        }
        shell::run(&mut command)?;
    }
    drop(lock);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Bench;

    fn read(words: &[&str]) -> Option<Vec<Bench>> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Bench::read(&words).ok()
    }

    #[test]
    fn one_bench_is_run_by_name_and_the_long_one_only_so() {
        assert_eq!(
            read(&[]),
            Some(vec![Bench::Counter, Bench::Crowd, Bench::Displays])
        );
        assert_eq!(read(&["displays"]), Some(vec![Bench::Displays]));
        assert_eq!(read(&["crowd"]), Some(vec![Bench::Crowd]));
        assert_eq!(read(&["counter"]), Some(vec![Bench::Counter]));
        assert_eq!(read(&["counter", "--memory"]), Some(vec![Bench::Memory]));
        assert_eq!(read(&["traffic"]), Some(vec![Bench::Traffic(None)]));
        let ten = vec![Bench::Traffic(Some(10))];
        assert_eq!(read(&["traffic", "--minutes", "10"]), Some(ten));
        assert_eq!(read(&["crowd", "--minutes", "10"]), None);
        assert_eq!(read(&["noise"]), None);
    }
}
