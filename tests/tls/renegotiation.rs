//! A server that wants to negotiate anew in the middle of a connection (TLS 1.2): `openssl
//! s_server` does so when it is told to by its standard input, which is when the request has come.

use crate::certificates;
use crate::support::command::Run;
use crate::support::wait_for;
use ringcheck::io::Backend;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("log")).unwrap()).into_owned()
}

pub(crate) fn a_server_that_negotiates_anew_is_cut_off_in_time(on: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates::make(folder);
    let out = File::create(folder.join("log")).unwrap();
    let mut command = Command::new("openssl");
    command.args("s_server -accept 127.0.0.1:0 -tls1_2 -cert web.pem -key web.key".split(' '));
    command.current_dir(folder).stdin(Stdio::piped());
    command.stdout(out.try_clone().unwrap()).stderr(out);
    let mut server = Server(command.spawn().unwrap());
    let mut stdin = server.0.stdin.take().unwrap();
    let address = wait_for(PATIENCE, || {
        let log = log(folder);
        Some(log.lines().find_map(|line| line.strip_prefix("ACCEPT "))?.to_owned())
    });
    let target = format!("https://{}/", address.unwrap());
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            let asked = || log(folder).contains("GET / HTTP/1.1").then_some(());
            wait_for(PATIENCE, asked).expect("the request is shown");
            stdin.write_all(b"r\n").unwrap();
        });
        let args = ["probe", "--backend", on.name(), &target, "--timeout", "8s"];
        Run::new(&[&args[..], &["--format", "json"]].concat())
    });
    let row = &run.objects()[0];
    // We decline, and it takes that for a failed handshake.
    assert_eq!((run.code, &row["code"]), (Some(1), &"L6RSP".into()), "{row}\n{}", log(folder));
    assert_eq!(row["detail"], "alert: handshake failure", "{row}");
    assert!(row["total_us"].as_u64().unwrap() < 7_000_000, "{row}");
}
