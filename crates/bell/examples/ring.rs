//! Rings a few times and prints when: `ring [TIMES [SPACING_MS [SOUND [VOLUME [STAY_MS]]]]]`.
//!
//! Each line is a word, an id or a state, and milliseconds since the UNIX epoch (read once, then counted on a
//! monotonic clock): `ring 0 1760000000000.123` when `ring()` is called, `started 0 …`, `silent 0 … Muted`,
//! `device Ready …`. SOUND is a chime's name or `late`. It waits for the device first (5 s at most), and
//! stays for STAY_MS after the last ring.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;
use std::io::{Write as _, stdout};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tillbell_bell::{Bell, BellEvent, DeviceState, Ring, Sound};

/// Milliseconds since the UNIX epoch that never step back.
#[derive(Clone, Copy)]
struct Clock(SystemTime, Instant);

impl Clock {
    fn now(self) -> f64 {
        let at_start = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        (at_start + self.1.elapsed()).as_secs_f64() * 1000.0
    }
}

fn say(line: &str) {
    println!("{line}");
    // Nobody reading is no reason to stop ringing.
    stdout().flush().unwrap_or_default();
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |at: usize, otherwise: &str| arguments.get(at).map_or(otherwise, String::as_str).to_owned();
    let times: u64 = argument(0, "10").parse()?;
    let spacing = Duration::from_millis(argument(1, "2000").parse()?);
    let sound = match argument(2, "counter").as_str() {
        "late" => Sound::Late,
        chime => Sound::Chime(chime.parse()?),
    };
    let volume: u8 = argument(3, "100").parse()?;
    let stay = Duration::from_millis(argument(4, "1500").parse()?);

    let clock = Clock(SystemTime::now(), Instant::now());
    let (ready, is_ready) = channel();
    let bell = Bell::start(move |event| {
        let now = clock.now();
        match event {
            BellEvent::Started { id } => say(&format!("started {id} {now:.3}")),
            BellEvent::Silent { id, why } => say(&format!("silent {id} {now:.3} {why:?}")),
            BellEvent::Device(DeviceState::Opening) => say(&format!("device Opening {now:.3}")),
            BellEvent::Device(DeviceState::Ready) => {
                say(&format!("device Ready {now:.3}"));
                // Later ones find nobody waiting.
                ready.send(()).unwrap_or_default();
            }
            BellEvent::Device(DeviceState::Missing { reason }) => {
                say(&format!("device Missing {now:.3} {reason}"));
            }
        }
    });
    bell.set_volume(volume);
    if volume > 0 && is_ready.recv_timeout(Duration::from_secs(5)).is_err() {
        say("device is not ready, ringing all the same");
    }

    for id in 0..times {
        say(&format!("ring {id} {:.3}", clock.now()));
        bell.ring(Ring { id, sound });
        thread::sleep(spacing);
    }
    thread::sleep(stay);
    Ok(())
}
