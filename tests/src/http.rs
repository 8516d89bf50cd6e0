//! A small JSON client for LNbits and for the window's driver.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use ureq::http::Request;

/// A client that keeps its connections, follows no redirect and uses no proxy.
#[derive(Debug, Clone)]
pub struct Http {
    agent: ureq::Agent,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, `Null` when it is not JSON.
    pub body: Value,
}

impl Http {
    /// A client that waits at most so long for one answer.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(patience))
            .build();
        Self {
            agent: config.new_agent(),
        }
    }

    /// Asks; any status is an answer.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(
                request
                    .header("content-type", "application/json")
                    .body(body.to_string())?,
            ),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = answer.with_context(|| format!("{method} {url}"))?;
        // Screenshots are large.
        let text = answer
            .body_mut()
            .with_config()
            .limit(64 * 1024 * 1024)
            .read_to_string()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }

    /// Asks and wants a 2xx.
    ///
    /// # Errors
    /// When no answer comes or another one.
    pub fn get_done(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let answer = self.ask(method, url, headers, body)?;
        anyhow::ensure!(
            (200..300).contains(&answer.status),
            "{method} {url} was answered with {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.body)
    }
}
