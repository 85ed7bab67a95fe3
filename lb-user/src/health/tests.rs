//! The prober against servers on loopback: real sockets, real time in small doses, no root.
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::UdpSocket,
    sync::mpsc::{self, UnboundedReceiver},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;

mod fast;

/// Longer than anything here takes on a busy machine; a test that waits as long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A SIP server on loopback. Ends when dropped.
struct Server {
    address: SocketAddr,
    /// Datagrams that came in.
    requests: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the `n`th datagram (from 0) with `answers(n, request)`, each after its delay.
    async fn start<F>(mut answers: F) -> Self
    where
        F: FnMut(u64, &str) -> Vec<(Duration, String)> + Send + 'static,
    {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (address, requests) = (socket.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut datagram = [0; 2048];
            loop {
                // A client that gave up makes the kernel report its closed port here: nothing to a server.
                let Ok((length, client)) = socket.recv_from(&mut datagram).await else { continue };
                let number = counter.fetch_add(1, Ordering::Relaxed);
                for (delay, answer) in answers(number, str::from_utf8(&datagram[..length]).unwrap()) {
                    let socket = Arc::clone(&socket);
                    tokio::spawn(async move {
                        sleep(delay).await;
                        socket.send_to(answer.as_bytes(), client).await.ok();
                    });
                }
            }
        });
        Self { address, requests, task }
    }

    /// Answers everything with one code.
    async fn answering(code: u16) -> Self {
        Self::start(move |_, request| at_once([answer(request, code)])).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server answers to `request`: the headers that a response copies, below its status line.
fn answer(request: &str, code: u16) -> String {
    let is_copied =
        |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let copied: Vec<&str> = request.split("\r\n").filter(is_copied).collect();
    format!("SIP/2.0 {code} Because\r\n{}\r\nContent-Length: 0\r\n\r\n", copied.join("\r\n"))
}

fn at_once<const N: usize>(answers: [String; N]) -> Vec<(Duration, String)> {
    answers.map(|answer| (Duration::ZERO, answer)).into()
}

/// How long a check of an [`impatient`] target takes that nobody answers.
const SHORT: Duration = Duration::from_millis(200);

/// A target that a busy machine does not fail by mistake.
fn target(id: &str, address: SocketAddr) -> Target {
    let settings = Settings {
        interval: Duration::from_millis(30),
        timeout: Duration::from_secs(1),
        fall: 2,
        rise: 2,
        ..Settings::default()
    };
    Target { id: id.to_owned(), address, path: Path::Direct, settings, start: Health::Up }
}

/// A target for tests that wait for a check to time out.
fn impatient(id: &str, address: SocketAddr) -> Target {
    let mut target = target(id, address);
    target.settings.timeout = SHORT;
    target
}

fn spawn(targets: Vec<Target>) -> (Prober, UnboundedReceiver<Event>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Prober::spawn(targets, sender), receiver)
}

async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("the prober lives")
}

/// The change of health that an event tells of.
fn change(event: Event) -> Change {
    match event.news {
        News::Health(change) => change,
        News::Load(_) => panic!("no change of health: {event:?}"),
    }
}

/// Waits until the one backend of `prober` is as wanted.
async fn until(prober: &Prober, is_so: impl Fn(&Status) -> bool) -> Status {
    let started = Instant::now();
    loop {
        let status = prober.snapshot().remove(0);
        if is_so(&status) {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "{status:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn is_answer(outcome: &Outcome, wanted: u16) -> bool {
    matches!(outcome, Outcome::Answer { code, .. } if *code == wanted)
}

#[tokio::test]
async fn a_server_that_answers_stays_up() {
    let server = Server::answering(200).await;
    let (prober, mut events) = spawn(vec![target("p/a", server.address)]);
    let status = until(&prober, |status| status.counts.passed >= 5).await;
    assert_eq!((status.health, status.counts.failed, status.streak), (Health::Up, 0, 0));
    assert!(status.last.is_some_and(|(outcome, _)| is_answer(&outcome, 200)));
    assert!(status.round_trip.is_some_and(|round_trip| round_trip < Duration::from_secs(1)));
    assert!(status.is_checked);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_closed_port_is_noticed_without_waiting_for_the_timeout() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut target = target("p/a", closed);
    target.settings.timeout = Duration::from_secs(3_600);
    let (prober, mut events) = spawn(vec![target]);
    let event = next(&mut events).await;
    assert_eq!(event.backend, "p/a");
    assert!(prober.is_current(&event));
    let change = change(event);
    assert_eq!((change.to, change.streak), (Health::Down, 2));
    assert!(matches!(change.reason, Outcome::Refused(_)), "{change:?}");
    // One request a check: it was over before the first retransmission was due.
    let status = prober.snapshot().remove(0);
    assert_eq!(status.counts.requests, status.counts.failed);
}

#[tokio::test]
async fn a_server_that_falls_silent_goes_down_and_comes_back() {
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let server = Server::start(move |_, request| {
        if is_silent.load(Ordering::Relaxed) { Vec::new() } else { at_once([answer(request, 200)]) }
    })
    .await;
    let (prober, mut events) = spawn(vec![impatient("p/a", server.address)]);
    until(&prober, |status| status.counts.passed > 0).await;

    silent.store(true, Ordering::Relaxed);
    let down = change(next(&mut events).await);
    assert_eq!((down.from, down.to), (Health::Up, Health::Down));
    assert_eq!(down.reason, Outcome::Timeout { after: SHORT });

    silent.store(false, Ordering::Relaxed);
    let up = change(next(&mut events).await);
    assert_eq!((up.from, up.to, up.since), (Health::Down, Health::Up, down.at));
    assert!(is_answer(&up.reason, 200));
    assert_eq!(prober.snapshot()[0].health, Health::Up);
}

#[tokio::test]
async fn lost_datagrams_are_no_failed_check() {
    // Two of three are lost, so each check passes with its third and last sending.
    let server = Server::start(
        |number, request| {
            if number % 3 == 2 { at_once([answer(request, 200)]) } else { Vec::new() }
        },
    )
    .await;
    let (prober, _events) = spawn(vec![target("p/a", server.address)]);
    let counts = until(&prober, |status| status.counts.passed >= 2).await.counts;
    assert_eq!((counts.failed, counts.requests), (0, 3 * counts.passed));
}

#[tokio::test]
async fn down_codes_take_a_backend_down_and_overload_does_not() {
    let (broken, busy) = (Server::answering(500).await, Server::answering(503).await);
    let (prober, mut events) =
        spawn(vec![target("p/broken", broken.address), target("p/busy", busy.address)]);
    let event = loop {
        // That the other one asks for less may be told first.
        match next(&mut events).await {
            Event { news: News::Load(_), backend, .. } => assert_eq!(backend, "p/busy"),
            event => break event,
        }
    };
    assert_eq!(event.backend, "p/broken");
    let change = change(event);
    assert!(change.to == Health::Down && is_answer(&change.reason, 500), "{change:?}");
    let started = Instant::now();
    loop {
        let [_, busy] = &prober.snapshot()[..] else { panic!("two targets") };
        if busy.counts.passed >= 5 {
            break assert_eq!((busy.health, busy.counts.failed), (Health::Up, 0));
        }
        assert!(started.elapsed() < PATIENCE, "{busy:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn neither_garbage_nor_provisional_answers_end_a_check() {
    let server = Server::start(|_, request| {
        let other = answer(request, 500).replace("Call-ID: ", "Call-ID: other");
        at_once(["garbage".to_owned(), other, answer(request, 100), answer(request, 200)])
    })
    .await;
    let (prober, _events) = spawn(vec![target("p/a", server.address)]);
    let status = until(&prober, |status| status.counts.passed >= 3).await;
    assert_eq!((status.counts.failed, status.health), (0, Health::Up));
    assert!(status.counts.strays >= 2);
}

#[tokio::test]
async fn a_server_that_says_nothing_but_garbage_is_down() {
    let server = Server::start(|_, _| at_once(["garbage".to_owned()])).await;
    let (_prober, mut events) = spawn(vec![impatient("p/a", server.address)]);
    let change = change(next(&mut events).await);
    assert!(change.to == Health::Down && matches!(change.reason, Outcome::Malformed(_)), "{change:?}");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_counts_for_nothing() {
    // It comes in the middle of the next check.
    let server = Server::start(|_, request| vec![(SHORT.mul_f32(1.5), answer(request, 200))]).await;
    let (prober, mut events) = spawn(vec![impatient("p/a", server.address)]);
    assert_eq!(change(next(&mut events).await).to, Health::Down);
    let status = until(&prober, |status| status.counts.failed >= 4).await;
    assert_eq!((status.counts.passed, status.health), (0, Health::Down));
}

#[tokio::test]
async fn an_update_leaves_unchanged_targets_alone() {
    let (kept, moved, gone) =
        (Server::answering(200).await, Server::answering(500).await, Server::answering(200).await);
    let (mut prober, mut events) = spawn(vec![
        target("p/kept", kept.address),
        target("p/moved", moved.address),
        target("p/gone", gone.address),
    ]);
    let old = next(&mut events).await;
    assert_eq!((old.backend.as_str(), prober.is_current(&old)), ("p/moved", true));
    let before = prober.snapshot();

    prober.update(vec![target("p/kept", kept.address), target("p/moved", kept.address)]);
    let after = prober.snapshot();
    let names: Vec<&str> = after.iter().map(|status| status.backend.as_str()).collect();
    assert_eq!(names, ["p/kept", "p/moved"]);
    assert_eq!(after[0].incarnation, before[1].incarnation);
    assert!(after[0].counts.passed >= before[1].counts.passed);
    // The moved one begins anew, and what was said of it at its old place counts no more.
    assert_eq!(
        (after[1].health, after[1].last.is_none(), prober.is_current(&old)),
        (Health::Up, true, false)
    );

    sleep(Duration::from_millis(50)).await;
    let (requests, passed) = (gone.requests.load(Ordering::Relaxed), after[0].counts.passed);
    until(&prober, |status| status.counts.passed >= passed + 5).await;
    assert_eq!(gone.requests.load(Ordering::Relaxed), requests, "a removed target is not checked");
}

#[tokio::test]
async fn new_settings_take_effect_at_once_and_keep_what_is_known() {
    let server = Server::answering(500).await;
    let mut target = target("p/a", server.address);
    let (mut prober, mut events) = spawn(vec![target.clone()]);
    let event = next(&mut events).await;
    target.settings.interval = Duration::from_secs(3_600);
    prober.update(vec![target.clone()]);
    assert!(prober.is_current(&event));
    assert_eq!(prober.snapshot()[0].health, Health::Down);

    sleep(Duration::from_millis(100)).await;
    target.settings.interval = Duration::from_millis(30);
    target.settings.down_codes.clear();
    prober.update(vec![target]);
    assert_eq!(change(next(&mut events).await).to, Health::Up);
}

#[tokio::test]
async fn an_adopted_backend_starts_as_it_was_found() {
    let server = Server::answering(200).await;
    let adopted = Target { start: Health::Down, ..target("p/a", server.address) };
    let (prober, mut events) = spawn(vec![adopted]);
    assert_eq!(prober.snapshot()[0].health, Health::Down);
    let change = change(next(&mut events).await);
    assert_eq!((change.from, change.to, change.streak), (Health::Down, Health::Up, 2));
}

#[tokio::test]
async fn a_dropped_prober_sends_nothing_more() {
    let server = Server::answering(200).await;
    let (prober, mut events) = spawn(vec![target("p/a", server.address)]);
    until(&prober, |status| status.counts.passed > 0).await;
    drop(prober);
    assert!(timeout(PATIENCE, events.recv()).await.expect("the tasks end").is_none());
    let requests = server.requests.load(Ordering::Relaxed);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.requests.load(Ordering::Relaxed), requests);
}

#[tokio::test]
async fn an_extra_check_is_made_at_once_and_not_twice() {
    let server = Server::answering(200).await;
    let mut target = target("p/a", server.address);
    let (mut prober, _events) = spawn(vec![target.clone()]);
    until(&prober, |status| status.counts.passed > 0).await;
    target.settings.interval = Duration::from_secs(3_600);
    prober.update(vec![target]);
    // The check that was due before the long interval came.
    sleep(Duration::from_millis(100)).await;
    let before = prober.snapshot()[0].counts.passed;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(prober.snapshot()[0].counts.passed, before, "the next check is an hour away");

    prober.check_now(["p/a"], Cause::Silent);
    until(&prober, |status| status.counts.passed == before + 1).await;
    for _ in 0..10 {
        prober.check_now(["p/a"], Cause::Silent);
        sleep(Duration::from_millis(5)).await;
    }
    prober.check_now(["p/nobody"], Cause::Silent);
    assert_eq!(prober.snapshot()[0].counts.passed, before + 1, "one in a quarter of the interval");
}
