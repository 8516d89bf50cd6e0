//! Which of the machine's screens the window fills, and when they change.

/// There is no such screen.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no screen {wanted}: choose {}", choices(*.there))]
pub(crate) struct NoSuchScreen {
    wanted: usize,
    there: usize,
}

#[cfg(target_os = "linux")]
fn choices(there: usize) -> String {
    match there {
        0 | 1 => "--screen 1, or leave --screen out".to_owned(),
        there => format!("--screen 1 to {there}"),
    }
}

/// Whether the screen is there that was asked for.
#[cfg(target_os = "linux")]
pub(crate) fn check(there: usize, wanted: Option<usize>) -> Result<(), NoSuchScreen> {
    match wanted {
        Some(wanted) if !(1..=there).contains(&wanted) => Err(NoSuchScreen { wanted, there }),
        Some(_) | None => Ok(()),
    }
}

/// The one to fill: the one that was asked for; while that is unplugged, or none was, the first of the others.
pub(crate) fn choose<M>(screens: &[M], wanted: Option<usize>) -> Option<&M> {
    let wanted = wanted.and_then(|wanted| screens.get(wanted.checked_sub(1)?));
    wanted.or(screens.first())
}

/// Calls this when a screen has another size, or another one is there.
#[cfg(target_os = "linux")]
pub(crate) fn on_change(changed: impl Fn() + Clone + 'static) {
    let Some(screen) = gtk::gdk::Screen::default() else {
        return;
    };
    let resized = changed.clone();
    screen.connect_size_changed(move |_| resized());
    screen.connect_monitors_changed(move |_| changed());
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn screens_are_counted_from_one_and_one_that_is_not_there_is_refused() {
        let screens = ["left", "right"];
        for (wanted, chosen) in [(None, "left"), (Some(1), "left"), (Some(2), "right")] {
            assert_eq!(check(screens.len(), wanted), Ok(()));
            assert_eq!(choose(&screens, wanted), Some(&chosen));
        }
        for wanted in [0, 3, usize::MAX] {
            let said = check(screens.len(), Some(wanted)).unwrap_err().to_string();
            assert_eq!(
                said,
                format!("there is no screen {wanted}: choose --screen 1 to 2")
            );
        }
        let said = check(1, Some(2)).unwrap_err().to_string();
        assert!(
            said.ends_with("choose --screen 1, or leave --screen out"),
            "{said}"
        );
    }

    #[test]
    fn while_its_screen_is_unplugged_the_window_is_on_the_first() {
        assert_eq!(choose(&["left"], Some(2)), Some(&"left"));
        assert_eq!(choose::<&str>(&[], Some(2)), None);
    }
}
