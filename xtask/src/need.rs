//! What the machine must have. On Debian and Ubuntu what is missing is installed; elsewhere it is named.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Build the display and open it.
    Run,
    /// Run the tests, too.
    Test,
    /// Also those that take long.
    TestAll,
    /// Measure it beside browsers.
    Bench,
}

/// To build the display and to run it.
const TO_RUN: &[&str] = &[
    "build-essential",
    "pkg-config",
    "libwebkit2gtk-4.1-dev",
    "librsvg2-dev",
    "libayatana-appindicator3-dev",
    "libasound2-dev",
    // The bell's way from ALSA to the desktop's sound server.
    "libasound2-plugins",
];

/// A screen, a sound card and a driver for the window, none of them real; a browser with its driver; fonts for what customers write in memos; a
/// keyring on a session bus; a wall clock that can be moved; and Python for the real LNbits.
const TO_TEST: &[&str] = &[
    "python3-venv",
    "xvfb",
    "webkit2gtk-driver",
    "chromium",
    "chromium-driver",
    "pulseaudio",
    "pulseaudio-utils",
    "iproute2",
    "dbus",
    "gnome-keyring",
    "faketime",
    "fonts-noto-core",
    "fonts-noto-cjk",
    "fonts-noto-color-emoji",
];

/// A Wayland compositor with the X server that it wants to have, and a spreadsheet program that opens what was exported.
const TO_TEST_ALL: &[&str] = &["cage", "libreoffice-calc", "xwayland"];

/// What the display is measured beside: Chromium, and WebKitGTK's MiniBrowser, which comes with its driver.
const TO_BENCH: &[&str] = &["chromium", "webkit2gtk-driver"];

/// Sees to it that everything is there.
///
/// # Errors
/// With what to install, when it cannot be installed from here.
pub(crate) fn ensure(purpose: Purpose) -> anyhow::Result<()> {
    node()?;
    if !cfg!(target_os = "linux") {
        // The window's engine comes with the system (macOS) or with its updates (Windows).
        return Ok(());
    }
    let mut wanted = TO_RUN.to_vec();
    if purpose != Purpose::Run {
        wanted.extend(TO_TEST);
    }
    if purpose == Purpose::TestAll {
        wanted.extend(TO_TEST_ALL);
    }
    if purpose == Purpose::Bench {
        wanted.extend(TO_BENCH);
    }
    if !shell::exists("dpkg-query") || !shell::exists("apt-get") {
        println!(
            "This is neither Debian nor Ubuntu, so nothing is installed. Needed are your system's packages for:"
        );
        println!(
            "  WebKitGTK 4.1, librsvg, libayatana-appindicator and ALSA with their headers, a C compiler, pkg-config"
        );
        if purpose != Purpose::Run {
            println!(
                "  Xvfb, WebKitWebDriver, Chromium with chromedriver, PulseAudio with its tools, dbus-daemon, gnome-keyring, libfaketime, Python 3.10 to 3.12 with venv, iproute2, Noto fonts"
            );
        }
        if purpose == Purpose::TestAll {
            println!("  cage with Xwayland, and LibreOffice Calc, as soffice");
        }
        if purpose == Purpose::Bench {
            println!("  Chromium, as /usr/bin/chromium, and WebKitGTK's MiniBrowser");
        }
        return Ok(());
    }
    let missing = missing(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// The packages that dpkg does not call installed.
fn missing<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    // It fails when one is unknown to it, and still lists the others.
    let listed = Command::new("dpkg-query")
        .args(["-W", "-f=${Package} ${db:Status-Status}\n"])
        .args(wanted)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let installed: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    wanted
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect()
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let root = shell::answer(Command::new("id").arg("-u"))?.trim() == "0";
    if !root && !shell::exists("sudo") {
        bail!(
            "Install these first, as root: apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    let apt = || {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        command.args(if root { [].as_slice() } else { &["env"] });
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
        command
    };
    println!("Missing: {}", packages.join(" "));
    shell::run(apt().arg("update"))?;
    shell::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// Node as new as the UI's build tool asks for, and npm.
fn node() -> anyhow::Result<()> {
    const WANTED: &str = "Node 20.19 or newer (with npm) builds the screen: install it and run this again";
    let said = shell::answer(Command::new("node").arg("--version")).context(WANTED)?;
    if !new_enough(said.trim()) {
        bail!("{WANTED}. This machine has {}.", said.trim());
    }
    shell::answer(Command::new(crate::ui::NPM).arg("--version"))
        .context(WANTED)
        .map(drop)
}

/// `^20.19 || >=22.12`, as the UI's `engines` say.
fn new_enough(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) {
        (20, minor) => minor >= 19,
        (22, minor) => minor >= 12,
        (major, _) => major > 22,
    }
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn node_is_judged_as_the_build_tool_does() {
        for good in ["v20.19.0", "v20.20.2", "v22.12.0", "v24.0.0"] {
            assert!(new_enough(good), "{good}");
        }
        for bad in ["v18.20.4", "v20.18.1", "v21.7.0", "v22.11.0", "nonsense"] {
            assert!(!new_enough(bad), "{bad}");
        }
    }
}
