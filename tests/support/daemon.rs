//! `ringcheck serve` as a process of its own, on files in a directory of its own, and a client for
//! its socket. Whatever becomes of the test, the process does not outlive it.

use super::command::RINGCHECK;
use super::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringcheck::io::Backend;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// Longer than anything takes unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    pub child: Child,
    pub files: Files,
}

/// A configuration with its sockets on this backend.
pub(crate) fn driven(on: Backend, config: &str) -> String {
    let rest = config.replace("[engine]\n", "");
    let rest = if rest.len() < config.len() { rest } else { format!("\n{config}") };
    format!("[engine]\nbackend = \"{}\"\n{rest}", on.name())
}

/// A directory with a configuration, where the daemon's socket and log are too.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    /// A directory with this configuration behind `[api]`.
    pub(crate) fn new(config: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.configure(config);
        files
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, config: &str) {
        let socket = self.path("api.sock");
        self.write("ringcheck.toml", &format!("[api]\nsocket = {socket:?}\n{config}"));
    }

    /// Replaces a file as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let temporary = self.path("temporary");
        std::fs::write(&temporary, text).unwrap();
        std::fs::rename(temporary, self.path(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("api.sock")
    }

    /// `ringcheck serve` on these files, behind `prefix` (a command that runs its arguments).
    fn command(&self, prefix: &[&str]) -> Command {
        let mut words = prefix.iter().copied().chain([RINGCHECK, "serve", "--config"]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(self.path("ringcheck.toml")).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn spawn(&self, prefix: &[&str]) -> Child {
        let log = std::fs::File::create(self.path("log")).unwrap();
        self.command(prefix).stderr(log).spawn().unwrap()
    }

    /// Runs a daemon that is expected to end by itself.
    pub(crate) fn run(&self, prefix: &[&str]) -> Output {
        let log = std::fs::File::create(self.path("second.log")).unwrap();
        let mut child = self.command(prefix).stderr(log).spawn().unwrap();
        let status = wait_for(PATIENCE, || child.try_wait().unwrap());
        let stderr = std::fs::read(self.path("second.log")).unwrap();
        let Some(status) = status else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("still runs: {}", String::from_utf8_lossy(&stderr));
        };
        Output { status, stdout: Vec::new(), stderr }
    }
}

impl Daemon {
    /// Starts a daemon with this configuration, and waits until it answers.
    pub(crate) fn start(config: &str) -> Self {
        Self::on(Files::new(config), &[])
    }

    /// Starts a daemon on these files, behind `prefix`, and waits until it answers.
    pub(crate) fn on(files: Files, prefix: &[&str]) -> Self {
        let mut daemon = Self { child: files.spawn(prefix), files };
        daemon.answers();
        daemon
    }

    /// Starts it anew on the same files, when it has ended; its log begins anew too.
    pub(crate) fn again(&mut self) {
        self.child = self.files.spawn(&[]);
        self.answers();
    }

    fn answers(&mut self) {
        let daemon = self;
        let answers = wait_for(PATIENCE, || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("ended with {status}: {}", daemon.log());
            }
            request(&daemon.files.socket(), "GET", "/v1/summary", "").ok()
        });
        assert!(answers.is_some(), "no answer: {}", daemon.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.files.path("log")).unwrap()
    }

    /// `GET path`, which must be a 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = request(&self.files.socket(), "GET", path, "")
            .unwrap_or_else(|error| panic!("{path}: {error}; {}", self.log()));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn summary(&self) -> Value {
        self.get("/v1/summary")
    }

    /// `POST /v1/reload`.
    pub(crate) fn reload(&self, force: bool) -> (u16, Value) {
        let body = format!("{{\"force\":{force}}}");
        let (status, body) = request(&self.files.socket(), "POST", "/v1/reload", &body).unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// A group's targets as (id, state, code), in registration order.
    pub(crate) fn targets(&self, group: &str) -> Vec<(String, String, String)> {
        let page = self.get(&format!("/v1/groups/{group}/targets?limit=10000"));
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let targets = page["targets"].as_array().unwrap();
        targets.iter().map(|t| (text(&t["id"]), text(&t["state"]), text(&t["code"]))).collect()
    }

    /// Waits until `is_so` of the summary; returns it.
    pub(crate) fn summary_when(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(PATIENCE, || Some(self.summary()).filter(|summary| is_so(summary)));
        found.unwrap_or_else(|| panic!("never {what}: {}\n{}", self.summary(), self.log()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self, patience: Duration) -> ExitStatus {
        let status = wait_for(patience, || self.child.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("still runs after {patience:?}: {}", self.log()))
    }

    /// Resident memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        resident_kib(&format!("/proc/{}/status", self.child.id()))
    }

    /// The most that it has been.
    pub(crate) fn most_resident_kib(&self) -> u64 {
        of_status(&format!("/proc/{}/status", self.child.id()), "VmHWM:")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGKILL works on a stopped process too; one that is gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Resident memory by a `status` file of /proc.
pub(crate) fn resident_kib(status: &str) -> u64 {
    of_status(status, "VmRSS:")
}

fn of_status(status: &str, key: &str) -> u64 {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// One request over the socket: status and body. HTTP/1.0, so that the answer ends with the
/// connection.
pub(crate) fn request(
    socket: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let wrong = || std::io::Error::other(format!("not an answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    Ok((status, body.to_owned()))
}
