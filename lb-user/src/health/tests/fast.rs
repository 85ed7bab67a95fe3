//! How soon a failure is found, what is kept of each check, and what a 503 means.

use super::super::history::KEPT;
use super::super::state::Sign;
use super::*;

/// A port on loopback that nobody listens on.
async fn closed_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Checked by the defaults.
fn by_default(address: SocketAddr) -> Target {
    Target { settings: Settings::default(), ..target("p/a", address) }
}

fn causes(prober: &Prober) -> Vec<Cause> {
    prober.history("p/a").unwrap().iter().map(|check| check.cause).collect()
}

#[tokio::test]
async fn a_refused_check_is_repeated_at_once_until_the_backend_is_down() {
    let (prober, mut events) = spawn(vec![by_default(closed_port().await)]);
    // As the datapath does when it sees the first packet refused.
    let started = Instant::now();
    prober.check_now(["p/a"], Cause::PortUnreachable);
    let change = change(next(&mut events).await);
    assert_eq!((change.to, change.streak), (Health::Down, 3));
    // 100 ms, and what a busy machine adds. By intervals it would be two seconds.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let made = causes(&prober);
    assert_eq!(made[made.len() - 2..], [Cause::Refused; 2]);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(causes(&prober), made, "one that is down is asked again at its time");
}

#[tokio::test]
async fn word_that_nobody_listens_is_not_believed_but_checked() {
    let server = Server::answering(200).await;
    let (prober, mut events) = spawn(vec![by_default(server.address)]);
    for _ in 0..20 {
        prober.check_now(["p/a"], Cause::PortUnreachable);
        sleep(Duration::from_millis(10)).await;
    }
    let status = until(&prober, |status| status.counts.passed > 0).await;
    assert_eq!((status.health, status.counts.failed), (Health::Up, 0));
    // 200 ms: one at once, and one that had its time perhaps.
    assert!(status.counts.passed <= 2 && causes(&prober).contains(&Cause::PortUnreachable), "{status:?}");
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn silence_takes_as_many_intervals_as_were_asked_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut target = target("p/a", socket.local_addr().unwrap());
    let (interval, timeout) = (Duration::from_millis(400), Duration::from_millis(100));
    target.settings = Settings { interval, timeout, fall: 3, ..target.settings };
    let started = Instant::now();
    let (prober, mut events) = spawn(vec![target]);
    prober.check_now(["p/a"], Cause::Silent);
    let change = change(next(&mut events).await);
    let took = started.elapsed();
    assert!(matches!(change.reason, Outcome::Timeout { .. }) && change.streak == 3, "{change:?}");
    // The first at once, and no haste after it: silence may pass.
    assert!(took >= interval * 2 * 9 / 10 + timeout, "{took:?}");
    assert_eq!(causes(&prober), [Cause::Silent, Cause::Scheduled, Cause::Scheduled]);
}

#[tokio::test]
async fn the_last_checks_are_kept_with_how_they_went() {
    let server = Server::start(
        |number, request| {
            if number == 0 { Vec::new() } else { at_once([answer(request, 200)]) }
        },
    )
    .await;
    let (prober, _events) = spawn(vec![target("p/a", server.address)]);
    until(&prober, |status| status.counts.passed > KEPT as u64).await;
    let history = prober.history("p/a").unwrap();
    assert_eq!(history.iter().count(), KEPT);
    assert!(history.iter().all(|check| check.sign == Sign::Passed && is_answer(&check.outcome, 200)));
    let times: Vec<_> = history.iter().map(|check| check.at).collect();
    assert!(times.is_sorted());
    assert!(prober.history("p/b").is_none());

    let lost_once = Server::start(
        |number, request| {
            if number == 0 { Vec::new() } else { at_once([answer(request, 200)]) }
        },
    )
    .await;
    let (prober, _events) = spawn(vec![target("p/a", lost_once.address)]);
    until(&prober, |status| status.counts.passed > 0).await;
    let history = prober.history("p/a").unwrap();
    let first = history.iter().next().unwrap();
    assert_eq!((first.requests, first.sign), (2, Sign::Passed));
    assert!(first.took >= Duration::from_millis(200), "the first retransmission: {first:?}");
}

#[tokio::test]
async fn a_503_asks_for_less_until_its_time_is_over() {
    let busy = Server::start(|_, request| {
        let text = answer(request, 503).replace("Content-Length", "Retry-After: 60\r\nContent-Length");
        at_once([text])
    })
    .await;
    let (prober, mut events) = spawn(vec![target("p/a", busy.address)]);
    let retry_after = Some(Duration::from_secs(60));
    let load = Load::Overloaded { spared_for: Duration::from_secs(60), retry_after };
    assert_eq!(next(&mut events).await.news, News::Load(load));
    let status = until(&prober, |status| status.counts.passed >= 5).await;
    assert_eq!((status.health, status.counts.failed), (Health::Up, 0));
    assert!(status.spared_for.is_some_and(|time| time > Duration::from_secs(50)));
    assert!(events.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn an_answer_to_an_earlier_incarnation_counts_for_nothing() {
    // A backend that moves while its check is under way; the answer comes when it is checked elsewhere.
    let old = Server::start(|_, request| vec![(Duration::from_millis(100), answer(request, 500))]).await;
    let new = Server::answering(200).await;
    let mut before = target("p/a", old.address);
    before.settings.fall = 1;
    let (mut prober, mut events) = spawn(vec![before.clone()]);
    while old.requests.load(Ordering::Relaxed) == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let incarnation = prober.snapshot()[0].incarnation;
    prober.update(vec![Target { address: new.address, ..before }]);
    let status = until(&prober, |status| status.counts.passed >= 10).await;
    assert!(status.incarnation > incarnation && status.health == Health::Up);
    assert_eq!((status.counts.failed, status.counts.strays), (0, 0));
    sleep(Duration::from_millis(150)).await;
    assert!(events.try_recv().is_err());
}
