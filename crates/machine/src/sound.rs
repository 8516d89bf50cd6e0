//! What could play the chime, found without opening it.
//!
//! The bell itself is in another crate: a program for a terminal must start on a machine without any sound library.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The kernel's list of sound cards.
const CARDS: &str = "/proc/asound/cards";

/// What was found, in words: a sound server, and the cards. Empty when there is nothing.
#[must_use]
pub fn find() -> Vec<String> {
    let server = env::var("PULSE_SERVER").ok().filter(|name| !name.is_empty());
    let folder = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let cards = fs::read_to_string(CARDS).unwrap_or_default();
    server_at(server, folder.as_deref())
        .into_iter()
        .chain(names(&cards))
        .collect()
}

/// A PulseAudio or PipeWire that answers; one on another machine is believed.
fn server_at(named: Option<String>, folder: Option<&Path>) -> Option<String> {
    let own = || folder.map(|folder| folder.join("pulse/native"));
    let socket = match &named {
        Some(name) => name.strip_prefix("unix:").map(PathBuf::from),
        None => Some(own()?),
    };
    match socket {
        Some(socket) => UnixStream::connect(&socket)
            .is_ok()
            .then(|| format!("a sound server ({})", socket.display())),
        None => named.map(|name| format!("a sound server ({name})")),
    }
}

/// `" 0 [PCH            ]: HDA-Intel - HDA Intel PCH"`, and a second line with more of it.
fn names(cards: &str) -> impl Iterator<Item = String> {
    cards
        .lines()
        .filter_map(|line| line.split_once("]: "))
        .map(|(_, name)| format!("the sound card {}", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_called_by_their_names() {
        let cards = " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xa1 irq 1\n \
                     1 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n                      vc4-hdmi-0\n";
        let found: Vec<_> = names(cards).collect();
        assert_eq!(
            found,
            [
                "the sound card HDA-Intel - HDA Intel PCH",
                "the sound card vc4-hdmi - vc4-hdmi-0"
            ]
        );
        assert_eq!(names("--- no soundcards ---\n").count(), 0);
    }

    #[test]
    fn a_sound_server_counts_when_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(server_at(None, None), None);
        assert_eq!(server_at(None, Some(folder.path())), None);
        let socket = folder.path().join("pulse/native");
        fs::create_dir(folder.path().join("pulse")).unwrap();
        let _server = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let found = Some(format!("a sound server ({})", socket.display()));
        assert_eq!(server_at(None, Some(folder.path())), found);
        assert_eq!(server_at(Some(format!("unix:{}", socket.display())), None), found);
        assert_eq!(
            server_at(Some("tcp:till.local".to_owned()), None).as_deref(),
            Some("a sound server (tcp:till.local)")
        );
    }
}
