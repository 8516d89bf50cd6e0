//! Running other programs: what is done is said, how long it took too, and a failure names the command.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// A heading that stands out between the programs' own output.
pub(crate) fn heading(text: &str) {
    println!("\n━━ {text} ━━");
}

/// A step within a heading.
pub(crate) fn step(text: &str) {
    println!("── {text}");
}

/// Runs `command` with its output passed through.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let began = announce(command);
    let status = command.status().with_context(|| cannot_start(command))?;
    finish(command, status, began)
}

/// Like [`run`], and hands each line of standard output to `hear` after it was passed through.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run_heard(command: &mut Command, mut hear: impl FnMut(&str)) -> anyhow::Result<()> {
    let began = announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("its output could not be read")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            hear(&line);
        }
    }
    let status = child.wait().context("it could not be waited for")?;
    finish(command, status, began)
}

/// Runs `command` quietly and answers with its standard output.
///
/// # Errors
/// When it cannot be started or does not succeed; its standard error is part of the message.
pub(crate) fn answer(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            show(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True when a program of this name can be started.
pub(crate) fn exists(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn announce(command: &Command) -> Instant {
    step(&show(command));
    Instant::now()
}

fn finish(command: &Command, status: std::process::ExitStatus, began: Instant) -> anyhow::Result<()> {
    let took = began.elapsed().as_secs_f32();
    if status.success() {
        println!("   done in {took:.1} s");
        return Ok(());
    }
    bail!("`{}` failed after {took:.1} s ({status})", show(command))
}

fn cannot_start(command: &Command) -> String {
    format!("`{}` cannot be started", command.get_program().to_string_lossy())
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}
