//! The link over pipes in memory, with time paused: minutes pass in milliseconds, and exactly.

use std::sync::Mutex;

use futures_util::StreamExt;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::io::DuplexStream;
use tokio_tungstenite::accept_async;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SETTLED: &str = r#"{"type":"payment","payment_hash":"abababababababababababababababababababababababababababababababab","amount":21,"status":"success","memo":"Coffee"}"#;

/// Dials by handing the far end of a pipe to the test; refuses when the test has stopped accepting.
struct Pipe(mpsc::UnboundedSender<DuplexStream>);

impl Transport for Pipe {
    type Stream = DuplexStream;

    async fn connect(&self) -> Result<DuplexStream, DialError> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.0.send(far).map_err(|_| DialError::Refused {
            host: "shop".to_owned(),
        })?;
        Ok(near)
    }
}

fn start(roll: f64) -> (Link, mpsc::UnboundedReceiver<DuplexStream>) {
    start_with(move || roll)
}

fn start_with(roll: impl FnMut() -> f64 + Send + 'static) -> (Link, mpsc::UnboundedReceiver<DuplexStream>) {
    let (far_ends, dialled) = mpsc::unbounded_channel();
    let url = Url::parse(&format!("ws://shop/api/v1/ws/{KEY}")).unwrap();
    (Link::hold(Pipe(far_ends), url, Budgets::default(), roll), dialled)
}

async fn accept(dialled: &mut mpsc::UnboundedReceiver<DuplexStream>) -> WebSocketStream<DuplexStream> {
    accept_async(dialled.recv().await.unwrap()).await.unwrap()
}

async fn until_open(link: &mut Link, which: u64) {
    let open = |state: &SocketState| *state == SocketState::Open { opening: which };
    link.state.wait_for(open).await.unwrap();
}

async fn until_lost(link: &mut Link) -> (Lost, u32) {
    match &*link
        .state
        .wait_for(|state| matches!(state, SocketState::Waiting { .. }))
        .await
        .unwrap()
    {
        SocketState::Waiting { why, failures } => (why.clone(), *failures),
        SocketState::Dialling | SocketState::Open { .. } => unreachable!(),
    }
}

/// A server that does all that is expected of it.
fn behave(mut socket: WebSocketStream<DuplexStream>) {
    tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_noticed_within_15_s() {
    let (mut link, mut dialled) = start(0.5);
    let _mute = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    let opened = Instant::now();
    assert_eq!(until_lost(&mut link).await, (Lost::Silent, 1));
    assert!(
        opened.elapsed() <= Duration::from_secs(15),
        "{:?}",
        opened.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn watched_closely_it_is_noticed_within_6_s() {
    for already in [0, 9_000, 12_000] {
        let (mut link, mut dialled) = start(0.5);
        let _mute = accept(&mut dialled).await;
        until_open(&mut link, 1).await;
        sleep(Duration::from_millis(already)).await;
        let asked = Instant::now();
        link.watch_closely(true);
        assert_eq!(until_lost(&mut link).await.0, Lost::Silent);
        assert!(asked.elapsed() <= Duration::from_secs(6), "{:?}", asked.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_loses_only_what_we_send_is_noticed_though_frames_arrive() {
    let (mut link, mut dialled) = start(0.5);
    let (mut to_us, _unread) = accept(&mut dialled).await.split();
    until_open(&mut link, 1).await;
    let opened = Instant::now();
    tokio::spawn(async move {
        while to_us.send(Message::text("ping")).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(until_lost(&mut link).await.0, Lost::Silent);
    assert!(
        opened.elapsed() <= Duration::from_secs(15),
        "{:?}",
        opened.elapsed()
    );
    assert!(link.meter.frames() > 100);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_is_kept_for_a_day() {
    let (mut link, mut dialled) = start(0.5);
    behave(accept(&mut dialled).await);
    until_open(&mut link, 1).await;
    link.state.mark_unchanged();
    sleep(Duration::from_secs(12 * 3_600)).await;
    link.watch_closely(true);
    sleep(Duration::from_secs(12 * 3_600)).await;
    assert!(!link.state.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_never_answered_ends_after_5_s() {
    let (mut link, mut dialled) = start(0.5);
    let asked = Instant::now();
    let _mute = dialled.recv().await.unwrap();
    let timed_out = DialError::TimedOut {
        host: "shop".to_owned(),
        step: Step::Upgrade,
    };
    assert_eq!(until_lost(&mut link).await, (Lost::Dial(timed_out), 1));
    assert!(
        asked.elapsed() <= Duration::from_millis(5_010),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_found_within_the_cap() {
    let (mut link, mut dialled) = start(1.0);
    for failures in 1..20 {
        drop(dialled.recv().await.unwrap());
        let lost = until_lost(&mut link).await;
        assert_eq!(lost, (Lost::Vanished, failures));
        link.state
            .wait_for(|state| *state == SocketState::Dialling)
            .await
            .unwrap();
    }
    drop(dialled.recv().await.unwrap());
    until_lost(&mut link).await;
    let back = Instant::now();
    behave(accept(&mut dialled).await);
    until_open(&mut link, 1).await;
    assert!(
        back.elapsed() <= Duration::from_millis(6_010),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_thousand_outages_it_was_back_in_two_seconds_at_the_median_and_in_eight_nearly_always() {
    let mut dice = SmallRng::seed_from_u64(21);
    let (mut link, mut dialled) = start_with({
        let mut dice = SmallRng::seed_from_u64(42);
        move || dice.random()
    });
    let mut socket = accept(&mut dialled).await;
    let mut took = Vec::new();
    for opening in 1..=1_000 {
        until_open(&mut link, opening).await;
        behave_then_drop(socket, Duration::from_secs_f64(dice.random_range(0.0..60.0))).await;
        let back = Instant::now() + Duration::from_secs_f64(dice.random_range(0.1..300.0));
        socket = loop {
            let far = dialled.recv().await.unwrap();
            if Instant::now() >= back {
                break accept_async(far).await.unwrap();
            }
        };
        until_open(&mut link, opening + 1).await;
        took.push(back.elapsed());
    }
    took.sort_unstable();
    assert!(took[500] <= Duration::from_secs(2), "median {:?}", took[500]);
    assert!(
        took[990] <= Duration::from_secs(8),
        "99th percentile {:?}",
        took[990]
    );
}

#[tokio::test(start_paused = true)]
async fn a_healthy_socket_that_drops_is_dialled_again_within_a_second() {
    let (mut link, mut dialled) = start(1.0);
    let socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    behave_then_drop(socket, Duration::from_secs(21)).await;
    assert_eq!(until_lost(&mut link).await, (Lost::Vanished, 0));
    let lost = Instant::now();
    behave(accept(&mut dialled).await);
    until_open(&mut link, 2).await;
    assert!(
        lost.elapsed() <= Duration::from_millis(1_010),
        "{:?}",
        lost.elapsed()
    );
}

async fn behave_then_drop(mut socket: WebSocketStream<DuplexStream>, after: Duration) {
    let _ = timeout(after, async { while let Some(Ok(_)) = socket.next().await {} }).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_is_given_it() {
    let (mut link, mut dialled) = start(0.0);
    let mut far = dialled.recv().await.unwrap();
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut far, busy.as_bytes())
        .await
        .unwrap();
    let asked = Some(Duration::from_secs(30));
    assert_eq!(until_lost(&mut link).await.0, Lost::Busy { retry_after: asked });
    let refused = Instant::now();
    dialled.recv().await.unwrap();
    assert!(refused.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_redial_does_not_wait() {
    let (mut link, mut dialled) = start(1.0);
    // From waiting.
    for _ in 0..10 {
        drop(dialled.recv().await.unwrap());
        until_lost(&mut link).await;
        link.state
            .wait_for(|state| *state == SocketState::Dialling)
            .await
            .unwrap();
    }
    drop(dialled.recv().await.unwrap());
    until_lost(&mut link).await;
    let asked = Instant::now();
    link.redial();
    // From dialling.
    let hangs = dialled.recv().await.unwrap();
    link.redial();
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    // From an open socket, which is told.
    link.redial();
    behave(accept(&mut dialled).await);
    until_open(&mut link, 2).await;
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    drop(hangs);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_dropped_says_goodbye_and_ends() {
    let (mut link, mut dialled) = start(0.5);
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    drop(link);
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(None)))));
    assert!(dialled.recv().await.is_none(), "the task has ended");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_dropped_ends_though_nobody_reads() {
    let (mut link, mut dialled) = start(0.5);
    let _mute = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    let dropped = Instant::now();
    drop(link);
    assert!(dialled.recv().await.is_none());
    assert!(dropped.elapsed() <= FAREWELL + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_dropped_while_dialling_or_waiting_ends_at_once() {
    let (link, mut dialled) = start(0.5);
    let _hangs = dialled.recv().await.unwrap();
    let dropped = Instant::now();
    drop(link);
    assert!(dialled.recv().await.is_none());

    let (mut link, mut dialled) = start(0.5);
    drop(dialled.recv().await.unwrap());
    until_lost(&mut link).await;
    drop(link);
    assert!(dialled.recv().await.is_none());
    assert_eq!(dropped.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn hints_that_nobody_takes_are_dropped_and_told_and_pings_still_answered() {
    let (mut link, mut dialled) = start(0.5);
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    for _ in 0..HINTS + 44 {
        socket.send(Message::text(SETTLED)).await.unwrap();
    }
    socket.send(Message::Ping("still there?".into())).await.unwrap();
    link.dirty.notified().await;
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::Pong("still there?".into())
    );
    assert_eq!((link.meter.frames(), link.meter.dropped()), (300, 44));
    let mut taken = Vec::new();
    assert_eq!(link.hints.recv_many(&mut taken, 1_000).await, HINTS);
}

#[tokio::test(start_paused = true)]
async fn noise_is_counted_and_ends_nothing() {
    let (mut link, mut dialled) = start(0.5);
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    socket.send(Message::text("confetti-none")).await.unwrap();
    socket.send(Message::binary(vec![0; 100])).await.unwrap();
    socket
        .send(Message::text("x".repeat(MAX_MESSAGE_BYTES - 1)))
        .await
        .unwrap();
    socket
        .send(Message::text(
            r#"{"type":"payment","payment_hash":"x","amount":1,"status":"success"}"#,
        ))
        .await
        .unwrap();
    socket.send(Message::text(SETTLED)).await.unwrap();
    let hint = link.hints.recv().await.unwrap();
    assert_eq!(hint.memo.as_str(), "Coffee");
    assert_eq!(link.meter.frames(), 5);
    assert_eq!(link.meter.noise.load(Ordering::Relaxed), 4);
    assert_eq!(link.meter.bad_hashes(), 1);
    assert_eq!(*link.state.borrow(), SocketState::Open { opening: 1 });
}

#[tokio::test(start_paused = true)]
async fn an_enormous_message_ends_the_socket_and_no_more() {
    let (mut link, mut dialled) = start(0.5);
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    tokio::spawn(async move { socket.send(Message::text("x".repeat(2 << 20))).await });
    assert_eq!(until_lost(&mut link).await.0, Lost::TooLarge);
    behave(accept(&mut dialled).await);
    until_open(&mut link, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_is_answered() {
    let (mut link, mut dialled) = start(0.5);
    let mut socket = accept(&mut dialled).await;
    until_open(&mut link, 1).await;
    socket.close(None).await.unwrap();
    assert_eq!(until_lost(&mut link).await.0, Lost::Closed { code: 1005 });
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
}

/// Writes down what is logged, with every field.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        about.target().starts_with("tillbell")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_a_failure_once_and_never_the_key() {
    let log = Log::default();
    // While there is but one subscriber, tracing lets the first thread that comes by decide for all of them whether
    // an event is wanted, and the other tests' threads want none.
    let _second = tracing::Dispatch::new(Log::default());
    let _quiet = tracing::subscriber::set_default(log.clone());
    let (mut link, mut dialled) = start(1.0);
    for _ in 0..5 {
        let mut far = dialled.recv().await.unwrap();
        let portal = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
        tokio::io::AsyncWriteExt::write_all(&mut far, portal.as_bytes())
            .await
            .unwrap();
        assert_eq!(until_lost(&mut link).await.0, Lost::NotASocket);
        link.state
            .wait_for(|state| *state == SocketState::Dialling)
            .await
            .unwrap();
    }
    behave(accept(&mut dialled).await);
    until_open(&mut link, 1).await;
    let shown = format!("{link:?}");
    drop(link);
    let lines = log.0.lock().unwrap().clone();
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("WARN")).count(),
        1,
        "{lines:#?}"
    );
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("DEBUG")).count(),
        4,
        "{lines:#?}"
    );
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("INFO")).count(),
        1,
        "{lines:#?}"
    );
    assert!(!lines.concat().contains(KEY) && !shown.contains(KEY));
}
