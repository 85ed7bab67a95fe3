//! On a gateway that says what the test wants; the real one is asked in the end-to-end tests.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::messages::{encoded, range_end};
use super::*;
use crate::config::Endpoint;

/// One answer of the gateway: its lines, and whether more could come.
type Said = (Vec<Value>, bool);

/// A gateway that gives these answers, one a connection, and tells what it was asked.
async fn gateway(answers: Vec<Said>) -> (config::Etcd, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut asked, mut open) = (Vec::new(), Vec::new());
        let mut answers = VecDeque::from(answers);
        while let Some((lines, goes_on)) = answers.pop_front() {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = Vec::new();
            while !question.ends_with(b"}") {
                stream.read_buf(&mut question).await.unwrap();
            }
            asked.push(String::from_utf8(question).unwrap());
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            for line in lines {
                // In two pieces each, since nothing says where a chunk ends.
                let text = format!("{line}\n");
                for piece in [&text[..text.len() / 2], &text[text.len() / 2..]] {
                    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                    stream.write_all(chunk.as_bytes()).await.unwrap();
                }
            }
            if goes_on {
                open.push(stream);
            } else {
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            }
        }
        asked
    });
    let endpoints = vec![Endpoint { host: "127.0.0.1".into(), port }];
    (config::Etcd { endpoints, prefix: "/p/".into() }, task)
}

fn pair(name: &str, address: &str, revision: u32) -> Value {
    let value = json!({ "address": address }).to_string();
    json!({"key": encoded(format!("/p/{name}").as_bytes()), "value": encoded(value.as_bytes()),
           "mod_revision": revision.to_string()})
}

fn found(pairs: &[Value], revision: u32) -> Said {
    (vec![json!({"header": {"revision": revision.to_string()}, "kvs": pairs})], false)
}

fn watched(results: &[Value], goes_on: bool) -> Said {
    let created = json!({"result": {"header": {}, "created": true}});
    (
        std::iter::once(created).chain(results.iter().map(|result| json!({ "result": result }))).collect(),
        goes_on,
    )
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.members.iter().map(|member| member.name.as_str()).collect()
}

#[tokio::test]
async fn keys_are_read_and_watched_from_there_on() {
    let events = [
        json!({"events": [{"kv": pair("b1", "10.0.0.2", 8)}]}),
        json!({"events": [{"type": "DELETE", "kv": {"key": encoded(b"/p/a1"), "mod_revision": "9"}}]}),
    ];
    let (asked, task) = gateway(vec![found(&[pair("a1", "10.0.0.1", 5)], 7), watched(&events, true)]).await;
    let mut etcd = Etcd::new(asked);
    let first = etcd.next().await.unwrap();
    assert_eq!((names(&first), first.revision), (vec!["a1"], Some(7)));
    let second = etcd.next().await.unwrap();
    assert_eq!((names(&second), second.revision), (vec!["a1", "b1"], Some(8)));
    let third = etcd.next().await.unwrap();
    assert_eq!((names(&third), third.revision), (vec!["b1"], Some(9)));
    let asked = task.await.unwrap();
    assert!(
        asked[0].starts_with("POST /v3/kv/range ") && asked[1].starts_with("POST /v3/watch "),
        "{asked:?}"
    );
    assert!(asked[1].contains("\"start_revision\":\"8\""), "{asked:?}");
}

#[tokio::test]
async fn a_compaction_and_a_loss_are_followed_by_a_reading() {
    let compacted = json!({"canceled": true, "compact_revision": "20"});
    let (asked, _task) = gateway(vec![
        found(&[pair("a1", "10.0.0.1", 5)], 7),
        watched(&[compacted], true),
        found(&[pair("b1", "10.0.0.2", 21)], 22),
        watched(&[], false),
        found(&[pair("c1", "10.0.0.3", 3)], 4),
        watched(&[], true),
    ])
    .await;
    let mut etcd = Etcd::new(asked);
    assert_eq!(names(&etcd.next().await.unwrap()), ["a1"]);
    assert_eq!(names(&etcd.next().await.unwrap()), ["b1"]);
    let lost = etcd.next().await.unwrap_err().to_string();
    assert!(lost.contains("watches no more"), "{lost}");
    let restored = etcd.next().await.unwrap();
    assert_eq!((names(&restored), restored.revision), (vec!["c1"], Some(4)), "it counts from less");
}

#[tokio::test]
async fn a_value_that_is_no_member_is_named_and_the_next_change_mends_it() {
    let bad =
        json!({"key": encoded(b"/p/b1"), "value": encoded(b"{\"address\": \"10.0.0.2\", \"wieght\": 1}")});
    let events = [json!({"events": [{"kv": pair("b1", "10.0.0.2", 8)}]})];
    let (asked, _task) = gateway(vec![found(&[bad], 7), watched(&events, true)]).await;
    let mut etcd = Etcd::new(asked);
    let error = etcd.next().await.unwrap_err().to_string();
    assert!(error.starts_with("/p/b1 is no member: unknown field `wieght`"), "{error}");
    assert_eq!(names(&etcd.next().await.unwrap()), ["b1"]);
}

#[tokio::test]
async fn another_member_is_asked_where_one_is_gone() {
    let (mut asked, _task) = gateway(vec![found(&[pair("a1", "10.0.0.1", 5)], 7), watched(&[], true)]).await;
    // Nobody listens on the port of discarded packets.
    asked.endpoints.insert(0, Endpoint { host: "127.0.0.1".into(), port: 9 });
    assert_eq!(names(&Etcd::new(asked.clone()).next().await.unwrap()), ["a1"]);
    asked.endpoints.truncate(1);
    let error = Etcd::new(asked).next().await.unwrap_err().to_string();
    assert!(error.starts_with("http://127.0.0.1:9 can't be reached"), "{error}");
}

#[test]
fn a_range_ends_behind_its_prefix() {
    assert_eq!(range_end("/p/"), b"/p0");
}
