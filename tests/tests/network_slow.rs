//! What takes a network a minute or more to do.

use std::time::Duration;

use tillbell_fake_lnbits::faults::{Fault, RestFault, UpgradeFault};
use tillbell_fake_lnbits::{Ending, Options};
use tillbell_tests::{Alive, Fake, IdleProxy, PairedShop, Profile};

type Result = anyhow::Result<()>;

/// After so much idling hosters' proxies hang up.
const IDLE: Duration = Duration::from_secs(60);

/// A shop behind a proxy that hangs up on the idle; nothing comes from the server by itself.
fn behind(alive: Alive) -> anyhow::Result<(PairedShop, IdleProxy)> {
    let server = Fake::with(Options {
        ping_every: Duration::from_secs(3_600),
        ..Options::default()
    })?;
    let proxy = IdleProxy::to(server.addr().port(), IDLE, alive)?;
    let shop = PairedShop::reached_at(server, &proxy.url(), Profile::new()?)?;
    Ok((shop, proxy))
}

#[test]
fn behind_a_proxy_that_cuts_idle_lines_the_displays_own_pings_keep_it_live() -> Result {
    let (shop, proxy) = behind(Alive::Bytes)?;
    let mut watch = shop.watch()?;
    let events = watch.events().len();
    watch.listen(IDLE + Duration::from_secs(15))?;
    assert_eq!(watch.events().len(), events, "{:?}", &watch.events()[events..]);
    assert_eq!(proxy.cuts(), 0);
    let sold = shop.sell(10, "after a quiet minute")?;
    assert_eq!(watch.payment(&sold)?["kind"], "live");
    shop.balance(watch)
}

#[test]
fn behind_a_proxy_that_counts_no_pings_each_cut_is_got_over() -> Result {
    let (shop, proxy) = behind(Alive::Data)?;
    let mut watch = shop.watch()?;
    for cuts in 1..=2 {
        watch.until_lost(IDLE + Duration::from_secs(5))?;
        let sold = shop.sell(10 + cuts, "in the moment of the cut")?;
        watch.until_state("live", Duration::from_secs(2))?;
        watch.payment(&sold)?;
        assert_eq!(proxy.cuts() as u64, cuts);
    }
    shop.balance(watch)
}

#[test]
fn a_day_on_which_everything_goes_wrong_ends_with_everything_told_once() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    let faults = shop.server.faults();
    let mut sats = 100;
    for round in 0..2 {
        for fault in [
            Fault::PushDead,
            Fault::RepeatFrames(20),
            Fault::DropEveryNth(2),
            Fault::DelayFrames(Duration::from_millis(1_500)),
            Fault::RestLag(Duration::from_millis(1_500)),
            Fault::SilentSockets,
            Fault::HangAccept,
            Fault::Upgrade(UpgradeFault::Hang),
            Fault::Upgrade(UpgradeFault::Html),
            Fault::Upgrade(UpgradeFault::Status(403)),
            Fault::Rest(None, RestFault::Hang),
            Fault::Rest(None, RestFault::Html),
            Fault::Rest(None, RestFault::Cut),
            Fault::Rest(None, RestFault::Status(429, Some(2))),
            Fault::Rest(None, RestFault::Status(500, None)),
            Fault::InsertWhilePaging(2),
        ] {
            faults.set(fault.clone());
            for ending in [None, Some(Ending::Reset), Some(Ending::Close(1012))] {
                sats += 1;
                shop.sell(sats, &format!("{fault:?}"))?;
                if let Some(ending) = ending {
                    shop.server.drop_sockets(ending);
                }
                watch.listen(Duration::from_millis(500))?;
            }
            // In the first round each is over before the next begins; in the second they pile up.
            if round == 0 {
                faults.clear();
            }
            shop.sell(sats, "between two faults")?;
        }
        faults.clear();
    }
    shop.server.go_away();
    shop.sell(1, "while nobody was there")?;
    shop.server.come_back()?;
    watch.listen(Duration::from_secs(17))?;
    shop.balance(watch)
}
