//! What networks and servers do to a display, and that afterwards everything that was paid was announced once.
//!
//! Nearly every test ends with [`PairedShop::balance`]: the display's announcements are the server's books, each entry
//! once.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tillbell_fake_lnbits::faults::{Fault, RestFault, UpgradeFault};
use tillbell_fake_lnbits::{Ending, NewInvoice, Path, Version, Wallet};
use tillbell_tests::{
    Fake, FakedClock, NameServer, Names, PairedShop, Profile, Said, Shows, Socks, TlsFront, Watch, Way,
    World, headless, in_a_world_of_its_own, until,
};

type Result = anyhow::Result<()>;

/// A dead connection is noticed within this time: a ping every 10 s, 5 s for its answer.
const NOTICED: Duration = Duration::from_secs(15);
/// A server that is back is found within this time, but for one in a hundred.
const BACK: Duration = Duration::from_secs(8);
/// What a test allows on top, for a busy machine.
const SLACK: Duration = Duration::from_secs(1);

fn kind_of(watch: &mut Watch, hash: &str) -> anyhow::Result<Value> {
    Ok(watch.payment(hash)?["kind"].clone())
}

// The line.

#[test]
fn a_line_that_is_dead_in_both_directions_is_noticed_in_fifteen_seconds() -> Result {
    in_a_world_of_its_own(
        "a_line_that_is_dead_in_both_directions_is_noticed_in_fifteen_seconds",
        |world| lost_packets(world, &[Way::ToServer, Way::ToShop]),
    )
}

#[test]
fn a_line_on_which_only_our_words_are_lost_is_noticed_in_fifteen_seconds() -> Result {
    in_a_world_of_its_own(
        "a_line_on_which_only_our_words_are_lost_is_noticed_in_fifteen_seconds",
        |world| lost_packets(world, &[Way::ToServer]),
    )
}

#[test]
fn a_line_on_which_only_the_servers_words_are_lost_is_noticed_in_fifteen_seconds() -> Result {
    in_a_world_of_its_own(
        "a_line_on_which_only_the_servers_words_are_lost_is_noticed_in_fifteen_seconds",
        |world| lost_packets(world, &[Way::ToShop]),
    )
}

fn lost_packets(world: &World, ways: &[Way]) -> Result {
    let shop = world.shop(World::SERVER)?;
    let mut watch = shop.watch()?;
    let before = shop.sell(10, "before")?;
    assert_eq!(kind_of(&mut watch, &before)?, "live");

    for way in ways {
        world.lose(*way)?;
    }
    let first = shop.sell(11, "said into the dead line")?;
    watch.until_lost(NOTICED + SLACK)?;
    watch.until_told("did not answer in time", Duration::from_secs(20))?;
    let second = shop.sell(12, "while it was known to be dead")?;
    if ways.contains(&Way::ToShop) {
        assert_eq!(
            watch.announced(),
            [before.as_str()],
            "nothing can have come through"
        );
    }

    for way in ways {
        world.mend(*way)?;
    }
    // The waits between attempts reach 6 s, and one that is under way has 2 s left where none of its packets will go out.
    watch.until_state("live", BACK + SLACK)?;
    for hash in [&second, &first] {
        // Where only our own words are lost, the first one's frame comes, and is believed once somebody can be asked.
        let heard = hash == &first && !ways.contains(&Way::ToShop);
        assert_eq!(kind_of(&mut watch, hash)?, if heard { "live" } else { "late" });
    }
    shop.balance(watch)
}

#[test]
fn an_address_that_leads_nowhere_costs_a_moment_where_another_works() -> Result {
    in_a_world_of_its_own(
        "an_address_that_leads_nowhere_costs_a_moment_where_another_works",
        |world| {
            world.names(
                &format!(
                    "{} shop.example\n{} shop.example\n",
                    World::SERVER6,
                    World::SERVER
                ),
                None,
            )?;
            let shop = world.shop("shop.example")?;
            // Whichever of the two the system names first.
            for dead in [Way::ToServer6, Way::ToServer] {
                world.lose(dead)?;
                let started = Instant::now();
                let mut watch = shop.watch()?;
                let took = started.elapsed();
                // 300 ms each for the socket and for the first question; a SYN's own time-out would be seconds.
                assert!(took < Duration::from_secs(2), "{dead:?}: {took:?}");
                let sold = shop.sell(10, "the other way")?;
                assert_eq!(kind_of(&mut watch, &sold)?, "live");
                assert_eq!(watch.announced(), [sold]);
                watch.stop()?;
                world.mend(dead)?;
            }
            Ok(())
        },
    )
}

#[test]
fn a_certificate_that_goes_bad_is_named_each_time_and_got_over_when_it_is_good_again() -> Result {
    let server = Fake::start(Version::V1_6)?;
    let mut profile = Profile::new()?;
    let front = TlsFront::before(server.addr().port(), &mut profile)?;
    let shop = PairedShop::reached_at(server, &front.url(), profile)?;
    let mut watch = shop.watch()?;
    assert_eq!(kind_of(&mut watch, &shop.sell(10, "through TLS")?)?, "live");
    for (shows, words) in [
        (Shows::Expired, "has expired"),
        (Shows::NotYetValid, "not valid yet"),
        (Shows::AnotherName, "not that of localhost"),
        (Shows::SelfSigned, "comes from nobody"),
    ] {
        front.show(shows)?;
        watch.until_told(words, Duration::from_secs(20))?;
        let sold = shop.sell(11, words)?;
        front.show(Shows::Good)?;
        watch.until_state("live", BACK + SLACK)?;
        assert_eq!(kind_of(&mut watch, &sold)?, "late");
    }
    shop.balance(watch)
}

#[test]
fn an_authority_that_is_installed_while_it_runs_is_trusted_within_a_minute() -> Result {
    let server = Fake::start(Version::V1_6)?;
    let mut profile = Profile::new()?;
    let front = TlsFront::before(server.addr().port(), &mut profile)?;
    let shop = PairedShop::reached_at(server, &front.url(), profile)?;
    let bundle = front.bundle();
    let authority = std::fs::read_to_string(bundle)?;
    std::fs::write(bundle, TlsFront::strangers_certificate()?)?;

    let mut watch = Watch::start(&shop.profile)?;
    watch.until_told("comes from nobody this machine trusts", Duration::from_secs(20))?;
    let sold = shop.sell(10, "before it was installed")?;
    std::fs::OpenOptions::new()
        .append(true)
        .open(bundle)?
        .write_all(authority.as_bytes())?;
    watch.until_state("live", Duration::from_secs(60))?;
    watch.payment(&sold)?;
    shop.balance(watch)
}

#[test]
fn under_a_clock_that_is_a_century_ahead_a_good_certificate_has_expired_until_it_is_set_right() -> Result {
    let server = Fake::start(Version::V1_6)?;
    let mut profile = Profile::new()?;
    let front = TlsFront::before(server.addr().port(), &mut profile)?;
    let clock = FakedClock::of(&mut profile)?;
    let shop = PairedShop::reached_at(server, &front.url(), profile)?;
    let mut watch = shop.watch()?;
    // The front's certificates are good until the year 2100.
    clock.move_by(100 * 365 * 24 * 3_600)?;
    front.show(Shows::Good)?;
    watch.until_told("check this machine's date and time", Duration::from_secs(20))?;
    let sold = shop.sell(10, "under a wrong clock")?;
    clock.move_by(0)?;
    assert_eq!(kind_of(&mut watch, &sold)?, "late");
    watch.until_live()?;
    shop.balance(watch)
}

#[test]
fn a_name_that_is_not_found_or_not_looked_up_is_told_and_got_over() -> Result {
    in_a_world_of_its_own(
        "a_name_that_is_not_found_or_not_looked_up_is_told_and_got_over",
        |world| {
            let names = NameServer::start(World::SERVER, Names::All(Ipv4Addr::new(10, 99, 2, 2)))?;
            world.names("", Some(World::SERVER))?;
            let shop = world.shop("shop.example")?;
            let mut watch = shop.watch()?;
            for (answer, told) in [
                (Names::Unknown, "No server called shop.example was found"),
                (Names::Silent, "Looking up shop.example takes too long"),
            ] {
                names.answers(answer);
                // A connection that stands needs no name.
                let sold = shop.sell(10, "no name, no matter")?;
                assert_eq!(kind_of(&mut watch, &sold)?, "live");
                shop.server.go_away();
                watch.until_told(told, Duration::from_secs(20))?;
                let sold = shop.sell(11, "nobody found the server")?;
                shop.server.come_back()?;
                names.answers(Names::All(Ipv4Addr::new(10, 99, 2, 2)));
                assert_eq!(kind_of(&mut watch, &sold)?, "late");
                watch.until_live()?;
            }
            shop.balance(watch)
        },
    )
}

// The server.

/// A server that is restarted behind a proxy: its sockets end in some way, and for a while the proxy has nobody to ask.
fn restart_behind_a_proxy(ending: Ending) -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server
        .faults()
        .set(Fault::Upgrade(UpgradeFault::Status(502)));
    shop.server
        .faults()
        .set(Fault::Rest(None, RestFault::Status(502, None)));
    assert_eq!(shop.server.drop_sockets(ending), 1);
    watch.until_lost(Duration::from_secs(2))?;
    let missed = [shop.sell(11, "missed")?, shop.sell(12, "missed, too")?];
    watch.until_told(
        "The proxy before LNbits cannot reach it (502)",
        Duration::from_secs(5),
    )?;

    shop.server.faults().clear();
    for hash in &missed {
        assert_eq!(kind_of(&mut watch, hash)?, "late");
    }
    shop.balance(watch)
}

#[test]
fn a_reset_loses_nothing() -> Result {
    restart_behind_a_proxy(Ending::Reset)
}

#[test]
fn a_connection_that_ends_without_a_close_frame_loses_nothing() -> Result {
    restart_behind_a_proxy(Ending::Silent)
}

#[test]
fn a_restart_that_is_said_loses_nothing() -> Result {
    restart_behind_a_proxy(Ending::Close(1012))
}

#[test]
fn an_upgrade_that_is_never_answered_is_done_without() -> Result {
    let shop = PairedShop::new("")?;
    shop.server.faults().set(Fault::Upgrade(UpgradeFault::Hang));
    let mut watch = Watch::start(&shop.profile)?;
    let first = shop.sell(10, "before the first answer")?;
    watch.payment(&first)?;
    watch.until_state("polling", Duration::from_secs(20))?;
    watch.until_told("did not answer in time (opening the socket)", SLACK)?;
    // Where there is no socket the list is asked every three seconds, however long each attempt at one takes.
    for sats in 11..14 {
        let asked = Instant::now();
        let next = shop.sell(sats, "found by asking")?;
        assert_eq!(kind_of(&mut watch, &next)?, "live");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    assert_eq!(shop.server.listeners(&shop.wallet.invoice_key), 0);

    shop.server.faults().clear();
    shop.balance(watch)
}

#[test]
fn a_server_that_hangs_altogether_is_told_and_got_over() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().set(Fault::SilentSockets);
    shop.server.faults().set(Fault::Upgrade(UpgradeFault::Hang));
    shop.server.faults().set(Fault::Rest(None, RestFault::Hang));
    let missed = shop.sell(11, "nobody says so")?;
    watch.until_lost(NOTICED + SLACK)?;
    watch.until_told("did not answer in time", Duration::from_secs(20))?;
    let later = shop.sell(12, "neither this")?;
    shop.server.faults().clear();
    for hash in [missed, later] {
        assert_eq!(kind_of(&mut watch, &hash)?, "late");
    }
    shop.balance(watch)
}

#[test]
fn a_server_that_is_away_again_and_again_is_found_within_eight_seconds_of_its_return() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    for away in [200, 3_000, 900, 1_700] {
        shop.server.go_away();
        let left = Instant::now();
        watch.until_lost(Duration::from_secs(2))?;
        let missed = shop.sell(away, "nobody was there")?;
        watch.listen(Duration::from_millis(away).saturating_sub(left.elapsed()))?;
        shop.server.come_back()?;
        let back = Instant::now();
        watch.until_state("live", BACK)?;
        println!("away for {away} ms, live {:?} after", back.elapsed());
        assert_eq!(kind_of(&mut watch, &missed)?, "late");
    }
    shop.balance(watch)
}

// What stands between.

#[test]
fn a_sign_in_page_is_named_and_what_was_paid_behind_it_is_not_lost() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().captive_portal();
    shop.server.drop_sockets(Ending::Silent);
    watch.until_lost(Duration::from_secs(2))?;
    watch.until_told("sign in to this network", Duration::from_secs(5))?;
    let missed = shop.sell(11, "behind the page")?;
    watch.until_state("down", Duration::from_secs(10))?;
    assert_eq!(watch.announced().len(), 0);
    shop.server.faults().clear();
    assert_eq!(kind_of(&mut watch, &missed)?, "late");
    shop.balance(watch)
}

const ONION: &str = "lnbitsabcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqr.onion";

/// An LNbits that only a SOCKS5 proxy finds, which takes it for Tor, and a profile that is not paired with it yet.
struct OnionShop {
    server: Fake,
    wallet: Wallet,
    tor: Socks,
    profile: Profile,
}

impl OnionShop {
    fn new() -> anyhow::Result<Self> {
        let server = Fake::start(Version::V1_6)?;
        Ok(Self {
            wallet: server.add_wallet("shop"),
            tor: Socks::to(server.addr().port())?,
            server,
            profile: Profile::new()?,
        })
    }

    fn pair(&self) -> anyhow::Result<Said> {
        // Tor encrypts: nobody need allow that.
        let pairing = format!(
            "lndhub://invoice:{}@http://{ONION}/lndhub/ext/",
            self.wallet.invoice_key
        );
        headless(&self.profile, &["pair", &pairing])
    }

    /// Pairs, and sells once.
    fn sells_through_tor(&self) -> anyhow::Result<Watch> {
        self.pair()?.well()?;
        let mut watch = Watch::live(&self.profile)?;
        let invoice = NewInvoice::sats(10, "through Tor");
        let sold = self.server.make_invoice(&self.wallet, invoice);
        anyhow::ensure!(self.server.settle(&sold.payment_hash));
        assert_eq!(kind_of(&mut watch, &sold.payment_hash)?, "live");
        assert_eq!(self.tor.asked(), [format!("{ONION}:80")]);
        Ok(watch)
    }
}

#[test]
fn an_onion_is_reached_through_the_proxy_of_the_settings_and_through_nothing_else() -> Result {
    let shop = OnionShop::new()?;
    let without = shop.pair()?;
    assert!(!without.status.success());
    assert!(without.stderr.contains("through Tor only"), "{}", without.read());

    let settings = format!("proxy = \"{}\"\n", shop.tor.url());
    shop.profile.write("settings.toml", settings.as_bytes())?;
    let mut watch = shop.sells_through_tor()?;
    drop(shop.tor);
    watch.until_told(
        "cannot be reached: check that it (Tor, perhaps) is running",
        Duration::from_secs(20),
    )?;
    watch.stop()?;
    let doctor = headless(&shop.profile, &["doctor"])?.read();
    assert!(
        doctor.contains("ok      proxy: as settings.toml says"),
        "{doctor}"
    );
    Ok(())
}

#[test]
fn an_onion_is_reached_through_the_proxy_of_the_environment() -> Result {
    let mut shop = OnionShop::new()?;
    let proxy = shop.tor.url();
    shop.profile.set("ALL_PROXY", &proxy);
    shop.sells_through_tor()?.stop()
}

#[test]
fn doctor_names_the_proxies_of_the_environment_and_no_password_of_theirs() -> Result {
    let mut profile = Profile::new()?;
    profile.set("HTTPS_PROXY", "http://shop:hunter2@proxy.example:3128");
    profile.set("HTTP_PROXY", "http://shop:hunter2@proxy.example:3128");
    profile.set("no_proxy", "shop.example");
    let doctor = headless(&profile, &["doctor"])?.read();
    for said in [
        "as the environment says: HTTPS_PROXY, no_proxy",
        "HTTP_PROXY is set, and not used",
    ] {
        assert!(doctor.contains(said), "{doctor}");
    }
    assert!(!doctor.contains("hunter2"), "{doctor}");
    Ok(())
}

#[test]
fn a_proxy_that_refuses_doctors_own_word_is_no_fault_of_the_push() -> Result {
    let shop = PairedShop::new("")?;
    let refuses = RestFault::Page(405, "allow", "GET");
    shop.server.faults().set(Fault::Rest(Some(Path::Say), refuses));
    let doctor = headless(&shop.profile, &["doctor"])?.well()?.stdout;
    assert!(doctor.contains("push: could not be tried"), "{doctor}");

    shop.server
        .faults()
        .set(Fault::Upgrade(UpgradeFault::Status(405)));
    let doctor = headless(&shop.profile, &["doctor"])?;
    assert!(!doctor.status.success());
    for said in [
        "have its proxy let WebSockets through",
        "Payments are found by asking",
    ] {
        assert!(doctor.stdout.contains(said), "{}", doctor.read());
    }
    Ok(())
}

#[test]
fn a_display_that_is_sent_elsewhere_does_not_carry_its_key_there() -> Result {
    let elsewhere = Fake::start(Version::V1_6)?;
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    let there = elsewhere.base_url();
    shop.server
        .faults()
        .set(Fault::Upgrade(UpgradeFault::Redirect(there.clone())));
    shop.server
        .faults()
        .set(Fault::Rest(None, RestFault::Redirect(there.clone())));
    shop.server.drop_sockets(Ending::Close(1001));
    watch.until_lost(Duration::from_secs(2))?;
    watch.until_told(
        &format!("sends us elsewhere (to {there}): pair again"),
        Duration::from_secs(5),
    )?;
    let missed = shop.sell(11, "while sent away")?;
    watch.until_state("down", Duration::from_secs(10))?;
    assert!(shop.server.requests().count(Path::Paginated) > 1, "it was asked");
    assert_eq!(elsewhere.requests().total(), 0, "{:?}", elsewhere.requests());

    shop.server.faults().clear();
    assert_eq!(kind_of(&mut watch, &missed)?, "late");
    shop.balance(watch)
}

// The answers.

/// Payments are named by frames while no question about them is answered well.
fn questions_go_wrong(fault: &RestFault) -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().set(Fault::Rest(None, fault.clone()));
    let named: Vec<_> = (0..3)
        .map(|nth| shop.sell(10 + nth, "named by a frame"))
        .collect::<anyhow::Result<_>>()?;
    until("a question", Duration::from_secs(10), || {
        Ok((shop.server.requests().count(Path::Payment) >= 3).then_some(()))
    })?;
    watch.listen(Duration::from_secs(2))?;
    anyhow::ensure!(watch.announced().is_empty(), "{fault:?} became a payment");

    shop.server.faults().clear();
    for hash in &named {
        // It was named by a frame on the open socket.
        let kind = kind_of(&mut watch, hash)?;
        anyhow::ensure!(kind == "live", "{fault:?}: {kind}");
    }
    shop.balance(watch)
}

#[test]
fn a_server_that_wants_to_be_left_alone_costs_time_and_no_payment() -> Result {
    questions_go_wrong(&RestFault::Status(429, None))?;
    questions_go_wrong(&RestFault::Status(429, Some(3)))
}

#[test]
fn a_server_whose_database_fails_costs_time_and_no_payment() -> Result {
    questions_go_wrong(&RestFault::Status(500, None))
}

#[test]
fn an_answer_that_comes_drop_by_drop_costs_time_and_no_payment() -> Result {
    questions_go_wrong(&RestFault::Drip(1, Duration::from_millis(100)))
}

#[test]
fn an_answer_that_is_cut_costs_time_and_no_payment() -> Result {
    questions_go_wrong(&RestFault::Cut)
}

#[test]
fn an_answer_that_comes_slowly_but_whole_is_believed() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server
        .faults()
        .set(Fault::Rest(None, RestFault::Drip(64, Duration::from_millis(40))));
    let sold = shop.sell(10, "slowly")?;
    assert_eq!(kind_of(&mut watch, &sold)?, "live");
    shop.server.faults().clear();
    shop.balance(watch)
}

#[test]
fn a_key_that_is_taken_away_and_given_back_loses_nothing() -> Result {
    // As LNbits 1.6 does: the key is unknown, and its channel stays open and silent.
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.rotate_keys(&shop.wallet);
    let first = shop.sell(11, "while the key was unknown")?;
    watch.until_told("does not know this key: pair again", Duration::from_secs(25))?;
    assert_eq!(watch.link(), Some("down"));
    assert_eq!(watch.announced().len(), 0, "nothing can be proven");
    shop.server.return_keys(&shop.wallet);
    assert_eq!(kind_of(&mut watch, &first)?, "late");
    watch.until_live()?;

    // And 401, in LNbits' words, while frames still come.
    let refusal = RestFault::Says(401, "Invalid key".to_owned());
    shop.server.faults().set(Fault::Rest(None, refusal));
    let second = shop.sell(12, "while the key was refused")?;
    watch.until_told("does not know this key: pair again", Duration::from_secs(25))?;
    assert_eq!(watch.announced(), [first.as_str()]);
    shop.server.faults().clear();
    watch.payment(&second)?;
    shop.balance(watch)
}

// The frames.

#[test]
fn a_channel_that_is_dead_though_its_socket_lives_is_found_and_named() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().set(Fault::PushDead);
    let began = Instant::now();
    let silent = shop.sell(11, "nobody pushed this")?;
    assert_eq!(kind_of(&mut watch, &silent)?, "live");
    println!("found after {:?}", began.elapsed());
    assert!(
        began.elapsed() <= Duration::from_secs(16),
        "{:?}",
        began.elapsed()
    );
    watch.until_told("This server does not push", Duration::from_secs(5))?;
    assert_eq!(watch.link(), Some("polling"));
    shop.server.faults().clear();
    // The first frame that comes shows that it does push.
    let pushed = shop.sell(12, "pushed")?;
    assert_eq!(kind_of(&mut watch, &pushed)?, "live");
    shop.balance(watch)
}

#[test]
fn garbage_on_the_channel_ends_nothing_that_does_not_come_back() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    let deep = format!("{{\"payment\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let megabyte = format!("{{\"payment\":{{\"memo\":\"{}\"}}}}", "x".repeat(1_000_000));
    for text in [
        "",
        "{",
        "}{",
        "\u{0}",
        "null",
        "[[[]]]",
        "{\"payment\":",
        "{\"payment\":null}",
        "{\"payment\":{\"payment_hash\":7}}",
        "{\"payment\":{\"amount\":1e999}}",
        &deep,
        &megabyte,
    ] {
        shop.say(text);
    }
    shop.server
        .say_binary(&shop.wallet.invoice_key, &[0xFF, 0xFE, 0, 1]);
    shop.server
        .say_binary(&shop.wallet.invoice_key, &vec![0x7B; 500_000]);
    let sold = shop.sell(10, "after the garbage")?;
    assert_eq!(kind_of(&mut watch, &sold)?, "live");
    assert_eq!(states(&watch).last().map(String::as_str), Some("live"));
    assert_eq!(
        shop.server.requests().count(Path::Socket),
        2,
        "one at pairing, one since"
    );

    // Twice as much is more than is read: the socket ends, and comes back.
    shop.say(&"y".repeat(2_000_000));
    watch.until_lost(Duration::from_secs(5))?;
    let missed = shop.sell(11, "while it was away, or a moment after")?;
    watch.payment(&missed)?;
    shop.balance(watch)
}

fn states(watch: &Watch) -> Vec<String> {
    let state = |event: &Value| event["state"].as_str().map(str::to_owned);
    watch.all("link").filter_map(state).collect()
}

#[test]
fn a_frame_that_is_repeated_a_thousand_times_is_one_payment() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().set(Fault::RepeatFrames(999));
    let sold = shop.sell(10, "once")?;
    assert_eq!(kind_of(&mut watch, &sold)?, "live");
    shop.server.faults().clear();
    // And once it is told, from somebody who wrote it down.
    let frame = json!({"wallet_balance": 10, "payment": {
        "checking_id": sold, "payment_hash": sold, "wallet_id": shop.wallet.id,
        "amount": 10_000, "status": "success", "memo": "once",
    }});
    for _ in 0..1_000 {
        shop.say(&frame.to_string());
    }
    shop.balance(watch)
}

#[test]
fn frames_that_are_lost_are_made_up_for() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    shop.server.faults().set(Fault::DropEveryNth(2));
    let sold: Vec<_> = (0..6)
        .map(|nth| shop.sell(10 + nth, "every other one is lost"))
        .collect::<anyhow::Result<_>>()?;
    for hash in &sold {
        assert_eq!(kind_of(&mut watch, hash)?, "live");
    }
    shop.server.faults().clear();
    shop.balance(watch)
}

// What people write.

#[test]
fn hostile_memos_are_cleaned() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    let tags: String = "paid 9 BTC"
        .chars()
        .filter_map(|c| char::from_u32(0xE0000 + c as u32))
        .collect();
    let zalgo: String = "Tea"
        .chars()
        .flat_map(|c| [c].into_iter().chain((0x300..0x340).filter_map(char::from_u32)))
        .collect();
    for (memo, shown) in [
        ("Cof\u{0}fee\u{7}\u{1b}[31m".to_owned(), "Coffee[31m".to_owned()),
        (
            "\u{202e}eeffoC\u{202c} \u{2066}x\u{2069}".to_owned(),
            "eeffoC x".to_owned(),
        ),
        (format!("Coffee{tags}"), "Coffee".to_owned()),
        (
            "two\r\nlines\u{2028}or\tthree".to_owned(),
            "two lines or three".to_owned(),
        ),
        ("☕".repeat(640), "☕".repeat(640)),
        ("☕".repeat(641), format!("{}…", "☕".repeat(639))),
    ] {
        let sold = shop.sell(10, &memo)?;
        assert_eq!(watch.payment(&sold)?["memo"], shown, "{memo:?}");
    }
    let sold = shop.sell(10, &zalgo)?;
    let shown = watch.payment(&sold)?["memo"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        shown.starts_with('T') && shown.chars().count() <= 3 * 5,
        "{shown:?}"
    );

    // A comment, too, is a stranger's.
    let mut extra = serde_json::Map::new();
    extra.insert("comment".to_owned(), format!("\u{202e}{tags}thanks\u{0}").into());
    let invoice = shop.server.make_invoice(
        &shop.wallet,
        NewInvoice {
            extra,
            ..NewInvoice::sats(10, "")
        },
    );
    assert!(shop.server.settle(&invoice.payment_hash));
    assert_eq!(watch.payment(&invoice.payment_hash)?["comment"], "thanks");
    shop.balance(watch)
}
