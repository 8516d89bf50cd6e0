//! The same with a server that is far away: TLS, and 20 ms each way. Only Tillbell is measured.

use std::time::{Duration, Instant};

use tillbell_fake_lnbits::Version;
use tillbell_tests::figures::median;
use tillbell_tests::{Alive, Fake, IdleProxy, Profile, Relay, Sound, TlsFront};

use crate::contender::{Contender, PATIENCE, Told};
use crate::glass;
use crate::table::{cell, one, print_steps};

const ONE_WAY: Duration = Duration::from_millis(20);
/// LNbits' own server hangs up on a connection that asks nothing for so long.
const KEPT: Duration = Duration::from_secs(5);
/// Payments, and for how long nothing was asked before each. The last stands for an hour.
const PAUSES: [(u32, Duration); 3] = [
    (8, Duration::from_millis(500)),
    (5, Duration::from_secs(7)),
    (2, Duration::from_secs(70)),
];
/// Tillbell asks by itself now and then: for longer than this no pause is waited for in vain.
const IN_VAIN: Duration = Duration::from_secs(20);
/// One way for the frame, there and back for the question, and this for everything else.
const ELSE: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(5);
const START: Duration = Duration::from_secs(5);

/// What was seen after a pause.
struct Group {
    /// Seconds since the last payment, and since the last question.
    since_payment: Vec<f64>,
    since_question: Vec<f64>,
    told: Vec<Told>,
    /// Connections that were opened for these payments' look-ups.
    connections: u64,
}

pub(crate) fn measure(sound: &Sound) -> anyhow::Result<()> {
    let server = Fake::start(Version::V1_6)?;
    let hangs_up = IdleProxy::to(server.addr().port(), KEPT, Alive::Sockets)?;
    let mut profile = Profile::new()?;
    let front = TlsFront::before(hangs_up.port(), &mut profile)?;
    let relay = Relay::far_from(front.port(), ONE_WAY)?;
    let url = format!("https://localhost:{}", relay.port());
    let tillbell = Contender::tillbell_at(&server, &url, profile, sound)?;
    let (mut counter, _) = tillbell.open(&server)?;
    // What a start asks is asked by then.
    std::thread::sleep(START);

    let mut groups = Vec::new();
    let mut paid = Instant::now();
    let mut nth = 0;
    for (payments, pause) in PAUSES {
        let mut group = Group {
            since_payment: Vec::new(),
            since_question: Vec::new(),
            told: Vec::new(),
            connections: 0,
        };
        for _ in 0..payments {
            glass::until_calm(&mut counter.probe, PATIENCE)?;
            rest(&server, paid, pause);
            let before = relay.passed();
            group.since_payment.push(paid.elapsed().as_secs_f64());
            group.since_question.push(silence(&server).as_secs_f64());
            let told = tillbell.pay(&server, &mut counter, Instant::now(), nth)?;
            paid = Instant::now();
            group.connections += (relay.passed() - before).connections;
            group.told.push(told);
            nth += 1;
        }
        groups.push(group);
    }
    // By then the log has the last step, too.
    glass::until_calm(&mut counter.probe, PATIENCE)?;
    let log = counter.program.stderr();
    counter.close()?;
    report(&groups);
    for (group, (_, pause)) in groups.iter().zip(PAUSES) {
        println!(
            "\nAfter {} s in which nothing was asked, if it came to that:",
            pause.as_secs_f64()
        );
        print_steps(&log, &group.told);
    }
    Ok(())
}

fn report(groups: &[Group]) {
    let goal = ONE_WAY * 3 + ELSE;
    println!(
        "\nA server {} ms away (there and back), with TLS:\n",
        ONE_WAY.as_millis() * 2
    );
    println!(
        "| s since the last payment | s since the last question | payments | frame → first changed pixel, ms | … the page's own frame | connections opened meanwhile |"
    );
    println!("|---|---|---|---|---|---|");
    for group in groups {
        let of = |figure: fn(&Told) -> f64| group.told.iter().map(figure).collect::<Vec<_>>();
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            one(median(&group.since_payment)),
            cell(&group.since_question),
            group.told.len(),
            cell(&of(|told| told.first)),
            cell(&of(|told| told.own)),
            group.connections
        );
    }
    println!(
        "\nThe server hangs up on connections that ask nothing for {} s. The goal is at most {} ms: one way, there and back, and {} ms.",
        KEPT.as_secs(),
        goal.as_millis(),
        ELSE.as_millis()
    );
}

/// For how long nothing was asked.
fn silence(server: &Fake) -> Duration {
    server
        .requests()
        .last()
        .map_or(Duration::MAX, |last| last.elapsed())
}

/// Waits until nothing was asked for this long, or until that would be in vain. Something was `paid` last then.
fn rest(server: &Fake, paid: Instant, pause: Duration) {
    while silence(server) < pause && paid.elapsed() < pause.max(IN_VAIN) {
        std::thread::sleep(LOOK);
    }
}
