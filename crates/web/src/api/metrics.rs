//! `GET /metrics`: the same for Prometheus, counted since the start.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tillbell_till::displays::{DisplayLine, DisplayRole};
use tillbell_till::engine::LinkLine;
use tillbell_till::engine::feed::Counts;
use tillbell_till::screen::view::LinkState;

use crate::accept::Peer;
use crate::refusal::Refusal;
use crate::site::Site;

const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted.
struct Metrics {
    counts: Counts,
    links: Vec<LinkLine>,
    displays: Vec<DisplayLine>,
    refused: BTreeMap<&'static str, u64>,
}

pub(super) async fn metrics(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let program = site.program(&headers, peer)?;
    let feed = site.engine.feed();
    let metrics = Metrics {
        counts: feed.counts(),
        links: feed.links(),
        displays: site.engine.displays().list(site.clock.now()).0,
        refused: site.gate.refused(),
    };
    let _here = site.list_as_connected(&program, peer);
    Ok(([(CONTENT_TYPE, FORM)], metrics.to_string()).into_response())
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |f: &mut fmt::Formatter<'_>, name, kind, help| {
            writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")
        };
        let name = "tillbell_info";
        family(f, name, "gauge", "Which Tillbell this is.")?;
        writeln!(f, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;

        let name = "tillbell_payments_total";
        family(f, name, "counter", "Payments recorded since the start.")?;
        for ((wallet, method), count) in &self.counts.payments {
            let (wallet, method) = (Label(wallet), method.as_str());
            writeln!(f, "{name}{{wallet=\"{wallet}\",method=\"{method}\"}} {count}")?;
        }

        let name = "tillbell_recording_seconds";
        let help = "How long payments took from being heard to being recorded.";
        family(f, name, "summary", help)?;
        let count: u64 = self.counts.payments.values().sum();
        writeln!(f, "{name}_sum {}", self.counts.recording.as_secs_f64())?;
        writeln!(f, "{name}_count {count}")?;

        let name = "tillbell_link_state";
        family(
            f,
            name,
            "gauge",
            "1 for how a wallet is heard, 0 for how it is not.",
        )?;
        for link in &self.links {
            for (state, word) in STATES {
                let is_so = u8::from(link.state == state);
                let wallet = Label(&link.wallet);
                writeln!(f, "{name}{{wallet=\"{wallet}\",state=\"{word}\"}} {is_so}")?;
            }
        }

        let name = "tillbell_rejected_frames_total";
        family(f, name, "counter", "Payment messages that were not believed.")?;
        for (wallet, count) in &self.counts.rejected {
            writeln!(f, "{name}{{wallet=\"{}\"}} {count}", Label(wallet))?;
        }

        let name = "tillbell_displays_connected";
        family(f, name, "gauge", "Displays and programs that are connected.")?;
        for (role, word) in ROLES {
            let is_here = |display: &&DisplayLine| display.role == role && display.connected;
            let count = self.displays.iter().filter(is_here).count();
            writeln!(f, "{name}{{role=\"{word}\"}} {count}")?;
        }

        let name = "tillbell_web_refused_total";
        family(
            f,
            name,
            "counter",
            "Requests that were refused, by the reason's code.",
        )?;
        for (code, count) in &self.refused {
            writeln!(f, "{name}{{code=\"{code}\"}} {count}")?;
        }
        Ok(())
    }
}

const STATES: [(LinkState, &str); 4] = [
    (LinkState::Connecting, "connecting"),
    (LinkState::Live, "live"),
    (LinkState::Polling, "polling"),
    (LinkState::Down, "down"),
];

const ROLES: [(DisplayRole, &str); 3] = [
    (DisplayRole::Customer, "customer"),
    (DisplayRole::Operator, "operator"),
    (DisplayRole::Program, "program"),
];

/// A label's value, which ends nowhere but at its end.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::Method;

    use super::*;

    #[test]
    fn a_wallets_name_cannot_end_its_label() {
        let mut counts = Counts::default();
        let name = "Bar \"C:\\\"\n} 7".to_owned();
        counts.payments.insert((name, Method::Card), 3);
        let metrics = Metrics {
            counts,
            links: Vec::new(),
            displays: Vec::new(),
            refused: BTreeMap::new(),
        };
        let line = r#"tillbell_payments_total{wallet="Bar \"C:\\\"\n} 7",method="card"} 3"#;
        let text = metrics.to_string();
        assert!(text.lines().any(|written| written == line), "{text}");
    }
}
