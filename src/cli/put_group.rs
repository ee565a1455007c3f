//! `ringcheck put-group`: makes a group, or changes settings of one.

use super::client::{Client, DaemonArgs, encoded};
use super::{Answer, Exit, Failure, Format, table};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Make a group, or change the settings that are given of one that was made through the API.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck put-group web --port 8080 --protocol http --path /healthz --interval 10s
  ringcheck put-group web --rules free --interval 1s --timeout 500ms
  ringcheck put-group web --disabled")]
pub struct PutGroupArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Rule set: classic (the default), current, free.
    #[arg(long, value_name = "R")]
    pub rules: Option<String>,
    /// Default port of its targets.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How long a deregistered target drains, as 300s.
    #[arg(long, value_name = "D")]
    pub deregistration_delay: Option<String>,
    /// Settings of its health check.
    #[command(flatten)]
    pub check: CheckArgs,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Settings of a health check.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Protocol of the health check: tcp (the default), http.
    #[arg(long, value_name = "P")]
    pub protocol: Option<String>,
    /// Port of the health check: a number, or traffic-port (the default).
    #[arg(long, value_name = "N")]
    pub check_port: Option<String>,
    /// HTTP: what is asked for.
    #[arg(long, value_name = "P")]
    pub path: Option<String>,
    /// HTTP: the Host header.
    #[arg(long, value_name = "H")]
    pub host: Option<String>,
    /// Gap between probe starts, as 10s.
    #[arg(long, value_name = "D")]
    pub interval: Option<String>,
    /// Longest time of a probe, as 500ms.
    #[arg(long, value_name = "D")]
    pub timeout: Option<String>,
    /// Passes that make an unhealthy target healthy.
    #[arg(long, value_name = "N")]
    pub healthy_threshold: Option<u32>,
    /// Failures that make a target unhealthy.
    #[arg(long, value_name = "N")]
    pub unhealthy_threshold: Option<u32>,
    /// HTTP: statuses that pass, as 200-399.
    #[arg(long, value_name = "M")]
    pub matcher: Option<String>,
    /// Check no target, until --enabled.
    #[arg(long, conflicts_with = "enabled")]
    pub disabled: bool,
    /// Check targets (the default).
    #[arg(long)]
    pub enabled: bool,
}

/// Runs the command.
pub fn run(args: &PutGroupArgs) -> Answer {
    let mut client = Client::connect(&args.daemon.socket)?;
    let path = format!("/v1/groups/{}", encoded(&args.name));
    let body = settings(args).to_string();
    let (status, text) = client.exchange(Method::PATCH, &path, body.clone())?;
    let (done, text) = match status {
        StatusCode::NOT_FOUND => ("made", client.put(&path, body)?),
        _ => ("changed", super::client::good(status, &path, text)?),
    };
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => writeln!(out, "{done} group {}", table::clean(&args.name)),
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

/// The body of the request: what is given. The daemon judges it.
fn settings(args: &PutGroupArgs) -> Value {
    let CheckArgs { protocol, check_port, path, host, interval, timeout, .. } = &args.check;
    let CheckArgs { healthy_threshold, unhealthy_threshold, matcher, disabled, enabled, .. } =
        &args.check;
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let check_port = check_port.as_ref().map(|port| match port.parse::<u32>() {
        Ok(number) => Value::from(number),
        Err(_) => Value::from(port.as_str()),
    });
    let check = object([
        ("enabled", (*disabled || *enabled).then_some(Value::Bool(*enabled))),
        ("protocol", protocol.as_ref().map(|word| word.to_uppercase().into())),
        ("port", check_port),
        ("path", text(path)),
        ("host", text(host)),
        ("interval", text(interval)),
        ("timeout", text(timeout)),
        ("healthy_threshold", healthy_threshold.map(Value::from)),
        ("unhealthy_threshold", unhealthy_threshold.map(Value::from)),
        ("matcher", text(matcher)),
    ]);
    let group = object([
        ("rules", text(&args.rules)),
        ("port", args.port.map(Value::from)),
        ("deregistration_delay", text(&args.deregistration_delay)),
        (
            "health_check",
            Some(Value::Object(check)).filter(|check| *check != Value::Object(Map::new())),
        ),
    ]);
    Value::Object(group)
}

fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let given = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PutGroupArgs,
    }

    fn body(args: &[&str]) -> String {
        let line = Line::try_parse_from(["x", "web"].iter().chain(args)).unwrap();
        settings(&line.args).to_string()
    }

    #[test]
    fn what_is_given_is_sent_and_nothing_else() {
        assert_eq!(body(&[]), "{}");
        assert_eq!(body(&["--disabled"]), r#"{"health_check":{"enabled":false}}"#);
        assert_eq!(body(&["--enabled"]), r#"{"health_check":{"enabled":true}}"#);
        let args = ["--port", "80", "--protocol", "http", "--check-port", "81", "--rules", "free"];
        let expected = r#"{"health_check":{"port":81,"protocol":"HTTP"},"port":80,"rules":"free"}"#;
        assert_eq!(body(&args), expected);
        let args = ["--check-port", "traffic-port", "--healthy-threshold", "4"];
        let expected = r#"{"health_check":{"healthy_threshold":4,"port":"traffic-port"}}"#;
        assert_eq!(body(&args), expected);
    }
}
