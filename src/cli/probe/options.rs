//! The arguments of `probe`, parsed: recipes, targets, and how to go about it.

use super::list::Targets;
use super::settings::Settings;
use super::target::{Place, Target, parse};
use super::{ProbeArgs, ProbeBackend, ProbeFormat};
use crate::cli::{Failure, listed};
use crate::config::target_file::{self, Entry, Item};
use crate::config::targets::TargetRange;
use crate::config::{Backend, CheckProtocol, ConfigError, Problem, quoted};
use crate::limits::TARGETS_MAX_DEFAULT;
use crate::recipe::Recipe;
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

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

/// What the recipe of a target follows from, besides the options: protocol, path and name.
type Asked = (CheckProtocol, Option<String>, Option<String>);

/// Collects targets, and the recipes that they need.
struct Builder {
    protocol: CheckProtocol,
    port: Option<u16>,
    settings: Settings,
    targets: Targets,
    recipes: Vec<Recipe>,
    /// The number of each recipe.
    numbers: HashMap<Asked, u32>,
    /// Names resolved so far.
    resolved: HashMap<String, IpAddr>,
}

impl Builder {
    fn new(args: &ProbeArgs) -> Result<Self, Problem> {
        Ok(Self {
            protocol: args.protocol.into(),
            port: args.port,
            settings: Settings::new(args)?,
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
        let Target { protocol, place, is_range, path } = parse(text)?;
        let protocol = protocol.unwrap_or(self.protocol);
        let written_port = match place {
            Place::Addresses(range) => range.port,
            Place::Name(_, port) => port,
        };
        let port = self.port(text, protocol, written_port)?;
        let host = match place {
            Place::Name(name, _) if Some(port) == port_default(protocol) => Some(name.to_owned()),
            Place::Name(name, _) => Some(format!("{name}:{port}")),
            Place::Addresses(_) => None,
        };
        let recipe = self.recipe(text, (protocol, path, host))?;
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
        let recipe = self.recipe(&text, (self.protocol, None, None))?;
        self.targets.push(entry.range, port, recipe, entry.id.as_deref())
    }

    /// The port of a target that was written with `written`.
    fn port(
        &self,
        text: &str,
        protocol: CheckProtocol,
        written: Option<u16>,
    ) -> Result<u16, Problem> {
        written.or(self.port).or_else(|| port_default(protocol)).ok_or_else(|| {
            let what = format!("target {} has no port", quoted(text));
            Problem::new(what, "write address:port, or give --port")
        })
    }

    /// The number of the recipe that target `text` needs.
    fn recipe(&mut self, text: &str, asked: Asked) -> Result<u32, Problem> {
        if let Some(&number) = self.numbers.get(&asked) {
            return Ok(number);
        }
        let (protocol, path, host) = asked.clone();
        let recipe = self.settings.recipe(text, protocol, path, host)?;
        let number = u32::try_from(self.recipes.len()).unwrap_or(u32::MAX);
        self.recipes.push(recipe);
        self.numbers.insert(asked, number);
        Ok(number)
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

/// The port where none is written.
const fn port_default(protocol: CheckProtocol) -> Option<u16> {
    match protocol {
        CheckProtocol::Http => Some(80),
        CheckProtocol::Https | CheckProtocol::Tls | CheckProtocol::Grpcs => Some(443),
        CheckProtocol::Tcp | CheckProtocol::Udp | CheckProtocol::Grpc => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Probe};
    use clap::Parser;
    use std::time::Duration;

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
        let wrong = read("10.0.0.1\nftp://x\n").unwrap_err();
        assert!(wrong.contains("target \"ftp://x\", FILE:2; allowed: tcp://, http"), "{wrong}");
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
                "--timeout \"9ms\" is out of range; allowed: 10ms to 300s",
            ),
            (
                &["a:1", "--protocol", "udp", "--send", "hex:0"],
                "--send \"hex:0\" is not hexadecimal; write pairs of digits, as \"hex:0d0a\"",
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
