//! A profile is worked on by one program at a time: this one, or the engine that runs with it, which is asked then.

use std::time::{Duration, Instant};

use tillbell_till::engine::door::{self, DoorError};
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::PairingProgress;
use tillbell_till::store::profile::{Lock, Profile, ProfileError};

/// An engine that starts has opened its door after this, and one that ends has let go of its profile.
const PATIENCE: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(150);

/// Who works on the profile.
pub(crate) enum Reached<T> {
    /// This program may.
    Own(T),
    /// An engine does, and answered this.
    Engine(Reply),
}

/// Takes the profile, or asks the engine that has it.
pub(crate) async fn take_or_ask(
    profile: &Profile,
    request: &Request,
    step: &mut (dyn FnMut(&PairingProgress) + Send),
) -> anyhow::Result<Reached<Lock>> {
    let take = || match profile.lock() {
        Ok(lock) => Ok(Some(lock)),
        Err(ProfileError::Locked(_)) => Ok(None),
        Err(error) => Err(error),
    };
    reach(profile, take, request, step).await
}

/// Asks the engine that has the profile, if one has it, and touches nothing.
pub(crate) async fn look_or_ask(profile: &Profile, request: &Request) -> anyhow::Result<Reached<()>> {
    let look = || Ok((!profile.is_in_use()?).then_some(()));
    reach(profile, look, request, &mut |_| {}).await
}

async fn reach<T>(
    profile: &Profile,
    take: impl Fn() -> Result<Option<T>, ProfileError>,
    request: &Request,
    step: &mut (dyn FnMut(&PairingProgress) + Send),
) -> anyhow::Result<Reached<T>> {
    let began = Instant::now();
    loop {
        if let Some(taken) = take()? {
            return Ok(Reached::Own(taken));
        }
        match door::ask(profile, request, step).await {
            Ok(Reply::Refused { sentence }) => anyhow::bail!(sentence),
            Ok(answer) => return Ok(Reached::Engine(answer)),
            Err(DoorError::Nobody(_)) if began.elapsed() < PATIENCE => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error.into()),
        }
    }
}
