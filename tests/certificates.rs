//! What targets present over TLS, from the wire to the shell: a daemon, `probe` and the API against
//! a server of the library that the daemon's client is made of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use ringcheck::time::wall_ms;
use ringcheck::wall::Rfc3339;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use support::command::Run;
use support::daemon::{Daemon, Files, PATIENCE, request};
use support::wait_for;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// The date that is `days` from now.
fn in_days(days: i64) -> (i32, u8, u8) {
    let ms = i64::try_from(wall_ms()).unwrap() + days * 86_400_000;
    let text = Rfc3339(ms).to_string();
    let part = |range: std::ops::Range<usize>| text[range].parse::<i32>().unwrap();
    let byte = |range| u8::try_from(part(range)).unwrap();
    (part(0..4), byte(5..7), byte(8..10))
}

/// A server for the name `web.internal` whose certificate ends in so many days: its port, and its
/// certificate as PEM. It serves as long as the test runs.
fn server(days: i64) -> (u16, String) {
    let mut params = CertificateParams::new(vec!["web.internal".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "web");
    let (year, month, day) = in_days(days);
    params.not_before = date_time_ymd(2_020, 1, 1);
    params.not_after = date_time_ymd(year, month, day);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let mut tls = ServerConnection::new(config).unwrap();
                let mut stream = rustls::Stream::new(&mut tls, &mut stream);
                // A client that only shakes hands is gone by now.
                if matches!(stream.read(&mut [0; 4_096]), Ok(1..)) {
                    let _ = stream.write_all(ANSWER);
                }
            });
        }
    });
    (port, certificate.pem())
}

fn group(name: &str, port: u16, check: &str) -> String {
    format!(
        "[[group]]\nname = \"{name}\"\nrules = \"free\"\ntargets = [\"127.0.0.1:{port}\"]\n\
         [group.health_check]\ninterval = \"300ms\"\n{check}\n"
    )
}

/// What `ringcheck` prints with these arguments on this daemon.
fn ask(daemon: &Daemon, args: &[&str]) -> Run {
    let socket = daemon.files.socket();
    Run::new(&[args, &["--socket", socket.to_str().unwrap()]].concat())
}

fn json(daemon: &Daemon, path: &str) -> Value {
    daemon.get(path)
}

/// The only target of a group, once it shows this state.
fn target_in(daemon: &Daemon, group: &str, state: &str) -> Value {
    let path = format!("/v1/groups/{group}/targets");
    let found = wait_for(PATIENCE, || {
        let target = json(daemon, &path)["targets"][0].clone();
        Some(target).filter(|target| target["state"] == state)
    });
    found.unwrap_or_else(|| panic!("{group} not {state}: {}", json(daemon, &path)))
}

#[test]
fn certificates_that_end_soon_are_found_and_shown() {
    let ((soon, _), (late, _)) = (server(4), server(400));
    let strict = "protocol = \"TLS\"\ntls = { verify = true, server_name = \"web.internal\" }";
    let config = [
        group("soon", soon, "protocol = \"HTTPS\""),
        group("late", late, "protocol = \"TLS\""),
        group("strict", soon, strict),
        group("plain", soon, ""),
    ];
    let daemon = Daemon::start(&config.concat());
    let shown = target_in(&daemon, "soon", "healthy");
    assert_eq!((&shown["code"], &shown["tls"]["version"]), (&"L7OK".into(), &"TLSv1.3".into()));
    assert!(shown["tls"]["subject"].as_str().unwrap().contains("CN=web"), "{shown}");
    assert_eq!(shown["tls"]["names"], serde_json::json!(["web.internal"]));
    assert!(shown["last_probe"]["tls_us"].as_u64() >= shown["last_probe"]["connect_us"].as_u64());
    assert_eq!(target_in(&daemon, "late", "healthy")["code"], "L6OK");
    // What is not known is told all the same.
    let strict = target_in(&daemon, "strict", "unhealthy");
    assert_eq!((&strict["code"], &strict["tls"]["version"]), (&"L6RSP".into(), &"TLSv1.3".into()));
    assert!(target_in(&daemon, "plain", "healthy").get("tls").is_none());

    let listed = ask(&daemon, &["targets", "--expires-within", "14d", "--format", "json"]);
    let groups: Vec<Value> = listed.objects().iter().map(|row| row["group"].clone()).collect();
    assert_eq!(groups, ["soon", "strict"], "{listed:?}");
    let listed = ask(&daemon, &["targets", "--group", "soon", "--expires-within", "14d"]);
    assert!(listed.stdout.starts_with("GROUP  ID"), "{listed:?}");
    assert!(listed.stdout.contains("CN=web") && listed.stdout.contains("expires in 3 days, 20"));
    let none = ask(&daemon, &["targets", "--expires-within", "1d"]);
    assert_eq!(none.stdout, "no targets\n");
    let wrong = ask(&daemon, &["targets", "--expires-within", "14"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");

    let one = ask(&daemon, &["target", "soon", "127.0.0.1"]).stdout;
    for line in ["TLS         TLSv1.3, TLS", "subject     ", "names       web.internal\n"] {
        assert!(one.contains(line), "{one}");
    }
    assert!(one.contains("certificate expires in 3 days, 20"), "{one}");
    let (_, metrics) = request(&daemon.files.socket(), "GET", "/metrics", "").unwrap();
    for (group, count) in [("soon", 1), ("late", 0), ("strict", 1)] {
        let line = format!("ringcheck_targets_expiring{{group=\"{group}\"}} {count}.0\n");
        assert!(metrics.contains(&line), "{line} {metrics}");
    }
    assert!(!metrics.contains("ringcheck_targets_expiring{group=\"plain\"}"));
}

#[test]
fn probe_shows_what_was_presented_and_verifies_where_it_is_asked_to() {
    let (port, pem) = server(4);
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let ca = ca.to_str().unwrap();
    let [https, tls] = ["https", "tls"].map(|scheme| format!("{scheme}://127.0.0.1:{port}"));
    let run = Run::new(&["probe", &https, &tls]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let ends = run.stdout.matches("TLSv1.3, certificate expires in 3 days\n").count();
    assert_eq!(ends, 2, "{}", run.stdout);
    let run = Run::new(&["probe", &https, "--format", "json", "--tls-verify"]);
    let row = &run.objects()[0];
    assert_eq!((run.code, &row["code"]), (Some(1), &"L6RSP".into()), "{row}");
    assert_eq!(row["tls"]["names"][0], "web.internal");
    let strict = ["--tls-verify", "--tls-ca-file", ca, "--tls-server-name", "web.internal"];
    let run = Run::new(&[&["probe", &https, &*tls, "--format", "json"], &strict[..]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    for row in run.objects() {
        assert!(row["tls_us"].as_u64() >= row["connect_us"].as_u64(), "{row}");
    }
    // What the body says counts where it is asked for.
    for (text, code) in [("ok", "L7OK"), ("well", "L7RSP")] {
        let run = Run::new(&["probe", &https, "--format", "json", "--body-contains", text]);
        assert_eq!(run.objects()[0]["code"], code, "{run:?}");
    }
    let run = Run::new(&["probe", &https, "--tls-verify", "--tls-ca-file", "/no/such.pem"]);
    let said = "error: --tls-ca-file cannot read /no/such.pem: ";
    assert!(run.code == Some(2) && run.stderr.starts_with(said), "{run:?}");
}

/// Changes of the files of a group that was made through the API.
#[test]
fn a_group_whose_files_are_gone_is_held_back_until_they_are_there() {
    let (port, pem) = server(4);
    let files = Files::new("");
    let (ca, state) = (files.path("ca.pem"), files.path("state"));
    files.configure(&format!("[state]\ndir = {state:?}\n"));
    let mut daemon = Daemon::on(files, &[]);
    let put = |daemon: &Daemon, ca: &Path| {
        let body = format!(
            r#"{{"rules":"free","port":{port},"health_check":{{"protocol":"TLS","interval":"300ms",
                "tls":{{"verify":true,"server_name":"web.internal","ca_file":{ca:?}}}}}}}"#
        );
        request(&daemon.files.socket(), "PUT", "/v1/groups/shop", &body).unwrap()
    };
    let (status, refused) = put(&daemon, Path::new("ca.pem"));
    assert!(status == 400 && refused.contains("is not an absolute path"), "{refused}");
    let (status, refused) = put(&daemon, &ca);
    assert!(status == 400 && refused.contains("tls.ca_file cannot read"), "{refused}");
    std::fs::write(&ca, &pem).unwrap();
    assert_eq!(put(&daemon, &ca).0, 201);
    let targets = r#"{"targets":[{"address":"127.0.0.1"}]}"#;
    request(&daemon.files.socket(), "POST", "/v1/groups/shop/targets", targets).unwrap();
    target_in(&daemon, "shop", "healthy");

    std::fs::remove_file(&ca).unwrap();
    daemon.signal(Signal::SIGTERM);
    daemon.ended(PATIENCE);
    daemon.again();
    assert_eq!(target_in(&daemon, "shop", "unavailable")["reason"], "Target.HealthCheckDisabled");
    let group = json(&daemon, "/v1/groups/shop");
    let why = group["held_back"].as_str().unwrap();
    assert!(
        why.starts_with("tls.ca_file cannot read ") && group["health_check"]["enabled"] == true
    );
    // A reload takes the file as it is then, also where it has changed.
    std::fs::write(&ca, &pem).unwrap();
    assert_eq!(ask(&daemon, &["reload"]).code, Some(0));
    target_in(&daemon, "shop", "healthy");
    assert!(json(&daemon, "/v1/groups/shop").get("held_back").is_none());
    std::fs::write(&ca, server(9).1).unwrap();
    assert_eq!(ask(&daemon, &["reload"]).code, Some(0));
    target_in(&daemon, "shop", "unhealthy");
}
