//! Installs the real clients once into `.cache/clients`, with the versions pinned in `tests/clients`.
//!
//! Each part has a stamp with the content of its lock file, so a second run is instant and a
//! changed pin installs again. Where npm or pip cannot be reached the tests say `SKIPPED`;
//! with `TOOLYARD_REQUIRE_CLIENTS=1` they fail instead.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use crate::{process::finish, sandbox::repository};

/// An unreachable registry is not asked again for this long.
const RETRY: Duration = Duration::from_secs(15 * 60);

const NPM_LIMIT: Duration = Duration::from_secs(15 * 60);
const PIP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Where `npm` put Node and the client packages.
#[derive(Clone, Debug)]
pub struct Node {
    modules: PathBuf,
}

impl Node {
    /// The directory of the installed packages.
    #[must_use]
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The directory with `node`, `claude`, `gemini` and the other programs.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.modules.join(".bin")
    }
}

/// Node and the packages of `tests/clients/package.json`.
pub fn node() -> Result<Node, String> {
    let target = cache().join("node");
    let lock = read(&sources().join("package-lock.json"))?;
    install("node", &target, &lock, |target| {
        for name in ["package.json", "package-lock.json"] {
            let from = sources().join(name);
            fs::copy(&from, target.join(name)).map_err(|error| format!("{name}: {error}"))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(target).args(["ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000"]);
        run(&mut npm, NPM_LIMIT)?;
        run(Command::new(target.join("node_modules/.bin/node")).arg("--version"), PIP_LIMIT)
    })?;
    Ok(Node { modules: target.join("node_modules") })
}

/// The Python of a virtual environment with the official SDK of major version 1 or 2.
pub fn python(major: u8) -> Result<PathBuf, String> {
    environment(&format!("v{major}"))
}

/// The command line of FastMCP.
pub fn fastmcp() -> Result<PathBuf, String> {
    environment("fastmcp").map(|python| python.with_file_name("fastmcp"))
}

/// The Python of a virtual environment with the pinned packages of a name.
fn environment(name: &str) -> Result<PathBuf, String> {
    let requirements = sources().join(format!("requirements-{name}.txt"));
    let name = format!("python-{name}");
    let target = cache().join(&name);
    let lock = read(&requirements)?;
    let python = target.join("bin/python");
    install(&name, &target, &lock, |target| {
        let base = suitable_python()?;
        run(Command::new(base).args(["-m", "venv"]).arg(target), PIP_LIMIT)?;
        let mut pip = Command::new(target.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "-r"]).arg(&requirements);
        run(&mut pip, PIP_LIMIT)
    })?;
    Ok(python)
}

/// The part, or `None` after saying loudly why the test cannot run here.
#[must_use]
pub fn or_skip<T>(what: &str, part: Result<T, String>) -> Option<T> {
    match part {
        Ok(part) => Some(part),
        Err(why) => {
            say_skipped(what, &why);
            None
        }
    }
}

/// Says on standard error, past the test harness's capture, that something was not tested.
pub fn say_skipped(what: &str, why: &str) {
    let why = why.trim().replace('\n', "\n    ");
    assert!(!required(), "{what} must be tested (TOOLYARD_REQUIRE_CLIENTS=1): {why}");
    let written = writeln!(io::stderr(), "SKIPPED: {what}: {why}");
    written.expect("standard error can be written");
}

/// Whether a missing client is a failure.
#[must_use]
pub fn required() -> bool {
    env::var_os("TOOLYARD_REQUIRE_CLIENTS").is_some_and(|value| value == "1")
}

fn install(name: &str, target: &Path, lock: &str, steps: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let cache = cache();
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let stamp = cache.join(format!("{name}.stamp"));
    let is_done = || fs::read_to_string(&stamp).is_ok_and(|done| done == lock);
    if is_done() {
        return Ok(());
    }
    let gate = File::create(cache.join(format!("{name}.lock")));
    let gate = gate.map_err(|error| format!("the lock of {name}: {error}"))?;
    gate.lock().map_err(|error| format!("the lock of {name}: {error}"))?;
    // Another test may have installed it, or failed to, while this one waited.
    if is_done() {
        return Ok(());
    }
    let failure = cache.join(format!("{name}.failed"));
    if !required() && is_recent(&failure) {
        return Err(read(&failure)?);
    }
    if target.exists() {
        fs::remove_dir_all(target).map_err(|error| format!("{}: {error}", target.display()))?;
    }
    fs::create_dir_all(target).map_err(|error| format!("{}: {error}", target.display()))?;
    let written = match steps(target) {
        Ok(()) => fs::write(&stamp, lock),
        Err(why) => {
            fs::write(&failure, &why).map_err(|error| format!("{why}; {error}"))?;
            return Err(why);
        }
    };
    written.map_err(|error| format!("{}: {error}", stamp.display()))
}

fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    let done = finish(command, limit)?;
    if done.code == Some(0) {
        return Ok(());
    }
    let output = format!("{}{}", done.stdout, done.stderr);
    let last: Vec<_> = output.lines().rev().take(8).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    Err(format!("{command:?} ended with {:?}: {}", done.code, last.join("\n")))
}

fn suitable_python() -> Result<&'static str, String> {
    let check = "import sys, venv; sys.exit(sys.version_info < (3, 10))";
    ["python3", "python3.13", "python3.12", "python3.11", "python3.10"]
        .into_iter()
        .find(|name| run(Command::new(name).args(["-c", check]), PIP_LIMIT).is_ok())
        .ok_or_else(|| "no Python 3.10 or newer with venv".to_owned())
}

fn is_recent(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|data| data.modified()).map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    age.is_ok_and(|age| age < RETRY)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn sources() -> PathBuf {
    repository().join("tests/clients")
}

fn cache() -> PathBuf {
    repository().join(".cache/clients")
}
