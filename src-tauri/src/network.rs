//! Screens in this network: served for as long as the settings say so.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tillbell_till::Engine;
use tillbell_till::clock::Clock;
use tillbell_till::displays::USUAL_PORT;
use tillbell_till::engine::ScreenTrouble;
use tillbell_web::Web;

/// Between two tries to listen on a port that another program has.
const RETRY: Duration = Duration::from_secs(5);

/// Serves them while they are wanted, until the engine has ended. `clock` is the engine's own.
pub(crate) async fn serve_while_wanted(engine: Engine, clock: Arc<dyn Clock>) {
    let mut wanted = engine.network_screens();
    let mut web = None;
    loop {
        let is_wanted = *wanted.borrow_and_update();
        if !is_wanted {
            web = None;
        } else if web.is_none() {
            web = open(&engine, &clock);
        }
        // An engine that has ended has said worse.
        let _ = engine
            .screen(ScreenTrouble::PortTaken, is_wanted && web.is_none())
            .await;
        let retry = async {
            match is_wanted && web.is_none() {
                true => tokio::time::sleep(RETRY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = retry => {}
        }
    }
}

fn open(engine: &Engine, clock: &Arc<dyn Clock>) -> Option<Web> {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, USUAL_PORT));
    Web::open(engine.clone(), clock.clone(), everywhere)
        .inspect_err(|error| tracing::warn!(%error, "screens in this network are not served"))
        .ok()
}
