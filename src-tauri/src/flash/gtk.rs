//! The first frame on GTK's own surface, in place of WebKit's.

use std::cell::{Cell, RefCell};

use gtk::cairo;
use gtk::gdk::prelude::{DisplayExtManual as _, GdkContextExt as _};
use gtk::glib::{Propagation, WeakRef};
use gtk::prelude::{GtkSettingsExt as _, ObjectExt as _, WidgetExt as _};
use pango::prelude::FontFamilyExt as _;
use tauri::WebviewWindow;
use tillbell_machine::renderer::Renderer;
use tillbell_till::screen::first_frame::{AmountLine, FirstFrame, FlashLayout, Run};
use tillbell_till::step::Step;
use webkit2gtk::{WebView, WebViewExt as _};

thread_local! {
    static PAGE: RefCell<WeakRef<WebView>> = RefCell::default();
    /// What is drawn now is drawn out of turn.
    static OUT_OF_TURN: Cell<bool> = const { Cell::new(false) };
}

/// The frame for a window of this width and height whose page has this zoom, if there is one.
pub(super) type Frame = fn(f64, f64, f64) -> Option<FirstFrame>;

/// Draws `frame` in place of this window's page from now on, where WebKit itself draws without the graphics card: with it, WebKit
/// may tie the end of its frame to its own drawing.
pub(super) fn listen(window: &WebviewWindow, frame: Frame) -> tauri::Result<()> {
    let plainly = Renderer::Plain
        .variable()
        .is_some_and(|(name, value)| std::env::var_os(name).is_some_and(|set| set == value));
    if !plainly {
        return Ok(());
    }
    window.with_webview(move |webview| {
        let page = webview.inner();
        PAGE.set(page.downgrade());
        // A handler comes before WebKit's own, and may take its place.
        page.connect_draw(move |page, glass| match draw(page, glass, frame) {
            Ok(true) => Propagation::Stop,
            Ok(false) => Propagation::Proceed,
            Err(error) => {
                tracing::warn!(%error, "the first frame cannot be drawn");
                Propagation::Proceed
            }
        });
    })
}

/// Chooses the font, and loads it: the first payment is not to wait for that.
pub(super) fn choose_font(layout: &mut FlashLayout) {
    if let Some(page) = page() {
        layout.families = family(&page.create_pango_context(), &layout.families);
        let digits = Run {
            text: layout.writing.sats.digits.clone(),
            size: layout.most,
            weight: layout.weight,
        };
        text(&page.create_pango_context(), &layout.families, &[digits]).size();
    }
}

/// True while a window is drawn without waiting for its turn: nobody has asked whether the system takes such a frame.
pub(crate) fn is_out_of_turn() -> bool {
    OUT_OF_TURN.get()
}

/// Draws the window anew.
pub(super) fn draw_again() {
    if let Some(page) = page()
        && draw_at_once(&page).is_none()
    {
        page.queue_draw();
    }
}

/// Draws the page without waiting for its turn, which comes every 16 ms, and without a buffer between. Only X11 takes that.
fn draw_at_once(page: &WebView) -> Option<()> {
    let display = page.display();
    let window = page.window().filter(|_| display.backend().is_x11())?;
    OUT_OF_TURN.set(true);
    page.draw(&cairo::Context::create_from_window(&window));
    OUT_OF_TURN.set(false);
    display.flush();
    Some(())
}

fn page() -> Option<WebView> {
    PAGE.with_borrow(WeakRef::upgrade)
}

/// Draws the frame, if there is one for a window of this size.
fn draw(page: &WebView, glass: &cairo::Context, frame: Frame) -> Result<bool, cairo::Error> {
    let (width, height) = (page.allocated_width(), page.allocated_height());
    let zoom = page.zoom_level();
    let Some(frame) = frame(width.into(), height.into(), zoom) else {
        return Ok(false);
    };
    glass.scale(zoom, zoom);
    ink(glass, frame.colours.ground);
    glass.paint()?;
    ink(glass, frame.colours.ink);
    let context = page.create_pango_context();
    pangocairo::functions::update_context(glass, &context);
    for line in &frame.lines {
        write(glass, &context, &frame, line);
    }
    Step::First.of_showing(frame.showing);
    Ok(true)
}

fn ink(glass: &cairo::Context, colour: [u8; 3]) {
    let [red, green, blue] = colour.map(|part| f64::from(part) / 255.0);
    glass.set_source_rgb(red, green, blue);
}

fn write(glass: &cairo::Context, context: &pango::Context, frame: &FirstFrame, line: &AmountLine) {
    let all = text(context, &frame.families, &line.runs);
    // CSS puts the first run's font into the middle of its line, whatever stands beside it.
    let first = text(context, &frame.families, &line.runs[..line.runs.len().min(1)]);
    let base = line.top + (line.height - pixels(first.size().1)) / 2.0 + pixels(first.baseline());
    glass.move_to(
        frame.middle - pixels(all.size().0) / 2.0,
        base - pixels(all.baseline()),
    );
    pangocairo::functions::show_layout(glass, &all);
}

/// Runs of text beside each other.
fn text(context: &pango::Context, family: &str, runs: &[Run]) -> pango::Layout {
    let mut font = pango::FontDescription::new();
    font.set_family(family);
    let (attributes, mut written) = (pango::AttrList::new(), String::new());
    for run in runs {
        let from = length(&written);
        written += &run.text;
        let until = length(&written);
        let insert = |mut attribute: pango::Attribute| {
            attribute.set_start_index(from);
            attribute.set_end_index(until);
            attributes.insert(attribute);
        };
        insert(pango::AttrSize::new_size_absolute(units(run.size)).into());
        insert(pango::AttrInt::new_weight(weight(run.weight)).into());
        insert(pango::AttrFontFeatures::new("tnum=1").into());
    }
    let layout = pango::Layout::new(context);
    layout.set_font_description(Some(&font));
    layout.set_attributes(Some(&attributes));
    layout.set_text(&written);
    layout
}

/// The first of these CSS families that this machine has. With a list Pango would choose for each character: digits from a font of
/// emoji.
fn family(context: &pango::Context, families: &str) -> String {
    let there = context.list_families();
    let is_there = |name: &str| {
        there
            .iter()
            .any(|family| family.name().eq_ignore_ascii_case(name))
    };
    families
        .split(',')
        .map(|family| family.trim().trim_matches('"'))
        .filter_map(|family| match family {
            "system-ui" => desktops_own(),
            family => Some(family.to_owned()),
        })
        .find(|family| is_there(family))
        .unwrap_or_else(|| "sans".to_owned())
}

fn desktops_own() -> Option<String> {
    let name = gtk::Settings::default()?.gtk_font_name()?;
    let family = pango::FontDescription::from_string(&name).family()?;
    Some(family.to_string())
}

const fn weight(weight: u16) -> pango::Weight {
    match weight {
        0..450 => pango::Weight::Normal,
        450..550 => pango::Weight::Medium,
        550..650 => pango::Weight::Semibold,
        650..750 => pango::Weight::Bold,
        750..850 => pango::Weight::Ultrabold,
        850.. => pango::Weight::Heavy,
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "a size on a screen")]
fn units(pixels: f64) -> i32 {
    (pixels * f64::from(pango::SCALE)) as i32
}

fn pixels(units: i32) -> f64 {
    f64::from(units) / f64::from(pango::SCALE)
}
