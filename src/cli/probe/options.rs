//! The arguments of `probe`, parsed: recipes, targets, and how to go about it.

use super::list::Targets;
use super::target::{Place, Scheme, Target, parse};
use super::{ProbeArgs, ProbeBackend, ProbeFormat, ProbeProtocol};
use crate::check::http::{Matcher, Method, Version};
use crate::cli::{Failure, listed};
use crate::config::target_file::{self, Entry, Item};
use crate::config::targets::TargetRange;
use crate::config::{
    Backend, ConfigError, HealthCheck, PATH_CURE, Problem, Protocol, duration, path_wrong, quoted,
};
use crate::limits::TARGETS_MAX_DEFAULT;
use crate::recipe::{Close, Handshake, Recipe};
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Statuses that a matcher may name, and the bounds of the timeout: rule set `free` (DESIGN 3.1).
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(300);
const HTTP_PORT: u16 = 80;

/// What to probe, and how.
#[derive(Debug)]
pub struct ProbeOptions {
    /// By the number that a [`Shot`](crate::engine::oneshot::Shot) names.
    pub recipes: Vec<Recipe>,
    /// Not empty.
    pub targets: Targets,
    /// How often each target is probed; at least 1.
    pub count: u32,
    /// Starts per second at most; at least 1.
    pub rate: Option<u64>,
    /// Worker threads; none: one per CPU.
    pub workers: Option<usize>,
    /// How sockets are driven.
    pub backend: Backend,
    /// Format of the rows.
    pub format: ProbeFormat,
}

impl ProbeOptions {
    /// Parses the arguments, reads the file of targets, resolves names.
    ///
    /// # Errors
    /// Exit status 2, with the first thing that is wrong.
    pub fn new(args: &ProbeArgs) -> Result<Self, Failure> {
        let mut builder = Builder::new(args).map_err(usage)?;
        for text in &args.targets {
            builder.add(text).map_err(usage)?;
        }
        if let Some(path) = &args.targets_file {
            builder.read(path).map_err(Failure::usage)?;
        }
        if builder.targets.is_empty() {
            let cure = "name some, as 10.0.0.1:80, or a file of them with --targets";
            return Err(usage(Problem::new("no targets", cure)));
        }
        Ok(Self {
            recipes: builder.recipes,
            targets: builder.targets,
            count: args.count,
            rate: args.rate,
            workers: args.workers.map(usize::from),
            backend: match args.backend {
                ProbeBackend::Auto => Backend::Auto,
                ProbeBackend::IoUring => Backend::IoUring,
                ProbeBackend::Epoll => Backend::Epoll,
            },
            format: args.format,
        })
    }
}

fn usage(problem: Problem) -> Failure {
    Failure::usage(format_args!("{problem}; see 'ringcheck probe --help'"))
}

/// Collects targets, and the recipes that they need.
struct Builder {
    protocol: Scheme,
    port: Option<u16>,
    path: Option<String>,
    timeout: Option<Duration>,
    matcher: Option<Matcher>,
    handshake: Option<Handshake>,
    targets: Targets,
    recipes: Vec<Recipe>,
    /// The number of each recipe: none is TCP, else path and Host header.
    numbers: HashMap<Option<(String, Option<String>)>, u32>,
    /// Names resolved so far.
    resolved: HashMap<String, IpAddr>,
}

impl Builder {
    fn new(args: &ProbeArgs) -> Result<Self, Problem> {
        let protocol = match args.protocol {
            ProbeProtocol::Tcp => Scheme::Tcp,
            ProbeProtocol::Http => Scheme::Http,
            ProbeProtocol::Https | ProbeProtocol::Tls | ProbeProtocol::Udp => {
                let word = format!("{:?}", args.protocol).to_uppercase();
                let what = format!("--protocol {word} is not in this version");
                return Err(Problem::new(what, "use tcp or http"));
            }
        };
        if let Some(path) = &args.path
            && let Some(wrong) = path_wrong(path)
        {
            return Err(Problem::new(format!("--path {} {wrong}", quoted(path)), PATH_CURE));
        }
        Ok(Self {
            protocol,
            port: args.port,
            path: args.path.clone(),
            timeout: args.timeout.as_deref().map(timeout).transpose()?,
            matcher: args.matcher.as_deref().map(matcher).transpose()?,
            handshake: args.handshake.map(Handshake::from),
            targets: Targets::default(),
            recipes: Vec::new(),
            numbers: HashMap::new(),
            resolved: HashMap::new(),
        })
    }

    fn read(&mut self, path: &Path) -> Result<(), ConfigError> {
        let (file, source) = listed::open(path)?;
        let bytes_max = target_file::bytes_max(TARGETS_MAX_DEFAULT);
        target_file::read_items(&file, source, bytes_max, &mut |item, line| {
            let added = match item {
                Item::Line(text) => self.add(text),
                Item::Object(entry) => self.add_object(&entry),
            };
            added.map_err(|problem| problem.at(format!("{file}:{line}")))
        })
    }

    fn add(&mut self, text: &str) -> Result<(), Problem> {
        let Target { scheme, place, is_range, path } = parse(text)?;
        let scheme = scheme.unwrap_or(self.protocol);
        let written_port = match place {
            Place::Addresses(range) => range.port,
            Place::Name(_, port) => port,
        };
        let port = self.port(text, scheme, written_port)?;
        let host = match place {
            Place::Name(name, _) if port == HTTP_PORT => Some(name.to_owned()),
            Place::Name(name, _) => Some(format!("{name}:{port}")),
            Place::Addresses(_) => None,
        };
        let recipe = self.recipe(text, scheme, path, host)?;
        // Last, because it takes longest.
        let range = match place {
            Place::Addresses(range) => range,
            Place::Name(name, _) => TargetRange::single(self.resolve(name)?, None),
        };
        if is_range {
            return self.targets.push(range, port, recipe, None);
        }
        // Most are written as they are printed, and then need no name.
        let printed = range.addresses().next().map(|ip| crate::endpoint::Endpoint::new(ip, port));
        let is_printed = printed.is_some_and(|endpoint| endpoint.to_string() == text);
        self.targets.push(range, port, recipe, if is_printed { None } else { Some(text) })
    }

    fn add_object(&mut self, entry: &Entry) -> Result<(), Problem> {
        let text = entry.range.to_string();
        let port = self.port(&text, self.protocol, entry.range.port)?;
        let recipe = self.recipe(&text, self.protocol, None, None)?;
        self.targets.push(entry.range, port, recipe, entry.id.as_deref())
    }

    /// The port of a target that was written with `written`.
    fn port(&self, text: &str, scheme: Scheme, written: Option<u16>) -> Result<u16, Problem> {
        let default = match scheme {
            Scheme::Tcp => None,
            Scheme::Http => Some(HTTP_PORT),
        };
        written.or(self.port).or(default).ok_or_else(|| {
            let what = format!("target {} has no port", quoted(text));
            Problem::new(what, "write address:port, or give --port")
        })
    }

    /// The number of the recipe that a target needs.
    fn recipe(
        &mut self,
        text: &str,
        scheme: Scheme,
        path: Option<String>,
        host: Option<String>,
    ) -> Result<u32, Problem> {
        let key = match scheme {
            Scheme::Tcp => {
                self.refuse_http_settings(text)?;
                None
            }
            Scheme::Http => {
                self.refuse_handshake(text)?;
                let path = path.or_else(|| self.path.clone()).unwrap_or_else(|| "/".to_owned());
                Some((path, host))
            }
        };
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        let number = u32::try_from(self.recipes.len()).unwrap_or(u32::MAX);
        let protocol = match key.clone() {
            None => Protocol::Tcp,
            Some((path, host)) => Protocol::Http {
                path,
                host,
                matcher: self.matcher.unwrap_or_default(),
                method: Method::default(),
                version: Version::default(),
            },
        };
        self.recipes.push(self.health_check(protocol).recipe());
        self.numbers.insert(key, number);
        Ok(number)
    }

    fn health_check(&self, protocol: Protocol) -> HealthCheck {
        HealthCheck {
            enabled: true,
            timeout: self.timeout.unwrap_or_else(|| protocol.timeout_default()),
            protocol,
            port: None,
            // The next probe of a target starts when the one before is over.
            interval: Duration::ZERO,
            healthy_threshold: 1,
            unhealthy_threshold: 1,
            close: Close::default(),
            handshake: self.handshake.unwrap_or_default(),
        }
    }

    fn refuse_handshake(&self, text: &str) -> Result<(), Problem> {
        if self.handshake.is_none() {
            return Ok(());
        }
        let what = format!("--handshake has no meaning for HTTP target {}", quoted(text));
        Err(Problem::new(what, "remove --handshake, or probe HTTP targets by themselves"))
    }

    fn refuse_http_settings(&self, text: &str) -> Result<(), Problem> {
        let given = [("--path", self.path.is_some()), ("--matcher", self.matcher.is_some())];
        match given.iter().find(|setting| setting.1) {
            None => Ok(()),
            Some((setting, _)) => Err(Problem::new(
                format!("{setting} has no meaning for TCP target {}", quoted(text)),
                format!("remove {setting}, or add --protocol http"),
            )),
        }
    }

    fn resolve(&mut self, name: &str) -> Result<IpAddr, Problem> {
        if let Some(&ip) = self.resolved.get(name) {
            return Ok(ip);
        }
        let cure = "check the name, or write its address";
        let unknown = |why: &str| {
            Problem::new(format!("name {} does not resolve ({why})", quoted(name)), cure)
        };
        let mut all = (name, 0).to_socket_addrs().map_err(|error| {
            let text = error.to_string();
            unknown(text.rsplit(": ").next().unwrap_or(&text))
        })?;
        let ip = all.next().ok_or_else(|| unknown("no address"))?.ip();
        self.resolved.insert(name.to_owned(), ip);
        Ok(ip)
    }
}

fn timeout(text: &str) -> Result<Duration, Problem> {
    let problem = |what: &str, cure: &str| Problem::new(format!("--timeout {what}"), cure);
    let timeout = duration::parse(text).map_err(|found| problem(&found.what, &found.cure))?;
    if TIMEOUTS.contains(&timeout) {
        return Ok(timeout);
    }
    Err(problem(&format!("{} is out of range", quoted(text)), "allowed: 10ms to 5m"))
}

fn matcher(text: &str) -> Result<Matcher, Problem> {
    Matcher::parse(text, STATUSES).map_err(|message| {
        let (what, cure) = message.split_once("; ").unwrap_or((&message, "write it as 200-399"));
        Problem::new(format!("--matcher {what}"), cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Probe};
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        probe: ProbeArgs,
    }

    fn options(args: &[&str]) -> Result<ProbeOptions, String> {
        let args = std::iter::once(&"probe").chain(args);
        let command = Command::try_parse_from(args).map_err(|error| error.to_string())?;
        ProbeOptions::new(&command.probe).map_err(|failure| failure.to_string())
    }

    /// Name, endpoint and recipe of each target.
    fn list(options: &ProbeOptions) -> Vec<String> {
        let line = |(place, shot): (u32, crate::engine::oneshot::Shot)| {
            let (name, endpoint) = options.targets.find(place);
            assert_eq!(endpoint, shot.endpoint);
            format!("{} {endpoint} {}", name.unwrap_or("="), shot.recipe)
        };
        (0..).zip(options.targets.shots()).map(line).collect()
    }

    fn request(recipe: &Recipe) -> String {
        let mut bytes = Vec::new();
        let mut probe = Probe::default();
        probe.restart(&recipe.check);
        probe.output(&recipe.check, "10.0.0.1:8080".parse().unwrap(), &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn targets_keep_their_names_and_get_their_ports() {
        let args = [
            "10.0.0.1",
            "10.0.0.2:80",
            "http://10.0.0.3",
            "10.0.0.8/31",
            "tcp://10.0.0.4:1",
            "--port",
            "81",
        ];
        let options = options(&args).unwrap();
        let expected = [
            "10.0.0.1 10.0.0.1:81 0",
            "= 10.0.0.2:80 0",
            "http://10.0.0.3 10.0.0.3:81 1",
            "= 10.0.0.8:81 0",
            "= 10.0.0.9:81 0",
            "tcp://10.0.0.4:1 10.0.0.4:1 0",
        ];
        assert_eq!(list(&options), expected);
        assert_eq!(options.recipes[0].check, Check::Tcp);
        assert_eq!(options.recipes[0].timeout, Duration::from_secs(10));
        assert_eq!(options.recipes[1].timeout, Duration::from_secs(6));
    }

    #[test]
    fn http_targets_have_their_own_paths_and_hosts() {
        let args = [
            "--protocol",
            "HTTP",
            "--path",
            "/x",
            "--matcher",
            "204",
            "--timeout",
            "1.5s",
            "10.0.0.1",
            "http://10.0.0.1/y",
            "localhost:81",
            "http://localhost/",
            "10.0.0.2",
        ];
        let options = options(&args).unwrap();
        let recipes: Vec<_> =
            options.targets.shots().map(|shot| (shot.recipe, shot.endpoint.port())).collect();
        assert_eq!(recipes, [(0, 80), (1, 80), (2, 81), (3, 80), (0, 80)]);
        let expect = [
            ("/x", "10.0.0.1:8080"),
            ("/y", "10.0.0.1:8080"),
            ("/x", "localhost:81"),
            ("/", "localhost"),
        ];
        for (recipe, (path, host)) in options.recipes.iter().zip(expect) {
            let request = request(recipe);
            assert!(request.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{request}");
            assert!(request.contains(&format!("\r\nHost: {host}\r\n")), "{request}");
            assert_eq!(recipe.timeout, Duration::from_millis(1_500));
        }
    }

    #[test]
    fn files_hold_lines_or_json() {
        let read = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let path = file.path().to_str().unwrap();
            options(&["--targets", path, "--port", "9"])
                .map_err(|error| error.replace(path, "FILE"))
        };
        let lines = read("# head\n10.0.0.1:80\n\nlocalhost # a name\nhttp://10.0.0.2/x\n").unwrap();
        assert_eq!(lines.targets.find(0).0, None);
        assert_eq!(lines.targets.find(1).0, Some("localhost"));
        assert_eq!(lines.targets.find(2).0, Some("http://10.0.0.2/x"));
        let json = r#"[{"id":"i-1","address":"10.0.0.1","port":80,"weight":1},{"address":"::1"}]"#;
        assert_eq!(list(&read(json).unwrap()), ["i-1 10.0.0.1:80 0", "= [::1]:9 0"]);
        let wrong = read("10.0.0.1\nhttps://x\n").unwrap_err();
        assert!(wrong.contains("is not in this version, FILE:2; use tcp:// or"), "{wrong}");
        assert!(read("# none\n").unwrap_err().starts_with("no targets; "));
        let missing = options(&["--targets", "/does/not/exist"]).unwrap_err();
        assert!(missing.starts_with("cannot read the targets (No such file"), "{missing}");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_cure() {
        let see = "; see 'ringcheck probe --help'";
        let label = format!("{}:80", "x".repeat(64));
        let cases: [(&[&str], &str); 12] = [
            (&[], "no targets; name some, as 10.0.0.1:80, or a file of them with --targets"),
            (&["10.0.0.1"], "target \"10.0.0.1\" has no port; write address:port, or give --port"),
            (
                &["a:1", "--path", "/x"],
                "--path has no meaning for TCP target \"a:1\"; remove --path, or add --protocol http",
            ),
            (
                &["10.0.0.1:1", "--matcher", "200"],
                "--matcher has no meaning for TCP target \"10.0.0.1:1\"; remove --matcher, or add --protocol http",
            ),
            (
                &["http://10.0.0.1", "--handshake", "raw"],
                "--handshake has no meaning for HTTP target \"http://10.0.0.1\"; remove --handshake, or probe",
            ),
            (
                &["http://a", "--path", "x"],
                "--path \"x\" does not begin with /; write 1 to 1024 characters beginning with /, blanks as %20",
            ),
            (
                &["http://10.0.0.1", "--matcher", "600"],
                "--matcher status 600 in \"600\" is not allowed; use 100-599",
            ),
            (
                &["a:1", "--timeout", "5"],
                "--timeout \"5\" is not a duration; write it as 500ms, 10s, 5m, 2h or 1d",
            ),
            (
                &["a:1", "--timeout", "9ms"],
                "--timeout \"9ms\" is out of range; allowed: 10ms to 5m",
            ),
            (
                &["a:1", "--protocol", "udp"],
                "--protocol UDP is not in this version; use tcp or http",
            ),
            (
                &["10.0.0.0/8:80"],
                "more than 2,000,000 targets; probe them in parts, or let 'ringcheck serve' do it",
            ),
            // No label of a name has over 63 characters, so no resolver is asked for this one.
            (&[&label], "name \"xxxxxxxx"),
        ];
        for (args, expected) in cases {
            let error = options(args).unwrap_err();
            assert!(error.starts_with(expected), "{args:?}: {error}");
            assert!(error.ends_with(see), "{args:?}: {error}");
        }
        for args in [["a:1", "--rate", "0"], ["a:1", "--workers", "0"], ["a:1", "--count", "0"]] {
            assert!(options(&args).is_err(), "{args:?}");
        }
    }
}
