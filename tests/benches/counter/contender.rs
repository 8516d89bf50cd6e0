//! Programs that tell a counter of payments, opened on screens of their own and paid.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use tillbell_fake_lnbits::{NewInvoice, Wallet};
use tillbell_machine::renderer;
use tillbell_tests::{
    Fake, Hand, Profile, Running, Screen, ScreenProbe, Sound, Watch, free_port, headless, steps, until,
};

use crate::glass::{self, Point, Seen};
use crate::page;

const SIZE: (u32, u32) = (1280, 800);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// As short as it gets. The page's script stays as long.
const SETTINGS: &[u8] = b"theme = \"light\"\ndwell_s = 2\nvolume = 0\n";
const CHROMIUM: &str = "/usr/bin/chromium";
/// Where distributions have WebKitGTK's own programs; the newer interface, which is Tillbell's, first.
const WEBKIT: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1",
    "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1",
    "/usr/lib/webkit2gtk-4.1",
    "/usr/libexec/webkit2gtk-4.1",
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.0",
    "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.0",
];

/// A program that tells a counter of payments.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    wallet: Wallet,
    profile: Profile,
    sound: &'a Sound,
    kind: Kind,
}

enum Kind {
    Tillbell,
    Chromium {
        address: String,
    },
    /// The same browser as a display of a service.
    Tablet {
        service: Watch,
        link: String,
    },
    MiniBrowser {
        program: PathBuf,
        address: String,
    },
}

/// It, running.
pub(crate) struct Counter {
    pub(crate) program: Running,
    pub(crate) probe: ScreenProbe,
    _screen: Screen,
}

/// A payment that was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) payment_hash: String,
    /// When its frame was sent.
    pub(crate) sent: Timestamp,
    /// Milliseconds from there to the first changed point, to the page's own frame, and to the whole.
    pub(crate) first: f64,
    pub(crate) own: f64,
    pub(crate) whole: f64,
}

impl<'a> Contender<'a> {
    /// The desktop program, paired with a new wallet of this server.
    pub(crate) fn tillbell(server: &Fake, sound: &'a Sound) -> anyhow::Result<Self> {
        Self::tillbell_at(server, &server.base_url(), Profile::new()?, sound)
    }

    /// The same, which reaches the server at this address.
    pub(crate) fn tillbell_at(
        server: &Fake,
        url: &str,
        profile: Profile,
        sound: &'a Sound,
    ) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("Bean & Bell");
        profile.write("settings.toml", SETTINGS)?;
        let pairing = format!("lndhub://invoice:{}@{url}/lndhub/ext/", wallet.invoice_key);
        headless(&profile, &["pair", &pairing])?
            .well()
            .context("pairing")?;
        Ok(Self {
            name: "Tillbell",
            wallet,
            profile,
            sound,
            kind: Kind::Tillbell,
        })
    }

    /// The page in the browser that most people have.
    pub(crate) fn chromium(server: &Fake, sound: &'a Sound) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("Bean & Browser");
        let address = page::serve(&server.ws_url(&wallet.invoice_key))?;
        Ok(Self {
            name: "Chromium",
            wallet,
            profile: Profile::new()?,
            sound,
            kind: Kind::Chromium { address },
        })
    }

    /// A display in the same browser, of a service that has run since. Its settings are the window's.
    pub(crate) fn tablet(server: &Fake, sound: &'a Sound) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("Bean & Tablet");
        let profile = Profile::new()?;
        profile.write("settings.toml", SETTINGS)?;
        let pairing = format!(
            "lndhub://invoice:{}@{}/lndhub/ext/",
            wallet.invoice_key,
            server.base_url()
        );
        headless(&profile, &["pair", &pairing])?
            .well()
            .context("pairing")?;
        let mut service = Watch::serving(&profile, &format!("127.0.0.1:{}", free_port()?))?;
        service.until_live()?;
        let link = join_link(&profile, "the tablet")?;
        Ok(Self {
            name: "Tablet",
            wallet,
            profile,
            sound,
            kind: Kind::Tablet { service, link },
        })
    }

    /// The service's process.
    pub(crate) fn service_id(&self) -> Option<u32> {
        match &self.kind {
            Kind::Tablet { service, .. } => Some(service.id()),
            Kind::Tillbell | Kind::Chromium { .. } | Kind::MiniBrowser { .. } => None,
        }
    }

    /// A link for one more display.
    pub(crate) fn another_link(&self, name: &str) -> anyhow::Result<String> {
        join_link(&self.profile, name)
    }

    /// The page in the least browser around Tillbell's own engine.
    pub(crate) fn mini_browser(server: &Fake, sound: &'a Sound) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("Bean & Small Browser");
        let address = page::serve(&server.ws_url(&wallet.invoice_key))?;
        let program = WEBKIT
            .map(|folder| PathBuf::from(folder).join("MiniBrowser"))
            .into_iter()
            .find(|program| program.exists())
            .context("WebKitGTK's MiniBrowser is not there")?;
        Ok(Self {
            name: "MiniBrowser",
            wallet,
            profile: Profile::new()?,
            sound,
            kind: Kind::MiniBrowser { program, address },
        })
    }

    fn command(&self) -> Command {
        // An absolute path is taken as it is.
        match &self.kind {
            Kind::Tillbell => {
                let mut command = self.profile.command("tillbell");
                command.arg("--kiosk").arg("--profile").arg(self.profile.path());
                command.env("TILLBELL_LOG", steps::LOG);
                command
            }
            Kind::Chromium { address } | Kind::Tablet { link: address, .. } => {
                let mut command = self.profile.command(CHROMIUM);
                command.args([
                    "--kiosk",
                    "--no-sandbox",
                    "--no-first-run",
                    "--disable-gpu",
                    "--disable-quic",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    // Without a window manager nobody else says it.
                    "--window-position=0,0",
                    &format!("--window-size={},{}", SIZE.0, SIZE.1),
                    &format!(
                        "--user-data-dir={}",
                        self.profile.path().join("browser").display()
                    ),
                    address,
                ]);
                command
            }
            Kind::MiniBrowser { program, address } => {
                let mut command = self.profile.command(&program.display().to_string());
                command.args(["--full-screen", address]);
                // It draws as Tillbell does.
                command.envs(renderer::find().renderer().variable());
                command
            }
        }
    }

    /// True when the glass shows that it is ready.
    fn is_ready(&self, probe: &mut ScreenProbe) -> anyhow::Result<bool> {
        match self.kind {
            Kind::Tillbell | Kind::Tablet { .. } => {
                glass::any(probe, &glass::DOT, |colour| colour == glass::LIVE)
            }
            Kind::Chromium { .. } | Kind::MiniBrowser { .. } => {
                glass::all(probe, &glass::EDGES, |colour| colour == page::CALM)
            }
        }
    }

    /// Points that tell of the page's own frame, where somebody else may paint before it.
    fn own(&self) -> &'static [Point] {
        match self.kind {
            Kind::Tillbell | Kind::Tablet { .. } => &glass::MARK,
            Kind::Chromium { .. } | Kind::MiniBrowser { .. } => &[],
        }
    }

    /// Opens it on a new screen, and says how many milliseconds it took until it was painted and the server had its socket.
    pub(crate) fn open(&self, server: &Fake) -> anyhow::Result<(Counter, f64)> {
        let listeners = || server.listeners(&self.wallet.invoice_key);
        let its_own = usize::from(matches!(self.kind, Kind::Tablet { .. }));
        until("the end of the one before", PATIENCE, || {
            Ok((listeners() == its_own).then_some(()))
        })?;
        let screen = Screen::start(SIZE.0, SIZE.1)?;
        let mut probe = ScreenProbe::on(&screen)?;
        let mut command = self.command();
        screen.dress(&mut command);
        self.sound.dress(&mut command);
        command.env("NO_AT_BRIDGE", "1");
        let began = Instant::now();
        let program = Running::start(self.name, command)?;
        if let Kind::MiniBrowser { .. } = self.kind {
            // It waits for a window manager's answer.
            let hand = Hand::at(&screen)?;
            until("its window", PATIENCE, || Ok(hand.fills_screen()?.then_some(())))?;
        }
        let ready = probe
            .until(self.name, PATIENCE, |probe| {
                Ok(self.is_ready(probe)? && listeners() > 0)
            })
            .with_context(|| program.last_words())?;
        let counter = Counter {
            program,
            probe,
            _screen: screen,
        };
        Ok((counter, milliseconds(ready - began)))
    }

    /// Sells something, and says when it was seen. `due`: when it is paid.
    pub(crate) fn pay(
        &self,
        server: &Fake,
        counter: &mut Counter,
        due: Instant,
        nth: u32,
    ) -> anyhow::Result<Told> {
        self.try_to_pay(server, &mut counter.probe, due, nth)
            .with_context(|| counter.program.last_words())
            .context(self.name)
    }

    fn try_to_pay(
        &self,
        server: &Fake,
        probe: &mut ScreenProbe,
        due: Instant,
        nth: u32,
    ) -> anyhow::Result<Told> {
        let payment_hash = self.sell(server, nth);
        glass::until_calm(probe, PATIENCE)?;
        let own = glass::colours(probe, self.own())?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (settled, sent) = (Instant::now(), Timestamp::now());
        anyhow::ensure!(server.settle(&payment_hash), "there was nothing to settle");
        let mut seen = Seen::default();
        probe.until("the payment on the glass", PATIENCE, |probe| {
            seen.look(probe, &own)?;
            Ok(seen.is_over())
        })?;
        let after = |at: Option<Instant>| at.map_or(f64::NAN, |at| milliseconds(at - settled));
        Ok(Told {
            payment_hash,
            sent,
            first: after(seen.first),
            own: after(seen.own),
            whole: after(seen.whole),
        })
    }

    /// An invoice that nobody has paid yet: its hash.
    pub(crate) fn sell(&self, server: &Fake, nth: u32) -> String {
        let sale = NewInvoice::sats(21_000 + u64::from(nth), "2 × flat white");
        server.make_invoice(&self.wallet, sale).payment_hash
    }
}

fn join_link(profile: &Profile, name: &str) -> anyhow::Result<String> {
    let said = headless(profile, &["displays", "add", "--name", name, "--json"])?.well()?;
    let added: Value = serde_json::from_str(&said.stdout)?;
    Ok(added["link"].as_str().context("no link")?.to_owned())
}

impl Counter {
    /// As a user would: a browser that was killed complains at its next start.
    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        self.program.stop().map(drop)
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
