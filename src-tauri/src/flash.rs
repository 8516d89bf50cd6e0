//! The first frame of a payment, drawn here: the page needs longer for its own.
//!
//! It stands from the moment when the picture is published until the page has painted the same showing, and for a second at most.
//! Where WebKit draws with the graphics card, or the window is not GTK's, there is none: the page is all there is.

#[cfg(target_os = "linux")]
mod gtk;

use std::cell::RefCell;
use std::sync::Arc;

use tillbell_till::screen::first_frame::{FirstFrame, FlashLayout};
use tillbell_till::screen::view::{Display, Scene};

#[cfg(target_os = "linux")]
pub(crate) use self::gtk::is_out_of_turn;

/// A page that has not painted by then is slow, and has the glass back: better late than never.
#[cfg(target_os = "linux")]
const AT_MOST: std::time::Duration = std::time::Duration::from_secs(1);

thread_local! {
    /// The main thread's, as is all that draws.
    static FLASH: RefCell<Flash> = RefCell::default();
}

/// What is to be drawn in place of the page.
#[derive(Debug, Default)]
struct Flash {
    layout: Option<Box<FlashLayout>>,
    frame: Option<FirstFrame>,
    /// The last showing that had a frame or could have had one. No showing has two.
    begun: u64,
}

impl Flash {
    /// Another picture is published. True when another frame is to be drawn.
    fn picture(&mut self, display: &Display) -> bool {
        let Scene::Paid(paid) = &display.scene else {
            return self.frame.take().is_some();
        };
        if paid.showing == self.begun {
            return false;
        }
        let stood = self.frame.is_some();
        self.begun = paid.showing;
        // The strip of a display that cannot be relied on makes the page's scene smaller.
        let layout = self.layout.as_ref().filter(|_| display.unreliable.is_none());
        self.frame = layout.and_then(|layout| layout.first_frame(paid));
        stood || self.frame.is_some()
    }

    /// This showing is the page's from now on. True when its frame stood.
    fn over(&mut self, showing: u64) -> bool {
        self.frame.take_if(|frame| frame.showing == showing).is_some()
    }

    /// The frame for a window of this size, in the page's pixels times its zoom.
    fn frame(&self, width: f64, height: f64, zoom: f64) -> Option<&FirstFrame> {
        let same = |page: f64, window: f64| (page * zoom - window).abs() < 1.0;
        self.frame
            .as_ref()
            .filter(|frame| same(frame.width, width) && same(frame.height, height))
    }
}

/// The page says where it draws amounts.
pub(crate) fn laid_out(mut layout: Option<Box<FlashLayout>>) {
    on_main(move || {
        #[cfg(target_os = "linux")]
        if let Some(layout) = &mut layout {
            gtk::choose_font(layout);
        }
        FLASH.with_borrow_mut(|flash| flash.layout = layout);
    });
}

/// Another picture is published.
pub(crate) fn picture(display: Arc<Display>) {
    change(move |flash| flash.picture(&display));
}

/// The page has painted this showing.
pub(crate) fn over(showing: u64) {
    change(move |flash| flash.over(showing));
}

/// The page's process has ended, or another page is loaded.
pub(crate) fn forget() {
    change(|flash| flash.frame.take().is_some());
}

/// Draws first frames in this window from now on.
#[cfg(target_os = "linux")]
pub(crate) fn listen(window: &tauri::WebviewWindow) -> tauri::Result<()> {
    gtk::listen(window, |width, height, zoom| {
        FLASH.with_borrow(|flash| flash.frame(width, height, zoom).cloned())
    })
}

/// Draws anew where `what` says that another frame is due.
fn change(what: impl FnOnce(&mut Flash) -> bool + Send + 'static) {
    on_main(|| {
        if FLASH.with_borrow_mut(what) {
            draw_again();
        }
    });
}

/// Draws what is due now. A frame that stands then ends by itself.
#[cfg(target_os = "linux")]
fn draw_again() {
    gtk::draw_again();
    if let Some(showing) = FLASH.with_borrow(|flash| flash.frame.as_ref().map(|frame| frame.showing)) {
        ::gtk::glib::timeout_add_local_once(AT_MOST, move || over(showing));
    }
}

#[cfg(not(target_os = "linux"))]
fn draw_again() {}

/// Carries this out on the main thread, before whatever else waits there.
#[cfg(target_os = "linux")]
fn on_main(what: impl FnOnce() + Send + 'static) {
    use ::gtk::glib::{MainContext, Priority};

    MainContext::default().invoke_with_priority(Priority::HIGH, what);
}

/// There is nothing to draw on.
#[cfg(not(target_os = "linux"))]
fn on_main(_: impl FnOnce() + Send + 'static) {}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::Method;
    use tillbell_till::screen::first_frame::{Colours, FlashColours, Place, UnitLayout};
    use tillbell_till::screen::view::{Kind, Paid, Unreliable, Verdict};

    use super::*;

    fn layout() -> Box<FlashLayout> {
        let colours = Colours {
            ground: [0x34, 0xd6, 0x7c],
            ink: [4, 33, 15],
        };
        let figures = serde_json::json!({
            "digits": "0123456789", "group": ",", "point": ".", "last": 3, "others": 3, "least": 4
        });
        let writing = serde_json::json!({
            "sats": figures, "fiat": figures, "one": "sat", "many": "sats", "currencies": {}
        });
        Box::new(FlashLayout {
            width: 1_280.0,
            height: 800.0,
            place: Place {
                x: 64.0,
                y: 248.0,
                width: 1_152.0,
                height: 224.0,
            },
            fill: 1_152.0,
            beside_em: 1.5,
            most: 224.0,
            unit: UnitLayout {
                share: 0.36,
                least: 28.0,
                weight: 700,
                below: None,
            },
            families: "sans".to_owned(),
            weight: 800,
            colours: FlashColours {
                lightning: colours,
                card: colours,
                cash: colours,
                other: colours,
                reported: colours,
            },
            writing: serde_json::from_value(writing).unwrap(),
        })
    }

    fn flash() -> Flash {
        Flash {
            layout: Some(layout()),
            ..Flash::default()
        }
    }

    fn picture(scene: Scene) -> Display {
        Display {
            scene,
            ..Display::first()
        }
    }

    fn paid(showing: u64) -> Display {
        picture(Scene::Paid(Paid {
            showing,
            method: Method::Lightning,
            amount_msat: 21_000_000,
            fiat: None,
            memo: "Coffee".to_owned(),
            comment: None,
            wallet: None,
            verdict: Verdict::Verified,
            kind: Kind::Live,
            at: "2026-11-24T14:03:00Z".to_owned(),
            more: None,
        }))
    }

    fn shown(flash: &Flash) -> Option<u64> {
        flash.frame(1_280.0, 800.0, 1.0).map(|frame| frame.showing)
    }

    #[test]
    fn a_payment_has_a_frame_from_its_picture_until_the_page_has_painted_it() {
        let mut flash = flash();
        assert!(flash.picture(&paid(1)));
        assert_eq!(shown(&flash), Some(1));
        assert!(!flash.over(2), "that is another");
        assert_eq!(shown(&flash), Some(1));
        assert!(flash.over(1));
        assert_eq!(shown(&flash), None);
    }

    #[test]
    fn a_showing_whose_picture_changes_has_no_second_frame() {
        let mut flash = flash();
        assert!(flash.picture(&paid(1)));
        assert!(!flash.picture(&paid(1)), "nothing is to be drawn anew");
        assert!(flash.over(1));
        assert!(!flash.picture(&paid(1)));
        assert_eq!(shown(&flash), None);
    }

    #[test]
    fn the_next_payment_has_a_frame_of_its_own_whether_or_not_the_last_was_painted() {
        let mut flash = flash();
        assert!(flash.picture(&paid(1)));
        assert!(flash.picture(&paid(2)));
        assert_eq!(shown(&flash), Some(2));
        assert!(!flash.over(1));
        assert!(flash.over(2));
        assert!(flash.picture(&paid(3)));
        assert_eq!(shown(&flash), Some(3));
    }

    #[test]
    fn a_frame_goes_with_its_payment() {
        let mut flash = flash();
        flash.picture(&paid(1));
        assert!(flash.picture(&picture(Scene::Checking)));
        assert_eq!(shown(&flash), None);
    }

    #[test]
    fn there_is_none_in_the_welcome_scene() {
        let mut flash = flash();
        flash.picture(&paid(1));
        assert!(flash.picture(&Display::first()));
        assert_eq!(shown(&flash), None);
    }

    #[test]
    fn there_is_none_before_the_page_has_said_where_it_draws() {
        let mut flash = Flash::default();
        assert!(!flash.picture(&paid(1)));
        flash.layout = Some(layout());
        assert!(!flash.picture(&paid(1)), "the page has drawn it meanwhile");
        assert_eq!(shown(&flash), None);
    }

    #[test]
    fn there_is_none_in_a_window_of_another_size_and_one_in_a_page_that_is_zoomed() {
        let mut flash = flash();
        flash.picture(&paid(1));
        assert!(flash.frame(1_281.0, 800.0, 1.0).is_none());
        assert!(flash.frame(1_280.0, 799.0, 1.0).is_none());
        assert!(flash.frame(1_280.0, 800.0, 1.25).is_none());
        assert!(flash.frame(1_600.0, 1_000.0, 1.25).is_some());
    }

    #[test]
    fn there_is_none_beside_the_strip_of_a_display_that_cannot_be_relied_on() {
        let mut flash = flash();
        let unreliable = Some(Unreliable {
            since: "2026-11-24T14:03:00Z".to_owned(),
            detail: None,
        });
        assert!(!flash.picture(&Display {
            unreliable,
            ..paid(1)
        }));
        assert_eq!(shown(&flash), None);
    }
}
