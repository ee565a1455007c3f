//! The TCP listener: whoever signs is let in, everybody else is told why not, in the words of their
//! own client.

use crate::sign::Unsigned;
use crate::world::{Answer, NOW_WALL_MS, World};
use ringcheck::access::{Key, KeyFile};
use ringcheck::limits::{
    API_BODY_BYTES_MAX, API_CONNECTIONS_MAX, API_FORM_BYTES_MAX, SIGNATURE_FAILURES_PER_SECOND,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A world behind a door, and its key.
struct Guarded {
    world: World,
    address: SocketAddr,
    host: String,
    key: Key,
}

impl Guarded {
    fn start() -> Self {
        let world = World::start();
        let address = world.tcp;
        let key = KeyFile::load(world.state_dir()).unwrap().all()[0].clone();
        Self { world, address, host: address.to_string(), key }
    }

    fn get<'a>(&'a self, target: &'a str) -> Unsigned<'a> {
        Unsigned::get(target, &self.host, NOW_WALL_MS)
    }

    fn post<'a>(&'a self, target: &'a str, body: &'a [u8]) -> Unsigned<'a> {
        Unsigned { method: "POST", body, ..self.get(target) }
    }

    async fn send(&self, request: &[u8]) -> Answer {
        Answer::parse(&exchange(self.address, request).await)
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may have answered and closed before it read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// With one thing replaced in the request's text.
fn with(request: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(request).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text:?}");
    text.replacen(from, to, 1).into_bytes()
}

/// The code of an error in XML.
fn aws(answer: &Answer) -> (u16, String) {
    let text = answer.text();
    assert!(text.starts_with("<ErrorResponse xmlns="), "{text}");
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert!(answer.header("x-amzn-requestid").is_some_and(|id| text.contains(id)));
    let code = text.split("<Code>").nth(1).unwrap().split("</Code>").next().unwrap();
    (answer.status, code.to_owned())
}

/// The code of an error of Alibaba.
fn alibaba(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
    let json = answer.json();
    assert!(json["RequestId"].is_string() && json["HostId"].is_string(), "{json}");
    assert!(json["Message"].is_string(), "{json}");
    (answer.status, json["Code"].as_str().unwrap().to_owned())
}

fn said(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn who_signs_is_let_in_by_each_way_to_sign_and_to_each_path() {
    let it = Guarded::start();
    for path in ["/v1/summary", "/v1/groups/web/targets?limit=2", "/metrics", "/healthz"] {
        let answer = it.send(&it.get(path).sigv4(&it.key)).await;
        let socket = it.world.get(path).await;
        assert_eq!((answer.status, answer.text()), (socket.status, socket.text()), "{path}");
        let answer = it.send(&it.get(path).acs3(&it.key, "None", path)).await;
        assert_eq!(answer.status, socket.status, "{path}");
    }
    let reload = it.post("/v1/reload", b"{\"force\":true}");
    assert_eq!(it.send(&reload.sigv4(&it.key)).await.status, 200);
    assert_eq!(*it.world.reloads.forced.lock().unwrap(), [true], "the body came through");
    // Older versions of curl sign a path as it is, the rule is to encode it.
    let path = "/v1/groups/web/targets/127.0.0.9:1";
    assert_eq!(it.send(&it.get(path).sigv4(&it.key)).await.status, 404);
}

#[tokio::test]
async fn who_does_not_sign_is_told_so_in_the_words_of_its_client() {
    let it = Guarded::start();
    for path in ["/v1/summary", "/metrics", "/healthz", "/v1/nothing"] {
        let answer = it.send(&it.get(path).whole("")).await;
        assert_eq!(answer.error(), said(401, "MissingSignature"), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("AWS4-HMAC-SHA256"));
    }
    let form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    let answer = it.send(&it.post("/", b"Action=DescribeTargetHealth").whole(form)).await;
    assert_eq!(aws(&answer), said(403, "MissingAuthenticationToken"));
    let answer = it.send(&it.get("/?Action=DescribeTargetHealth").whole("")).await;
    assert_eq!(aws(&answer), said(403, "MissingAuthenticationToken"));
    let answer = it.send(&it.post("/", b"").whole("x-acs-action: ListListeners\r\n")).await;
    assert_eq!(alibaba(&answer), said(400, "IncompleteSignature"));
}

#[tokio::test]
async fn every_refusal_comes_over_the_wire() {
    let it = Guarded::start();
    let stranger = Key::new("RINGCHECKSTRANGER000", it.key.secret.expose()).unwrap();
    let guesser = Key::new(&it.key.id, "0123456789012345678901234567890123456789").unwrap();
    let form = it.post("/", b"Action=DescribeTargetHealth");
    let old = Unsigned { at_ms: NOW_WALL_MS - 301_000, ..form };
    let signed = || form.sigv4(&it.key);
    let mismatch = said(403, "SignatureDoesNotMatch");
    for (request, expected) in [
        (form.sigv4(&guesser), mismatch.clone()),
        (form.sigv4(&stranger), said(403, "InvalidClientTokenId")),
        (with(signed(), "=Describe", "=Delete__"), mismatch.clone()),
        (with(signed(), "Host: 127.0.0.1", "Host: 127.0.0.2"), mismatch.clone()),
        (with(signed(), "=host;x-amz-date", "=x-amz-date"), mismatch.clone()),
        (with(signed(), "=host;x-amz", "=HOST;x-amz"), said(400, "IncompleteSignature")),
        (old.sigv4(&it.key), mismatch.clone()),
        (with(signed(), "Host: 127.0.0.1", "Host: evil.example"), said(403, "AccessDenied")),
        (with(signed(), "Connection", "Origin: null\r\nConnection"), said(403, "AccessDenied")),
        (with(signed(), "POST /", "POST http://evil.example/"), said(403, "AccessDenied")),
    ] {
        let text = String::from_utf8_lossy(&request).into_owned();
        assert_eq!(aws(&it.send(&request).await), expected, "{text}");
    }
    let call = it.post("/?ListenerId=lsn-1", b"");
    let (old, action) = (Unsigned { at_ms: NOW_WALL_MS - 901_000, ..call }, "ListListeners");
    let signed = |nonce| call.acs3(&it.key, action, nonce);
    assert_ne!(it.send(&signed("once")).await.status, 400);
    for (request, expected) in [
        (signed("once"), said(400, "SignatureNonceUsed")),
        (call.acs3(&guesser, action, "a"), said(400, "SignatureDoesNotMatch")),
        (call.acs3(&stranger, action, "b"), said(404, "InvalidAccessKeyId.NotFound")),
        (with(signed("c"), "lsn-1", "lsn-2"), said(400, "SignatureDoesNotMatch")),
        (
            with(signed("d"), "x-acs-action: List", "x-acs-action: Make"),
            said(400, "SignatureDoesNotMatch"),
        ),
        (with(signed("e"), ";x-acs-version", ""), said(400, "IncompleteSignature")),
        (old.acs3(&it.key, action, "f"), said(400, "InvalidTimeStamp.Expired")),
        (
            with(signed("g"), "Host: 127.0.0.1", "Host: evil.example"),
            said(403, "Forbidden.NoPermission"),
        ),
        (
            with(signed("h"), "Connection", "Origin: null\r\nConnection"),
            said(403, "Forbidden.NoPermission"),
        ),
    ] {
        let text = String::from_utf8_lossy(&request).into_owned();
        assert_eq!(alibaba(&it.send(&request).await), expected, "{text}");
    }
    let foreign = Unsigned { host: "evil.example", ..it.get("/v1/summary") };
    assert_eq!(it.send(&foreign.whole("")).await.error(), said(403, "ForeignHost"));
    let page = it.send(&it.get("/v1/summary").whole("Origin: http://localhost\r\n")).await;
    assert_eq!(page.error(), said(403, "OriginRefused"));
    assert_eq!(it.send(&it.get("/v1/summary").sigv4(&it.key)).await.status, 200, "as before");
}

#[tokio::test]
async fn who_guesses_is_told_to_wait_and_a_guess_of_other_keys_holds_up_nobody() {
    let it = Guarded::start();
    let stranger = Key::new("RINGCHECKSTRANGER000", it.key.secret.expose()).unwrap();
    let form = it.post("/", b"Action=DescribeTargetHealth");
    for _ in 0..SIGNATURE_FAILURES_PER_SECOND {
        let answer = it.send(&form.sigv4(&stranger)).await;
        assert_eq!(aws(&answer), said(403, "InvalidClientTokenId"));
    }
    assert_eq!(aws(&it.send(&form.sigv4(&stranger)).await), said(400, "Throttling"));
    let answer = it.send(&form.acs3(&stranger, "ListListeners", "n")).await;
    assert_eq!(alibaba(&answer), said(400, "Throttling.User"));
    assert_eq!(it.send(&it.get("/v1/summary").sigv4(&it.key)).await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded_and_those_of_strangers_more_so() {
    let it = Guarded::start();
    // What is said to be too large is not waited for.
    let large = format!("Content-Length: {}", API_BODY_BYTES_MAX + 1);
    let request = with(it.post("/v1/reload", b"").sigv4(&it.key), "Content-Length: 0", &large);
    assert_eq!(aws(&it.send(&request).await), said(413, "RequestEntityTooLarge"));
    // What is not said is cut off.
    let chunked = "Transfer-Encoding: chunked";
    let mut request = with(it.post("/v1/reload", b"").sigv4(&it.key), "Content-Length: 0", chunked);
    request.extend(format!("{:x}\r\n", API_BODY_BYTES_MAX + 1).as_bytes());
    request.extend(vec![b' '; API_BODY_BYTES_MAX + 1]);
    assert_eq!(aws(&it.send(&request).await), said(413, "RequestEntityTooLarge"));
    // The largest that there may be comes through, as far as who reads it.
    let body = [b"{\"force\":true}".as_slice(), &vec![b' '; API_BODY_BYTES_MAX - 14]].concat();
    assert_eq!(it.send(&it.post("/v1/reload", &body).sigv4(&it.key)).await.status, 200);
    // A form of nobody is not waited for either.
    let body = vec![b'a'; API_FORM_BYTES_MAX + 1];
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = it.send(&it.post("/", &body).whole(form)).await;
    assert_eq!(aws(&answer), said(413, "RequestEntityTooLarge"));
    // Who sends everything before it reads learns why all the same.
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    let body = vec![b'a'; API_BODY_BYTES_MAX];
    stream.write_all(&it.post("/", &body).whole(form)).await.unwrap();
    let mut answer = [0; 4_096];
    let read = stream.read(&mut answer).await.unwrap();
    assert_eq!(aws(&Answer::parse(&answer[..read])), said(413, "RequestEntityTooLarge"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_refused_at_once_or_after_30_seconds() {
    let it = Guarded::start();
    let began = Instant::now();
    let slow = |request: Vec<u8>| with(request, "Content-Length: 0", "Content-Length: 5");
    // Nobody waits for the body of a request that cannot be right.
    let unsigned = it.post("/v1/reload", b"").whole("");
    assert_eq!(it.send(&slow(unsigned)).await.error(), said(401, "MissingSignature"));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let began = Instant::now();
    let signed = it.post("/v1/reload", b"").sigv4(&it.key);
    assert_eq!(aws(&it.send(&slow(signed)).await), said(408, "RequestTimeout"));
    let took = began.elapsed();
    assert!((30..33).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn rubbish_over_tcp_is_answered_or_closed() {
    let it = Guarded::start();
    let long = [b"GET /".as_slice(), &[b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    for rubbish in [b"\r\n\r\n".as_slice(), b"\x16\x03\x01\x02\x00\x01\x00", b"GET", &long] {
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        let _ = stream.write_all(rubbish).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    for head in ["OPTIONS * HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1", "GET / HTTP/1.0"] {
        let answer = it
            .send(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        assert!((400..500).contains(&answer.status), "{head}: {}", answer.status);
    }
    assert_eq!(it.send(&it.get("/v1/summary").sigv4(&it.key)).await.status, 200);
}

#[tokio::test]
async fn connection_1025_of_both_together_is_told_so() {
    let it = Guarded::start();
    let mut over_tcp = Vec::new();
    for _ in 0..API_CONNECTIONS_MAX - 10 {
        over_tcp.push(TcpStream::connect(it.address).await.unwrap());
    }
    let mut on_socket = Vec::new();
    for _ in 0..10 {
        on_socket.push(it.world.connect().await);
    }
    let request = it.get("/v1/summary").sigv4(&it.key);
    let refused = it.send(&request).await;
    assert_eq!(refused.error(), said(503, "TooManyConnections"));
    assert_eq!(it.world.get("/v1/summary").await.status, 503);
    drop((over_tcp, on_socket));
    for _ in 0..1_000 {
        if it.send(&request).await.status == 200 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("no place got free");
}
