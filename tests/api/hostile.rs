//! Clients that send rubbish, too much, too slowly or too often.

use crate::world::{Answer, World};
use ringcheck::limits::{API_BODY_BYTES_MAX, API_CONNECTIONS_MAX, API_HEAD_BYTES_MAX};
use ringcheck::rng::Rng;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn bad_queries_are_400_with_the_reason() {
    let world = World::start();
    for (query, code) in [
        ("limit=0", "InvalidParameter"),
        ("limit=10001", "InvalidParameter"),
        ("limit=-1", "InvalidParameter"),
        ("limit=1e9", "InvalidParameter"),
        ("limit=", "InvalidParameter"),
        ("limit=1&limit=2", "InvalidParameter"),
        ("state=Healthy", "InvalidParameter"),
        ("state=", "InvalidParameter"),
        ("code=L9OK", "InvalidParameter"),
        ("zone=%", "InvalidParameter"),
        ("zone=%g1", "InvalidParameter"),
        ("zone=%ff", "InvalidParameter"),
        ("nope=1", "UnknownParameter"),
        ("State=healthy", "UnknownParameter"),
        ("cursor=", "InvalidCursor"),
        ("cursor=zz", "InvalidCursor"),
        ("cursor=302e302e302e", "InvalidCursor"),
        ("cursor=0000000000000000", "ok"),
        ("cursor=ffffffffffffffff", "ok"),
    ] {
        let answer = world.get(&format!("/v1/groups/web/targets?{query}")).await;
        match code {
            "ok" => assert_eq!(answer.status, 200, "{query}"),
            code => assert_eq!(answer.error(), (400, code.to_owned()), "{query}"),
        }
    }
    for path in [
        "/v1/groups/web/targets/i-well?port=65536",
        "/v1/groups/web/targets/i-well?port=x",
        "/v1/events?since=-1",
        "/v1/events?since=18446744073709551616",
        "/v1/events?limit=10001",
    ] {
        assert_eq!(world.get(path).await.error(), (400, "InvalidParameter".to_owned()), "{path}");
    }
    let all = "/v1/events?since=18446744073709551615&limit=10000";
    assert_eq!(world.get(all).await.status, 200);
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let world = World::start();
    for path in ["/", "/v1", "/v1/", "/v1/groups/", "/v1/summary/", "/v1/groups/web/targets/x/y"] {
        assert_eq!(world.get(path).await.error().0, 404, "{path}");
    }
    for path in ["/v1/groups/%zz", "/v1/groups/%ff/targets", "/%"] {
        assert_eq!(world.get(path).await.error(), (400, "InvalidPath".to_owned()), "{path}");
    }
    for (method, path) in [
        ("POST", "/v1/summary"),
        ("POST", "/v1/groups/web"),
        ("PATCH", "/metrics"),
        ("GET", "/v1/reload"),
        ("BREW", "/healthz"),
    ] {
        let answer = world.ask(method, path).await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".to_owned()), "{method} {path}");
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    let encoded = world.get("/v1/groups/%77eb/targets/i%2Dwell").await;
    assert_eq!(encoded.json()["id"], "i-well");
    let address = world.get("/v1/groups/big/targets/::ffff:127.1.0.7").await;
    assert_eq!(address.json()["id"], "127.1.0.7", "an address in any spelling");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::start();
    for path in ["/v1/summary", "/v1/groups/big/targets?limit=10000", "/v1/nothing", "/metrics"] {
        let (head, get) = (world.ask("HEAD", path).await, world.get(path).await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[tokio::test]
async fn rubbish_is_answered_400_or_closed_and_the_next_client_is_served() {
    let world = World::start();
    for junk in [
        &b"\0\0\0\0"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/reload HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/reload HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        let answer = Answer::parse(&world.exchange(junk).await);
        let shown = String::from_utf8_lossy(junk);
        assert_eq!(answer.error(), (400, "InvalidRequest".to_owned()), "{shown}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let mut rng = Rng::new(20_260_731);
    for _ in 0..200 {
        let junk: Vec<u8> =
            (0..rng.below(300)).map(|_| u8::try_from(rng.below(256)).unwrap()).collect();
        let answer = world.exchange(&junk).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{junk:?}");
    }
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_head_of_16_kib_is_taken_and_a_larger_one_is_431() {
    let world = World::start();
    let head = |bytes: usize| {
        let start = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: ";
        let padding = "y".repeat(bytes - start.len() - 4);
        format!("{start}{padding}\r\n\r\n")
    };
    assert_eq!(head(1_000).len(), 1_000);
    let taken = Answer::parse(&world.exchange(head(API_HEAD_BYTES_MAX).as_bytes()).await);
    assert_eq!(taken.status, 200);
    for bytes in [API_HEAD_BYTES_MAX + 1, API_HEAD_BYTES_MAX * 64] {
        let refused = Answer::parse(&world.exchange(head(bytes).as_bytes()).await);
        assert_eq!(refused.error(), (431, "HeadTooLarge".to_owned()), "{bytes}");
    }
    let many = "a: b\r\n".repeat(200);
    let many = format!("GET /healthz HTTP/1.1\r\n{many}\r\n");
    let refused = Answer::parse(&world.exchange(many.as_bytes()).await);
    assert_eq!(refused.error(), (431, "HeadTooLarge".to_owned()));
}

#[tokio::test]
async fn bodies_are_bounded_strict_and_optional() {
    let world = World::start();
    for (body, code) in [
        ("{\"force\":1}", 400),
        ("{\"forced\":true}", 400),
        ("[]", 400),
        ("{", 400),
        ("\u{0}", 400),
        ("{}", 200),
        ("", 200),
        ("{\"force\":true}", 200),
    ] {
        assert_eq!(world.post("/v1/reload", body).await.status, code, "{body}");
    }
    assert_eq!(*world.reloads.forced.lock().unwrap(), [false, false, true]);

    let said = format!(
        "POST /v1/reload HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        API_BODY_BYTES_MAX + 1
    );
    let refused = Answer::parse(&world.exchange(said.as_bytes()).await);
    assert_eq!(refused.error(), (413, "BodyTooLarge".to_owned()));

    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let head = "POST /v1/reload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let unsaid = format!("{head}{}0\r\n\r\n", chunk.repeat(9));
    let refused = Answer::parse(&world.exchange(unsaid.as_bytes()).await);
    assert_eq!(refused.error(), (413, "BodyTooLarge".to_owned()));
    assert_eq!(world.reloads.forced.lock().unwrap().len(), 3);
}

/// Most HTTP clients send all of a request before they look for the answer.
#[tokio::test]
async fn who_sends_everything_first_reads_why_it_was_refused() {
    let world = World::start();
    let mut stream = world.connect().await;
    let body = vec![b'a'; API_BODY_BYTES_MAX + 1];
    for (method, path, less, status) in [
        ("POST", "/v1/reload", 0, 413),
        ("POST", "/", 0, 413),
        ("POST", "/v1/nothing", 1, 404),
        ("PUT", "/healthz", 1, 405),
    ] {
        let body = &body[less..];
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        // All of a small answer is there at once.
        let mut answer = [0; 4_096];
        let read = stream.read(&mut answer).await.unwrap();
        assert_eq!(Answer::parse(&answer[..read]).status, status, "{method} {path}");
    }
    // Nobody listens for ever.
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    closed.unwrap().unwrap();
    assert_eq!(Answer::parse(&answer).status, 413);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start();
    let paths = ["/healthz", "/v1/nothing", "/v1/groups/big/targets?limit=3000", "/v1/groups/web"];
    let requests: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    let bytes = world.exchange(requests.as_bytes()).await;
    let mut rest = &bytes[..];
    for status in [200, 404, 200, 200] {
        let (answer, more) = Answer::parse_first(rest);
        assert_eq!(answer.status, status);
        rest = more;
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn connection_1025_is_told_so_and_a_place_that_gets_free_is_used() {
    let world = World::start();
    let mut open = Vec::new();
    for _ in 0..API_CONNECTIONS_MAX {
        let mut stream = world.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        open.push(stream);
    }
    let refused = world.get("/healthz").await;
    assert_eq!(refused.error(), (503, "TooManyConnections".to_owned()));

    open.truncate(API_CONNECTIONS_MAX - 1);
    let served = async {
        while world.get("/healthz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), served).await.expect("the place is used again");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_is_cut_off_after_30_seconds() {
    let world = World::start();
    let mut stream = world.connect().await;
    let start = Instant::now();
    let mut answer = [0; 64];
    loop {
        if stream.write_all(b"G").await.is_err() {
            break;
        }
        if let Ok(read) = timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            assert_eq!(read.unwrap_or(0), 0, "nothing is said to a client that does not ask");
            break;
        }
    }
    let seconds = start.elapsed().as_secs();
    assert!((29..=32).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408() {
    let world = World::start();
    let mut stream = world.connect().await;
    let head = b"POST /v1/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    let start = Instant::now();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).error(), (408, "RequestTimeout".to_owned()));
    assert!((29..=61).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off_after_30_seconds_and_a_slow_one_is_not() {
    let world = World::start();
    let ask = b"GET /v1/groups/big/targets?limit=10000 HTTP/1.1\r\nhost: x\r\n\
        connection: close\r\n\r\n";
    let mut stream = world.connect().await;
    stream.write_all(ask).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let mut cut = Vec::new();
    let _ = stream.read_to_end(&mut cut).await;
    assert!(!cut.ends_with(b"0\r\n\r\n"), "{} bytes came", cut.len());

    let mut stream = world.connect().await;
    stream.write_all(ask).await.unwrap();
    let (mut slow, mut piece) = (Vec::new(), vec![0; 32_000]);
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            read => slow.extend_from_slice(&piece[..read]),
        }
    }
    assert!(slow.ends_with(b"0\r\n\r\n"), "{} bytes came", slow.len());
    assert!(slow.len() > cut.len());
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_answers_end_and_closes_idle_connections() {
    let world = World::start();
    let mut idle = world.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    let socket = world.socket.clone();
    let start = Instant::now();
    world.stop().await;
    assert!(start.elapsed() < ringcheck::limits::STOP_GRACE, "an idle client is not waited for");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(!socket.exists());
}

#[test]
fn the_api_runs_inside_the_io_uring_runtime_of_the_control_thread() {
    tokio_uring::start(async {
        let world = World::start();
        for path in ["/healthz", "/metrics", "/v1/groups/big/targets?limit=10000"] {
            assert_eq!(world.get(path).await.status, 200, "{path}");
        }
        world.stop().await;
    });
}
