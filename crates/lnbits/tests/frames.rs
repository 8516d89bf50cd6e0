//! What real servers sent, as this crate reads it: one snapshot for each server's recording.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use tillbell_lnbits::frame::{Noise, read};
use tillbell_lnbits::{Claim, ClaimedAmount, Reading};

#[derive(Deserialize)]
struct Recorded {
    kind: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    text: String,
}

fn recorded_frames(server: &str) -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/frames/{server}.jsonl"));
    let recording = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = recording.lines().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    });
    lines.filter(|line: &Recorded| line.kind == "frame").collect()
}

/// Every distinct reading, in the order it was first heard, with the channels it came on.
fn readings(server: &str) -> String {
    let mut seen: Vec<(String, BTreeSet<String>)> = Vec::new();
    for frame in recorded_frames(server) {
        let reading = describe(&read(&frame.text));
        match seen.iter_mut().find(|(known, _)| *known == reading) {
            Some((_, channels)) => {
                channels.insert(frame.channel);
            }
            None => seen.push((reading, BTreeSet::from([frame.channel]))),
        }
    }
    let lines = seen.into_iter().map(|(reading, channels)| {
        let channels: Vec<String> = channels.into_iter().collect();
        format!("on {}:\n{reading}\n", channels.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn describe(reading: &Reading) -> String {
    match reading {
        Reading::NotAPayment(noise) => format!("  no payment: {noise:?}"),
        Reading::Hint(hint) => {
            let amount = match hint.amount {
                Some(ClaimedAmount::Sat(sat)) => format!("{} sat", sat.0),
                Some(ClaimedAmount::Msat(msat)) => format!("{} msat", msat.0),
                None => "unknown".to_owned(),
            };
            let id = |id: Option<&str>| id.unwrap_or("none").to_owned();
            format!(
                "  {:?}\n  amount       {amount}\n  memo         {:?}\n  payment hash {}\n  checking id  {}\n  wallet id    {}",
                hint.claim,
                hint.memo.as_str(),
                hint.payment_hash,
                id(hint.checking_id.as_ref().map(|id| id.0.as_str())),
                id(hint.wallet_id.as_ref().map(|id| id.as_str())),
            )
        }
    }
}

#[test]
fn frames_of_lnbits_1_0_0_are_read_as_recorded() {
    insta::assert_snapshot!(readings("lnbits-1.0.0"));
}

#[test]
fn frames_of_lnbits_1_6_2_are_read_as_recorded() {
    insta::assert_snapshot!(readings("lnbits-1.6.2"));
}

#[test]
fn every_real_frame_on_a_wallets_channel_is_a_settled_payment_or_money_that_left() {
    for server in ["lnbits-1.0.0", "lnbits-1.6.2"] {
        for frame in recorded_frames(server) {
            let expected = match read(&frame.text) {
                Reading::Hint(hint) => hint.claim == Claim::Settled && frame.channel.ends_with("key"),
                Reading::NotAPayment(Noise::Outgoing) => frame.channel.ends_with("key"),
                Reading::NotAPayment(Noise::OtherKind) => frame.channel == "payment hash",
                Reading::NotAPayment(Noise::BadHash | Noise::BadClaim | Noise::Garbage) => false,
            };
            assert!(expected, "{server}, {}: {}", frame.channel, frame.text);
        }
    }
}
