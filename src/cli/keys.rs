//! `ringcheck keys`: the keys of the TCP listener, in the file itself. A daemon need not run; one
//! that does takes a change within a second.

use super::{Answer, Exit, Failure, table};
use crate::access::{Key, KeyFile, KeyFileError};
use crate::config;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

/// Where AWS's clients ask, where no configuration says another port.
const ENDPOINT: &str = "127.0.0.1:9411";
const REGION: &str = "us-east-1";

/// List, add and remove the keys that requests over TCP are signed with (keys.toml).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck keys list --config /etc/ringcheck.toml
  ringcheck keys add --config /etc/ringcheck.toml --format aws >> ~/.aws/credentials
  ringcheck keys remove RINGCHECKA1B2C3D4E5F --state-dir /var/lib/ringcheck

A running daemon takes a change within a second. The first start makes one key.")]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show the ids of all keys.
    #[command(after_help = "\
Example:
  ringcheck keys list --state-dir /var/lib/ringcheck")]
    List {
        /// Where the keys are.
        #[command(flatten)]
        place: Place,
        /// Show the secrets too.
        #[arg(long)]
        secrets: bool,
        /// How to print them.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
        format: super::Format,
    },
    /// Make a new key and print it, which is the only time that its secret is shown by itself.
    #[command(after_help = "\
Example:
  ringcheck keys add --state-dir /var/lib/ringcheck --format aws")]
    Add {
        /// Where the keys are.
        #[command(flatten)]
        place: Place,
        /// Its id, instead of a random one: letters, digits, '_' and '-'.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// How to print it.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
        format: KeyFormat,
    },
    /// Remove a key: requests that it signs are refused from then on.
    #[command(after_help = "\
Example:
  ringcheck keys remove RINGCHECKA1B2C3D4E5F --state-dir /var/lib/ringcheck")]
    Remove {
        /// Its id.
        id: String,
        /// Where the keys are.
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are: one of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// The daemon's state directory.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The daemon's configuration, which names its state directory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How a new key is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyFormat {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// A section for ~/.aws/credentials, and lines for a shell in its comments.
    Aws,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &KeysArgs) -> Answer {
    let mut out = io::stdout().lock();
    let written = match &args.command {
        KeysCommand::List { place, secrets, format } => {
            let (directory, _) = place.find()?;
            let keys = KeyFile::load(&directory).map_err(|error| failure(&error))?;
            match format {
                super::Format::Table => print_table(&mut out, keys.all(), *secrets),
                super::Format::Json => print_json(&mut out, keys.all(), *secrets),
            }
        }
        KeysCommand::Add { place, id, format } => {
            let (directory, endpoint) = place.find()?;
            let key = KeyFile::add(&directory, id.as_deref()).map_err(|error| failure(&error))?;
            match format {
                KeyFormat::Table => print_table(&mut out, &[key], true),
                KeyFormat::Json => print_json(&mut out, &[key], true),
                KeyFormat::Aws => out.write_all(for_aws(&key, &endpoint).as_bytes()),
            }
        }
        KeysCommand::Remove { id, place } => {
            let (directory, _) = place.find()?;
            if !KeyFile::remove(&directory, id).map_err(|error| failure(&error))? {
                let directory = directory.display();
                return Err(Failure::refused(format_args!(
                    "there is no key '{id}', {directory}/keys.toml; 'ringcheck keys list' shows all"
                )));
            }
            Ok(())
        }
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

impl Place {
    /// The state directory, and where the daemon answers over TCP.
    fn find(&self) -> Result<(PathBuf, String), Failure> {
        let Some(file) = &self.config else {
            // One of the two is there: clap sees to it.
            return Ok((self.state_dir.clone().unwrap_or_default(), ENDPOINT.to_owned()));
        };
        let config = config::load(file).map_err(Failure::usage)?;
        let listen = config.api.listen.filter(|listen| listen.port() != 0);
        let endpoint = listen.map_or_else(|| ENDPOINT.to_owned(), |listen| listen.to_string());
        let directory = config.state.dir.ok_or_else(|| {
            let file = file.display();
            Failure::usage(format_args!(
                "there is no state directory, {file}; set state.dir, or use --state-dir"
            ))
        })?;
        Ok((directory, endpoint))
    }
}

fn failure(error: &KeyFileError) -> Failure {
    match error {
        KeyFileError::Change(_) => Failure::usage(error),
        KeyFileError::Open(..)
        | KeyFileError::NoFile(_)
        | KeyFileError::Invalid(..)
        | KeyFileError::TooLarge(_)
        | KeyFileError::Refused(..)
        | KeyFileError::NoChance(_) => Failure::engine(error),
    }
}

fn print_table(out: &mut impl Write, keys: &[Key], secrets: bool) -> io::Result<()> {
    let headings: &[&str] = if secrets { &["id", "secret"] } else { &["id"] };
    let mut rows = table::new(headings, &[]);
    for key in keys {
        let secret = secrets.then(|| key.secret.expose());
        rows.add_row(std::iter::once(key.id.as_str()).chain(secret));
    }
    table::print(out, &rows)
}

fn print_json(out: &mut impl Write, keys: &[Key], secrets: bool) -> io::Result<()> {
    for key in keys {
        let secret = secrets.then(|| key.secret.expose());
        writeln!(out, "{}", serde_json::to_string(&Shown { id: &key.id, secret })?)?;
    }
    Ok(())
}

/// A section of a credentials file; the lines for a shell are comments in it.
fn for_aws(key: &Key, endpoint: &str) -> String {
    let (id, secret) = (&key.id, key.secret.expose());
    let lines = [
        "[ringcheck]".to_owned(),
        format!("aws_access_key_id = {id}"),
        format!("aws_secret_access_key = {secret}"),
        "# or in a shell:".to_owned(),
        format!("# export AWS_ACCESS_KEY_ID={id}"),
        format!("# export AWS_SECRET_ACCESS_KEY={secret}"),
        format!("# export AWS_DEFAULT_REGION={REGION}"),
        format!("# export AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=http://{endpoint}"),
    ];
    lines.iter().fold(String::new(), |mut text, line| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printed_as_each_client_wants_it() {
        let key = Key::new("RINGCHECK1", "0123456789abcdef").unwrap();
        let keys = [key];
        let mut out = Vec::new();
        print_table(&mut out, &keys, false).unwrap();
        print_json(&mut out, &keys, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "ID\nRINGCHECK1\n{\"id\":\"RINGCHECK1\"}\n");
        let mut out = Vec::new();
        print_json(&mut out, &keys, true).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\"id\":\"RINGCHECK1\",\"secret\":\"0123456789abcdef\"}\n");
        let text = for_aws(&keys[0], "127.0.0.1:9411");
        assert!(text.starts_with("[ringcheck]\naws_access_key_id = RINGCHECK1\n"), "{text}");
        assert!(text.contains("\n# export AWS_SECRET_ACCESS_KEY=0123456789abcdef\n"), "{text}");
    }
}
