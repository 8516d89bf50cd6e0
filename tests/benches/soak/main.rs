//! A shop's day in short: payments without end, and something going wrong every minute, while both displays are
//! watched: `cargo xtask soak --minutes N`.
//!
//! One server, one wallet; a window with sound and a terminal both listen to it. At the end each must have told of every
//! payment exactly once, and may hold no more memory and no more handles than when it had warmed up.
#![expect(clippy::print_stdout, reason = "a report is all that it is for")]

mod books;
mod chaos;

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tillbell_fake_lnbits::{NewInvoice, Version, Wallet};
use tillbell_tests::{Fake, Profile, Running, Screen, Sound, Watch, headless, until};

use books::Books;
use chaos::Chaos;

/// Between two payments, in milliseconds.
const SALES_MS: std::ops::Range<u64> = 300..5_000;
/// Who does not pay at once pays after so many milliseconds: no shop's unpaid invoices grow without end.
const LATER_MS: std::ops::Range<u64> = 10_000..300_000;
/// What is looked at only when all has been well for so long: connections that idle are closed by then.
const PEACE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Until whatever is still to come has come.
const PATIENCE: Duration = Duration::from_secs(180);
const SETTINGS: &[u8] = b"dwell_s = 2\n";
/// More than this is a drift: memory at the end by memory once warm.
const DRIFT: f64 = 1.05;

fn main() -> anyhow::Result<()> {
    let minutes = std::env::args().skip_while(|word| word != "--minutes").nth(1);
    let minutes: u32 = minutes
        .context("say how long: --minutes N")?
        .parse()
        .context("--minutes wants a number")?;
    anyhow::ensure!(
        minutes >= 3,
        "--minutes: warming up alone takes one; say at least 3"
    );
    let seed = rand::random();
    println!("{minutes} minutes with seed {seed}");
    let mut chance = SmallRng::seed_from_u64(seed);

    let server = Fake::start(Version::V1_6)?;
    let wallet = server.add_wallet("Bean & Bell");
    let shop = Shop::open(&server, &wallet)?;
    let sold = trade(
        &server,
        &wallet,
        shop,
        &mut chance,
        Duration::from_secs(60) * minutes,
    )?;
    println!("\n{sold} payments: none lost, none twice, none false; memory and handles steady.");
    Ok(())
}

/// Two displays of one wallet.
struct Shop {
    terminal: Watch,
    window: Running,
    /// The window's.
    profile: Profile,
    _terminals: Profile,
    _screen: Screen,
    _sound: Sound,
}

impl Shop {
    fn open(server: &Fake, wallet: &Wallet) -> anyhow::Result<Self> {
        let pairing = format!(
            "lndhub://invoice:{}@{}/lndhub/ext/",
            wallet.invoice_key,
            server.base_url()
        );
        let paired = || -> anyhow::Result<Profile> {
            let profile = Profile::new()?;
            profile.write("settings.toml", SETTINGS)?;
            headless(&profile, &["pair", &pairing])?
                .well()
                .context("pairing")?;
            Ok(profile)
        };
        let (profile, terminals) = (paired()?, paired()?);
        let screen = Screen::start(1280, 800)?;
        let sound = Sound::start()?;
        let mut command = profile.command("tillbell");
        screen.dress(&mut command);
        sound.dress(&mut command);
        command.arg("--kiosk").arg("--profile").arg(profile.path());
        command.env("NO_AT_BRIDGE", "1").env("NO_COLOR", "1");
        // Each announcement is a line there.
        command.env("TILLBELL_LOG", "info");
        let window = Running::start("the window", command)?;
        let terminal = Watch::start(&terminals)?;
        until("two open sockets", Duration::from_secs(30), || {
            Ok((server.listeners(&wallet.invoice_key) == 2).then_some(()))
        })?;
        Ok(Self {
            terminal,
            window,
            profile,
            _terminals: terminals,
            _screen: screen,
            _sound: sound,
        })
    }

    /// How often the window has announced a payment that it had announced before, by its own log.
    fn repeated(&self) -> usize {
        let log = self.window.stderr();
        let on_screen = log.lines().filter(|line| line.contains("outlet=Screens"));
        let announced = on_screen.filter_map(|line| line.split_once("delivered seq="));
        let mut seen = std::collections::BTreeSet::new();
        announced.filter(|(_, seq)| !seen.insert(seq.trim())).count()
    }

    /// How often the window's page was loaded anew because it had shown many payments, by its own log.
    fn renewals(&self) -> usize {
        self.window
            .stderr()
            .matches("the page has shown many payments")
            .count()
    }

    /// The hashes that the window has announced, by its own record.
    fn shown(&self) -> anyhow::Result<Vec<String>> {
        let record = headless(&self.profile, &["export", "--csv"])?.well()?.stdout;
        let mut rows = csv::Reader::from_reader(record.as_bytes());
        let heading = rows.headers()?.clone();
        let column = |name| {
            let at = heading.iter().position(|column| column == name);
            at.with_context(|| format!("no column «{name}»"))
        };
        let (hash, announced) = (column("payment_hash")?, column("announced_at")?);
        let mut shown = Vec::new();
        for row in rows.records() {
            let row = row?;
            if !row[announced].is_empty() {
                shown.push(row[hash].to_owned());
            }
        }
        Ok(shown)
    }
}

/// Trades for this long, closes the shop and does the books.
fn trade(
    server: &Fake,
    wallet: &Wallet,
    mut shop: Shop,
    chance: &mut SmallRng,
    time: Duration,
) -> anyhow::Result<usize> {
    let began = Instant::now();
    let customer = server.add_wallet("Customer");
    let mut books = Books::new(time, shop.window.id(), shop.terminal.program().id());
    let mut chaos = Chaos::new();
    let (mut sale, mut look, mut line) = (began, began + PEACE, began);
    let mut sold: Vec<String> = Vec::new();
    let mut later: Vec<(Instant, String)> = Vec::new();
    while began.elapsed() < time {
        shop.terminal.listen(Duration::from_millis(100))?;
        chaos.go_on(server, wallet, chance)?;
        let now = Instant::now();
        if now >= sale {
            sold.extend(sell(server, wallet, &customer, chance, &mut later));
            sale = now + Duration::from_millis(chance.random_range(SALES_MS));
        }
        let due = later.extract_if(.., |(due, _)| now >= *due);
        sold.extend(due.filter(|(_, hash)| server.settle(hash)).map(|(_, hash)| hash));
        if now >= look && chaos.peace() >= PEACE {
            books.look(began.elapsed(), shop.renewals())?;
            look = now + LOOK;
        }
        if now >= line {
            let told = shop.terminal.payments().count();
            println!("{}", books.line(began.elapsed(), sold.len(), told, chaos.faults)?);
            line = now + Duration::from_secs(60);
        }
    }
    chaos.mend(server)?;
    let told = shop
        .terminal
        .until("the last payment's line", PATIENCE, |terminal| {
            (terminal.payments().count() >= sold.len()).then_some(())
        });
    let seen = until("the last payment on the glass", PATIENCE, || {
        Ok((shop.shown()?.len() >= sold.len()).then_some(()))
    });
    // One too many would come now.
    shop.terminal.listen(PEACE)?;
    let told_hashes: Vec<_> = shop.terminal.announced().into_iter().map(str::to_owned).collect();
    let verdicts = [
        books::judge("terminal", &sold, &told_hashes),
        books::judge("window", &sold, &shop.shown()?),
        books::never_repeated("window", shop.repeated()),
        books.steady(),
    ];
    told.and(seen)?;
    let wrong: Vec<_> = verdicts.into_iter().filter_map(Result::err).collect();
    if !wrong.is_empty() {
        bail!(
            "{}",
            wrong
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
    Ok(sold.len())
}

/// A customer pays (from this server or from elsewhere), at once or later, sometimes a queue of them; other things
/// happen, too.
fn sell(
    server: &Fake,
    wallet: &Wallet,
    customer: &Wallet,
    chance: &mut SmallRng,
    later: &mut Vec<(Instant, String)>,
) -> Vec<String> {
    let queue = match chance.random_range(0..40) {
        0 => 12,
        1..=4 => 3,
        _ => 1,
    };
    let mut sold = Vec::new();
    for _ in 0..queue {
        let invoice = server.make_invoice(
            wallet,
            NewInvoice::sats(chance.random_range(1..50_000), "2 × flat white"),
        );
        let paid = match chance.random_range(0..60) {
            0 => {
                server.fail(&invoice.payment_hash);
                continue;
            }
            1..=6 => {
                let wait = Duration::from_millis(chance.random_range(LATER_MS));
                later.push((Instant::now() + wait, invoice.payment_hash));
                continue;
            }
            7..=30 => server.pay_between(customer, &invoice.payment_hash),
            _ => server.settle(&invoice.payment_hash),
        };
        if paid {
            sold.push(invoice.payment_hash);
        }
    }
    if chance.random_range(0..10) == 0 {
        server.send_outgoing(wallet, 5_000, "milk");
    }
    sold
}
