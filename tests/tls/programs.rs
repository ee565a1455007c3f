//! Servers that others wrote: nginx, HAProxy and `openssl s_server`, each with the settings of its
//! table, on free ports of loopback. Killed when dropped.

use crate::support::stage::bound;
use crate::support::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringcheck::time::monotonic;
use socket2::Socket;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A name for the table of cases, the certificate, and settings.
pub(crate) type Server = (&'static str, &'static str, &'static str);

/// Directives of a `server` block.
#[rustfmt::skip]
pub(crate) const NGINX: &[Server] = &[
    ("nginx",                "web",     ""),
    ("nginx expired",        "expired", ""),
    ("nginx early",          "early",   ""),
    ("nginx other name",     "other",   ""),
    ("nginx self-signed",    "self",    ""),
    ("nginx 1.2 only",       "web",     "ssl_protocols TLSv1.2;"),
    ("nginx 1.3 only",       "web",     "ssl_protocols TLSv1.3;"),
    ("nginx 1.1 only",       "web",     "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"),
    ("nginx no tickets",     "web",     "ssl_session_tickets off;"),
    ("nginx no tickets 1.2", "web",     "ssl_session_tickets off; ssl_protocols TLSv1.2;"),
    ("nginx session ids",    "web",     "ssl_session_tickets off; ssl_protocols TLSv1.2;
                                         ssl_session_cache shared:ids:1m;"),
    ("nginx client wanted",  "web",     "ssl_verify_client on; ssl_client_certificate ca.pem;"),
    ("nginx chain of 20",    "deep",    ""),
    ("nginx 19 too many",    "long",    ""),
    ("nginx chain, 1.2",     "deep",    "ssl_protocols TLSv1.2;"),
    ("nginx tiny records",   "web",     "ssl_buffer_size 128;"),
    ("nginx no TLS",         "",        ""),
    ("nginx PROXY",          "web",     ""),
    ("nginx PROXY, no TLS",  "",        ""),
];

/// Words behind `bind`.
#[rustfmt::skip]
pub(crate) const HAPROXY: &[Server] = &[
    ("haproxy",               "web",    ""),
    ("haproxy no tickets",    "web",    "no-tls-tickets"),
    ("haproxy 1.2 only",      "web",    "ssl-max-ver TLSv1.2"),
    ("haproxy no tickets 1.2", "web",   "no-tls-tickets ssl-max-ver TLSv1.2"),
    ("haproxy 1.3 only",      "web",    "ssl-min-ver TLSv1.3"),
    ("haproxy name wanted",   "web",    "strict-sni"),
    ("haproxy client wanted", "web",    "verify required ca-file ca.pem"),
    ("haproxy h2",            "web",    "alpn h2"),
    ("haproxy h2, http/1.1",  "web",    "alpn h2,http/1.1"),
    ("haproxy 20 in a chain", "deep",   ""),
    ("haproxy PROXY",         "web",    "accept-proxy"),
];

/// Arguments.
#[rustfmt::skip]
pub(crate) const OPENSSL: &[Server] = &[
    ("openssl",               "web",     ""),
    ("openssl self-signed",   "self",    ""),
    ("openssl 1.0 only",      "sha1",    "-tls1 -cipher ALL@SECLEVEL=0"),
    ("openssl 1.1 only",      "sha1",    "-tls1_1 -cipher ALL@SECLEVEL=0"),
    ("openssl 1.2 only",      "web",     "-tls1_2"),
    ("openssl 1.3 only",      "web",     "-tls1_3"),
    ("openssl client wanted", "web",     "-Verify 1 -verify_return_error -CAfile ca.pem -tls1_3"),
    ("openssl client, 1.2",   "web",     "-Verify 1 -verify_return_error -CAfile ca.pem -tls1_2"),
    ("openssl no tickets",    "web",     "-no_ticket -tls1_2"),
    ("openssl no cache",      "web",     "-no_ticket -no_cache -tls1_2"),
    ("openssl stateful",      "web",     "-no_ticket -tls1_3"),
    ("openssl no ticket sent", "web",    "-num_tickets 0 -tls1_3"),
    ("openssl 40 tickets",    "web",     "-num_tickets 40 -tls1_3"),
    ("openssl stateless",     "web",     "-stateless -tls1_3"),
    ("openssl retry",         "web",     "-groups P-384 -tls1_3"),
    ("openssl P-521",         "web",     "-groups P-521 -tls1_3"),
    ("openssl AES-CBC",       "self",    "-tls1_2 -cipher AES256-SHA"),
    ("openssl DHE",           "self",    "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256"),
    ("openssl small records", "deep",    "-cert_chain deep.rest -max_send_frag 512"),
    ("openssl ed25519",       "ed25519", ""),
    ("openssl p384",          "p384",    ""),
    ("openssl p521",          "p521",    ""),
    ("openssl RSA 1024",      "rsa1024", "-cipher ALL@SECLEVEL=0"),
    ("openssl SHA-1",         "sha1",    "-cipher ALL@SECLEVEL=0"),
    ("openssl alpn",          "web",     "-alpn http/1.1"),
    ("openssl 20 in a chain", "deep",    "-cert_chain deep.rest -tls1_2"),
];

/// Running servers.
pub(crate) struct Programs(Vec<Child>);

impl Programs {
    /// Starts all of the tables, in this folder, in which their certificates are; what listens
    /// where is appended to `found`.
    pub(crate) fn start(folder: &Path, found: &mut Vec<(&'static str, SocketAddr)>) -> Self {
        let mut programs = Self(Vec::new());
        programs.together("nginx", &["-e", "nginx.log", "-c"], NGINX, nginx, folder, found);
        programs.together("haproxy", &["-db", "-f"], HAPROXY, haproxy, folder, found);
        for server in OPENSSL {
            found.push((server.0, programs.s_server(server, folder)));
        }
        programs
    }

    /// One program with all servers of its table.
    fn together(
        &mut self,
        program: &str,
        args: &[&str],
        servers: &[Server],
        config: impl Fn(&Path, &[(&Server, SocketAddr)]) -> String,
        folder: &Path,
        found: &mut Vec<(&'static str, SocketAddr)>,
    ) {
        let file = folder.join(format!("{program}.conf"));
        let command = || {
            let mut command = Command::new(program);
            command.args(args).arg(&file).current_dir(folder);
            command
        };
        // The ports may be taken between our look and the server's: then others are tried.
        let started = wait_for(PATIENCE, || {
            let held: Vec<Socket> = servers.iter().map(|_| bound(false)).collect();
            let address = |socket: &Socket| socket.local_addr().unwrap().as_socket().unwrap();
            let places: Vec<_> = servers.iter().zip(held.iter().map(address)).collect();
            std::fs::write(&file, config(folder, &places)).unwrap();
            drop(held);
            let child = spawn(command(), program, folder, Stdio::null());
            let places: Vec<_> = places.iter().map(|(server, at)| (server.0, *at)).collect();
            self.0.push(child);
            let last = self.0.last_mut().unwrap();
            let listens = || places.iter().all(|(_, at)| listens(*at));
            let is_up = wait_for(PATIENCE, || {
                let ended = last.try_wait().unwrap().is_some();
                (ended || listens()).then_some(!ended)
            });
            (is_up == Some(true)).then_some(places)
        });
        found.extend(started.unwrap_or_else(|| panic!("{program}: {}", log(folder, program))));
    }

    fn s_server(&mut self, &(name, certificate, args): &Server, folder: &Path) -> SocketAddr {
        let mut command = Command::new("openssl");
        command.args("s_server -www -accept 127.0.0.1:0".split(' '));
        command.args(["-cert", &format!("{certificate}.pem")]);
        command.args(["-key", &format!("{certificate}.key")]);
        command.args(args.split(' ').filter(|arg| !arg.is_empty())).current_dir(folder);
        self.0.push(spawn(command, name, folder, Stdio::null()));
        let accepts = || {
            let said = log(folder, name);
            let line = said.lines().find_map(|line| line.strip_prefix("ACCEPT "))?;
            Some(line.trim().parse().unwrap())
        };
        wait_for(PATIENCE, accepts).unwrap_or_else(|| panic!("{name}: {}", log(folder, name)))
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // SIGTERM is nginx's fast shutdown: the master takes its worker with it.
            if child.try_wait().unwrap().is_none() {
                kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
            }
        }
        let give_up = monotonic() + PATIENCE;
        for child in &mut self.0 {
            let patience = give_up.since(monotonic());
            if wait_for(patience, || child.try_wait().unwrap()).is_none() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn spawn(mut command: Command, name: &str, folder: &Path, stdin: Stdio) -> Child {
    let out = File::create(folder.join(format!("{name}.log").replace('/', "-"))).unwrap();
    command.stdin(stdin).stdout(out.try_clone().unwrap()).stderr(out);
    let program = command.get_program().to_string_lossy().into_owned();
    let missing = |_| panic!("{program} is missing; install it: apt-get install {program}");
    command.spawn().unwrap_or_else(missing)
}

fn log(folder: &Path, name: &str) -> String {
    let path = folder.join(format!("{name}.log").replace('/', "-"));
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Whether somebody listens there, by the kernel's list: no connection disturbs him.
fn listens(at: SocketAddr) -> bool {
    let wanted = format!("0100007F:{:04X} 00000000:0000 0A", at.port());
    assert_eq!(at.ip(), Ipv4Addr::LOCALHOST);
    std::fs::read_to_string("/proc/self/net/tcp").unwrap().contains(&wanted)
}

fn nginx(folder: &Path, places: &[(&Server, SocketAddr)]) -> String {
    let place = folder.display();
    let mut text = format!(
        r#"daemon off;
pid {place}/nginx.pid;
error_log {place}/nginx-errors.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
"#
    );
    for ((name, certificate, directives), at) in places {
        let ssl = if certificate.is_empty() {
            String::new()
        } else {
            let file = |kind| format!("{place}/{certificate}.{kind}");
            format!("ssl_certificate {}; ssl_certificate_key {};", file("pem"), file("key"))
        };
        let tls = if certificate.is_empty() { "" } else { " ssl http2" };
        let proxy = if name.contains("PROXY") { " proxy_protocol" } else { "" };
        text += &format!(
            "  server {{ listen {at}{tls}{proxy}; {ssl} {directives}\n    \
             location / {{ return 200 \"well\\n\"; }} }}\n"
        );
    }
    text + "}\n"
}

fn haproxy(folder: &Path, places: &[(&Server, SocketAddr)]) -> String {
    let place = folder.display();
    let mut text = format!(
        "global\n  nbthread 1\n  no strict-limits\n  ca-base {place}\n  crt-base {place}\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
    );
    for (number, ((_, certificate, words), at)) in places.iter().enumerate() {
        text += &format!(
            "frontend f{number}\n  bind {at} ssl crt {certificate}.both {words}\n  \
             http-request return status 200 content-type text/plain string well\n"
        );
    }
    text
}
