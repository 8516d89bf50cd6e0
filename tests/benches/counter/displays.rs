//! Displays in browsers.
//!
//! A Chromium that is a display of `tillbell-headless serve` beside the same Chromium with the documentation's own script, in turns; and
//! 99 displays more on the same service: how much later than the first each of them has a payment, and what that costs. Nothing here
//! is asserted but that every display has every payment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tillbell_tests::{Fake, Sound, tree};

use crate::contender::{Contender, Counter, PATIENCE, Told, milliseconds};
use crate::table::{cell, ratio};
use crate::{PAYMENTS, REST, TURN};

/// The first changed pixel, in parts of Chromium's median.
const GOAL: f64 = 1.5;
const CLIENTS: usize = 99;
const CROWD_PAYMENTS: u32 = 20;
/// Between two payments to a crowd: what was shown is over.
const CROWD_TURN: Duration = Duration::from_millis(2_500);

/// Both tables.
pub(crate) fn measure(server: &Fake, sound: &Sound) -> anyhow::Result<()> {
    let contenders = [
        Contender::tablet(server, sound)?,
        Contender::chromium(server, sound)?,
    ];
    let mut counters = Vec::new();
    for contender in &contenders {
        counters.push(contender.open(server)?.0);
    }
    std::thread::sleep(REST);
    let mut told: [Vec<Told>; 2] = Default::default();
    let mut due = Instant::now();
    for nth in 0..PAYMENTS {
        for ((contender, counter), told) in contenders.iter().zip(&mut counters).zip(&mut told) {
            // In step with no timer of anybody's.
            let jitter = Duration::from_millis(u64::from(nth * 37 % 100));
            told.push(contender.pay(server, counter, due + jitter, nth)?);
            due = Instant::now() + TURN;
        }
    }
    counters.into_iter().try_for_each(Counter::close)?;
    let each = |of: fn(&Told) -> f64| {
        told.each_ref()
            .map(|told| told.iter().map(of).collect::<Vec<_>>())
    };
    println!("| what | a display in Chromium | the documentation's script in Chromium | ratio |");
    println!("|---|---|---|---|");
    let row = |what: &str, [ours, theirs]: [Vec<f64>; 2]| {
        println!(
            "| {what} | {} | {} | {} |",
            cell(&ours),
            cell(&theirs),
            ratio(&ours, &theirs)
        );
    };
    row("frame → first changed pixel, ms", each(|told| told.first));
    row("frame → changed from edge to edge, ms", each(|told| told.whole));
    println!(
        "\nMedians, 95th percentiles (least … most) of {PAYMENTS} payments to each; the goal is at most {GOAL}.\n"
    );
    crowd(&contenders[0], server)
}

/// Opens as many streams and says how far behind the first of them each payment reaches the others, and what the service takes.
fn crowd(service: &Contender<'_>, server: &Fake) -> anyhow::Result<()> {
    let id = service.service_id().context("no service")?;
    let alone = tree::memory(id)?.proportional;
    let (tell, told) = mpsc::channel();
    for nth in 0..CLIENTS {
        let link = service.another_link(&format!("display {}", nth + 2))?;
        let display = Display::join(&link, nth)?;
        let tell = tell.clone();
        std::thread::spawn(move || display.follow(nth == 0, &tell));
    }
    let (before, began) = (tree::taken(id)?, Instant::now());
    let mut behind = Vec::new();
    for nth in 0..CROWD_PAYMENTS {
        let hash = service.sell(server, nth);
        std::thread::sleep(CROWD_TURN);
        while told.try_recv().is_ok() {}
        anyhow::ensure!(server.settle(&hash), "there was nothing to settle");
        let amount = format!(r#""amountMsat":{},"#, (21_000 + u64::from(nth)) * 1_000);
        let mut seen = Vec::new();
        while seen.len() < CLIENTS {
            let (at, line) = told.recv_timeout(PATIENCE).context("a display has not heard")?;
            if line.contains(&amount) {
                seen.push(at);
            }
        }
        let first = seen.iter().min().copied().context("nobody heard")?;
        behind.push(
            seen.iter()
                .map(|at| milliseconds(*at - first))
                .fold(0.0, f64::max),
        );
    }
    let worked =
        tree::taken(id)?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let crowded = tree::memory(id)?.proportional;
    println!(
        "{CLIENTS} displays more: the last one had a payment {} ms after the first (the goal is at most 250); memory (PSS) {alone:.0} → \
         {crowded:.0} MB; {worked:.1} % of a core with a payment each {CROWD_TURN:?}.",
        cell(&behind)
    );
    Ok(())
}

/// As much of a browser as a stream takes.
struct Display {
    host: String,
    cookie: String,
}

impl Display {
    /// Opens a link.
    fn join(link: &str, nth: usize) -> anyhow::Result<Self> {
        let (host, token) = link
            .strip_prefix("http://")
            .and_then(|link| link.split_once("/join#"))
            .context("no link")?;
        let mut display = Self {
            host: host.to_owned(),
            cookie: String::new(),
        };
        let answer = display.post("join", &format!(r#"{{"token":"{token}","nonce":"{nth:064x}"}}"#))?;
        display.cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next())
            .context("no cookie")?
            .to_owned();
        Ok(display)
    }

    fn post(&self, path: &str, body: &str) -> anyhow::Result<String> {
        let Self { host, cookie } = self;
        let mut connection = TcpStream::connect(host)?;
        write!(
            connection,
            "POST /door/{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Tells of each picture of a payment. One of them says that it painted it: otherwise the next one waits.
    fn follow(&self, paints: bool, tell: &mpsc::Sender<(Instant, String)>) -> anyhow::Result<()> {
        let Self { host, cookie } = self;
        let mut stream = TcpStream::connect(host)?;
        write!(
            stream,
            "GET /door/pictures HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"
        )?;
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Some((_, paid)) = line.split_once(r#""name":"paid","showing":"#) else {
                continue;
            };
            let showing: String = paid.chars().take_while(char::is_ascii_digit).collect();
            if tell.send((Instant::now(), line)).is_err() {
                break;
            }
            if paints {
                self.post("ask", &format!(r#"{{"ask":"painted","showing":{showing}}}"#))?;
            }
        }
        Ok(())
    }
}
