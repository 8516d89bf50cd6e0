//! The bell's thread: waits, asks the supervisor, carries out what it says.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use crate::device::{self, Command};
use crate::inbox::{Inbox, Taken};
use crate::messages::{BellEvent, DeviceState};
use crate::mixer::Mixer;
use crate::supervisor::{Effect, Event, Supervisor};

/// Starts the bell's thread and the device's.
pub(crate) fn spawn(inbox: Arc<Inbox>, on_event: impl FnMut(BellEvent) + Send + 'static) {
    let bell = thread::Builder::new().name("bell".to_owned());
    if let Err(error) = bell.spawn(move || run(&inbox, on_event)) {
        tracing::error!(%error, "the bell has no thread to run on and stays silent");
    }
}

fn run(inbox: &Arc<Inbox>, mut on_event: impl FnMut(BellEvent)) {
    let began = Instant::now();
    let mixer = Arc::new(Mutex::new(Mixer::new()));
    let (commands, orders) = channel();
    let device = thread::Builder::new().name("bell-device".to_owned());
    let spawned = {
        let (mixer, inbox) = (mixer.clone(), inbox.clone());
        // Never joined: a call into a sound server that hangs must not keep the program from ending.
        device.spawn(move || device::run(&orders, &mixer, &inbox))
    };
    if let Err(error) = spawned {
        tracing::error!(%error, "the sound device has no thread to run on");
    }

    let mut supervisor = Supervisor::new();
    let mut events = vec![Event::Begin];
    loop {
        for event in events {
            let effects;
            (supervisor, effects) = supervisor.on(event, began.elapsed());
            for effect in effects {
                carry_out(effect, &mixer, &commands, &mut on_event);
            }
        }
        events = match inbox.take(supervisor.deadline().map(|deadline| began + deadline)) {
            Taken::Events(events) => events,
            Taken::Deadline => vec![Event::Tick {
                asked: device::lock(&mixer).asked(),
            }],
            Taken::Closed => return,
        };
    }
}

fn carry_out(
    effect: Effect,
    mixer: &Mutex<Mixer>,
    commands: &Sender<Command>,
    on_event: &mut impl FnMut(BellEvent),
) {
    let command = match effect {
        Effect::Tell(event) => {
            log(&event);
            on_event(event);
            return;
        }
        Effect::Strike { ticket, sound } => return device::lock(mixer).strike(ticket, sound),
        Effect::Withdraw => return device::lock(mixer).withdraw(),
        Effect::Hush => return device::lock(mixer).hush(),
        Effect::Gain(gain) => return device::lock(mixer).set_gain(gain),
        Effect::Open { stream, period } => Command::Open { stream, period },
        Effect::Start => Command::Start,
        Effect::Close => Command::Close,
        Effect::Probe => Command::Probe,
    };
    // Without its thread the device never answers, and the supervisor tells that.
    if commands.send(command).is_err() {
        tracing::debug!("the sound device's thread is gone");
    }
}

fn log(event: &BellEvent) {
    match event {
        BellEvent::Started { id } => tracing::debug!(id, "the bell rings"),
        BellEvent::Silent { id, why } => tracing::debug!(id, ?why, "the bell stays silent"),
        BellEvent::Device(DeviceState::Opening) => tracing::debug!("opening the sound device"),
        BellEvent::Device(DeviceState::Ready) => tracing::info!("the sound device is ready"),
        BellEvent::Device(DeviceState::Missing { reason }) => {
            tracing::warn!(
                reason,
                "no sound: check that a loudspeaker is connected and chosen as the output"
            );
        }
    }
}
