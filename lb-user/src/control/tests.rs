//! Client and server over a socket, with a daemon whose datapath is in memory.

use std::sync::Arc;

use lb_common::layout::KeySource;
use tokio::net::UnixListener;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use super::api::{
    AddBackend, Backend, Digest, Done, Events, Explanation, Hex, NewBackend, Owner, Packets, Phase, SetState,
    SetWeight, Status, Unnamed,
};
use super::client::{Client, ClientError, with_query};
use super::error::Kind;
use super::health::Health;
use super::server::{Beside, Job, serve};
use super::*;
use crate::daemon::InMemory;
use crate::daemon::fixture::Home;
use crate::daemon::journal::Kind as What;
use crate::datapath::{Pinned, Vitals};
use crate::pool::{Plan, State};

/// Stands in for the kernel program, which takes root: everything is foreign to it.
struct Foreign;

impl Beside for Foreign {
    fn explain(&self, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error> {
        assert_eq!(plan.pools.len(), 1);
        let (Packets::Frames(packets) | Packets::Messages(packets)) = packets;
        let explanation = |(index, packet): (usize, &Hex)| Explanation {
            index,
            verdict: "pass".into(),
            xdp: "pass".into(),
            reason: "foreign".into(),
            method: None,
            key_source: "none".into(),
            key: Some(String::from_utf8_lossy(&packet.0).into_owned()),
            slot: None,
            group: None,
            backend: None,
            passed_over: Vec::new(),
            transaction: None,
        };
        Ok(packets.iter().enumerate().map(explanation).collect())
    }

    fn pinned(&self) -> Result<Option<Pinned>, Error> {
        Ok(Some(Pinned {
            generation: 7,
            fingerprint: 1,
            silence: Some(std::time::Duration::from_secs(35)),
            packets_since: 4,
            vitals: Vitals::default(),
            interfaces: Vec::new(),
        }))
    }
}

/// A daemon that serves, and a client for it.
struct Served {
    home: Home,
    client: Client,
    tasks: [JoinHandle<()>; 2],
}

impl Served {
    fn start() -> Self {
        Self::start_in(Home::new(), InMemory::default())
    }

    fn start_in(home: Home, datapath: InMemory) -> Self {
        let socket = home.folder.path().join("socket");
        let mut daemon = home.start(datapath).unwrap();
        let (jobs, mut requests) = unbounded_channel::<Job<InMemory>>();
        let listener = UnixListener::bind(&socket).unwrap();
        let tasks = [
            tokio::spawn(async move { serve(listener, jobs, Arc::new(Foreign)).await.unwrap() }),
            tokio::spawn(async move {
                while let Some(job) = requests.recv().await {
                    job(&mut daemon.core);
                }
            }),
        ];
        Self { home, client: Client::new(&socket), tasks }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Error {
    match answer {
        Err(ClientError::Refused(error)) => error,
        other => panic!("not a refusal: {other:?}"),
    }
}

fn b2() -> AddBackend {
    let backend = NewBackend {
        name: "b2".into(),
        address: "10.0.0.4".parse().unwrap(),
        port: 5061,
        group: Some("b".into()),
        priority: 1,
        weight: None,
        aliases: vec!["B2.example.com.".into()],
    };
    AddBackend { pool: "p".into(), backend }
}

#[tokio::test]
async fn questions_are_answered() {
    let served = Served::start();
    let status: Status = served.client.get("/v1/status").await.unwrap();
    assert_eq!((status.pools[0].backends.len(), status.generation), (3, 1));
    let backends: Vec<Backend> = served.client.get("/v1/backends").await.unwrap();
    assert_eq!(backends, status.pools[0].backends);
    let path =
        with_query("/v1/lookup", &[("uri", Some("sip:a&b%3D@h;x=1")), ("pool", Some("p")), ("vip", None)]);
    let owner: Owner = served.client.get(&path).await.unwrap();
    assert_eq!((owner.uri.as_str(), owner.key.as_str()), ("sip:a&b%3D@h;x=1", "a&b="));
    let digests: Vec<Digest> = served.client.get("/v1/digest").await.unwrap();
    assert_eq!((digests[0].pool.as_str(), digests[0].fingerprint.as_str()), ("p", "00001234"));
    let packets = Packets::Messages(vec![Hex(b"one".to_vec()), Hex(b"two".to_vec())]);
    let explained: Vec<Explanation> = served.client.post("/v1/explain", &packets).await.unwrap();
    assert_eq!((explained[1].index, explained[1].key.as_deref()), (1, Some("two")));
}

#[tokio::test]
async fn hosts_that_named_nobody_are_told_until_they_are_forgotten() {
    let unnamed = |vip, source| crate::datapath::Unnamed {
        vip,
        source,
        host: "10.0.0.12".into(),
        packets: 3,
        from: [192, 0, 2, 7].into(),
    };
    // Another daemon gave the VIP its number, and had one more that is gone.
    let home = Home::new();
    let number = home.start(InMemory::default()).unwrap().core.plan().vips[0].1;
    let datapath = InMemory {
        unnamed: vec![unnamed(number, KeySource::Via), unnamed(number + 7, KeySource::Route)],
        ..InMemory::default()
    };
    let Served { client, .. } = &Served::start_in(home, datapath);
    let told: Vec<Unnamed> = client.get("/v1/unnamed").await.unwrap();
    let expected = Unnamed {
        vip: "192.0.2.10:5060".into(),
        key_source: "via".into(),
        host: "10.0.0.12".into(),
        packets: 3,
        from: [192, 0, 2, 7].into(),
    };
    assert_eq!(told, [expected]);
    let forgotten: Vec<Unnamed> = client.delete("/v1/unnamed").await.unwrap();
    assert_eq!(forgotten, told);
    let told: Vec<Unnamed> = client.get("/v1/unnamed").await.unwrap();
    assert!(told.is_empty());
}

#[tokio::test]
async fn events_are_told_and_waited_for() {
    let served = Served::start();
    let events =
        async |query: &str| -> Events { served.client.get(&format!("/v1/events{query}")).await.unwrap() };
    let Events { events: told, last } = events("").await;
    assert_eq!((told[0].event, told.len(), last), (What::Started, 1, 1));
    assert_eq!(events("?since=1").await, Events { events: Vec::new(), last: 1 });
    assert_eq!(events("?since=7&wait_s=60").await, Events { events: Vec::new(), last: 1 });
    let change = async {
        let state = SetState { state: State::Draining };
        served.client.put::<Done>("/v1/backends/a1/state", &state).await.unwrap()
    };
    let (waited, done) = tokio::join!(events("?since=1&wait_s=60"), change);
    assert_eq!((waited.events[0].reason.as_str(), waited.last), (done.done[0].as_str(), 3));
    assert_eq!(waited.events[1].event, What::HandoverRecording);
    served.home.write(&["a1 10.0.0.300 a 0"]);
    refusal(served.client.post::<Done>("/v1/reload", &()).await);
    let Events { events: told, .. } = events("?since=3").await;
    assert!(told[0].event == What::ReloadRefused && told[0].reason.contains("10.0.0.300"), "{told:?}");
}

#[tokio::test]
async fn checks_are_told_of_one_backend_or_of_all() {
    let Served { client, .. } = &Served::start();
    let all: Vec<Health> = client.get("/v1/health").await.unwrap();
    let names: Vec<_> = all.iter().map(|health| (health.name.as_str(), health.health.as_str())).collect();
    assert_eq!(names, [("a1", "up"), ("a2", "up"), ("b1", "up")]);
    assert_eq!((all[0].fall, all[0].interval_ms, all[0].checks.len()), (3, 3_600_000, 0));
    let one: Vec<Health> = client.get("/v1/health?name=a2&pool=p").await.unwrap();
    assert_eq!((one.len(), &one[0]), (1, &all[1]));
    for nobody in ["?name=x", "?pool=q", "?name=a1&pool=q"] {
        let refusal = refusal(client.get::<Vec<Health>>(&format!("/v1/health{nobody}")).await);
        assert_eq!(refusal.kind, Kind::NotFound, "{refusal}");
    }
}

#[tokio::test]
async fn backends_are_changed() {
    let Served { client, .. } = &Served::start();
    let done: Done = client.post("/v1/backends", &b2()).await.unwrap();
    assert_eq!(done.done, ["b2 of p is added: 10.0.0.4:5061, group b, priority 1"]);
    let state = SetState { state: State::Maintenance };
    let _: Done = client.put("/v1/backends/b1/state", &state).await.unwrap();
    let _: Done =
        client.put("/v1/backends/b1/weight?pool=p&now=true", &SetWeight { weight: 300 }).await.unwrap();
    let _: Done = client.delete("/v1/backends/a2").await.unwrap();
    let backends: Vec<Backend> = client.get("/v1/backends").await.unwrap();
    let shown: Vec<_> =
        backends.iter().map(|backend| (backend.name.as_str(), backend.state, backend.weight)).collect();
    assert_eq!(
        shown,
        [("a1", State::Active, 100), ("b1", State::Maintenance, 300), ("b2", State::Active, 300)]
    );
    assert!(backends[1].slots == 0 && backends[2].slots > 45_000);
}

#[tokio::test]
async fn refusals_have_a_kind_and_a_mend_and_change_nothing() {
    let served = Served::start();
    let client = &served.client;
    let before: Status = client.get("/v1/status").await.unwrap();
    let mut twice = b2();
    twice.backend.address = "10.0.0.1".parse().unwrap();
    twice.backend.port = 5060;
    let mut nameless = b2();
    nameless.backend.name = "b 2".into();
    let drain = SetState { state: State::Draining };
    for (refused, kind) in [
        (refusal(client.post::<Done>("/v1/backends", &twice).await), Kind::Conflict),
        (refusal(client.post::<Done>("/v1/backends", &nameless).await), Kind::Bad),
        (refusal(client.post::<Done>("/v1/backends", &"b2").await), Kind::Bad),
        (refusal(client.put::<Done>("/v1/backends/x/state", &drain).await), Kind::NotFound),
        (refusal(client.put::<Done>("/v1/backends/a1/state?pool=q", &drain).await), Kind::NotFound),
        (refusal(client.put::<Done>("/v1/backends/a1/weight", &SetWeight { weight: 0 }).await), Kind::Bad),
        (refusal(client.get::<Owner>("/v1/lookup").await), Kind::Bad),
        (refusal(client.get::<Owner>("/v1/lookup?uri=sip:h").await), Kind::Bad),
        (refusal(client.get::<Owner>("/v1/lookup?uri=sip:a@h&pool=q").await), Kind::NotFound),
        (refusal(client.get::<Status>("/v2/status").await), Kind::NotFound),
        (refusal(client.delete::<Done>("/v1/status").await), Kind::Bad),
    ] {
        assert_eq!(refused.kind, kind, "{refused}");
        assert!(!refused.what.is_empty() && !refused.mend.is_empty(), "{refused}");
    }
    let after: Status = client.get("/v1/status").await.unwrap();
    assert_eq!((after.generation, &after.pools), (before.generation, &before.pools));
}

#[tokio::test]
async fn a_reload_is_asked_for() {
    let served = Served::start();
    served.home.write(&["a1 10.0.0.1 a 0"]);
    let done: Done = served.client.post("/v1/reload", &()).await.unwrap();
    assert_eq!(done.done[..2], ["backend p/a2 is gone", "backend p/b1 is gone"]);
    assert!(done.done[2].contains("of pool p move in 32s"), "{done:?}");
    let status: Status = served.client.get("/v1/status").await.unwrap();
    let handover = status.pools[0].handover.as_ref().unwrap();
    assert_eq!(
        (handover.phase, handover.leaving.as_slice()),
        (Phase::Recording, &["a2".into(), "b1".into()][..])
    );
    let done: Done = served.client.post("/v1/reload?now=true", &()).await.unwrap();
    assert!(done.done[0].contains("have moved at once"), "{done:?}");
}

#[tokio::test]
async fn no_daemon_is_not_a_refusal() {
    let nowhere = Client::new(std::path::Path::new("/nowhere/siplb.sock"));
    assert!(matches!(nowhere.get::<Status>("/v1/status").await, Err(ClientError::NoDaemon { .. })));
}

#[test]
fn bytes_travel_as_digits() {
    let text = serde_json::to_string(&Packets::Frames(vec![Hex(vec![0, 0x7f, 0xff])])).unwrap();
    assert_eq!(text, r#"{"frames":["007fff"]}"#);
    for bad in [r#"{"frames":["0"]}"#, r#"{"frames":["0g"]}"#, r#"{"packets":[]}"#] {
        assert!(serde_json::from_str::<Packets>(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn figures_come_from_the_daemon_and_from_the_pins_while_it_hangs() {
    let scrape = async |client: &Client| {
        let text = client.text(hyper::Method::GET, "/metrics", bytes::Bytes::new()).await.unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    };
    let served = Served::start();
    let text = scrape(&served.client).await;
    assert!(text.contains("\nsiplb_daemon_answers 1\n") && text.contains("siplb_backend_up{"), "{text}");

    let socket = served.home.folder.path().join("hung");
    let listener = UnixListener::bind(&socket).unwrap();
    let (jobs, _nobody_takes_them) = unbounded_channel::<Job<InMemory>>();
    let hung = tokio::spawn(serve(listener, jobs, Arc::new(Foreign)));
    let client = Client::new(&socket);
    let text = scrape(&client).await;
    assert!(text.contains("\nsiplb_daemon_answers 0\n"), "{text}");
    assert!(text.contains("\nsiplb_heartbeat_age_seconds 35.0\n"), "{text}");
    let impatient = client.patient_for(std::time::Duration::from_millis(50));
    let answer = impatient.get::<Status>("/v1/status").await;
    assert!(matches!(answer, Err(ClientError::Hangs { .. })), "{answer:?}");
    hung.abort();
}

#[tokio::test]
async fn over_tcp_there_are_figures_and_nothing_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (jobs, mut requests) = unbounded_channel::<Job<InMemory>>();
    let mut daemon = Home::new().start(InMemory::default()).unwrap();
    let tasks = [
        tokio::spawn(async move {
            while let Some(job) = requests.recv().await {
                job(&mut daemon.core);
            }
        }),
        tokio::spawn(async move {
            scrape::serve_metrics(listener, jobs, Arc::new(Foreign)).await.unwrap();
        }),
    ];
    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = ask("GET /metrics").await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("openmetrics-text"), "{text}");
    assert!(text.contains("siplb_packets_total{"), "{text}");
    for (request, status) in [("POST /v1/reload", "404"), ("GET /v1/status", "404"), ("POST /metrics", "400")]
    {
        let text = ask(request).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
    }
    tasks.iter().for_each(JoinHandle::abort);
}
