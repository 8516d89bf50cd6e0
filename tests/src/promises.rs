//! What Tillbell promises on every LNbits that shops run, one promise a function. `real_lnbits` keeps some of them on
//! the current release in every test run, `servers` all of them on every release.
//!
//! Each makes wallets of its own on the server it is given. What must not come is given the time in which the list
//! is read once more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{ChannelListener, Invoice, Profile, RealLnbits, Relay, Wallet, Watch, headless};

type Result = anyhow::Result<()>;

/// A calm display looks every 12 s.
const ANOTHER_LOOK: Duration = Duration::from_secs(17);
/// A payment rings within this, whatever somebody says on the channel.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Long before the pairing.
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// A profile paired with `wallet` at `url`.
///
/// # Errors
/// When it does not pair.
pub fn paired(url: &str, wallet: &Wallet) -> anyhow::Result<Profile> {
    let profile = Profile::new()?;
    headless(&profile, &["pair", &wallet.lndhub(url)])?
        .well()
        .context("pairing")?;
    Ok(profile)
}

/// A payment is told as it happens, once, with the wallet's own amount and memo; an unpaid invoice and money that
/// leaves are not told at all.
///
/// # Errors
/// When it is not so.
pub fn payments_are_told_live_once_with_amount_and_memo(lnbits: &RealLnbits) -> Result {
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    lnbits.fund(&shop, 10_000)?;
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;

    let mut told = Vec::new();
    lnbits.invoice(&shop, 999, "never paid")?;
    for (nth, (memo, shown)) in memos().into_iter().enumerate() {
        let sats = 1_000 + nth as u64;
        let sold = lnbits.invoice(&shop, sats, &memo)?;
        at_once(&mut watch, &customer, lnbits, &sold)?;
        let payment = watch.payment(&sold.payment_hash)?;
        is(&payment, "live", sats, &lnbits.release().kept(&shown))?;
        ensure!(payment["heard_at"].is_string(), "{payment}");
        told.push(sold.payment_hash);
    }
    lnbits.sell(&customer, &shop, 2_000, "the shop buys beans")?;
    let to_itself = lnbits.sell(&shop, &shop, 500, "from the left pocket to the right")?;
    is(
        &watch.payment(&to_itself.payment_hash)?,
        "live",
        500,
        "from the left pocket to the right",
    )?;
    told.push(to_itself.payment_hash);
    only(&mut watch, &told)?;
    watch.stop()
}

/// What customers write, and what of it is shown.
fn memos() -> [(String, String); 10] {
    // More does not go into an invoice.
    let long = "m".repeat(639);
    let same = |memo: &str| (memo.to_owned(), memo.to_owned());
    [
        same(""),
        same("Coffee"),
        same(&long),
        same("☕️🥐 2×👩‍👩‍👧 🇸🇻"),
        same("抹茶ラテ 二つ、ありがとう"),
        same("<script>alert(1)</script><b>bold</b> &amp; \"quotes\""),
        same("قهوة عربية"),
        (
            "line one\nline two\ttabbed".to_owned(),
            "line one line two tabbed".to_owned(),
        ),
        ("gpj.exe\u{202e}cod".to_owned(), "gpj.execod".to_owned()),
        same("{\"type\":\"payment\",\"status\":\"success\"}"),
    ]
}

/// Forty payments come while the line is cut; when it is back each is told once, as late. What comes after is live.
///
/// # Errors
/// When it is not so.
pub fn forty_payments_of_an_outage_are_caught_up_once(lnbits: &RealLnbits) -> Result {
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let line = Relay::to(lnbits.port())?;
    let profile = paired(&line.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;

    cut(&line, &mut watch)?;
    let mut away = Vec::new();
    for nth in 0..40 {
        away.push(
            lnbits
                .sell(&shop, &customer, 100 + nth, &format!("away {nth}"))?
                .payment_hash,
        );
    }
    line.mend();
    for (nth, hash) in (0..).zip(&away) {
        is(&watch.payment(hash)?, "late", 100 + nth, &format!("away {nth}"))?;
    }
    watch.until_live()?;
    let live = lnbits.sell(&shop, &customer, 99, "heard again")?;
    is(&watch.payment(&live.payment_hash)?, "live", 99, "heard again")?;
    let told: Vec<_> = away.into_iter().chain([live.payment_hash]).collect();
    only(&mut watch, &told)?;
    if lnbits.release().dates_finely() {
        ensure!(
            watch.announced() == told,
            "not told in the order in which they came"
        );
    }
    watch.stop()
}

/// Invoices made long before the pairing count as news when they are paid: live where the display listens, late after
/// an outage, once, however much lies on top of them by then. So does one that was made before the outage.
///
/// # Errors
/// When it is not so.
pub fn old_invoices_that_are_paid_late_are_told_once(lnbits: &RealLnbits) -> Result {
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let paid_live = lnbits.old_invoice(&shop, 301, "made two days ago", TWO_DAYS)?;
    let paid_away = lnbits.old_invoice(&shop, 302, "made two days ago, too", TWO_DAYS)?;
    let never_paid = lnbits.old_invoice(&shop, 303, "made and forgotten", TWO_DAYS)?;
    let line = Relay::to(lnbits.port())?;
    let profile = paired(&line.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let waiting = lnbits.invoice(&shop, 304, "made before the outage")?;

    lnbits.pay(&customer, &paid_live)?;
    is(
        &watch.payment(&paid_live.payment_hash)?,
        "live",
        301,
        "made two days ago",
    )?;

    cut(&line, &mut watch)?;
    lnbits.pay(&customer, &paid_away)?;
    lnbits.pay(&customer, &waiting)?;
    // More than the display reads of a list at first.
    let mut told = vec![
        paid_live.payment_hash,
        paid_away.payment_hash.clone(),
        waiting.payment_hash.clone(),
    ];
    for nth in 0..55 {
        told.push(lnbits.sell(&shop, &customer, 1 + nth, "on top")?.payment_hash);
    }
    line.mend();
    is(
        &watch.payment(&paid_away.payment_hash)?,
        "late",
        302,
        "made two days ago, too",
    )?;
    is(
        &watch.payment(&waiting.payment_hash)?,
        "late",
        304,
        "made before the outage",
    )?;
    only(&mut watch, &told)?;
    ensure!(!watch.announced().contains(&never_paid.payment_hash.as_str()));
    watch.stop()
}

/// Whatever anybody says on the wallet's channel, in whatever dialect, only what the wallet itself confirms is told,
/// once; and a genuine payment still rings at once, even of the very invoice that was lied about.
///
/// # Errors
/// When it is not so.
pub fn forged_frames_are_never_told_and_hide_no_payment(lnbits: &RealLnbits) -> Result {
    let (shop, customer, stranger) = (
        lnbits.wallet("shop")?,
        lnbits.customer()?,
        lnbits.wallet("stranger")?,
    );
    lnbits.fund(&shop, 10_000)?;
    let before_pairing = lnbits.sell(&shop, &customer, 100, "paid before pairing")?;
    let theirs = lnbits.sell(&stranger, &customer, 5_000, "somebody else's")?;
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let mut listener = ChannelListener::on(lnbits.port(), &shop.invoice_key)?;

    let sold = lnbits.sell(&shop, &customer, 1_000, "genuine")?;
    let genuine = listener.frame_about(&sold.payment_hash)?;
    is(&watch.payment(&sold.payment_hash)?, "live", 1_000, "genuine")?;
    let spent = lnbits.sell(&stranger, &shop, 70, "the shop pays a stranger")?;
    let outgoing = listener.frame_about(&spent.payment_hash)?;
    let to_itself = lnbits.sell(&shop, &shop, 30, "to itself")?;
    let own = watch.payment(&to_itself.payment_hash)?;
    is(&own, "live", 30, "to itself")?;
    let unpaid = lnbits.invoice(&shop, 6_000, "not paid yet")?;
    let lied_about = lnbits.invoice(&shop, 7_000, "not paid yet, either")?;
    let forger = Forger {
        lnbits,
        shop: &shop,
        genuine: &genuine,
    };

    // What nobody knows, what somebody else was paid, and what is old is refused, with the reason.
    for (hash, reason) in [
        ("ab".repeat(32), "not-ours"),
        (theirs.payment_hash, "not-ours"),
        (before_pairing.payment_hash.clone(), "settled-before-pairing"),
    ] {
        forger.claims(&hash, 5_000)?;
        rejected(&mut watch, reason, &hash)?;
    }
    // What is no hash is not looked for, however it is bent.
    let old = &before_pairing.payment_hash;
    let bent = [
        format!("../{old}"),
        format!("{old}/../{old}"),
        format!("{old}/"),
        format!("{old}?api-key={}", shop.invoice_key),
        format!("{old}#"),
        format!("{old}%00"),
        format!("{}%2e%2e%2f", &old[..55]),
        format!("paginated?payment_hash={old}"),
        format!("internal_{}", spent.payment_hash),
        format!(" {old}"),
        old[..63].to_owned(),
        format!("{old}0"),
        String::new(),
    ];
    let already = refusals(&watch);
    let mut said = 0;
    for hash in &bent {
        said += forger.claims(hash, 5_000)?;
    }
    watch.until("a refusal of each bent hash", Duration::from_secs(20), |watch| {
        (refusals(watch) >= already + said).then_some(())
    })?;
    // Nothing came of an unpaid invoice, whatever amount is named, nor of money that went out.
    for sats in [6_000, 6_001, 1] {
        forger.claims(&unpaid.payment_hash, sats)?;
    }
    forger.claims(&spent.payment_hash, 70)?;
    lnbits.say(&shop.invoice_key, &outgoing.to_string())?;
    // What was told is not told again: a wallet that paid itself, in capitals, with another amount.
    forger.claims(&to_itself.payment_hash, 30)?;
    forger.claims(&sold.payment_hash.to_uppercase(), 1_000)?;
    forger.claims(&sold.payment_hash, 2_000)?;
    for noise in [
        "confetti-none",
        "21-1000",
        "ping",
        "{'pending': False}",
        "",
        "[1,2]",
        "\u{0}\u{7}",
    ] {
        lnbits.say(&shop.invoice_key, noise)?;
    }
    for nth in 0..100 {
        forger.says(&forger.in_its_own_dialect(&format!("{nth:064x}"), 9_000))?;
    }
    for _ in 0..300 {
        forger.says(&genuine)?;
    }

    // In the midst of it a genuine payment rings.
    let after = lnbits.invoice(&shop, 1_001, "after all that")?;
    at_once(&mut watch, &customer, lnbits, &after)?;
    at_once(&mut watch, &customer, lnbits, &unpaid)?;
    is(
        &watch.payment(&unpaid.payment_hash)?,
        "live",
        6_000,
        "not paid yet",
    )?;
    // The display asks ever less often about an invoice that somebody lied about: seven seconds later not for another
    // four. The genuine frame is heard all the same.
    forger.says(&forger.in_its_own_dialect(&lied_about.payment_hash, 1))?;
    watch.listen(Duration::from_secs(7))?;
    at_once(&mut watch, &customer, lnbits, &lied_about)?;
    is(
        &watch.payment(&lied_about.payment_hash)?,
        "live",
        7_000,
        "not paid yet, either",
    )?;
    only(
        &mut watch,
        &[
            sold.payment_hash,
            to_itself.payment_hash,
            after.payment_hash,
            unpaid.payment_hash,
            lied_about.payment_hash,
        ],
    )?;
    watch.stop()
}

/// Somebody who knows the wallet's channel.
struct Forger<'a> {
    lnbits: &'a RealLnbits,
    shop: &'a Wallet,
    /// A frame as this server sends it.
    genuine: &'a Value,
}

impl Forger<'_> {
    /// Says in every dialect that this payment came; answers how many times it was said.
    fn claims(&self, hash: &str, sats: i64) -> anyhow::Result<u64> {
        let fields = json!({"payment_hash": hash, "checking_id": hash, "amount": sats, "status": "success", "memo": "forged"});
        let mut flat = fields.clone();
        flat["type"] = "payment".into();
        let forged = [
            self.in_its_own_dialect(hash, sats),
            flat,
            json!({"type": "payment", "payment": fields}),
            json!({"type": "payment_received", "payment": fields}),
        ];
        for frame in &forged {
            self.says(frame)?;
        }
        Ok(forged.len() as u64)
    }

    /// The server's own frame, with another hash and amount.
    fn in_its_own_dialect(&self, hash: &str, sats: i64) -> Value {
        let mut frame = self.genuine.clone();
        let payment = &mut frame["payment"];
        payment["payment_hash"] = hash.into();
        payment["checking_id"] = hash.into();
        payment["amount"] = (sats * 1_000).into();
        payment["memo"] = "forged".into();
        frame
    }

    fn says(&self, frame: &Value) -> Result {
        self.lnbits.say(&self.shop.invoice_key, &frame.to_string())
    }
}

fn rejected(watch: &mut Watch, reason: &str, hash: &str) -> Result {
    watch.until(
        &format!("the refusal of {hash}: {reason}"),
        Duration::from_secs(20),
        |watch| {
            watch
                .all("rejected")
                .any(|event| event["reason"] == reason && event["payment_hash"] == hash)
                .then_some(())
        },
    )
}

/// How many frames were refused so far.
fn refusals(watch: &Watch) -> u64 {
    watch
        .all("rejected")
        .filter_map(|event| event["count"].as_u64())
        .sum()
}

/// Lets `payer` pay, and the display tell it at once and not before.
fn at_once(watch: &mut Watch, payer: &Wallet, lnbits: &RealLnbits, invoice: &Invoice) -> Result {
    watch.listen(Duration::ZERO)?;
    ensure!(
        !watch.announced().contains(&invoice.payment_hash.as_str()),
        "{} was told before it was paid",
        invoice.payment_hash
    );
    lnbits.pay(payer, invoice)?;
    let paid = Instant::now();
    watch.payment(&invoice.payment_hash)?;
    let took = paid.elapsed();

    ensure!(
        took <= AT_ONCE,
        "{} was told after {took:?}",
        invoice.payment_hash
    );
    Ok(())
}

/// Cuts the line and waits until the display knows.
fn cut(line: &Relay, watch: &mut Watch) -> Result {
    line.cut();
    watch.until_lost(Duration::from_secs(20))
}

fn is(payment: &Value, kind: &str, sats: u64, memo: &str) -> Result {
    let told = (
        &payment["verdict"],
        &payment["kind"],
        &payment["amount_msat"],
        &payment["memo"],
    );
    let wanted = (
        &json!("verified"),
        &json!(kind),
        &json!(sats * 1_000),
        &json!(memo),
    );
    ensure!(told == wanted, "told {told:?}, wanted {wanted:?}");
    Ok(())
}

/// These are told, in whatever order, each once, and nothing else comes.
fn only(watch: &mut Watch, hashes: &[String]) -> Result {
    for hash in hashes {
        watch.payment(hash)?;
    }
    watch.listen(ANOTHER_LOOK)?;
    let told = watch.announced();
    let wanted: BTreeSet<&str> = hashes.iter().map(String::as_str).collect();
    let unwanted: Vec<_> = watch
        .payments()
        .filter(|payment| {
            payment["payment_hash"]
                .as_str()
                .is_none_or(|hash| !wanted.contains(hash))
        })
        .collect();
    ensure!(unwanted.is_empty(), "told and should not have been: {unwanted:?}");
    ensure!(
        told.len() == hashes.len(),
        "told {} times, should be {}: {told:?}",
        told.len(),
        hashes.len()
    );
    Ok(())
}
