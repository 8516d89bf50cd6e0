//! `tillbell-headless`: one-off commands, and `watch --json` as a stream of events.

use std::io::Write as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::Profile;
use crate::process::{Running, spawn};
use crate::profile::talkative;

/// How a command ended and what it said.
#[derive(Debug, Clone)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// The command must have succeeded.
    ///
    /// # Errors
    /// When it did not.
    pub fn well(self) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.status.success(),
            "{}:\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        Ok(self)
    }

    /// Both outputs: what a person in front of a terminal reads.
    #[must_use]
    pub fn read(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// Runs `tillbell-headless ARGUMENTS --profile …` to its end.
///
/// # Errors
/// When it cannot be started or takes longer than 45 s.
pub fn headless(profile: &Profile, arguments: &[&str]) -> anyhow::Result<Said> {
    run(profile.command("tillbell-headless"), profile, arguments)
}

/// Like [`headless`], with everything logged that can be.
///
/// # Errors
/// When it cannot be started or takes longer than 45 s.
pub fn headless_traced(profile: &Profile, arguments: &[&str]) -> anyhow::Result<Said> {
    let mut command = profile.command("tillbell-headless");
    command
        .env("TILLBELL_LOG", "trace")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    run(command, profile, arguments)
}

/// Like [`headless`], with a text on standard input.
///
/// # Errors
/// When it cannot be started, or does not take the text.
pub fn headless_told(profile: &Profile, arguments: &[&str], input: &str) -> anyhow::Result<Said> {
    let output = headless_being_told(profile, arguments, input)?.wait_with_output()?;
    Ok(Said {
        status: output.status,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Like [`headless_told`], without waiting for its end.
///
/// # Errors
/// When it cannot be started, or does not take the text.
pub fn headless_being_told(profile: &Profile, arguments: &[&str], input: &str) -> anyhow::Result<Child> {
    let mut command = profile.command("tillbell-headless");
    command.args(arguments);
    profile.choose(&mut command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    Ok(child)
}

fn run(mut command: Command, profile: &Profile, arguments: &[&str]) -> anyhow::Result<Said> {
    command.args(arguments);
    profile.choose(&mut command);
    let mut running = Running::start("tillbell-headless", command)?;
    let status = running
        .wait(Duration::from_secs(45))
        .with_context(|| running.last_words())?;
    Ok(Said {
        status,
        stdout: running.stdout(),
        stderr: running.stderr(),
    })
}

/// A running `watch --json`.
#[derive(Debug)]
pub struct Watch {
    running: Running,
    events: Vec<(Instant, Value)>,
}

impl Watch {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(profile: &Profile) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        talkative(&mut command);
        Self::started(command, profile)
    }

    /// Starts it with everything logged that can be.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn traced(profile: &Profile) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        command
            .env("TILLBELL_LOG", "trace")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        Self::started(command, profile)
    }

    /// Starts one that dies as by a power cut when it comes to `place` the `nth` time (`tillbell_till::failpoint`).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn doomed(profile: &Profile, place: &str, nth: u32) -> anyhow::Result<Self> {
        let mut command = profile.command("mortal/tillbell-headless");
        talkative(&mut command);
        command.env("TILLBELL_DIE_AT", format!("{place}:{nth}"));
        Self::started(command, profile)
    }

    /// Starts one that has a fault when it comes to `place` for the `nth` time.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn faulty(profile: &Profile, place: &str, nth: u32) -> anyhow::Result<Self> {
        let mut command = profile.command("mortal/tillbell-headless");
        talkative(&mut command);
        command.env("TILLBELL_PANIC_AT", format!("{place}:{nth}"));
        Self::started(command, profile)
    }

    /// Starts it with nobody to read what it says before [`Running::read_on`]. An announcement that is not read is not
    /// marked, and no other is made: it stands still in the middle of a long story, after some two hundred.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn unread(profile: &Profile) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        talkative(&mut command);
        Self::of(Running::start_unread, command, profile, &[])
    }

    /// Starts one that listens to this wallet alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn only(profile: &Profile, wallet: &str) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        talkative(&mut command);
        Self::of(Running::start, command, profile, &["--wallet", wallet])
    }

    /// Starts the service, which tells the same, for displays at this address.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serving(profile: &Profile, listen: &str) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        talkative(&mut command);
        Self::serve(command, profile, listen)
    }

    /// Starts the service with everything logged that can be.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serving_traced(profile: &Profile, listen: &str) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell-headless");
        command
            .env("TILLBELL_LOG", "trace")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        Self::serve(command, profile, listen)
    }

    fn serve(mut command: Command, profile: &Profile, listen: &str) -> anyhow::Result<Self> {
        command.args(["serve", "--json", "--listen", listen]);
        profile.choose(&mut command);
        Ok(Self {
            running: Running::start("tillbell-headless serve", command)?,
            events: Vec::new(),
        })
    }

    fn started(command: Command, profile: &Profile) -> anyhow::Result<Self> {
        Self::of(Running::start, command, profile, &[])
    }

    fn of(
        start: impl FnOnce(&str, Command) -> anyhow::Result<Running>,
        mut command: Command,
        profile: &Profile,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        command.args(["watch", "--json"]).args(options);
        profile.choose(&mut command);
        Ok(Self {
            running: start("tillbell-headless watch", command)?,
            events: Vec::new(),
        })
    }

    /// Starts it and waits until the link is live.
    ///
    /// # Errors
    /// When it does not get that far.
    pub fn live(profile: &Profile) -> anyhow::Result<Self> {
        let mut watch = Self::start(profile)?;
        watch.until_live()?;
        Ok(watch)
    }

    /// Reads on until the link is live (which it may be already).
    ///
    /// # Errors
    /// When it is not within 20 s.
    pub fn until_live(&mut self) -> anyhow::Result<()> {
        self.until_state("live", Duration::from_secs(20))
    }

    /// Reads on until the link is in this state (which it may be already).
    ///
    /// # Errors
    /// When it is not `within` this time.
    pub fn until_state(&mut self, state: &str, within: Duration) -> anyhow::Result<()> {
        self.until(&format!("a link that is {state}"), within, |watch| {
            (watch.link() == Some(state)).then_some(())
        })
    }

    /// Reads on until the link is not live.
    ///
    /// # Errors
    /// When it is still live after `within`.
    pub fn until_lost(&mut self, within: Duration) -> anyhow::Result<()> {
        self.until("a link that is not live", within, |watch| {
            (watch.link() != Some("live")).then_some(())
        })
    }

    /// Reads on until the link's detail has these words in it.
    ///
    /// # Errors
    /// When it has not `within` this time.
    pub fn until_told(&mut self, words: &str, within: Duration) -> anyhow::Result<()> {
        self.until(&format!("a link that says «{words}»"), within, |watch| {
            let detail = watch.all("link").last()?["detail"].as_str()?;
            detail.contains(words).then_some(())
        })
    }

    /// Reads on until the payment with this hash is announced, and answers with its event.
    ///
    /// # Errors
    /// When it is not within 20 s.
    pub fn payment(&mut self, hash: &str) -> anyhow::Result<Value> {
        self.until(
            &format!("the announcement of {hash}"),
            Duration::from_secs(20),
            |watch| {
                watch
                    .payments()
                    .find(|payment| payment["payment_hash"] == hash)
                    .cloned()
            },
        )
    }

    /// Reads on until an event of this kind comes (or came).
    ///
    /// # Errors
    /// When none does within 20 s.
    pub fn event(&mut self, kind: &str) -> anyhow::Result<Value> {
        self.until(&format!("an event «{kind}»"), Duration::from_secs(20), |watch| {
            watch.all(kind).next().cloned()
        })
    }

    /// Reads on until `found` has an answer.
    ///
    /// # Errors
    /// When it has none `within` this time, when the program ends, or when a line is not an event.
    pub fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        found: impl Fn(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = found(self) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.read(left)? {
                let events: Vec<_> = self.events.iter().map(|(_, event)| event.to_string()).collect();
                anyhow::bail!(
                    "{what}: not within {within:?}. Heard:\n{}\nand on standard error:\n{}",
                    events.join("\n"),
                    self.running.last_words()
                );
            }
        }
    }

    /// Reads on for so long: what should not come has this long to come.
    ///
    /// # Errors
    /// When the program ends, or a line is not an event.
    pub fn listen(&mut self, time: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        while self.read(deadline.saturating_duration_since(Instant::now()))? {}
        Ok(())
    }

    /// Everything heard so far, and when.
    #[must_use]
    pub fn events(&self) -> &[(Instant, Value)] {
        &self.events
    }

    /// Reads on until the link is in this state and its detail has these words, and answers with the whole detail.
    ///
    /// # Errors
    /// When it does not get there within 20 s.
    pub fn until_link(&mut self, state: &str, words: &str) -> anyhow::Result<String> {
        self.until(
            &format!("a link {state} because «{words}»"),
            Duration::from_secs(20),
            |watch| {
                let last = watch.all("link").last()?;
                let detail = last["detail"].as_str().unwrap_or_default();
                (last["state"] == state && detail.contains(words)).then(|| detail.to_owned())
            },
        )
    }

    /// The link's last known state.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        self.all("link").last().and_then(|event| event["state"].as_str())
    }

    /// The last known state of this wallet's link.
    #[must_use]
    pub fn link_of(&self, wallet: &str) -> Option<&str> {
        let last = self
            .all("link")
            .filter(|event| event["wallet"] == wallet)
            .last()?;
        last["state"].as_str()
    }

    /// Reads on until each of these wallets is in this state (which it may be already).
    ///
    /// # Errors
    /// When one of them is not within 45 s.
    pub fn until_links(&mut self, wallets: &[&str], state: &str) -> anyhow::Result<()> {
        let what = format!("{} {state}", wallets.join(" and "));
        self.until(&what, Duration::from_secs(45), |watch| {
            let are = wallets.iter().all(|wallet| watch.link_of(wallet) == Some(state));
            are.then_some(())
        })
    }

    /// Every announcement so far.
    pub fn payments(&self) -> impl Iterator<Item = &Value> {
        self.all("payment")
    }

    /// The payment hashes announced so far, in order.
    #[must_use]
    pub fn announced(&self) -> Vec<&str> {
        self.payments()
            .filter_map(|payment| payment["payment_hash"].as_str())
            .collect()
    }

    /// Every event of one kind so far.
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events
            .iter()
            .map(|(_, event)| event)
            .filter(move |event| event["event"] == kind)
    }

    /// The program itself: its output, signals.
    pub fn program(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Ends it as a user would.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.running.stop()?;
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it as a power cut would, and reads what it had said by then.
    ///
    /// # Errors
    /// When one of its last lines is no event.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.running.kill();
        self.read_to_the_end()
    }

    /// True once the program has ended by itself; then everything it said has been read.
    ///
    /// # Errors
    /// When the system does not know, or one of its last lines is no event.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        let ended = self.running.ended()?.is_some();
        if ended {
            self.read_to_the_end()?;
        }
        Ok(ended)
    }

    fn read_to_the_end(&mut self) -> anyhow::Result<()> {
        while let Some((at, line)) = self.running.rest(Duration::from_secs(5))? {
            self.take(at, &line)?;
        }
        Ok(())
    }

    /// Takes one more line; `false` when none came in time.
    fn read(&mut self, within: Duration) -> anyhow::Result<bool> {
        let Some((at, line)) = self.running.line(within)? else {
            return Ok(false);
        };
        self.take(at, &line)?;
        Ok(true)
    }

    fn take(&mut self, at: Instant, line: &str) -> anyhow::Result<()> {
        let event: Value =
            serde_json::from_str(line).with_context(|| format!("this line is no event: {line}"))?;
        anyhow::ensure!(
            event["v"] == 1 && event["event"].is_string(),
            "this line is no event: {line}"
        );
        self.events.push((at, event));
        Ok(())
    }
}
