//! As much of the W3C WebDriver protocol as the window's tests need.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::lnbits::free_port;
use crate::process::Running;
use crate::{Http, until};

/// The key under which the protocol hands elements over.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A program under remote control.
#[derive(Debug)]
pub(crate) struct Session {
    http: Http,
    url: String,
    driver: Running,
}

impl Session {
    /// Starts `driver` (`WebKitWebDriver`, dressed as the program is to be) and lets it open `binary`.
    ///
    /// # Errors
    /// When either does not start.
    pub(crate) fn open(driver: Command, binary: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let options = json!({"binary": binary, "args": arguments});
        Self::begin(on_loopback(driver), &json!({"webkitgtk:browserOptions": options}))
    }

    /// Starts `driver` and lets it into a program that runs already and has its door at this port.
    ///
    /// # Errors
    /// When it is not let in.
    pub(crate) fn attach(mut driver: Command, port: u16) -> anyhow::Result<Self> {
        driver.arg(format!("--target=127.0.0.1:{port}"));
        Self::begin(on_loopback(driver), &json!({}))
    }

    /// Starts a browser by its own driver.
    ///
    /// # Errors
    /// When either does not start.
    pub(crate) fn browse(driver: Command, capabilities: &Value) -> anyhow::Result<Self> {
        Self::begin(driver, capabilities)
    }

    fn begin(mut driver: Command, capabilities: &Value) -> anyhow::Result<Self> {
        let port = free_port()?;
        driver.arg(format!("--port={port}"));
        let driver = Running::start("the driver", driver)?;
        let http = Http::new(Duration::from_secs(60));
        let base = format!("http://127.0.0.1:{port}");
        until("the driver", Duration::from_secs(20), || {
            Ok(
                http.ask("GET", &format!("{base}/status"), &[], None)?.body["value"]["ready"]
                    .as_bool()
                    .filter(|ready| *ready),
            )
        })?;
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let opened = http
            .get_done("POST", &format!("{base}/session"), &[], Some(&wanted))
            .with_context(|| format!("the window does not open. {}", driver.last_words()))?;
        let id = opened["value"]["sessionId"]
            .as_str()
            .context("the driver names no session")?;
        Ok(Self {
            url: format!("{base}/session/{id}"),
            http,
            driver,
        })
    }

    /// The cookies that it would send to this page's server, scripts' own or not: `name=value; …`.
    ///
    /// # Errors
    /// When the browser is gone.
    pub(crate) fn cookies(&self) -> anyhow::Result<String> {
        let answer = self
            .http
            .get_done("GET", &format!("{}/cookie", self.url), &[], None)?;
        let cookies = answer["value"].as_array().context("no cookies")?.iter();
        let text = |cookie: &Value, name: &str| cookie[name].as_str().unwrap_or_default().to_owned();
        let pairs: Vec<_> = cookies
            .map(|cookie| format!("{}={}", text(cookie, "name"), text(cookie, "value")))
            .collect();
        Ok(pairs.join("; "))
    }

    /// Goes to an address.
    ///
    /// # Errors
    /// When the browser is gone.
    pub(crate) fn go(&self, address: &str) -> anyhow::Result<()> {
        self.post("url", &json!({"url": address})).map(drop)
    }

    /// Runs a script's body in the page and answers with what it returns.
    ///
    /// # Errors
    /// When it throws or the window is gone.
    pub(crate) fn run(&self, script: &str, arguments: Value) -> anyhow::Result<Value> {
        self.post("execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// The element with this `data-role`, as soon as it is there.
    ///
    /// # Errors
    /// When there is none within 10 s.
    pub(crate) fn role(&self, role: &str) -> anyhow::Result<String> {
        let wanted = json!({"using": "css selector", "value": format!("[data-role='{role}']")});
        until(&format!("[data-role={role}]"), Duration::from_secs(10), || {
            let found = self.post("element", &wanted)?;
            Ok(found[ELEMENT].as_str().map(str::to_owned))
        })
    }

    /// Clicks an element as a hand would.
    ///
    /// # Errors
    /// When it cannot be clicked.
    pub(crate) fn click(&self, element: &str) -> anyhow::Result<()> {
        self.post(&format!("element/{element}/click"), &json!({}))
            .map(drop)
    }

    /// Types into an element as fingers would.
    ///
    /// # Errors
    /// When it cannot be typed into.
    pub(crate) fn keys(&self, element: &str, text: &str) -> anyhow::Result<()> {
        self.post(&format!("element/{element}/value"), &json!({"text": text}))
            .map(drop)
    }

    /// The driver's process id.
    pub(crate) fn driver_id(&self) -> u32 {
        self.driver.id()
    }

    /// Everything that the driver and the window wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        self.driver.stderr()
    }

    /// Everything that the driver and the window wrote to standard output.
    pub(crate) fn stdout(&self) -> String {
        self.driver.stdout()
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut answer = self
            .http
            .get_done("POST", &format!("{}/{path}", self.url), &[], Some(body))?;
        Ok(answer["value"].take())
    }
}

/// `WebKitWebDriver` would listen to the whole network.
fn on_loopback(mut driver: Command) -> Command {
    driver.arg("--host=127.0.0.1");
    driver
}

impl Session {
    /// Asks the window to close.
    pub(crate) fn end(&self) {
        // The driver itself ends with its handle, whatever it answers.
        let _ = Http::new(Duration::from_secs(10)).ask("DELETE", &self.url, &[], None);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
