//! A page of ours, seen and touched through a driver: the window's, or a browser's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::until;
use crate::webdriver::Session;

/// Notes every picture that the page shows from now on. Each showing of a payment has its number, so two equal payments
/// are two notes, and one payment that is merely redrawn is one.
const WATCH: &str = r"
if (window.tillbellShown) return;
const shown = window.tillbellShown = [];
const root = document.documentElement;
const find = (role) => document.querySelector(`[data-role='${role}']`);
const read = (role) => find(role)?.textContent.trim() ?? null;
const msat = (role) => { const it = find(role)?.dataset.msat; return it === undefined ? null : Number(it); };
let last = {};
const look = () => {
  const scene = root.dataset.scene ?? null;
  const face = scene === 'paid' ? document.querySelector('[data-showing]')?.dataset.showing : scene === 'catch-up' ? find('total') : null;
  if (scene === last.scene && face === last.face) return;
  last = { scene, face };
  shown.push({
    at: performance.timeOrigin + performance.now(), scene, link: root.dataset.link ?? null,
    amount: msat('amount'), memo: read('memo'), verdict: find('verdict')?.dataset.verdict ?? read('verdict'),
    late: find('late') !== null, more: read('more'),
  });
};
new MutationObserver(look).observe(root, { attributes: true, childList: true, subtree: true, characterData: true });
look();
";

/// See above.
#[derive(Debug)]
pub struct Page(pub(crate) Session);

/// One picture that the page showed.
#[derive(Debug, Clone)]
pub struct Shown {
    /// When it was in the page.
    pub at: SystemTime,
    /// Which scene.
    pub scene: String,
    /// `paid`: millisatoshis.
    pub amount_msat: Option<u64>,
    /// `paid`: the memo, `None` when there is none.
    pub memo: Option<String>,
    /// `paid`: `verified` or `reported`.
    pub verdict: Option<String>,
    /// `paid`: it says when it arrived.
    pub late: bool,
    /// `paid`: "+n more".
    pub more: Option<String>,
}

impl Page {
    /// Notes what is shown from now on.
    ///
    /// # Errors
    /// When the page shows no scene within 20 s.
    pub(crate) fn watch(&self) -> anyhow::Result<()> {
        self.until_first_scene()?;
        self.0.run(WATCH, json!([])).map(drop)
    }

    pub(crate) fn until_first_scene(&self) -> anyhow::Result<()> {
        until("the first scene", Duration::from_secs(20), || self.scene())
            .map(drop)
            .with_context(|| self.stderr())
    }

    /// `data-scene`, once there is one.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn scene(&self) -> anyhow::Result<Option<String>> {
        self.root("scene")
    }

    /// `data-link`.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn link(&self) -> anyhow::Result<Option<String>> {
        self.root("link")
    }

    /// Waits for a scene.
    ///
    /// # Errors
    /// When it does not come `within` this time.
    pub fn until_scene(&self, scene: &str, within: Duration) -> anyhow::Result<()> {
        until(&format!("the scene {scene}"), within, || {
            let now = self.scene()?;
            anyhow::ensure!(now.as_deref() == Some(scene), "the scene is {now:?}");
            Ok(Some(()))
        })
        .with_context(|| self.stderr())
    }

    /// Waits for the link to be live.
    ///
    /// # Errors
    /// When it is not within 20 s.
    pub fn until_live(&self) -> anyhow::Result<()> {
        until("a live link", Duration::from_secs(20), || {
            let now = self.link()?;
            anyhow::ensure!(now.as_deref() == Some("live"), "the link is {now:?}");
            Ok(Some(()))
        })
        .with_context(|| self.stderr())
    }

    /// Every picture shown since the window opened, in order.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn shown(&self) -> anyhow::Result<Vec<Shown>> {
        let list = self.0.run("return window.tillbellShown", json!([]))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let number = |value: &Value| {
            value
                .as_u64()
                .or_else(|| value.as_f64().map(|number| number as u64))
        };
        let shown = list
            .as_array()
            .context("nobody watches the page")?
            .iter()
            .map(|each| Shown {
                at: UNIX_EPOCH + Duration::from_secs_f64(each["at"].as_f64().unwrap_or_default() / 1000.0),
                scene: text(&each["scene"]).unwrap_or_default(),
                amount_msat: number(&each["amount"]),
                memo: text(&each["memo"]),
                verdict: text(&each["verdict"]),
                late: each["late"] == true,
                more: text(&each["more"]),
            });
        Ok(shown.collect())
    }

    /// The payments shown since the window opened, in order.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn paid(&self) -> anyhow::Result<Vec<Shown>> {
        Ok(self
            .shown()?
            .into_iter()
            .filter(|shown| shown.scene == "paid")
            .collect())
    }

    /// Waits until a payment of this many millisatoshis was shown.
    ///
    /// # Errors
    /// When it was not `within` this time.
    pub fn until_paid(&self, msat: u64, within: Duration) -> anyhow::Result<Shown> {
        until(&format!("{msat} msat in the page"), within, || {
            Ok(self
                .paid()?
                .into_iter()
                .find(|shown| shown.amount_msat == Some(msat)))
        })
        .with_context(|| self.stderr())
    }

    /// Waits until what is in the page now is on the glass, for a screenshot.
    ///
    /// # Errors
    /// When the page draws no frame within 10 s.
    pub fn on_glass(&self) -> anyhow::Result<()> {
        self.0.run(
            "delete window.drawn;
             const frames = (left) => left > 0 ? requestAnimationFrame(() => frames(left - 1)) : (window.drawn = true);
             frames(3);",
            json!([]),
        )?;
        until("three frames", Duration::from_secs(10), || {
            Ok((self.0.run("return window.drawn === true", json!([]))? == true).then_some(()))
        })
    }

    /// True while an element with this role is in the page.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn has(&self, role: &str) -> anyhow::Result<bool> {
        Ok(self.0.run(
            "return document.querySelector(`[data-role='${arguments[0]}']`) !== null",
            json!([role]),
        )? == true)
    }

    /// The text of the first element with this role, waiting for it.
    ///
    /// # Errors
    /// When there is none within 10 s.
    pub fn text(&self, role: &str) -> anyhow::Result<String> {
        self.0.role(role)?;
        let found = self.0.run(
            "return document.querySelector(`[data-role='${arguments[0]}']`)?.textContent ?? ''",
            json!([role]),
        )?;
        Ok(found.as_str().unwrap_or_default().trim().to_owned())
    }

    /// An attribute of the first element with this role, waiting for the element.
    ///
    /// # Errors
    /// When there is none within 10 s.
    pub fn attribute(&self, role: &str, name: &str) -> anyhow::Result<Option<String>> {
        self.0.role(role)?;
        let script =
            "return document.querySelector(`[data-role='${arguments[0]}']`)?.getAttribute(arguments[1])";
        Ok(self
            .0
            .run(script, json!([role, name]))?
            .as_str()
            .map(str::to_owned))
    }

    /// Clicks the element with this role, as soon as it can be clicked.
    ///
    /// # Errors
    /// When it cannot be within 10 s.
    pub fn click(&self, role: &str) -> anyhow::Result<()> {
        until(&format!("a click on {role}"), Duration::from_secs(10), || {
            let element = self.0.role(role)?;
            self.0.click(&element).map(Some)
        })
    }

    /// Types into the element with this role.
    ///
    /// # Errors
    /// When it cannot be typed into.
    pub fn type_into(&self, role: &str, text: &str) -> anyhow::Result<()> {
        let element = self.0.role(role)?;
        self.0.keys(&element, text)
    }

    /// Puts a whole text into a field at once, as pasting does.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn paste(&self, role: &str, text: &str) -> anyhow::Result<()> {
        self.0.role(role)?;
        let script = "
            const field = document.querySelector(`[data-role='${arguments[0]}']`);
            field.focus();
            field.value = arguments[1];
            field.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertFromPaste' }));";
        self.0.run(script, json!([role, text])).map(drop)
    }

    /// Pastes a pairing text and presses the button.
    ///
    /// # Errors
    /// When the welcome scene is not there.
    pub fn pair(&self, pairing: &str) -> anyhow::Result<()> {
        self.paste("pairing", pairing)?;
        self.click("pair")
    }

    /// Waits for a pairing attempt to end like this: `paired` or `failed`.
    ///
    /// # Errors
    /// When it does not within 30 s.
    pub fn until_outcome(&self, outcome: &str) -> anyhow::Result<()> {
        let script = "return document.querySelector(`[data-role='outcome']`)?.dataset.outcome";
        until(
            &format!("a pairing that {outcome}"),
            Duration::from_secs(30),
            || Ok((self.run(script)? == outcome).then_some(())),
        )
        .with_context(|| self.stderr())
    }

    /// Runs a script's body in the page.
    ///
    /// # Errors
    /// When it throws or the window is gone.
    pub fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.0.run(script, json!([]))
    }

    /// The whole page as text: markup and the values of its fields.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn document(&self) -> anyhow::Result<String> {
        let script = "
            const fields = [...document.querySelectorAll('input, textarea')].map((field) => field.value);
            return document.documentElement.outerHTML + fields.join(' ');";
        Ok(self.run(script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Everything that the window wrote to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.0.stderr()
    }

    /// Everything that the window wrote to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.0.stdout()
    }

    fn root(&self, name: &str) -> anyhow::Result<Option<String>> {
        let found = self.0.run(
            "return document.documentElement.dataset[arguments[0]]",
            json!([name]),
        )?;
        Ok(found.as_str().map(str::to_owned))
    }
}
