//! The display is killed as by a power cut, between any two steps and at any time: nothing is lost, nothing rings twice
//! live, and only what had been announced and not yet marked is announced again, as late.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tillbell_fake_lnbits::{NewInvoice, Version, Wallet};
use tillbell_tests::{
    Display, Fake, Ledger, PairedShop, Profile, RealLnbits, Screen, Sound, Watch, Window, headless, until,
};

type Result = anyhow::Result<()>;

/// What the displays of one profile told, one life after the other.
#[derive(Debug, Default)]
struct Lives(Vec<Vec<(String, String)>>);

impl Lives {
    /// A life has ended (or will not say more): its announcements, as hash and kind.
    fn remember(&mut self, watch: &Watch) {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        self.0.push(
            watch
                .payments()
                .map(|payment| (text(&payment["payment_hash"]), text(&payment["kind"])))
                .collect(),
        );
    }

    /// Each of these was announced, nothing else was, and nothing live twice. Answers with what was announced again.
    fn told_the_truth_about(&self, paid: &[String]) -> anyhow::Result<Vec<&str>> {
        let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (hash, kind) in self.0.iter().flatten() {
            told.entry(hash).or_default().push(kind);
        }
        let lost: Vec<_> = paid
            .iter()
            .filter(|hash| !told.contains_key(hash.as_str()))
            .collect();
        anyhow::ensure!(lost.is_empty(), "lost: {lost:?}\n{self:?}");
        let mut again = Vec::new();
        for (hash, kinds) in told {
            anyhow::ensure!(paid.iter().any(|paid| paid == hash), "false: {hash}\n{self:?}");
            anyhow::ensure!(
                kinds.iter().skip(1).all(|kind| *kind == "late"),
                "{hash} rang {kinds:?}\n{self:?}"
            );
            if kinds.len() > 1 {
                again.push(hash);
            }
        }
        Ok(again)
    }

    /// How many of them told something when it happened.
    fn that_told_live(&self) -> usize {
        let told_live = |life: &&Vec<(String, String)>| life.iter().any(|(_, kind)| kind == "live");
        self.0.iter().filter(told_live).count()
    }

    /// What was announced again must be what its life said last: the kill fell before the mark.
    fn only_last_words_came_again(&self, again: &[&str]) -> Result {
        for hash in again {
            let lives = self
                .0
                .iter()
                .filter(|life| life.iter().any(|(told, _)| told == hash));
            let cut = lives.clone().count() - 1;
            let last = lives
                .take(cut)
                .all(|life| life.last().is_some_and(|(told, _)| told == hash));
            anyhow::ensure!(
                last,
                "{hash} came again although more was told after it\n{self:?}"
            );
        }
        Ok(())
    }
}

fn pay(server: &Fake, wallet: &Wallet, sats: u64) -> String {
    let invoice = server.make_invoice(wallet, NewInvoice::sats(sats, "Coffee"));
    server.settle(&invoice.payment_hash);
    invoice.payment_hash
}

/// Kills the display when it comes to this place the `nth` time, while it catches up or trades, starts it again, and
/// answers with how many announcements came again.
fn killed_at(place: &str, nth: u32) -> anyhow::Result<usize> {
    let server = Fake::start(Version::V1_6)?;
    let wallet = server.add_wallet("Bean & Bell");
    let profile = Profile::new()?;
    let pairing = format!(
        "lndhub://invoice:{}@{}/lndhub/ext/",
        wallet.invoice_key,
        server.base_url()
    );
    headless(&profile, &["pair", &pairing])?
        .well()
        .context("pairing")?;
    let mut paid: Vec<_> = (1..=3).map(|sats| pay(&server, &wallet, sats)).collect();

    let mut lives = Lives::default();
    let mut doomed = Watch::doomed(&profile, place, nth)?;
    until("the display's death", Duration::from_secs(30), || {
        if doomed.has_ended()? {
            return Ok(Some(()));
        }
        if doomed.listen(Duration::from_millis(60)).is_ok() && doomed.link() == Some("live") {
            paid.push(pay(&server, &wallet, 100 + paid.len() as u64));
        }
        Ok(None)
    })?;
    doomed.kill()?;
    lives.remember(&doomed);
    paid.extend((1..=2).map(|sats| pay(&server, &wallet, 1_000 + sats)));

    let mut watch = Watch::live(&profile)?;
    paid.push(pay(&server, &wallet, 2_000));
    let last = paid.last().context("nothing was paid")?.clone();
    watch.payment(&last)?;
    // Whatever would come again has come by the next run over the list.
    server.drop_sockets(tillbell_fake_lnbits::Ending::Reset);
    watch.listen(Duration::from_secs(3))?;
    lives.remember(&watch);
    watch.stop()?;
    let again = lives.told_the_truth_about(&paid)?;
    lives.only_last_words_came_again(&again)?;
    Ok(again.len())
}

#[test]
fn killed_when_it_has_heard_a_frame() -> Result {
    assert_eq!(killed_at("heard", 1)?, 0);
    assert_eq!(killed_at("heard", 4)?, 0);
    Ok(())
}

#[test]
fn killed_between_proof_and_ledger() -> Result {
    assert_eq!(killed_at("proven", 1)?, 0);
    assert_eq!(killed_at("proven", 4)?, 0);
    Ok(())
}

#[test]
fn killed_between_ledger_and_announcement() -> Result {
    assert_eq!(killed_at("recorded", 1)?, 0);
    assert_eq!(killed_at("recorded", 4)?, 0);
    Ok(())
}

#[test]
fn killed_while_the_announcement_is_on_its_way() -> Result {
    // It may have been written by then.
    assert!(killed_at("ordered", 1)? <= 1);
    assert!(killed_at("ordered", 6)? <= 1);
    Ok(())
}

#[test]
fn killed_between_announcement_and_acknowledgement_it_tells_once_more_as_late() -> Result {
    assert_eq!(killed_at("written", 1)?, 1);
    assert_eq!(killed_at("written", 6)?, 1);
    Ok(())
}

#[test]
fn killed_between_acknowledgement_and_mark_it_tells_once_more_as_late() -> Result {
    assert_eq!(killed_at("confirmed", 1)?, 1);
    assert_eq!(killed_at("confirmed", 6)?, 1);
    Ok(())
}

#[test]
fn killed_after_the_mark() -> Result {
    // The next one may be on its way.
    assert!(killed_at("marked", 1)? <= 1);
    assert_eq!(killed_at("marked", 6)?, 0);
    Ok(())
}

#[test]
fn killed_after_a_run_over_the_list() -> Result {
    assert!(killed_at("saved", 1)? <= 1);
    Ok(())
}

#[test]
fn killed_with_its_window_between_ring_and_mark_it_shows_that_payment_once_more_as_late() -> Result {
    const SOON: Duration = Duration::from_secs(20);
    let shop = PairedShop::new("dwell_s = 4\nvolume = 80\n")?;
    let (screen, sound) = (Screen::start(1280, 800)?, Sound::start()?);
    let mut display = Display::live(&screen, Some(&sound), &shop.profile)?;
    let ledger = Ledger::of(&shop.profile)?;
    let marked = |hash: &str| anyhow::Ok(ledger.marks()?.get(hash).copied());
    shop.sell(100, "rung and marked")?;
    until("the first one's marks", SOON, || {
        Ok((display.said("outlet=Bell") == 1 && ledger.owed()? == 0).then_some(()))
    })?;
    // It waits until the first one's time is over; its record is there before its ring.
    let second = shop.sell(200, "rung")?;
    until("the second one's record", SOON, || Ok(marked(&second)?.map(drop)))?;
    let held = ledger.hold()?;
    assert_eq!(marked(&second)?, Some(false), "it came too soon");
    until("the second one's ring", SOON, || {
        Ok((sound.onsets().len() == 2).then_some(()))
    })?;
    until("the second announcement", SOON, || {
        Ok((display.said("outlet=Screens") == 2).then_some(()))
    })?;
    display.program().kill();
    drop(held);
    assert_eq!(marked(&second)?, Some(false), "it could not be marked");

    let display = Window::open(&screen, Some(&sound), &shop.profile, &[])?;
    display.until_live()?;
    assert!(display.until_paid(200_000, SOON)?.late, "it says when it came");
    until("the second one's mark", SOON, || {
        Ok((marked(&second)? == Some(true)).then_some(()))
    })?;
    shop.sell(300, "live again")?;
    assert!(!display.until_paid(300_000, SOON)?.late);
    let shown: Vec<_> = display
        .shown()?
        .into_iter()
        .filter(|shown| ["paid", "catch-up"].contains(&shown.scene.as_str()))
        .map(|shown| shown.amount_msat)
        .collect();
    assert_eq!(shown, [Some(200_000), Some(300_000)], "the first not again");
    Ok(())
}

#[test]
fn killed_fifteen_times_under_load_on_a_real_server() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = Profile::new()?;
    headless(&profile, &["pair", &shop.lndhub(&lnbits.url())])?
        .well()
        .context("pairing")?;
    let seed = rand::random();
    let mut chance = SmallRng::seed_from_u64(seed);
    let (open, sold) = (AtomicBool::new(true), AtomicUsize::new(0));
    let (lives, paid) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let trade = scope.spawn(|| -> anyhow::Result<Vec<String>> {
            let mut paid = Vec::new();
            while open.load(Ordering::Relaxed) {
                paid.push(
                    lnbits
                        .sell(&shop, &customer, 1 + paid.len() as u64, "load")?
                        .payment_hash,
                );
                sold.store(paid.len(), Ordering::Relaxed);
            }
            Ok(paid)
        });
        let killed = (0..15).try_fold(Lives::default(), |mut lives, _| {
            let mut watch = Watch::start(&profile)?;
            let enough = sold.load(Ordering::Relaxed) + chance.random_range(2..15);
            until("some payments", Duration::from_secs(180), || {
                watch.listen(Duration::from_millis(chance.random_range(1..50)))?;
                Ok((sold.load(Ordering::Relaxed) >= enough).then_some(()))
            })?;
            watch.kill()?;
            lives.remember(&watch);
            anyhow::Ok(lives)
        });
        open.store(false, Ordering::Relaxed);
        let paid = trade.join().map_err(|_| anyhow::anyhow!("trade broke down"))??;
        Ok((killed?, paid))
    })?;
    let mut lives = lives;
    let live = lives.that_told_live();
    assert!(
        live >= 10,
        "only {live} were killed in the midst of it: {lives:?}"
    );
    let mut watch = Watch::live(&profile)?;
    let known: std::collections::BTreeSet<_> =
        lives.0.iter().flatten().map(|(hash, _)| hash.clone()).collect();
    watch.until("everything that was paid", Duration::from_secs(60), |watch| {
        let told = watch.announced();
        let all = paid
            .iter()
            .all(|hash| known.contains(hash) || told.contains(&hash.as_str()));
        all.then_some(())
    })?;
    watch.listen(Duration::from_secs(17))?;
    lives.remember(&watch);
    watch.stop()?;
    let checked = lives
        .told_the_truth_about(&paid)
        .and_then(|again| lives.only_last_words_came_again(&again).map(|()| again.len()));
    let again = checked.with_context(|| format!("seed {seed}"))?;
    eprintln!(
        "{} payments, 15 kills, {live} of them while telling live: {again} told again, as late",
        paid.len()
    );
    Ok(())
}
