//! Other programs, started so that none outlives the tests.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long a program that has ended may leave its pipes open: what it started itself may hold them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A command for `program` that dies with this process.
#[must_use]
pub(crate) fn program(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A running program whose output is collected.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    lines: Receiver<(Instant, String)>,
    /// Standard output that nobody reads yet, and where its lines will go.
    unread: Option<(ChildStdout, Sender<(Instant, String)>)>,
    /// Without a sender once standard error has ended.
    no_more_errors: Receiver<()>,
    said: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    out: String,
    err: String,
}

impl Running {
    /// Starts `command`; `name` is for messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: Command) -> anyhow::Result<Self> {
        let mut running = Self::start_unread(name, command)?;
        running.read_on();
        Ok(running)
    }

    /// Like [`Self::start`], but nobody reads its standard output before [`Self::read_on`]: a program with more to say
    /// than a pipe holds stands still in the middle of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_unread(name: &str, mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command).with_context(|| format!("{name} cannot be started"))?;
        let said = Arc::<Mutex<Said>>::default();
        let (sender, lines) = mpsc::channel();
        let unread = child.stdout.take().map(|out| (out, sender));
        let (errors_end, no_more_errors) = mpsc::channel();
        if let Some(err) = child.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                let _errors_end: Sender<()> = errors_end;
                each_line(err, |line| {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.err.push_str(&line);
                    said.err.push('\n');
                });
            });
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            unread,
            no_more_errors,
            said,
        })
    }

    /// Reads what it writes to standard output, from now on to its end.
    pub fn read_on(&mut self) {
        let Some((out, sender)) = self.unread.take() else {
            return;
        };
        let said = Arc::clone(&self.said);
        std::thread::spawn(move || {
            each_line(out, |line| {
                let now = Instant::now();
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.out.push_str(&line);
                said.out.push('\n');
                drop(said);
                // Nobody may be listening, and the program must still be able to write.
                let _ = sender.send((now, line));
            });
        });
    }

    /// The next line of standard output and when it came; `None` when none came `within` this time.
    ///
    /// # Errors
    /// When the program has ended and everything it wrote was read.
    pub fn line(&self, within: Duration) -> anyhow::Result<Option<(Instant, String)>> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!(
                    "{} ended. Its standard error ends with:\n{}",
                    self.name,
                    self.last_words()
                )
            }
        }
    }

    /// The next line of a program that has ended; `None` after the last one.
    ///
    /// # Errors
    /// When something still holds its output after `within`.
    pub(crate) fn rest(&self, within: Duration) -> anyhow::Result<Option<(Instant, String)>> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => anyhow::bail!("the output of {} does not end", self.name),
        }
    }

    /// Everything written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .out
            .clone()
    }

    /// Everything written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .err
            .clone()
    }

    /// The end of standard error, for messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        let all = self.stderr();
        let lines: Vec<_> = all.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// When it is still running after `within`.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = crate::until(&what, within, || self.ended())?;
        // What it wrote last may still be on its way through the pipes.
        while self.lines.recv_timeout(LAST_WORDS).is_ok() {}
        let _ = self.no_more_errors.recv_timeout(LAST_WORDS);
        Ok(status)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        crate::signal(self.child.id(), signal).with_context(|| self.name.clone())
    }

    /// Ends it as a user would, and waits for that.
    ///
    /// # Errors
    /// When it does not end within 10 s.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal("TERM")?;
        }
        self.wait(Duration::from_secs(10))
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal: `KILL`, `STOP`, `CONT`.
///
/// # Errors
/// When there is no such program.
pub fn signal(id: u32, signal: &str) -> anyhow::Result<()> {
    // The shell's own `kill`: the program of that name is not everywhere.
    let script = format!("kill -{signal} {id}");
    let status = Command::new("sh").args(["-c", &script]).status()?;
    anyhow::ensure!(status.success(), "{id} cannot be sent {signal}");
    Ok(())
}

fn each_line(from: impl Read, mut hear: impl FnMut(String)) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(line) = line else { return };
        hear(String::from_utf8_lossy(&line).into_owned());
    }
}

/// What is to be started, and where to say how that went.
type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts `command` from one thread that lasts as long as this process: the system ends a child that asked to
/// die with its parent when the *thread* that started it ends, and a test's own thread ends early.
pub(crate) fn spawn(command: Command) -> anyhow::Result<Child> {
    static NURSERY: OnceLock<Sender<Order>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, started) = mpsc::channel();
    nursery
        .send((command, answer))
        .context("the thread that starts programs is gone")?;
    Ok(started
        .recv()
        .context("the thread that starts programs is gone")??)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Running, program};

    #[test]
    fn what_a_program_says_is_collected_line_by_line() {
        let mut command = program("sh");
        command.args(["-c", "echo one; echo oops >&2; echo two; exit 3"]);
        let mut running = Running::start("a shell", command).unwrap();
        let (_, first) = running.line(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(first, "one");
        assert_eq!(running.wait(Duration::from_secs(5)).unwrap().code(), Some(3));
        assert_eq!(running.stdout(), "one\ntwo\n");
        assert_eq!(running.stderr(), "oops\n");
    }

    #[test]
    fn a_program_ends_with_its_handle() {
        let mut command = program("sleep");
        command.arg("600");
        let running = Running::start("sleep", command).unwrap();
        let process = std::path::PathBuf::from(format!("/proc/{}", running.child.id()));
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }
}
