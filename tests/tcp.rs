//! `api.listen` of a real daemon, and `ringcheck keys` beside it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ringcheck::access::{Key, KeyFile};
use ringcheck::time::wall_ms;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use support::command::Run;
use support::daemon::{Daemon, Files, PATIENCE};
use support::sign::Unsigned;
use support::wait_for;

/// A daemon that listens on TCP, with its state beside its configuration.
struct Listening {
    daemon: Daemon,
    address: SocketAddr,
}

/// Files of such a daemon.
fn files(listen: &str) -> Files {
    let files = Files::new("");
    let state = files.path("state");
    files.configure(&format!("listen = {listen:?}\n[state]\ndir = {state:?}\n"));
    files
}

impl Listening {
    fn start() -> Self {
        let daemon = Daemon::on(files("127.0.0.1:0"), &[]);
        let address = daemon.summary()["listen"].as_str().unwrap().parse().unwrap();
        Self { daemon, address }
    }

    fn keys(&self, args: &[&str]) -> Run {
        let state = self.daemon.files.path("state");
        Run::new(&[&["keys"], args, &["--state-dir", state.to_str().unwrap()]].concat())
    }

    fn first_key(&self) -> Key {
        KeyFile::load(&self.daemon.files.path("state")).unwrap().all()[0].clone()
    }

    /// Status and body of a signed request.
    fn get(&self, path: &str, key: &Key) -> (u16, String) {
        let host = self.address.to_string();
        self.send(&Unsigned::get(path, &host, wall_ms()).sigv4(key))
    }

    fn send(&self, request: &[u8]) -> (u16, String) {
        #[expect(clippy::disallowed_types, reason = "a client of the daemon")]
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[test]
fn the_first_start_makes_a_key_and_who_signs_with_it_is_answered() {
    let it = Listening::start();
    let key = it.first_key();
    let log = it.daemon.log();
    assert!(log.contains(&format!("answering on {}", it.address)), "{log}");
    assert!(!log.contains(key.secret.expose()), "{log}");
    for path in ["/v1/summary", "/metrics", "/healthz"] {
        assert_eq!(it.get(path, &key).0, 200, "{path}");
    }
    let host = it.address.to_string();
    let unsigned = Unsigned::get("/v1/summary", &host, wall_ms());
    assert_eq!(it.send(&unsigned.whole("")).0, 401);
    assert_eq!(it.send(&unsigned.acs3(&key, "None", "n-1")).0, 200);
    assert_eq!(it.send(&unsigned.acs3(&key, "None", "n-1")).0, 400);
    // Who changes something is in the log.
    let reload = Unsigned { method: "POST", target: "/v1/reload", ..unsigned };
    assert_eq!(it.send(&reload.sigv4(&key)).0, 200);
    let log = it.daemon.log();
    assert!(log.contains(&format!("key {}", key.id)), "{log}");
}

#[test]
fn keys_are_added_and_removed_under_a_running_daemon() {
    let it = Listening::start();
    let first = it.first_key();
    assert_eq!(it.get("/v1/summary", &first).0, 200);
    let added = it.keys(&["add", "--format", "json"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let object = added.objects().remove(0);
    let text = |name: &str| object[name].as_str().unwrap().to_owned();
    let second = Key::new(&text("id"), &text("secret")).unwrap();
    let status = |key: &Key, status| {
        wait_for(PATIENCE, || (it.get("/v1/summary", key).0 == status).then_some(()))
    };
    assert!(status(&second, 200).is_some(), "{}", it.daemon.log());
    let removed = it.keys(&["remove", &first.id]);
    assert_eq!((removed.code, removed.stdout.as_str()), (Some(0), ""), "{removed:?}");
    assert!(status(&first, 403).is_some(), "{}", it.daemon.log());
    assert_eq!(it.get("/v1/summary", &second).0, 200);
    // A file that cannot be used changes nothing, and is told of.
    let path = it.daemon.files.path("state/keys.toml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = wait_for(PATIENCE, || {
        assert_eq!(it.get("/v1/summary", &second).0, 200);
        it.daemon.log().contains("chmod 600").then_some(())
    });
    assert!(told.is_some(), "{}", it.daemon.log());
}

#[test]
fn what_is_in_the_way_of_listening_ends_it_with_one_line_and_the_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let run = |files: &Files, status| {
        let output = files.run(&[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!files.socket().exists(), "{stderr}");
        stderr
    };
    let error = run(&files(&address.to_string()), 3);
    let cure = "is taken; stop who listens there, or choose another port";
    assert_eq!(error, format!("error: api.listen {address} {cure}\n"));
    let nowhere = Files::new("listen = \"127.0.0.1:0\"\n");
    let error = run(&nowhere, 2);
    assert!(error.contains("listen") && error.contains("add dir to [state]"), "{error}");
    let files = files("127.0.0.1:0");
    std::fs::create_dir(files.path("state")).unwrap();
    files.write("state/keys.toml", "");
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(files.path("state/keys.toml"), mode).unwrap();
    let error = run(&files, 3);
    assert!(error.contains("its mode is 0644; chmod 600 it"), "{error}");
}

#[test]
fn the_shell_lists_adds_and_removes_keys_without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let keys = |args: &[&str]| {
        Run::new(&[&["keys"], args, &["--state-dir", state.to_str().unwrap()]].concat())
    };
    assert_eq!(keys(&["list"]).stdout, "ID\n");
    let added = keys(&["add", "--id", "mine"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let secret = added.stdout.split_whitespace().last().unwrap().to_owned();
    assert_eq!(secret.len(), 40, "{added:?}");
    assert_eq!(keys(&["list"]).stdout, "ID\nmine\n");
    assert_eq!(keys(&["list", "--format", "json"]).stdout, "{\"id\":\"mine\"}\n");
    assert!(keys(&["list", "--secrets"]).stdout.contains(&secret));
    let aws = keys(&["add", "--format", "aws"]);
    assert!(aws.stdout.starts_with("[ringcheck]\naws_access_key_id = RINGCHECK"), "{aws:?}");
    for (args, code, words) in [
        (&["add", "--id", "mine"][..], 2, "the id mine is taken; choose another one"),
        (&["add", "--id", "a b"], 2, "this is no id of a key; an id is 1 to 128"),
        (&["remove", "nobody"], 1, "there is no key 'nobody'"),
    ] {
        let run = keys(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{run:?}");
    }
    assert_eq!(keys(&["remove", "mine"]).code, Some(0));
    assert_eq!(keys(&["list", "--format", "json"]).objects().len(), 1);
    // The configuration names the directory too, and the port.
    let config = directory.path().join("ringcheck.toml");
    let text = format!("[api]\nlisten = \"127.0.0.1:7777\"\n[state]\ndir = {state:?}\n");
    std::fs::write(&config, text).unwrap();
    let add = ["keys", "add", "--format", "aws", "--config", config.to_str().unwrap()];
    let run = Run::new(&add);
    assert!(run.stdout.contains("http://127.0.0.1:7777\n"), "{run:?}");
    assert_eq!(keys(&["list", "--format", "json"]).objects().len(), 2);
    std::fs::write(&config, "").unwrap();
    let run = Run::new(&add);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("set state.dir, or use --state-dir"), "{run:?}");
}
