//! How many frames a core decodes each second. Needed: 200,000 of real LNbits 1.6.2 frames.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use serde::Deserialize;
use tillbell_lnbits::frame::read;

#[derive(Deserialize)]
struct Recorded {
    kind: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    text: String,
}

/// The frames that a server sent to its wallets' channels.
fn recorded(server: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/frames/{server}.jsonl"));
    let recording = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let frames = recording
        .lines()
        .filter_map(|line| serde_json::from_str::<Recorded>(line).ok());
    frames
        .filter(|line| line.kind == "frame" && line.channel.ends_with("key"))
        .map(|line| line.text)
        .collect()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    frames(&mut group, "lnbits-1.0.0", &recorded("lnbits-1.0.0"));
    frames(&mut group, "lnbits-1.6.2", &recorded("lnbits-1.6.2"));
    let flat = format!(
        r#"{{"type":"payment","payment_hash":"{}","amount":1000,"status":"success","memo":"Coffee"}}"#,
        "ab".repeat(32)
    );
    frames(&mut group, "documented", &[flat]);
    let forged = format!(
        r#"{{"type":"payment","extra":{}{}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    frames(&mut group, "forged, 60 kB deep", &[forged]);
    group.finish();
}

fn frames(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, frames: &[String]) {
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            for frame in frames {
                black_box(read(black_box(frame)));
            }
        });
    });
}

criterion_group!(benches, decode);
criterion_main!(benches);
