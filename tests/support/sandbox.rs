//! A temporary workspace with its own home, and commands that see nothing of the machine's.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A workspace, a home and a state directory that are removed with it.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    /// An empty workspace.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("toolyard-it-").tempdir().expect("a temporary directory");
        for name in ["workspace", "home", "state", "config", "cache", "tmp"] {
            fs::create_dir(root.path().join(name)).expect("a sandbox directory");
        }
        Self { root }
    }

    /// Makes a file below the workspace, with its parents.
    #[must_use]
    pub fn with(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Makes a file below the workspace, with its parents, and says where it is.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.workspace().join(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("parent directories");
        fs::write(&file, content).expect("a written file");
        file
    }

    /// The text of a file below the workspace.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        let file = self.workspace().join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The directory that the server under test may touch.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.root.path().join("workspace")
    }

    /// The private home directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Where the server under test keeps its trail and its token.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state/toolyard")
    }

    /// A place outside the workspace for plans, logs and configuration files.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.root.path().join("tmp").join(name)
    }

    /// A command with a clean environment, started in the workspace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", self.home())
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("XDG_STATE_HOME", self.root.path().join("state"))
            .env("XDG_CONFIG_HOME", self.root.path().join("config"))
            .env("XDG_CACHE_HOME", self.root.path().join("cache"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// The top of this repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests live in a folder of the repository")
}
