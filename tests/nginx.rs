//! A real server as the target: nginx of the distribution, on free ports of loopback, with its own
//! log of what it saw of our probes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringcheck::check::{Check, http, tls};
use ringcheck::engine::Plan;
use ringcheck::engine::oneshot::{OneShot, Shot, collect};
use ringcheck::health::Thresholds;
use ringcheck::io::Backend;
use ringcheck::outcome::Code;
use ringcheck::recipe::{Close, Handshake, ProxyProtocol, Recipe, Reuse};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::command::Run;
use support::stage::bound;
use support::tls::client;
use support::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running nginx in a directory of its own; killed, with its worker, when dropped.
struct Nginx {
    child: Child,
    directory: tempfile::TempDir,
    http: u16,
    tls: u16,
    /// Behind a PROXY header: plain HTTP, and TLS.
    proxied: [u16; 2],
}

/// A port that nobody has, as far as one can know before it is listened on.
fn free_port() -> (Socket, u16) {
    let socket = bound(false);
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

impl Nginx {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The ports may be taken between our look and nginx's: then others are tried.
        let started = wait_for(PATIENCE, || Self::try_start(&directory));
        let (child, [http, tls, proxied @ ..]) = started.expect("nginx listens");
        Self { child, directory, http, tls, proxied }
    }

    fn try_start(directory: &tempfile::TempDir) -> Option<(Child, [u16; 4])> {
        let held = [(); 4].map(|()| free_port());
        let ports = held.each_ref().map(|(_, port)| *port);
        drop(held);
        let place = directory.path();
        certificate(directory);
        std::fs::write(place.join("nginx.conf"), config(place.to_str().unwrap(), ports)).unwrap();
        let mut child = Command::new("nginx")
            .arg("-e")
            .arg(place.join("error.log"))
            .arg("-c")
            .arg(place.join("nginx.conf"))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is missing; install it: apt-get install nginx");
        let listens = wait_for(PATIENCE, || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            // It writes the file of its process id when it listens.
            place.join("pid").exists().then_some(true)
        });
        if listens == Some(true) {
            return Some((child, ports));
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("access.log")).unwrap_or_default()
    }

    /// How many connections it has taken, this question's included.
    fn accepted(&self) -> u64 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.http));
        let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.connect(&address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        // The line after "server accepts handled requests".
        let (_, counts) = answer.split_once("requests\n").unwrap_or_else(|| panic!("{answer}"));
        counts.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Ends it and waits for that: nothing listens any more.
    fn stop(&mut self) {
        // SIGTERM is nginx's fast shutdown: the master takes its worker with it.
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        if self.child.try_wait().unwrap().is_none() {
            kill(pid, Signal::SIGTERM).unwrap();
        }
        if wait_for(PATIENCE, || self.child.try_wait().unwrap()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}

fn config(place: &str, [http, tls, proxied, proxied_tls]: [u16; 4]) -> String {
    format!(
        r#"daemon off;
pid {place}/pid;
error_log {place}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  log_format probes '$server_port $request_method $request_uri $server_protocol $status '
                    '"$http_user_agent" "$http_host" "$http_accept" "$http_connection"';
  log_format proxied '$server_port $connection_requests "$proxy_protocol_addr" $status';
  access_log {place}/access.log probes;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {{
    listen 127.0.0.1:{http};
    location = / {{ return 200 "well\n"; }}
    location = /moved {{ return 301 /there; }}
    location = /cut {{ return 444; }}
    location = /busy {{ return 503; }}
    location = /status {{ access_log off; stub_status; }}
    location / {{ return 404; }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {place}/certificate.pem;
    ssl_certificate_key {place}/key.pem;
    location / {{ return 200 "well\n"; }}
  }}
  server {{
    listen 127.0.0.1:{proxied} proxy_protocol;
    listen 127.0.0.1:{proxied_tls} ssl proxy_protocol;
    ssl_certificate {place}/certificate.pem;
    ssl_certificate_key {place}/key.pem;
    access_log {place}/proxied.log proxied;
    location / {{ return 200 "well\n"; }}
  }}
}}
"#
    )
}

fn certificate(directory: &tempfile::TempDir) {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '))
        .args("-subj /CN=localhost -days 2 -keyout key.pem -out certificate.pem".split(' '))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl is missing; install it: apt-get install openssl");
    assert!(made.success());
}

/// Probes one target; the exit status and the JSON object.
fn probe(on: Backend, target: &str) -> (Option<i32>, Value) {
    let run =
        Run::new(&["probe", "--backend", on.name(), target, "--timeout", "5s", "--format", "json"]);
    let mut objects = run.objects();
    assert_eq!(objects.len(), 1, "{run:?}");
    (run.code, objects.remove(0))
}

on_each_backend! {
    what_nginx_does_is_told_apart,
    tcp_checks_leave_no_trace_in_its_log_and_http_checks_one_line_each,
    a_kept_connection_is_introduced_once,
}

fn what_nginx_does_is_told_apart(on: Backend) {
    let mut nginx = Nginx::start();
    let (http, tls) = (nginx.http, nginx.tls);
    let place = |path: &str| format!("http://127.0.0.1:{http}{path}");
    let cases = [
        (place("/"), 0, "pass", "L7OK", Value::from(200)),
        (place("/moved"), 0, "pass", "L7OK", 301.into()),
        (place("/none"), 1, "fail", "L7STS", 404.into()),
        (place("/busy"), 1, "fail", "L7STS", 503.into()),
        (place("/cut"), 1, "fail", "L7CUT", Value::Null),
        // nginx says in plain HTTP what is wrong on a TLS port: a 400.
        (format!("http://127.0.0.1:{tls}/"), 1, "fail", "L7STS", 400.into()),
        (format!("tcp://127.0.0.1:{http}"), 0, "pass", "L4OK", Value::Null),
        (format!("127.0.0.1:{tls}"), 0, "pass", "L4OK", Value::Null),
    ];
    for (target, exit, outcome, code, status) in &cases {
        let (exited, row) = probe(on, target);
        assert_eq!(exited, Some(*exit), "{row}");
        assert_eq!(
            (&row["target"], &row["outcome"]),
            (&target.as_str().into(), &(*outcome).into())
        );
        assert_eq!((&row["code"], &row["status"]), (&(*code).into(), status), "{row}");
    }
    nginx.stop();
    for target in [place("/"), format!("127.0.0.1:{tls}")] {
        let (exited, row) = probe(on, &target);
        assert_eq!((exited, &row["code"]), (Some(1), &"L4CON".into()), "{row}");
        assert_eq!(row["detail"], "connection refused (ECONNREFUSED)");
    }
}

fn tcp_checks_leave_no_trace_in_its_log_and_http_checks_one_line_each(on: Backend) {
    let nginx = Nginx::start();
    let (http, tls) = (nginx.http, nginx.tls);
    let targets = [format!("127.0.0.1:{http}"), format!("127.0.0.1:{tls}")];
    let run =
        Run::new(&["probe", "--backend", on.name(), &targets[0], &targets[1], "--count", "200"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(nginx.accepted(), 1, "connections of 400 half-open checks");
    // nginx has one worker, which logs in order: what the TCP checks left would stand before this
    // line.
    let (_, row) = probe(on, &format!("http://127.0.0.1:{http}/healthz?x=1"));
    assert_eq!(row["code"], "L7STS");
    let log = wait_for(PATIENCE, || Some(nginx.log()).filter(|log| log.ends_with('\n'))).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "{http} GET /healthz?x=1 HTTP/1.1 404 \"ringcheck/{version}\" \"127.0.0.1:{http}\" \"*/*\" \
         \"close\"\n"
    );
    assert_eq!(log, expected);
    let errors = std::fs::read_to_string(nginx.path("error.log")).unwrap();
    assert_eq!(errors, "", "half-open checks are no errors either");
}

/// A second PROXY header would be no request, and without a first one there is no connection.
fn a_kept_connection_is_introduced_once(on: Backend) {
    const ROUNDS: u32 = 7;
    let nginx = Nginx::start();
    let http = http::Check::reusing(&http::Request::get("/"), http::Matcher::default());
    let inner = tls::Inner::Http(http.clone());
    let checks =
        [Check::Http(http), Check::Tls(Arc::new(tls::Check { client: client(false), inner }))];
    let mut expected = Vec::new();
    for (check, port) in checks.into_iter().zip(nginx.proxied) {
        let headers = [Some(ProxyProtocol::V1), Some(ProxyProtocol::V2), None];
        let recipes = headers.map(|proxy_protocol| Recipe {
            port: None,
            interval: Duration::ZERO,
            timeout: PATIENCE,
            thresholds: Thresholds { healthy: 1, unhealthy: 1 },
            check: check.clone(),
            close: Close::Reset,
            handshake: Handshake::Half,
            proxy_protocol,
            reuse: Some(Reuse { fresh_connection_every: 3 }),
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let plan = Plan::new(on, Some(1), Some(64), false).unwrap();
        let shots = (0..3).map(|recipe| Shot { recipe, endpoint: address.into() });
        let run = OneShot::start(&plan, &recipes, shots, 3, ROUNDS, None).unwrap();
        let reports = collect(run).unwrap();
        assert_eq!(reports.len(), 3 * ROUNDS as usize);
        for report in &reports {
            let is_introduced = headers[report.target.index()].is_some();
            let passed = report.outcome.code == Code::L7Ok;
            assert_eq!(passed, is_introduced, "{report:?}");
        }
        for number in (0..2 * ROUNDS).map(|round| round / 2 % 3 + 1) {
            // Nobody is introduced: the checker speaks for itself.
            expected.push(format!("{port} {number} \"-\" 200"));
        }
    }
    expected.sort();
    let lines = || {
        let log = std::fs::read_to_string(nginx.path("proxied.log")).unwrap_or_default();
        let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
        lines.sort();
        (lines.len() >= expected.len()).then_some(lines)
    };
    assert_eq!(wait_for(PATIENCE, lines).unwrap(), expected);
}

#[test]
fn json_has_these_keys_in_this_order() {
    let nginx = Nginx::start();
    let target = format!("http://127.0.0.1:{}/", nginx.http);
    let run = Run::new(&["probe", &target, "--format", "json"]);
    let row = &run.objects()[0];
    let (connect, first, total) = (&row["connect_us"], &row["first_byte_us"], &row["total_us"]);
    let expected = format!(
        "{{\"target\":\"{target}\",\"address\":\"127.0.0.1:{}\",\"outcome\":\"pass\",\
         \"code\":\"L7OK\",\"detail\":\"\",\"status\":200,\"connect_us\":{connect},\"tls_us\":null,\
         \"first_byte_us\":{first},\"total_us\":{total}}}\n",
        nginx.http
    );
    assert_eq!(run.stdout, expected);
    assert!(connect.as_u64().unwrap() <= first.as_u64().unwrap());
    assert!(first.as_u64().unwrap() <= total.as_u64().unwrap());
}
