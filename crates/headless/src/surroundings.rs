//! What `doctor` finds of the machine around a display. None of it keeps payments from being heard: what is missing is a warning.

use tillbell_machine::awake;
#[cfg(target_os = "linux")]
use tillbell_machine::{
    fonts,
    renderer::{self, Renderer},
    screen::Session,
    sound,
};

/// One line: what was looked at, and what was found, or what is missing and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) found: Result<String, String>,
}

/// Looks at everything, from where this command runs: a display that is started elsewhere may have another screen.
pub(crate) fn look() -> Vec<Check> {
    #[cfg(target_os = "linux")]
    let mut checks = vec![
        screen(),
        renderer(),
        loudspeaker(&sound::find()),
        letters(fonts::missing()),
    ];
    #[cfg(not(target_os = "linux"))]
    let mut checks = Vec::new();
    checks.push(kept_awake(&awake::try_each()));
    checks
}

#[cfg(target_os = "linux")]
fn screen() -> Check {
    let reached = Session::of_this_process().reach();
    Check {
        what: "screen",
        found: reached
            .map(|session| session.to_string())
            .map_err(|error| error.to_string()),
    }
}

#[cfg(target_os = "linux")]
fn renderer() -> Check {
    let found = renderer::find();
    let refused: Vec<_> = found
        .nodes
        .iter()
        .filter_map(|(node, refused)| Some(format!("{} ({})", node.display(), refused.as_ref()?)))
        .collect();
    let drawn = match found.renderer() {
        Renderer::Chosen(variable) => Ok(format!("as {variable} says")),
        Renderer::Shared => Ok("by the graphics card".to_owned()),
        Renderer::Copied => Ok("by the graphics card; for NVIDIA's driver each picture is copied".to_owned()),
        Renderer::Plain if refused.is_empty() => Ok("by the processor: there is no graphics card".to_owned()),
        Renderer::Plain => Err(format!(
            "by the processor, for this user may not open {}: add the user to the group that the file belongs to",
            refused.join(", ")
        )),
    };
    Check {
        what: "drawing",
        found: drawn,
    }
}

#[cfg(target_os = "linux")]
fn loudspeaker(found: &[String]) -> Check {
    Check {
        what: "sound",
        found: match found {
            [] => Err(
                "there is no sound server and no sound card: connect a loudspeaker, or look at the screen"
                    .to_owned(),
            ),
            found => Ok(found.join(", ")),
        },
    }
}

#[cfg(target_os = "linux")]
fn letters(missing: std::io::Result<Vec<&'static str>>) -> Check {
    Check {
        what: "fonts",
        found: match missing {
            Ok(missing) if missing.is_empty() => {
                Ok("memos can be read in every script that was looked for".to_owned())
            }
            Ok(missing) => Err(format!(
                "none for {}: memos show boxes instead. Install the Noto fonts (fonts-noto-core, -cjk, -color-emoji on Debian)",
                missing.join(", ")
            )),
            Err(error) => Err(format!(
                "they cannot be listed: `fc-list` of fontconfig says {error}"
            )),
        },
    }
}

fn kept_awake(tried: &[(awake::Way, Result<(), awake::WayError>)]) -> Check {
    let works: Vec<_> = tried
        .iter()
        .filter(|(_, answer)| answer.is_ok())
        .map(|(way, _)| way.to_string())
        .collect();
    let fails = || {
        let fails = tried
            .iter()
            .filter_map(|(way, answer)| Some(format!("{way}: {}", answer.as_ref().err()?)));
        fails.collect::<Vec<_>>().join("; ")
    };
    Check {
        what: "keep awake",
        found: match works.is_empty() {
            false => Ok(format!("by {}", works.join(", "))),
            true => Err(format!(
                "this screen may go dark: switch its screen saver and power saving off ({})",
                fails()
            )),
        },
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tillbell_machine::awake::{Way, WayError};

    use super::*;

    #[test]
    fn what_is_missing_says_what_to_do() {
        let cases = [
            (loudspeaker(&[]), "connect a loudspeaker"),
            (letters(Ok(vec!["emoji", "Korean"])), "none for emoji, Korean"),
            (letters(Err(std::io::ErrorKind::NotFound.into())), "fc-list"),
            (
                kept_awake(&[
                    (Way::LoginManager, Err(WayError::NotThere)),
                    (Way::XServer, Err(WayError::Silent)),
                ]),
                "may go dark: switch its screen saver and power saving off (the login manager: there is none; the X server: it does \
                 not answer)",
            ),
        ];
        for (check, words) in cases {
            let said = check.found.unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn what_is_there_is_named() {
        let there = [
            "a sound server (tcp:till.local)".to_owned(),
            "the sound card HDMI".to_owned(),
        ];
        assert_eq!(
            loudspeaker(&there).found.unwrap(),
            "a sound server (tcp:till.local), the sound card HDMI"
        );
        assert!(letters(Ok(Vec::new())).found.is_ok());
        let tried = [
            (Way::ScreenSaver, Err(WayError::NotThere)),
            (Way::LoginManager, Ok(())),
            (Way::XServer, Ok(())),
        ];
        assert_eq!(
            kept_awake(&tried).found.unwrap(),
            "by the login manager, the X server"
        );
    }
}
