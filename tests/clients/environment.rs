//! The Python environment of the clients: made once, kept under `target/`, named after what is to
//! be in it.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/requirements.txt");
const CURE: &str = "install python3 with venv and pip (apt-get install python3-venv), and let pip \
    reach PyPI; .ci/run does both";

/// Where the environment is; `bin/` has its programs. Made if it is not there.
pub(crate) fn environment() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let version = Command::new("python3").arg("--version").output();
        let version = version.unwrap_or_else(|error| panic!("python3: {error}; {CURE}"));
        let pins = std::fs::read(REQUIREMENTS).unwrap();
        let hash = hex::encode(Sha256::digest([pins, version.stdout].concat()));
        let under = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let directory = under.join(format!("clients-venv-{}", &hash[..16]));
        // Several test processes at once make it once.
        let lock = File::create(directory.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let complete = directory.join("complete");
        if !complete.exists() {
            make(&directory);
            File::create(complete).unwrap();
        }
        directory
    })
}

fn make(directory: &Path) {
    // What a run that was cut off has left.
    let _ = std::fs::remove_dir_all(directory);
    done(Command::new("python3").args(["-m", "venv"]).arg(directory));
    let mut pip = Command::new(directory.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    done(pip.args(["--requirement", REQUIREMENTS]));
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}; {CURE}");
}
