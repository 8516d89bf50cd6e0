//! Arguments that more than one command takes.

use anyhow::Context as _;

/// Reads `--minutes N`, the only option of a command.
pub(crate) fn minutes(command: &str, arguments: &[String]) -> anyhow::Result<u32> {
    match arguments {
        [option, minutes] if option == "--minutes" => minutes
            .parse()
            .with_context(|| format!("--minutes {minutes}: that is not a number")),
        _ => anyhow::bail!("`cargo xtask {command}` wants to know how long, and nothing else: --minutes N"),
    }
}
