//! What goes wrong on the shop's own machine, as far as it needs no window: the disk, the files, the keyring, the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use tillbell_fake_lnbits::faults::{Fault, RestFault};
use tillbell_fake_lnbits::{Path, Version};
use tillbell_tests::{
    Fake, FakedClock, Keyring, Ledger, Namespace, PairedShop, Profile, SessionBus, Watch, headless, until,
};

type Result = anyhow::Result<()>;

/// What must not come has this long to come: longer than a run over the wallet's list takes to begin.
const A_RUN: Duration = Duration::from_secs(4);

/// Announcements so far, as the ledger must have them too.
fn are_in_the_ledger(watch: &Watch, shop: &PairedShop) -> Result {
    let ledger = headless(&shop.profile, &["export", "--csv"])?.well()?.stdout;
    for hash in watch.announced() {
        assert!(
            ledger.contains(hash),
            "{hash} was announced and is not in the ledger:\n{ledger}"
        );
    }
    Ok(())
}

// ── Two displays on one profile ────────────────────────────────────────────────────────────────────

#[test]
fn a_second_display_on_a_profile_says_so_and_ends_and_the_first_goes_on() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let second = headless(&shop.profile, &["watch", "--json"])?;
    assert!(!second.status.success());
    assert_eq!(second.stdout, "", "nothing but events belongs there");
    assert!(second.stderr.contains("already running"), "{}", second.stderr);
    assert!(
        second.stderr.contains("--profile"),
        "it says what to do: {}",
        second.stderr
    );
    watch.payment(&shop.sell(1, "after the second")?)?;
    watch.stop()
}

// ── The disk ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_full_disk_is_said_and_what_was_paid_meanwhile_is_announced_once_there_is_space() -> Result {
    let shop = PairedShop::on(Profile::on_small_disk(768)?, "")?;
    let (namespace, folder) = (shop.profile.namespace()?, shop.profile.path());
    let mut watch = Watch::live(&shop.profile)?;
    let mut sold = vec![shop.sell(1, "before")?];
    watch.payment(&sold[0])?;

    let filler = namespace.fill(&folder)?;
    // The ledger has some room of its own: what fits is announced as ever, until nothing fits.
    let long = "m".repeat(600);
    until("a payment that is not recorded", Duration::from_secs(60), || {
        let hash = shop.sell(2, &long)?;
        let told = watch.until("it", A_RUN, |watch| {
            watch.announced().contains(&hash.as_str()).then_some(())
        });
        sold.push(hash);
        Ok(told.is_err().then_some(()))
    })?;
    let detail = watch.until_link("live", "disk")?;
    assert!(detail.contains("cannot be recorded"), "{detail}");
    assert!(detail.contains("Free some space"), "it says what to do: {detail}");
    sold.push(shop.sell(3, "on a full disk")?);
    watch.listen(A_RUN)?;
    assert!(
        watch.announced().len() < sold.len(),
        "what cannot be recorded is not announced"
    );
    are_in_the_ledger(&watch, &shop)?;

    std::fs::remove_file(filler)?;
    watch.until("the link without a complaint", Duration::from_secs(10), |watch| {
        let last = watch.all("link").last()?;
        (last["state"] == "live" && last["detail"].is_null()).then_some(())
    })?;
    for hash in &sold {
        watch.payment(hash)?;
    }
    watch.listen(A_RUN)?;
    let mut announced = watch.announced();
    announced.sort_unstable();
    let mut expected: Vec<_> = sold.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(announced, expected, "each once");
    are_in_the_ledger(&watch, &shop)?;
    watch.stop()
}

#[test]
fn a_display_that_starts_on_a_full_disk_says_so_and_goes_on_when_there_is_space() -> Result {
    let shop = PairedShop::on(Profile::on_small_disk(768)?, "")?;
    let (namespace, folder) = (shop.profile.namespace()?, shop.profile.path());
    let filler = namespace.fill(&folder)?;
    let mut watch = Watch::start(&shop.profile)?;
    watch.until_link("down", "cannot be recorded")?;
    let sold = shop.sell(1, "on a full disk")?;
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), Vec::<&str>::new());
    std::fs::remove_file(filler)?;
    watch.payment(&sold)?;
    watch.until_live()?;
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [sold], "once");
    watch.stop()
}

#[test]
fn a_wallet_is_unpaired_on_a_full_disk() -> Result {
    let shop = PairedShop::on(Profile::on_small_disk(768)?, "")?;
    let filler = shop.profile.namespace()?.fill(&shop.profile.path())?;
    let said = headless(&shop.profile, &["unpair", "shop"])?.read();
    assert!(said.contains("is not paired any more"), "{said}");
    let listed = headless(&shop.profile, &["wallets"])?.well()?.stdout;
    assert!(listed.contains("Nothing is paired yet"), "{listed}");
    let keys = String::from_utf8(shop.profile.read("secrets.json")?)?;
    assert!(!keys.contains(&shop.wallet.invoice_key), "its key is gone");
    std::fs::remove_file(filler)?;
    headless(&shop.profile, &["pair", &shop.pairing()])?.well()?;
    Watch::live(&shop.profile)?.stop()
}

#[test]
fn a_ledger_that_may_not_be_written_is_said_and_used_again_when_it_may() -> Result {
    let shop = PairedShop::new("")?;
    let shop = PairedShop {
        profile: shop.profile.in_namespace()?,
        ..shop
    };
    let namespace = shop.profile.namespace()?;
    let ledger = shop.profile.path().join("ledger.sqlite3").display().to_string();
    namespace.run(&format!(
        "mount --bind '{ledger}' '{ledger}'; mount -o remount,bind,ro '{ledger}'"
    ))?;
    let mut watch = Watch::start(&shop.profile)?;
    watch.until_link("down", "may not be written")?;
    let sold = shop.sell(1, "unwritten")?;
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), Vec::<&str>::new());
    namespace.run(&format!("umount '{ledger}'"))?;
    watch.payment(&sold)?;
    watch.stop()
}

#[test]
fn a_disk_that_became_read_only_is_not_called_full_and_is_used_again_when_it_is_well() -> Result {
    let shop = PairedShop::new("")?;
    Watch::live(&shop.profile)?.stop()?;
    let shop = PairedShop {
        profile: shop.profile.in_namespace()?,
        ..shop
    };
    let namespace = shop.profile.namespace()?;
    let folder = shop.profile.path().display().to_string();
    // All of it but the lock: else it would not get as far as the ledger.
    namespace.run(&format!(
        "mount --bind '{folder}' '{folder}'; mount --bind '{folder}/lock' '{folder}/lock'
         mount -o remount,bind,ro '{folder}'"
    ))?;
    let mut watch = Watch::start(&shop.profile)?;
    let detail = watch.until_link("down", "the disk fails or became read-only")?;
    assert!(!detail.contains("full"), "{detail}");
    let sold = shop.sell(1, "on a read-only disk")?;
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), Vec::<&str>::new());
    namespace.run(&format!("mount -o remount,bind,rw '{folder}'"))?;
    watch.payment(&sold)?;
    watch.stop()
}

#[test]
fn a_folder_that_may_not_be_written_is_named() -> Result {
    let shop = PairedShop::new("")?;
    let folder = shop.profile.path().display().to_string();
    let shop = PairedShop {
        profile: shop.profile.in_namespace()?,
        ..shop
    };
    let namespace: &Namespace = shop.profile.namespace()?;
    namespace.run(&format!(
        "mount --bind '{folder}' '{folder}'; mount -o remount,bind,ro '{folder}'"
    ))?;
    let said = headless(&shop.profile, &["watch", "--json"])?;
    assert!(!said.status.success());
    assert!(said.stderr.contains(&folder), "{}", said.stderr);
    assert!(
        said.stderr.contains("may be written"),
        "it says what to do: {}",
        said.stderr
    );
    assert!(!said.stderr.contains("full"), "{}", said.stderr);
    Ok(())
}

// ── The ledger ─────────────────────────────────────────────────────────────────────────────────────

/// What became of a display whose ledger was spoilt.
struct Aftermath {
    shop: PairedShop,
    /// The file as the display found it; empty where it was gone.
    spoilt: Vec<u8>,
    /// What the display said on standard error.
    said: String,
}

impl Aftermath {
    fn says(self, words: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(self.said.contains(words), "«{words}» is not said:\n{}", self.said);
        Ok(self)
    }

    /// The old file is kept beside the new one, byte for byte.
    fn keeps_the_old_file(self) -> Result {
        let files = self.shop.profile.files()?;
        let aside = files
            .iter()
            .filter(|file| file.to_string_lossy().contains("ledger.sqlite3.aside-"));
        let kept = aside
            .map(std::fs::read)
            .any(|bytes| bytes.is_ok_and(|bytes| bytes == self.spoilt));
        anyhow::ensure!(kept, "the old file is not kept: {files:?}");
        Ok(())
    }
}

/// Sells and announces enough for the ledger to have inner pages, leaves two invoices unpaid, spoils the ledger as told
/// while the display is off, is paid meanwhile, and then wants: the display starts, what was announced stays silent, what
/// was paid meanwhile is told late, what comes new and the old invoice that is paid now are announced as they come, and
/// the pairing is the same.
fn after_the_ledger(spoil: impl FnOnce(&PairedShop) -> Result) -> anyhow::Result<Aftermath> {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let memo = "a long day ".repeat(40);
    let old: Vec<_> = (0..60)
        .map(|_| shop.sell(10, &memo))
        .collect::<anyhow::Result<_>>()?;
    for hash in &old {
        watch.payment(hash)?;
    }
    let unpaid = shop.invoice(12, "made before");
    let paid_meanwhile = shop.invoice(12, "made before, paid meanwhile");
    watch.stop()?;
    let pairing = |shop: &PairedShop| -> anyhow::Result<[serde_json::Value; 3]> {
        let mut read: serde_json::Value = serde_json::from_slice(&shop.profile.read("pairings.json")?)?;
        Ok(["server", "reference", "wallet"].map(|name| read["wallets"][0][name].take()))
    };
    let bound = pairing(&shop)?;
    let length = shop.profile.read("ledger.sqlite3")?.len();
    anyhow::ensure!(length > 8 * 4096, "{length} bytes are no long day");
    spoil(&shop)?;
    let spoilt = shop.profile.read("ledger.sqlite3").unwrap_or_default();
    let sold_meanwhile = shop.sell(13, "meanwhile")?;
    assert!(shop.server.settle(&paid_meanwhile));

    let mut watch = Watch::live(&shop.profile)?;
    for hash in [&sold_meanwhile, &paid_meanwhile] {
        assert_eq!(
            watch.payment(hash)?["kind"],
            "late",
            "it came while nobody listened"
        );
    }
    let new = shop.sell(11, "after")?;
    assert_eq!(watch.payment(&new)?["kind"], "live");
    // Damage that only this payment came upon is found now, and got over before the next.
    watch.listen(A_RUN)?;
    watch.until_live()?;
    let mut announced = watch.announced();
    announced.sort_unstable();
    let mut expected = [&sold_meanwhile, &paid_meanwhile, &new];
    expected.sort_unstable();
    assert_eq!(announced, expected, "nothing old rings");
    assert!(shop.server.settle(&unpaid));
    assert_eq!(watch.payment(&unpaid)?["kind"], "live", "it was paid just now");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced()[2..], [new, unpaid], "each once");
    are_in_the_ledger(&watch, &shop)?;
    let said = watch.program().stderr();
    watch.stop()?;
    // And it stays so.
    let mut watch = Watch::live(&shop.profile)?;
    watch.listen(A_RUN)?;
    assert_eq!(
        watch.announced(),
        Vec::<&str>::new(),
        "nothing rings again after the next start"
    );
    watch.stop()?;
    assert_eq!(pairing(&shop)?, bound, "the pairing is kept");
    Ok(Aftermath { shop, spoilt, said })
}

/// Spoils the file itself.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> impl FnOnce(&PairedShop) -> Result {
    |shop| {
        let mut ledger = shop.profile.read("ledger.sqlite3")?;
        change(&mut ledger);
        shop.profile.write("ledger.sqlite3", &ledger)
    }
}

/// Spoils every page of one table or index, and nothing else.
fn garbled(part: &str) -> impl FnOnce(&PairedShop) -> Result {
    move |shop| {
        let pages = Ledger::of(&shop.profile)?.pages(part)?;
        changed(|ledger| pages.into_iter().for_each(|page| ledger[page].fill(0x55)))(shop)
    }
}

#[test]
fn a_ledger_with_a_garbled_head_is_set_aside() -> Result {
    after_the_ledger(changed(|ledger| ledger[..200].fill(0xAA)))?
        .says("set aside")?
        .keeps_the_old_file()
}

#[test]
fn a_ledger_with_garbage_in_the_middle_is_set_aside() -> Result {
    after_the_ledger(changed(|ledger| ledger[4096..].fill(0x55)))?
        .says("set aside")?
        .keeps_the_old_file()
}

#[test]
fn a_ledger_that_has_lost_the_order_of_its_payments_repeats_and_loses_nothing() -> Result {
    after_the_ledger(garbled("payment_heard"))?
        .says("set aside")?
        .keeps_the_old_file()
}

#[test]
fn a_ledger_that_has_lost_what_waits_in_it_repeats_and_loses_nothing() -> Result {
    after_the_ledger(garbled("owed"))?
        .says("set aside")?
        .keeps_the_old_file()
}

#[test]
fn a_ledger_in_which_no_payment_can_be_found_is_set_aside_with_the_next_one() -> Result {
    // What keeps a payment from being recorded twice is read for the first time when one is recorded.
    after_the_ledger(garbled("sqlite_autoindex_payment_1"))?
        .says("set aside")
        .map(drop)
}

#[test]
fn a_ledger_that_was_cut_off_is_set_aside() -> Result {
    after_the_ledger(changed(|ledger| ledger.truncate(4096 * 5)))?
        .says("set aside")?
        .keeps_the_old_file()
}

#[test]
fn a_stale_log_beside_a_ruined_ledger_goes_with_it() -> Result {
    after_the_ledger(|shop| {
        let ruined = shop.profile.read("ledger.sqlite3")?;
        // A log that is valid in itself, with pages of the ruined ledger: taken over, it would ruin the new one.
        let mut watch = Watch::live(&shop.profile)?;
        let hash = shop.sell(12, "in the log")?;
        watch.payment(&hash)?;
        let log = shop.profile.read("ledger.sqlite3-wal")?;
        watch.stop()?;
        shop.profile.write("ledger.sqlite3", &ruined)?;
        shop.profile.write("ledger.sqlite3-wal", &log)?;
        changed(|ledger| ledger[..200].fill(0xAA))(shop)
    })?
    .says("set aside")
    .map(drop)
}

#[test]
fn an_emptied_ledger_is_said_and_nothing_old_rings() -> Result {
    after_the_ledger(changed(Vec::clear))?.says("set aside").map(drop)
}

#[test]
fn a_ledger_that_is_gone_is_said_and_nothing_old_rings() -> Result {
    after_the_ledger(|shop| Ok(std::fs::remove_file(shop.profile.path().join("ledger.sqlite3"))?))?
        .says("is missing")
        .map(drop)
}

fn remove_ledger_and_copy(shop: &PairedShop) -> Result {
    for file in ["ledger.sqlite3", "ledger.copy.sqlite3"] {
        std::fs::remove_file(shop.profile.path().join(file))?;
    }
    Ok(())
}

#[test]
fn a_ledger_that_is_gone_with_its_copy_is_said_and_nothing_old_rings() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let unpaid = shop.invoice(3, "made before");
    let old = shop.sell(1, "before")?;
    watch.payment(&old)?;
    watch.stop()?;
    remove_ledger_and_copy(&shop)?;
    let mut watch = Watch::live(&shop.profile)?;
    let new = shop.sell(2, "after")?;
    assert_eq!(watch.payment(&new)?["kind"], "live");
    assert!(shop.server.settle(&unpaid));
    assert_eq!(watch.payment(&unpaid)?["kind"], "live");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [new, unpaid], "each once, and nothing old");
    let said = watch.program().stderr();
    assert!(said.contains("is missing"), "{said}");
    watch.stop()
}

#[test]
fn a_copy_that_cannot_be_made_is_said_and_silences_nothing() -> Result {
    let shop = PairedShop::new("")?;
    let copy = shop.profile.path().join("ledger.copy.sqlite3");
    std::fs::remove_file(&copy)?;
    // A folder is in its place.
    std::fs::create_dir(&copy)?;
    let mut watch = Watch::live(&shop.profile)?;
    let told = shop.sell(1, "while no copy can be made")?;
    assert_eq!(watch.payment(&told)?["kind"], "live");
    watch.stop()?;
    std::fs::remove_dir(&copy)?;
    let mut watch = Watch::live(&shop.profile)?;
    let told = shop.sell(2, "when it can be")?;
    assert_eq!(watch.payment(&told)?["kind"], "live");
    watch.stop()?;
    assert!(copy.is_file(), "it is made at a clean end");
    // Of all this only what comes now is news to the ledger that the copy becomes.
    std::fs::remove_file(shop.profile.path().join("ledger.sqlite3"))?;
    let away = shop.sell(3, "while nobody listens")?;
    let mut watch = Watch::live(&shop.profile)?;
    assert_eq!(watch.payment(&away)?["kind"], "late");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [away], "once, and nothing old");
    watch.stop()
}

#[test]
fn a_ledger_that_is_gone_is_got_over_on_a_server_that_hides_its_version() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let old = shop.sell(1, "before")?;
    watch.payment(&old)?;
    watch.stop()?;
    remove_ledger_and_copy(&shop)?;
    // Many a proxy lets nobody read that page.
    let hidden = Fault::Rest(Some(Path::OpenApi), RestFault::Status(403, None));
    shop.server.faults().set(hidden);
    let mut watch = Watch::live(&shop.profile)?;
    let new = shop.sell(2, "after")?;
    assert_eq!(watch.payment(&new)?["kind"], "live");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [new], "once, and nothing old");
    watch.stop()
}

#[test]
fn a_ledger_from_a_newer_tillbell_is_kept_and_it_is_said_what_to_do() -> Result {
    // The schema's number stands in bytes 60 to 63 of an SQLite file.
    after_the_ledger(changed(|ledger| {
        ledger[60..64].copy_from_slice(&999_u32.to_be_bytes());
    }))?
    .says("newer Tillbell")?
    .keeps_the_old_file()
}

// ── The ledger in other hands ──────────────────────────────────────────────────────────────────────

/// Many more than fit into a pipe.
const MANY: u64 = 2_000;

/// A display that has recorded so many late payments and stands still in the middle of announcing them, because nobody
/// reads what it says. Answers with a second connection to its ledger too.
fn in_the_middle_of_a_long_story() -> anyhow::Result<(PairedShop, Watch, Vec<String>, Ledger)> {
    let shop = PairedShop::new("")?;
    let sold: Vec<_> = (0..MANY)
        .map(|sats| shop.sell(1 + sats, "meanwhile"))
        .collect::<anyhow::Result<_>>()?;
    let watch = Watch::unread(&shop.profile)?;
    let ledger = until("a ledger", Duration::from_secs(10), || {
        Ledger::of(&shop.profile).map(Some)
    })?;
    until("the middle of the story", Duration::from_secs(20), || {
        let marks = ledger.marks()?;
        let marked = marks.values().filter(|marked| **marked).count();
        Ok((marks.len() == sold.len() && marked >= 20).then_some(()))
    })?;
    Ok((shop, watch, sold, ledger))
}

/// The display sets its ledger aside.
fn notices(watch: &mut Watch) -> Result {
    until("a ledger that is set aside", Duration::from_secs(20), || {
        Ok(watch.program().stderr().contains("set aside").then_some(()))
    })
}

/// All of these are announced in the end and nothing is announced twice; what comes then is live, and a next start has
/// nothing to add.
fn ends_well(shop: &PairedShop, mut watch: Watch, sold: &[String]) -> Result {
    watch.until("everything that was paid", Duration::from_secs(30), |watch| {
        let announced: BTreeSet<_> = watch.announced().into_iter().collect();
        sold.iter()
            .all(|hash| announced.contains(hash.as_str()))
            .then_some(())
    })?;
    watch.until_live()?;
    let last = shop.sell(7, "afterwards")?;
    assert_eq!(watch.payment(&last)?["kind"], "live");
    watch.listen(A_RUN)?;
    let said = watch.program().last_words();
    let mut announced = watch.announced();
    announced.sort_unstable();
    let twice: Vec<_> = announced.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "announced twice: {twice:?}\n{said}");
    watch.stop()?;
    let mut watch = Watch::live(&shop.profile)?;
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), Vec::<&str>::new(), "nothing rings again");
    watch.stop()
}

/// Sells once, and waits until the ledger has its mark. Answers with a second connection to it.
fn first_sale(shop: &PairedShop, watch: &mut Watch) -> anyhow::Result<(Ledger, String)> {
    let sold = shop.sell(1, "before")?;
    watch.payment(&sold)?;
    let ledger = Ledger::of(&shop.profile)?;
    until("its mark", Duration::from_secs(5), || {
        Ok((ledger.marks()?.get(&sold) == Some(&true)).then_some(()))
    })?;
    Ok((ledger, sold))
}

#[test]
fn while_somebody_else_writes_into_the_ledger_nothing_is_announced_and_afterwards_everything_is() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let (ledger, first) = first_sale(&shop, &mut watch)?;
    let mut sold = vec![first];
    let held = ledger.hold()?;
    for sats in 2..5 {
        sold.push(shop.sell(sats, "while it is held")?);
    }
    watch.until_link("live", "cannot be recorded")?;
    sold.push(shop.sell(5, "when it was known")?);
    watch.listen(A_RUN)?;
    assert_eq!(
        watch.announced(),
        sold[..1],
        "what is not recorded is not announced"
    );
    drop(held);
    watch.until("the link without a complaint", Duration::from_secs(10), |watch| {
        watch.all("link").last()?["detail"].is_null().then_some(())
    })?;
    ends_well(&shop, watch, &sold)
}

#[test]
fn while_no_announcement_can_be_marked_no_other_is_made() -> Result {
    let (shop, mut watch, sold, ledger) = in_the_middle_of_a_long_story()?;
    let held = ledger.hold()?;
    watch.program().read_on();
    watch.until_link("live", "cannot be recorded")?;
    watch.listen(A_RUN)?;
    let marks = ledger.marks()?;
    let unmarked = watch
        .announced()
        .into_iter()
        .filter(|hash| marks.get(*hash) != Some(&true))
        .count();
    assert_eq!(unmarked, 1, "one is announced and not marked");
    assert!(watch.announced().len() < sold.len(), "it was held in the middle");
    drop(held);
    ends_well(&shop, watch, &sold)
}

#[test]
fn a_ledger_that_is_spoilt_while_payments_are_announced_repeats_none_and_loses_none() -> Result {
    let (shop, mut watch, sold, ledger) = in_the_middle_of_a_long_story()?;
    ledger.hold()?.garble_the_schema()?;
    watch.program().read_on();
    notices(&mut watch)?;
    ends_well(&shop, watch, &sold)
}

#[test]
fn a_ledger_that_is_spoilt_in_a_calm_hour_is_noticed_with_the_next_sale_and_repeats_nothing() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let mut sold = Vec::new();
    for sats in 1..=5 {
        let hash = shop.sell(sats, "before")?;
        watch.payment(&hash)?;
        sold.push(hash);
    }
    let ledger = Ledger::of(&shop.profile)?;
    until("their marks", Duration::from_secs(5), || {
        let marks = ledger.marks()?;
        Ok((marks.len() == sold.len() && marks.values().all(|marked| *marked)).then_some(()))
    })?;
    ledger.hold()?.garble_the_schema()?;
    drop(ledger);
    // Nothing is written until the next sale.
    sold.push(shop.sell(6, "the next one")?);
    notices(&mut watch)?;
    ends_well(&shop, watch, &sold)
}

#[test]
fn payments_that_come_while_a_spoilt_ledger_is_replaced_are_announced_once() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::live(&shop.profile)?;
    let (ledger, first) = first_sale(&shop, &mut watch)?;
    let mut sold = vec![first];
    ledger.hold()?.garble_the_schema()?;
    drop(ledger);
    for sats in 2..40 {
        sold.push(shop.sell(sats, "while it is replaced")?);
        watch.listen(Duration::from_millis(20))?;
    }
    notices(&mut watch)?;
    ends_well(&shop, watch, &sold)
}

#[test]
fn a_spoilt_ledger_that_cannot_be_moved_is_said_and_replaced_when_it_can() -> Result {
    let shop = PairedShop::new("")?;
    let shop = PairedShop {
        profile: shop.profile.in_namespace()?,
        ..shop
    };
    let namespace = shop.profile.namespace()?;
    // A file that something is mounted on may be written and not be renamed.
    let file = shop.profile.path().join("ledger.sqlite3").display().to_string();
    namespace.run(&format!("mount --bind '{file}' '{file}'"))?;
    let mut watch = Watch::live(&shop.profile)?;
    let (ledger, first) = first_sale(&shop, &mut watch)?;
    let mut sold = vec![first];
    ledger.hold()?.garble_the_schema()?;
    drop(ledger);
    sold.push(shop.sell(2, "when it is spoilt")?);
    watch.until_link("down", "cannot be set aside")?;
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), sold[..1]);
    assert_eq!(watch.link(), Some("down"), "and it stays so");
    namespace.run(&format!("umount '{file}'"))?;
    watch.until_live()?;
    ends_well(&shop, watch, &sold)
}

#[test]
fn a_ledger_that_is_overwritten_while_payments_are_announced_repeats_none_and_loses_none() -> Result {
    let (shop, mut watch, sold, ledger) = in_the_middle_of_a_long_story()?;
    drop(ledger);
    let length = shop.profile.read("ledger.sqlite3")?.len();
    shop.profile.write("ledger.sqlite3", &vec![0xAA; length])?;
    watch.program().read_on();
    ends_well(&shop, watch, &sold)
}

// ── Pairing and key ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_pairing_that_cannot_be_read_says() -> Result {
    let shop = PairedShop::new("")?;
    shop.profile
        .write("pairings.json", b"{\"version\": 1, \"server\": ")?;
    let said = headless(&shop.profile, &["watch", "--json"])?;
    assert!(!said.status.success());
    assert!(said.stderr.contains("pair again"), "{}", said.stderr);
    let said = headless(&shop.profile, &["doctor"])?;
    assert!(said.stdout.contains("failed  pairing"), "{}", said.read());
    // Pairing again keeps what could not be read, and works.
    headless(&shop.profile, &["pair", &shop.pairing()])?.well()?;
    assert!(
        shop.profile
            .files()?
            .iter()
            .any(|file| file.to_string_lossy().contains("pairings.json.aside-")),
        "the unreadable pairing is kept"
    );
    Watch::live(&shop.profile)?.stop()
}

#[test]
fn a_key_that_is_gone_or_garbled_is_said_and_found_again() -> Result {
    let shop = PairedShop::new("")?;
    let key = shop.profile.read("secrets.json")?;
    for (spoiled, words) in [
        (&b"{}"[..], "secrets.json any more: pair again"),
        (b"{\"wallet", "is damaged: pair again"),
    ] {
        shop.profile.write("secrets.json", spoiled)?;
        let mut watch = Watch::start(&shop.profile)?;
        watch.until_link("down", words)?;
        let sold = shop.sell(1, "unheard")?;
        // Somebody puts it back: the display finds it by itself.
        shop.profile.write("secrets.json", &key)?;
        watch.payment(&sold)?;
        watch.stop()?;
    }
    Ok(())
}

// ── The keyring ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_key_goes_to_the_desktops_keyring_and_comes_back_when_that_is_unlocked() -> Result {
    let mut profile = Profile::of_this_user()?;
    let bus = SessionBus::for_profile(&mut profile)?;
    let desktop = Keyring::unlocked(&bus, &profile)?;
    let server = tillbell_tests::Fake::start(tillbell_fake_lnbits::Version::V1_6)?;
    let wallet = server.add_wallet("shop");
    let pairing = format!(
        "lndhub://invoice:{}@{}/lndhub/ext/",
        wallet.invoice_key,
        server.base_url()
    );
    let said = headless(&profile, &["pair", &pairing])?.well()?;
    assert!(said.stdout.contains("keyring"), "{}", said.stdout);
    for file in profile.files()? {
        let bytes = std::fs::read(&file)?;
        assert!(
            !String::from_utf8_lossy(&bytes).contains(&wallet.invoice_key),
            "the key stands in {}",
            file.display()
        );
    }
    Watch::live(&profile)?.stop()?;

    // The next morning nobody has unlocked it yet.
    drop(desktop);
    let desktop = Keyring::locked(&bus, &profile)?;
    let mut watch = Watch::start(&profile)?;
    watch.until_link("down", "unlock it")?;
    let invoice = server.make_invoice(&wallet, tillbell_fake_lnbits::NewInvoice::sats(5, "early"));
    assert!(server.settle(&invoice.payment_hash));
    desktop.unlock()?;
    watch.payment(&invoice.payment_hash)?;
    watch.until_live()?;
    watch.stop()
}

#[test]
fn without_a_keyring_the_key_is_in_a_file_for_this_user_only_and_pair_says_so() -> Result {
    use std::os::unix::fs::PermissionsExt as _;

    let mut profile = Profile::of_this_user()?;
    let _bus = SessionBus::for_profile(&mut profile)?;
    let shop = PairedShop::on(profile, "")?;
    let said = headless(&shop.profile, &["pair", &shop.pairing()])?.well()?;
    assert!(
        said.stdout.contains("a file that only this user can read"),
        "{}",
        said.stdout
    );
    let files = shop.profile.files()?;
    let file = files.iter().find(|file| file.ends_with("secrets.json"));
    let mode = std::fs::metadata(file.context("no file of keys")?)?
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    Watch::live(&shop.profile)?.stop()
}

// ── The clock ──────────────────────────────────────────────────────────────────────────────────────

const DAY: i64 = 24 * 3_600;

/// A paired display whose clock is off by so many seconds from its first start on.
fn paired_at_another_time(seconds: i64) -> anyhow::Result<(PairedShop, FakedClock)> {
    let mut profile = Profile::new()?;
    let clock = FakedClock::of(&mut profile)?;
    clock.move_by(seconds)?;
    Ok((PairedShop::on(profile, "")?, clock))
}

#[test]
fn a_display_that_is_paired_under_a_wrong_clock_announces_from_the_first_sale_on() -> Result {
    for off in [DAY, -DAY] {
        let (shop, clock) = paired_at_another_time(off)?;
        let paired: serde_json::Value = serde_json::from_slice(&shop.profile.read("pairings.json")?)?;
        let paired_at = paired["wallets"][0]["paired_at"]
            .as_str()
            .context("no time of pairing")?;
        assert!(
            FakedClock::off_by(paired_at)? > Duration::from_secs(3_600),
            "it was paired under the true clock: {paired_at}"
        );
        let away = shop.sell(1, "before it was first switched on")?;
        let mut watch = Watch::live(&shop.profile)?;
        watch.payment(&away)?;
        let first = shop.sell(2, "under the wrong clock")?;
        assert_eq!(watch.payment(&first)?["kind"], "live", "{off} s");
        // Somebody sets it.
        clock.move_by(0)?;
        let second = shop.sell(3, "under the true clock")?;
        assert_eq!(watch.payment(&second)?["kind"], "live", "{off} s");
        watch.listen(A_RUN)?;
        assert_eq!(watch.announced(), [away, first, second], "each once");
        watch.stop()?;
        let mut watch = Watch::live(&shop.profile)?;
        let third = shop.sell(4, "at the next start")?;
        watch.payment(&third)?;
        watch.listen(A_RUN)?;
        assert_eq!(watch.announced(), [third], "nothing old rings");
        watch.stop()?;
    }
    Ok(())
}

#[test]
fn a_server_whose_answers_are_stamped_ahead_of_its_rows_hides_no_first_sale() -> Result {
    let server = Fake::start(Version::V1_6)?;
    // A proxy's clock that runs before everybody else's stamps what is answered while pairing; rows are not its own.
    let ahead = Fault::ClockOffset(jiff::SignedDuration::from_secs(30));
    server.faults().set(ahead.clone());
    let shop = PairedShop::of(server, Profile::new()?, "")?;
    shop.server.faults().lift(&ahead);
    let away = shop.sell(1, "before it was first switched on")?;
    let mut watch = Watch::live(&shop.profile)?;
    watch.payment(&away)?;
    let first = shop.sell(2, "the first")?;
    assert_eq!(watch.payment(&first)?["kind"], "live");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [away, first], "each once");
    watch.stop()
}

#[test]
fn a_wall_clock_that_jumps_by_a_day_neither_loses_nor_repeats_anything() -> Result {
    let shop = PairedShop::new("")?;
    let mut profile = shop.profile;
    let clock = FakedClock::of(&mut profile)?;
    let shop = PairedShop { profile, ..shop };
    let mut sold = Vec::new();
    // At a start and while it runs, forward and back.
    for at_start in [0, DAY, -DAY] {
        clock.move_by(at_start)?;
        let mut watch = Watch::live(&shop.profile)?;
        for jump in [at_start, DAY, -DAY, 0] {
            clock.move_by(jump)?;
            let hash = shop.sell(7, "on another day")?;
            let payment = watch.payment(&hash)?;
            sold.push(hash);
            assert_eq!(payment["kind"], "live", "at {at_start} s, then {jump} s");
            let told = payment["at"].as_str().context("no time")?;
            let off = FakedClock::off_by(told)?;
            assert!(
                off.abs_diff(Duration::from_secs(jump.unsigned_abs())) < Duration::from_secs(60),
                "the display's clock was not moved by {jump} s: {told}"
            );
        }
        watch.listen(A_RUN)?;
        assert_eq!(
            watch.announced(),
            sold[sold.len() - 4..],
            "each once, nothing old"
        );
        assert_eq!(watch.link(), Some("live"));
        watch.stop()?;
    }
    Ok(())
}
