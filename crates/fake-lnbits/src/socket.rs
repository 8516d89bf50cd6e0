//! One connected WebSocket: passes orders on, pings, and reads only to answer.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::{Instant, sleep_until};

use crate::{
    channels::{Ending, Order, Seat},
    faults::Faults,
    line::Scissors,
};

/// Serves a socket until either side has had enough. Like uvicorn it pings every `ping_every` and parts from a client
/// that has not answered within as long again.
pub(crate) async fn serve(
    mut socket: WebSocket,
    mut seat: Seat,
    scissors: Scissors,
    faults: Faults,
    ping_every: Duration,
) {
    let mut next = Instant::now() + ping_every;
    let mut unanswered = false;
    loop {
        if faults.silent() {
            tokio::select! {
                () = faults.until_silent(false) => continue,
                () = scissors.until_cut() => return,
            }
        }
        let sent = tokio::select! {
            biased;
            () = scissors.until_cut() => return,
            () = faults.until_silent(true) => continue,
            // Before reading, so that an answered ping follows all that was said before it came.
            order = seat.orders.recv() => match order {
                Some(Order::Text(text)) => socket.send(Message::text(text)).await,
                Some(Order::Binary(bytes)) => socket.send(Message::binary(bytes)).await,
                Some(Order::End(Ending::Close(code))) => {
                    let frame = CloseFrame { code, reason: "".into() };
                    if let Err(error) = socket.send(Message::Close(Some(frame))).await {
                        tracing::trace!(%error, "the client left first");
                    }
                    return;
                }
                Some(Order::End(Ending::Silent)) | None => return,
                Some(Order::End(Ending::Reset)) => {
                    scissors.cut(true);
                    return;
                }
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return,
                Some(Ok(Message::Pong(_))) => {
                    unanswered = false;
                    continue;
                }
                // What clients say is of no interest.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_))) => continue,
            },
            () = sleep_until(next) => {
                if unanswered {
                    return;
                }
                unanswered = true;
                next = Instant::now() + ping_every;
                socket.send(Message::Ping(Vec::new().into())).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
