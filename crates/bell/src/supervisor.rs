//! What the bell decides, without a device, a thread or a clock: `on(event, now)` gives the next state and
//! what to do. `now` is the time since the bell was started.
//!
//! A stream is opened ahead of time and left *armed*: prepared, but not running, so that silence costs
//! nothing. The first ring starts it; when the last chime has faded it is closed, and the next one armed. A device
//! that takes long to wake can be kept awake: then the stream is started at once, and goes on in silence.
//!
//! Every ring is answered exactly once, by [`BellEvent::Started`] or [`BellEvent::Silent`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::chime::Sound;
use crate::messages::{BellEvent, DeviceState, Ring, WhySilent};
use crate::volume;

/// A chime this long after its flash would be a lie.
pub(crate) const STALE: Duration = Duration::from_secs(2);

/// Rings that may wait. With [`SPACING`] the last of them is struck before it is stale.
pub(crate) const MAX_WAITING: usize = 16;

/// The shortest time between two onsets: closer together, ears hear one.
pub(crate) const SPACING: Duration = Duration::from_millis(100);

/// How often a missing device is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// How often an armed stream's device is asked whether it is still there.
pub(crate) const PROBE: Duration = Duration::from_secs(15);

/// Opening a device takes a few ms; after this long it counts as missing, though it is still waited for.
const OPENING_LIMIT: Duration = Duration::from_secs(3);

/// A running stream that asks for nothing for this long is dead, whatever it says. Doubled with every second
/// one that dies so, up to [`MAX_PATIENCE`], until a ring has started: a wireless speaker may need longer to
/// wake.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);
const MAX_PATIENCE: Duration = Duration::from_millis(1200);

/// What the device still has in its buffers when the last frame was handed over.
const DRAIN: Duration = Duration::from_millis(200);

/// How long a muted chime takes to glide to silence.
const GLIDE: Duration = Duration::from_millis(60);

/// A stream that fails is opened again at once, but only so often until a ring has started.
const QUICK_REOPENS: u8 = 3;

/// The period asked of a stream. It sets the delay of a ring that falls into another (up to two periods); one
/// that starts an armed stream does not wait for it.
const PERIOD: Duration = Duration::from_millis(20);

/// A machine too slow for [`PERIOD`] gets longer ones, up to this.
const MAX_PERIOD: Duration = Duration::from_millis(80);

/// The volume until somebody sets one, in percent.
pub(crate) const DEFAULT_VOLUME: u8 = 80;

/// Names one stream, so that news of an older one is recognised.
pub(crate) type StreamId = u64;

/// What the supervisor hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The thread has begun.
    Begin,
    Ring(Ring),
    /// A ring that the full inbox pushed out.
    Crowded {
        id: u64,
    },
    /// In percent; 0 is muted.
    Volume(u8),
    /// The device is (no longer) to be kept awake.
    Awake(bool),
    /// The stream is armed.
    Opened(StreamId),
    OpenFailed(StreamId, String),
    /// The device has taken the first frames that this ticket stands for.
    Started {
        ticket: u64,
    },
    Failed(StreamId, Fault),
    /// The time of [`Supervisor::deadline`] has come; `asked` frames were asked for by the present stream.
    Tick {
        asked: u64,
    },
}

/// How a stream ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Frames came too late. cpal would go on, but on PulseAudio it does so through a spell of errors in a
    /// spin.
    Underrun,
    Lost(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Tell(BellEvent),
    /// Close what is open, then arm a stream.
    Open {
        stream: StreamId,
        period: Duration,
    },
    /// Start the armed stream.
    Start,
    Close,
    /// Ask whether the armed stream's device is still there.
    Probe,
    /// Put a voice into the mixer.
    Strike {
        ticket: u64,
        sound: Sound,
    },
    /// Take the voices that have not started back out of the mixer.
    Withdraw,
    /// End every voice.
    Hush,
    Gain(f32),
}

/// The supervisor's state.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    volume: u8,
    /// The device is kept awake between chimes.
    awake: bool,
    device: Device,
    /// What was last told about the device.
    told: Option<DeviceState>,
    /// The reasons told in this outage, so that two that take turns are not told for ever.
    reasons: Vec<String>,
    waiting: VecDeque<Waiting>,
    /// Handed to the mixer, not yet started.
    flying: VecDeque<Flying>,
    next_ticket: u64,
    last_stream: StreamId,
    next_onset: Duration,
    /// When the last voice that has started will have ended.
    sounding_until: Duration,
    quick_reopens: u8,
    /// Streams in a row that went silent.
    gone_silent: u32,
    period: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    /// Muted, or not begun.
    Off,
    Opening {
        stream: StreamId,
        /// When to tell that it takes too long; none once that is told.
        overdue: Option<Duration>,
    },
    Missing {
        retry: Duration,
    },
    Armed {
        stream: StreamId,
        probe: Duration,
    },
    Running {
        stream: StreamId,
        /// When the stream must have asked for more than `asked` frames.
        check: Duration,
        asked: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ring: Ring,
    since: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Flying {
    ticket: u64,
    waiting: Waiting,
    handed: Duration,
}

impl Supervisor {
    pub(crate) fn new() -> Supervisor {
        Supervisor {
            volume: DEFAULT_VOLUME,
            awake: false,
            device: Device::Off,
            told: None,
            reasons: Vec::new(),
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            next_ticket: 0,
            last_stream: 0,
            next_onset: Duration::ZERO,
            sounding_until: Duration::ZERO,
            quick_reopens: QUICK_REOPENS,
            gone_silent: 0,
            period: PERIOD,
        }
    }

    /// Takes in an event; says what to do.
    pub(crate) fn on(mut self, event: Event, now: Duration) -> (Supervisor, Vec<Effect>) {
        let mut effects = Vec::new();
        let out = &mut effects;
        match event {
            Event::Begin => {
                out.push(Effect::Gain(volume::gain(self.volume)));
                self.unmute(now, out);
            }
            Event::Ring(ring) => self.ring(ring, now, out),
            Event::Crowded { id } => out.push(silent(id, WhySilent::Crowded)),
            Event::Volume(percent) => self.set_volume(percent.min(100), now, out),
            Event::Awake(awake) => self.awake = awake,
            Event::Opened(stream) => self.opened(stream, now, out),
            Event::OpenFailed(stream, reason) => {
                if self.stream() == Some(stream) {
                    self.miss(reason, now, out);
                }
            }
            Event::Started { ticket } => self.started(ticket, now, out),
            Event::Failed(stream, fault) => {
                if self.stream() == Some(stream) {
                    self.fail(fault, now, out);
                }
            }
            Event::Tick { asked } => self.watch(asked, now, out),
        }
        self.go_on(now, out);
        (self, effects)
    }

    /// When to send [`Event::Tick`], if nothing else comes before.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let stale = self.waiting.front().map(|waiting| waiting.since + STALE);
        let device = match self.device {
            Device::Off => None,
            Device::Opening { overdue, .. } => overdue,
            Device::Missing { retry } => Some(retry),
            Device::Armed { probe, .. } => Some(probe),
            Device::Running { check, .. } if !self.waiting.is_empty() => Some(check.min(self.next_onset)),
            Device::Running { check, .. } if self.may_close() => Some(check.min(self.quiet())),
            Device::Running { check, .. } => Some(check),
        };
        stale.into_iter().chain(device).min()
    }

    fn stream(&self) -> Option<StreamId> {
        match self.device {
            Device::Off | Device::Missing { .. } => None,
            Device::Opening { stream, .. }
            | Device::Armed { stream, .. }
            | Device::Running { stream, .. } => Some(stream),
        }
    }

    fn ring(&mut self, ring: Ring, now: Duration, out: &mut Vec<Effect>) {
        if self.volume == 0 {
            out.push(silent(ring.id, WhySilent::Muted));
            return;
        }
        self.waiting.push_back(Waiting { ring, since: now });
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            out.push(silent(oldest.ring.id, WhySilent::Crowded));
        }
    }

    fn set_volume(&mut self, percent: u8, now: Duration, out: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.volume, percent);
        if percent == before {
            return;
        }
        out.push(Effect::Gain(volume::gain(percent)));
        if before == 0 {
            self.unmute(now, out);
        } else if percent == 0 {
            self.mute(now, out);
        }
    }

    fn unmute(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.volume == 0 {
            return;
        }
        if self.device == Device::Off {
            self.tell(DeviceState::Opening, out);
            self.open(now, out);
        } else {
            self.tell(DeviceState::Ready, out); // The stream was still gliding to silence, and simply stays.
        }
    }

    fn mute(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let waiting = self.waiting.drain(..).map(|waiting| waiting.ring.id);
        let flying = self.flying.drain(..).map(|flying| flying.waiting.ring.id);
        out.extend(flying.chain(waiting).map(|id| silent(id, WhySilent::Muted)));
        out.push(Effect::Withdraw);
        self.told = None;
        self.reasons.clear();
        match self.device {
            // Cut off it would click: `go_on` closes it when it has glided down.
            Device::Running { .. } => self.sounding_until = now + GLIDE,
            Device::Off | Device::Opening { .. } | Device::Missing { .. } | Device::Armed { .. } => {
                self.device = Device::Off;
                out.extend([Effect::Hush, Effect::Close]);
            }
        }
    }

    fn open(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.last_stream += 1;
        let stream = self.last_stream;
        self.device = Device::Opening {
            stream,
            overdue: Some(now + OPENING_LIMIT),
        };
        out.push(Effect::Open {
            stream,
            period: self.period,
        });
    }

    fn opened(&mut self, stream: StreamId, now: Duration, out: &mut Vec<Effect>) {
        if self.stream() != Some(stream) {
            return;
        }
        self.device = Device::Armed {
            stream,
            probe: now + PROBE,
        };
        self.tell(DeviceState::Ready, out);
        if self.sounding_until > now {
            self.start(stream, now, out); // The stream before this one was lost in the middle of a chime.
        }
    }

    fn start(&mut self, stream: StreamId, now: Duration, out: &mut Vec<Effect>) {
        self.device = Device::Running {
            stream,
            check: now + self.patience(),
            asked: 0,
        };
        out.push(Effect::Start);
    }

    fn started(&mut self, ticket: u64, now: Duration, out: &mut Vec<Effect>) {
        let Some(at) = self.flying.iter().position(|flying| flying.ticket == ticket) else {
            return;
        };
        if let Some(flying) = self.flying.remove(at) {
            self.sounding_until = self.sounding_until.max(now + flying.waiting.ring.sound.length());
            out.push(Effect::Tell(BellEvent::Started {
                id: flying.waiting.ring.id,
            }));
        }
        self.quick_reopens = QUICK_REOPENS;
        self.gone_silent = 0;
    }

    /// A running stream must keep asking, and what was handed to it must start.
    fn watch(&mut self, asked: u64, now: Duration, out: &mut Vec<Effect>) {
        let Device::Running {
            stream,
            check,
            asked: asked_before,
        } = self.device
        else {
            return;
        };
        if now < check {
            return;
        }
        let overdue = self
            .flying
            .front()
            .is_some_and(|flying| flying.handed + self.patience() <= now);
        if asked == asked_before || overdue {
            self.gone_silent += 1;
            self.fail(
                Fault::Lost("the sound device stopped taking samples".to_owned()),
                now,
                out,
            );
        } else {
            self.device = Device::Running {
                stream,
                check: now + self.patience(),
                asked,
            };
        }
    }

    fn fail(&mut self, fault: Fault, now: Duration, out: &mut Vec<Effect>) {
        let reason = match fault {
            Fault::Underrun => {
                self.period = (2 * self.period).min(MAX_PERIOD);
                "the sound device ran out of samples".to_owned()
            }
            Fault::Lost(reason) => reason,
        };
        if self.volume == 0 {
            self.device = Device::Off;
            out.extend([Effect::Hush, Effect::Close]);
        } else if self.quick_reopens > 0 {
            self.quick_reopens -= 1;
            self.take_back(out);
            self.open(now, out);
        } else {
            self.miss(reason, now, out);
        }
    }

    fn miss(&mut self, reason: String, now: Duration, out: &mut Vec<Effect>) {
        self.take_back(out);
        self.device = Device::Missing { retry: now + RETRY };
        self.sounding_until = now;
        out.extend([Effect::Hush, Effect::Close]);
        self.tell(DeviceState::Missing { reason }, out);
    }

    /// Rings that were handed over but have not started wait again, in their order.
    fn take_back(&mut self, out: &mut Vec<Effect>) {
        if self.flying.is_empty() {
            return;
        }
        out.push(Effect::Withdraw);
        self.next_onset = Duration::ZERO; // Nobody heard theirs.
        while let Some(flying) = self.flying.pop_back() {
            self.waiting.push_front(flying.waiting);
        }
    }

    /// What the time and the state call for, whatever the event was.
    fn go_on(&mut self, now: Duration, out: &mut Vec<Effect>) {
        while self
            .waiting
            .front()
            .is_some_and(|waiting| waiting.since + STALE <= now)
        {
            if let Some(stale) = self.waiting.pop_front() {
                out.push(silent(stale.ring.id, WhySilent::NoDevice));
            }
        }
        match self.device {
            Device::Off => {}
            Device::Opening { stream, overdue } => {
                if overdue.is_some_and(|overdue| overdue <= now) {
                    self.device = Device::Opening {
                        stream,
                        overdue: None,
                    };
                    self.sounding_until = now;
                    out.push(Effect::Hush);
                    let reason = "the sound system does not answer".to_owned();
                    self.tell(DeviceState::Missing { reason }, out);
                }
            }
            Device::Missing { retry } => {
                if retry <= now {
                    self.open(now, out);
                }
            }
            Device::Armed { stream, probe } => {
                if !self.waiting.is_empty() || self.awake {
                    self.strike_next(now, out);
                    self.start(stream, now, out);
                } else if probe <= now {
                    self.device = Device::Armed {
                        stream,
                        probe: now + PROBE,
                    };
                    self.quick_reopens = QUICK_REOPENS;
                    out.push(Effect::Probe);
                }
            }
            Device::Running { .. } => {
                if !self.waiting.is_empty() {
                    if self.next_onset <= now {
                        self.strike_next(now, out);
                    }
                } else if self.may_close() && self.quiet() <= now {
                    if self.volume == 0 {
                        self.device = Device::Off;
                        out.extend([Effect::Hush, Effect::Close]);
                    } else {
                        self.open(now, out);
                    }
                }
            }
        }
    }

    fn strike_next(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Some(waiting) = self.waiting.pop_front() else {
            return;
        };
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.flying.push_back(Flying {
            ticket,
            waiting,
            handed: now,
        });
        self.next_onset = now + SPACING;
        out.push(Effect::Strike {
            ticket,
            sound: waiting.ring.sound,
        });
    }

    fn patience(&self) -> Duration {
        (PATIENCE * 2_u32.pow((self.gone_silent / 2).min(4))).min(MAX_PATIENCE)
    }

    /// True for a running stream that is not needed once it is quiet.
    fn may_close(&self) -> bool {
        self.flying.is_empty() && (!self.awake || self.volume == 0)
    }

    /// When everything struck so far will have left the device.
    fn quiet(&self) -> Duration {
        self.sounding_until + DRAIN
    }

    /// Tells the device's state where it is news.
    fn tell(&mut self, state: DeviceState, out: &mut Vec<Effect>) {
        match &state {
            DeviceState::Opening => {}
            DeviceState::Ready => self.reasons.clear(),
            DeviceState::Missing { reason } => {
                // Beyond the fourth they are variations.
                if self.reasons.contains(reason) || self.reasons.len() >= 4 {
                    return;
                }
                self.reasons.push(reason.clone());
            }
        }
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            out.push(Effect::Tell(BellEvent::Device(state)));
        }
    }
}

fn silent(id: u64, why: WhySilent) -> Effect {
    Effect::Tell(BellEvent::Silent { id, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chime::Chime;

    /// A supervisor with its clock, and everything that it did since last asked.
    struct Bench {
        supervisor: Supervisor,
        now: Duration,
        done: Vec<Effect>,
    }

    impl Bench {
        fn new() -> Bench {
            let mut bench = Bench {
                supervisor: Supervisor::new(),
                now: Duration::ZERO,
                done: Vec::new(),
            };
            bench.on(Event::Begin);
            bench
        }

        fn armed() -> Bench {
            let mut bench = Bench::new();
            bench.on(Event::Opened(1));
            bench.done.clear();
            bench
        }

        fn missing() -> Bench {
            let mut bench = Bench::new();
            bench.on(Event::OpenFailed(1, "no device".to_owned()));
            bench.done.clear();
            bench
        }

        fn on(&mut self, event: Event) {
            let (next, effects) = self.supervisor.clone().on(event, self.now);
            self.supervisor = next;
            self.done.extend(effects);
        }

        fn ring(&mut self, id: u64) {
            self.on(Event::Ring(Ring {
                id,
                sound: Sound::Chime(Chime::Counter),
            }));
        }

        /// Lets `ms` pass, with a tick at each deadline on the way; the device asks for `per_ms` frames a ms.
        fn pass(&mut self, ms: u64, per_ms: u64) {
            let until = self.now + Duration::from_millis(ms);
            for _ in 0..10_000 {
                let Some(deadline) = self.supervisor.deadline().filter(|deadline| *deadline <= until) else {
                    self.now = until;
                    return;
                };
                self.now = self.now.max(deadline);
                let asked = u64::try_from(self.now.as_millis()).unwrap() * per_ms;
                self.on(Event::Tick { asked });
            }
            panic!("the supervisor spins: {:?}", self.supervisor);
        }

        fn take(&mut self) -> Vec<Effect> {
            std::mem::take(&mut self.done)
        }

        fn told(&mut self) -> Vec<BellEvent> {
            self.take()
                .into_iter()
                .filter_map(|effect| {
                    if let Effect::Tell(event) = effect {
                        Some(event)
                    } else {
                        None
                    }
                })
                .collect()
        }

        fn count(&self, wanted: impl Fn(&Effect) -> bool) -> usize {
            self.done.iter().filter(|effect| wanted(effect)).count()
        }
    }

    fn is_open(effect: &Effect) -> bool {
        matches!(effect, Effect::Open { .. })
    }

    fn tickets(effects: &[Effect]) -> Vec<u64> {
        effects
            .iter()
            .filter_map(|effect| {
                if let Effect::Strike { ticket, .. } = effect {
                    Some(*ticket)
                } else {
                    None
                }
            })
            .collect()
    }

    fn missing(reason: &str) -> BellEvent {
        BellEvent::Device(DeviceState::Missing {
            reason: reason.to_owned(),
        })
    }

    const READY: BellEvent = BellEvent::Device(DeviceState::Ready);

    #[test]
    fn it_begins_by_arming_a_stream_and_then_does_nothing_but_probe() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.take(),
            [
                Effect::Gain(volume::gain(DEFAULT_VOLUME)),
                Effect::Tell(BellEvent::Device(DeviceState::Opening)),
                Effect::Open {
                    stream: 1,
                    period: PERIOD
                },
            ]
        );
        bench.on(Event::Opened(1));
        assert_eq!(bench.take(), [Effect::Tell(READY)]);
        bench.pass(60_000, 0);
        assert_eq!(bench.take(), vec![Effect::Probe; 4]);
    }

    #[test]
    fn a_ring_strikes_and_starts_the_armed_stream_and_is_started_when_the_device_took_it() {
        let mut bench = Bench::armed();
        bench.ring(7);
        assert_eq!(
            bench.take(),
            [
                Effect::Strike {
                    ticket: 1,
                    sound: Sound::Chime(Chime::Counter)
                },
                Effect::Start
            ]
        );
        bench.on(Event::Started { ticket: 1 });
        assert_eq!(bench.take(), [Effect::Tell(BellEvent::Started { id: 7 })]);
    }

    #[test]
    fn after_the_chime_the_next_stream_is_armed_and_nobody_is_told() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.on(Event::Started { ticket: 1 });
        bench.take();
        bench.pass(1_000, 48);
        assert_eq!(bench.take(), [], "the chime still sounds");
        bench.pass(1_000, 48);
        assert_eq!(
            bench.take(),
            [Effect::Open {
                stream: 2,
                period: PERIOD
            }]
        );
        bench.on(Event::Opened(2));
        assert_eq!(bench.take(), []);
    }

    #[test]
    fn a_ring_while_the_stream_is_being_armed_waits_for_it() {
        let mut bench = Bench::new();
        bench.ring(7);
        bench.take();
        bench.now += Duration::from_millis(5);
        bench.on(Event::Opened(1));
        assert_eq!(tickets(&bench.take()), [1]);
    }

    #[test]
    fn a_missing_device_is_tried_again_each_second_and_told_once() {
        let mut bench = Bench::new();
        bench.take();
        for stream in 1..=30 {
            bench.on(Event::OpenFailed(stream, "no device".to_owned()));
            bench.pass(999, 0);
            assert_eq!(bench.count(is_open), usize::try_from(stream).unwrap() - 1);
            bench.pass(1, 0);
        }
        assert_eq!(bench.told(), [missing("no device")]);
        bench.on(Event::Opened(31));
        assert_eq!(bench.told(), [READY]);
    }

    #[test]
    fn reasons_that_take_turns_are_each_told_once() {
        let mut bench = Bench::new();
        bench.take();
        for stream in 1..=20 {
            bench.on(Event::OpenFailed(
                stream,
                if stream % 2 == 0 { "even" } else { "odd" }.to_owned(),
            ));
            bench.pass(1_000, 0);
        }
        assert_eq!(bench.told(), [missing("odd"), missing("even")]);
    }

    #[test]
    fn a_ring_without_a_device_is_dropped_after_two_seconds() {
        let mut bench = Bench::missing();
        bench.ring(7);
        for stream in 2..=3 {
            bench.pass(999, 0);
            assert_eq!(bench.told(), []);
            bench.pass(1, 0);
            bench.on(Event::OpenFailed(stream, "no device".to_owned()));
        }
        assert_eq!(
            bench.told(),
            [BellEvent::Silent {
                id: 7,
                why: WhySilent::NoDevice
            }]
        );
    }

    #[test]
    fn a_device_that_returns_within_two_seconds_rings_what_waited() {
        let mut bench = Bench::missing();
        bench.ring(7);
        bench.pass(1_000, 0);
        bench.on(Event::Opened(2));
        assert_eq!(tickets(&bench.take()), [1]);
    }

    #[test]
    fn an_error_drops_the_stream_at_once_and_the_ring_is_struck_again_on_the_next() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.take();
        bench.on(Event::Failed(1, Fault::Lost("gone".to_owned())));
        assert_eq!(
            bench.take(),
            [
                Effect::Withdraw,
                Effect::Open {
                    stream: 2,
                    period: PERIOD
                }
            ]
        );
        bench.on(Event::Opened(2));
        assert_eq!(tickets(&bench.done), [2]);
        bench.on(Event::Started { ticket: 1 });
        bench.on(Event::Started { ticket: 2 });
        assert_eq!(bench.told(), [BellEvent::Started { id: 7 }]);
    }

    #[test]
    fn news_of_an_older_stream_changes_nothing() {
        let mut bench = Bench::armed();
        bench.on(Event::Failed(1, Fault::Lost("gone".to_owned())));
        bench.take();
        bench.on(Event::Failed(1, Fault::Lost("gone again".to_owned())));
        bench.on(Event::OpenFailed(1, "old".to_owned()));
        bench.on(Event::Opened(1));
        assert_eq!(bench.take(), []);
    }

    #[test]
    fn a_device_that_opens_and_fails_for_ever_is_soon_tried_once_a_second() {
        let mut bench = Bench::armed();
        for _ in 0..200 {
            let stream = bench.supervisor.last_stream;
            bench.on(Event::Failed(stream, Fault::Lost("gone".to_owned())));
            bench.pass(100, 0);
            let stream = bench.supervisor.last_stream;
            bench.on(Event::Opened(stream));
        }
        let opens = bench.count(is_open);
        assert!(opens <= 24, "{opens} opens in twenty seconds");
    }

    #[test]
    fn a_stream_that_stays_open_but_asks_for_nothing_is_replaced() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.take();
        bench.pass(299, 0);
        assert_eq!(bench.take(), []);
        bench.pass(1, 0);
        assert_eq!(
            bench.take(),
            [
                Effect::Withdraw,
                Effect::Open {
                    stream: 2,
                    period: PERIOD
                }
            ]
        );
    }

    #[test]
    fn a_device_slow_to_wake_is_given_more_time_on_the_third_try() {
        let mut bench = Bench::armed();
        bench.ring(7);
        for stream in 2..=3 {
            bench.pass(300, 0);
            bench.on(Event::Opened(stream));
        }
        bench.take();
        bench.pass(599, 0);
        assert_eq!(bench.take(), []);
        bench.on(Event::Started { ticket: 3 });
        assert_eq!(bench.told(), [BellEvent::Started { id: 7 }]);
    }

    #[test]
    fn a_stream_that_stops_in_the_middle_of_a_chime_goes_on_in_the_next() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.on(Event::Started { ticket: 1 });
        bench.take();
        bench.on(Event::Failed(1, Fault::Underrun));
        assert_eq!(
            bench.take(),
            [Effect::Open {
                stream: 2,
                period: 2 * PERIOD
            }]
        );
        bench.on(Event::Opened(2));
        assert_eq!(bench.take(), [Effect::Start]);
    }

    #[test]
    fn opening_that_hangs_is_told_as_missing_and_still_waited_for() {
        let mut bench = Bench::new();
        bench.take();
        bench.pass(60_000, 0);
        assert_eq!(
            bench.take(),
            [
                Effect::Hush,
                Effect::Tell(missing("the sound system does not answer"))
            ],
            "no second attempt piles up behind the first"
        );
        bench.on(Event::Opened(1));
        assert_eq!(bench.told(), [READY]);
    }

    #[test]
    fn ten_rings_in_a_burst_are_struck_one_by_one() {
        let mut bench = Bench::armed();
        for id in 0..10 {
            bench.ring(id);
        }
        let mut onsets = Vec::new();
        for ms in 0..2_000 {
            for ticket in tickets(&bench.take()) {
                onsets.push(ms);
                bench.on(Event::Started { ticket });
            }
            bench.pass(1, 48);
        }
        assert_eq!(onsets, (0..10).map(|n| n * 100).collect::<Vec<_>>());
    }

    #[test]
    fn too_many_rings_drop_the_oldest_and_say_so() {
        let mut bench = Bench::missing();
        for id in 0..20 {
            bench.ring(id);
        }
        let wanted: Vec<_> = (0..4)
            .map(|id| BellEvent::Silent {
                id,
                why: WhySilent::Crowded,
            })
            .collect();
        assert_eq!(bench.told(), wanted);
    }

    #[test]
    fn muted_nothing_is_opened_and_rings_are_answered_at_once() {
        let mut bench = Bench::armed();
        bench.on(Event::Volume(0));
        assert_eq!(
            bench.take(),
            [Effect::Gain(0.0), Effect::Withdraw, Effect::Hush, Effect::Close]
        );
        bench.ring(7);
        assert_eq!(
            bench.told(),
            [BellEvent::Silent {
                id: 7,
                why: WhySilent::Muted
            }]
        );
        assert_eq!(bench.supervisor.deadline(), None);
        bench.on(Event::Volume(50));
        assert_eq!(
            bench.take(),
            [
                Effect::Gain(volume::gain(50)),
                Effect::Tell(BellEvent::Device(DeviceState::Opening)),
                Effect::Open {
                    stream: 2,
                    period: PERIOD
                },
            ]
        );
    }

    #[test]
    fn muting_in_the_middle_of_a_chime_lets_it_glide_down_before_the_stream_closes() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.on(Event::Started { ticket: 1 });
        bench.on(Event::Volume(0));
        assert_eq!(bench.count(|effect| *effect == Effect::Close), 0);
        bench.pass(500, 48);
        assert_eq!(bench.count(|effect| *effect == Effect::Close), 1);
        assert_eq!(bench.supervisor.deadline(), None);
    }

    #[test]
    fn unmuting_before_the_chime_has_glided_down_keeps_the_stream() {
        let mut bench = Bench::armed();
        bench.ring(7);
        bench.on(Event::Started { ticket: 1 });
        bench.on(Event::Volume(0));
        bench.take();
        bench.on(Event::Volume(50));
        assert_eq!(
            bench.take(),
            [Effect::Gain(volume::gain(50)), Effect::Tell(READY)]
        );
    }

    #[test]
    fn a_change_of_volume_does_not_touch_the_stream() {
        let mut bench = Bench::armed();
        bench.on(Event::Volume(30));
        bench.on(Event::Volume(30));
        assert_eq!(bench.take(), [Effect::Gain(volume::gain(30))]);
    }

    /// Thousands of random schedules, from a small generator with a fixed seed: nothing spins, and every ring
    /// is answered exactly once.
    #[test]
    fn whatever_happens_every_ring_is_answered_exactly_once() {
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for schedule in 0..2_000 {
            let mut bench = Bench::new();
            let mut rings = 0;
            for _ in 0..60 {
                let stream = bench.supervisor.last_stream.saturating_sub(random(8) / 7);
                match random(9) {
                    0..3 => {
                        bench.ring(rings);
                        rings += 1;
                    }
                    3 => bench.on(Event::Opened(stream)),
                    4 => bench.on(Event::OpenFailed(stream, "no".to_owned())),
                    5 => bench.on(Event::Failed(stream, Fault::Lost("lost".to_owned()))),
                    6 => {
                        let ticket = random(bench.supervisor.next_ticket + 1);
                        bench.on(Event::Started { ticket });
                    }
                    7 => bench.on(Event::Volume(u8::try_from(random(3)).unwrap() * 50)),
                    _ => {
                        let (ms, per_ms) = (random(1_500), random(2) * 48);
                        bench.pass(ms, per_ms);
                    }
                }
            }
            bench.on(Event::Volume(50));
            for _ in 0..8 {
                let stream = bench.supervisor.last_stream;
                bench.on(Event::OpenFailed(stream, "no".to_owned()));
                bench.pass(1_000, 0);
            }
            let mut answered: Vec<u64> = bench
                .told()
                .into_iter()
                .filter_map(|event| match event {
                    BellEvent::Started { id } | BellEvent::Silent { id, .. } => Some(id),
                    BellEvent::Device(_) => None,
                })
                .collect();
            answered.sort_unstable();
            assert_eq!(answered, (0..rings).collect::<Vec<_>>(), "schedule {schedule}");
        }
    }

    #[test]
    fn a_device_that_is_kept_awake_runs_between_chimes_and_rings_at_once() {
        let mut bench = Bench::armed();
        bench.on(Event::Awake(true));
        assert_eq!(bench.take(), [Effect::Start]);
        bench.pass(60_000, 48);
        assert_eq!(bench.take(), [], "it goes on in silence");
        bench.ring(1);
        assert_eq!(tickets(&bench.take()), [1]);
        bench.on(Event::Started { ticket: 1 });
        bench.pass(60_000, 48);
        assert_eq!(bench.count(is_open), 0, "and after a chime");
        bench.on(Event::Awake(false));
        assert_eq!(bench.count(is_open), 1, "armed again, and asleep");
    }

    #[test]
    fn a_device_that_is_kept_awake_is_let_go_while_muted_and_opened_again_after_it_was_lost() {
        let mut bench = Bench::armed();
        bench.on(Event::Awake(true));
        bench.on(Event::Volume(0));
        bench.pass(1_000, 48);
        assert_eq!(bench.count(|effect| *effect == Effect::Close), 1);
        bench.take();
        bench.on(Event::Volume(50));
        bench.on(Event::Opened(2));
        assert_eq!(bench.count(|effect| *effect == Effect::Start), 1, "awake again");
        bench.on(Event::Failed(2, Fault::Lost("unplugged".to_owned())));
        assert_eq!(bench.count(is_open), 2);
        bench.on(Event::Opened(3));
        assert_eq!(bench.count(|effect| *effect == Effect::Start), 2);
    }
}
