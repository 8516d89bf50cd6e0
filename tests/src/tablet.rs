//! A real Chromium as a display in the shop's network.

use std::ops::Deref;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::program;
use crate::webdriver::Session;
use crate::{Page, until};

const CHROMIUM: &str = "/usr/bin/chromium";
/// Finds what people with poor eyes, or without hands, would stumble over.
const AXE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../ui/node_modules/axe-core/axe.min.js"
);

/// A browser on a tablet of this size, with a profile of its own.
#[derive(Debug)]
pub struct Tablet {
    page: Page,
    _folder: TempDir,
}

impl Tablet {
    /// Opens an address, and notes what is shown.
    ///
    /// # Errors
    /// When the browser does not start or shows no scene.
    pub fn open(size: (u32, u32), address: &str) -> anyhow::Result<Self> {
        let tablet = Self::visit(size, address)?;
        tablet.page.watch()?;
        Ok(tablet)
    }

    /// Opens an address that shows no scenes.
    ///
    /// # Errors
    /// When the browser does not start.
    pub fn visit(size: (u32, u32), address: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let metrics = json!({"width": size.0, "height": size.1, "pixelRatio": 1, "touch": true});
        let options = json!({
            "binary": CHROMIUM,
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                format!("--user-data-dir={}", folder.path().display()),
            ],
            "mobileEmulation": {"deviceMetrics": metrics},
        });
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options});
        let session = Session::browse(program("chromedriver"), &wanted)?;
        let tablet = Self {
            page: Page(session),
            _folder: folder,
        };
        tablet.page.0.go(address)?;
        Ok(tablet)
    }

    /// Goes to another address.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn go(&self, address: &str) -> anyhow::Result<()> {
        self.page.0.go(address)
    }

    /// The cookies that it would send from here: `name=value; …`.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn cookies(&self) -> anyhow::Result<String> {
        self.page.0.cookies()
    }

    /// What axe finds in the page as it is now, each by its rule.
    ///
    /// # Errors
    /// When the browser is gone, or axe is not installed with the page's tools.
    pub fn stumbles(&self) -> anyhow::Result<Vec<Value>> {
        let axe = std::fs::read_to_string(AXE).context("axe-core: run `npm ci` in ui/")?;
        self.page.run(&axe)?;
        self.page.run(
            "delete window.axeFound;
             axe.run().then((results) => { window.axeFound = results.violations.map(({ id, nodes }) =>
               ({ id, at: nodes.map(({ target }) => target.join(' ')) })); });",
        )?;
        until("axe", Duration::from_secs(20), || {
            let found = self.page.run("return window.axeFound ?? null")?;
            Ok(found.as_array().cloned())
        })
    }
}

impl Deref for Tablet {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}
