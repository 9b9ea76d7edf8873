//! The servers that are compared, and what they are configured with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    issuer::Issuer,
    process::{Process, free_address},
    wire::Call,
};

pub(super) const STATIC_TOKEN: &str = "a-token-of-the-benchmark";
const RULES: usize = 100;

/// Programs, an authorization server and a directory to work on.
pub(super) struct Setup {
    program: PathBuf,
    bin: PathBuf,
    issuer: Issuer,
    directory: TempDir,
}

impl Setup {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let workspace = directory.path().join("workspace");
        std::fs::create_dir_all(workspace.join("src"))?;
        std::fs::write(workspace.join("small.txt"), "first line\nsecond line\nthird line\n")?;
        for file in 0..50 {
            std::fs::write(workspace.join(format!("src/{file}.rs")), "fn main() { let answer = 42; }\n".repeat(40))?;
        }
        Ok(Self { program: root.join("target/dist/toolyard"), bin: root.join("target/release"), issuer: Issuer::start()?, directory })
    }

    pub(super) fn access_token(&self) -> Result<String> {
        self.issuer.token()
    }

    /// Reads the small file of the workspace.
    pub(super) fn read(&self) -> Call {
        Call { tool: "fs_read", arguments: json!({ "path": "small.txt" }), answer: "second line".into() }
    }

    /// The bare server.
    pub(super) fn reference(&self, answers: &str) -> Result<Process> {
        let address = free_address()?;
        let mut command = Command::new(self.bin.join("rmcp-http-reference"));
        Process::start(command.arg(address.port().to_string()).arg(answers), address, &self.log("reference"))
    }

    /// Our facade with an echo tool.
    pub(super) fn echo(&self) -> Result<Process> {
        let address = free_address()?;
        let mut command = Command::new(self.bin.join("toolyard-http-echo"));
        command.arg(self.configured("echo", address)?).arg(self.state("echo")).arg(self.workspace());
        Process::start(&mut command, address, &self.log("echo"))
    }

    /// The program as it is handed out.
    pub(super) fn program(&self) -> Result<Process> {
        let address = free_address()?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(self.configured("program", address)?);
        command.arg("--state-dir").arg(self.state("program")).arg("--workspace").arg(self.workspace());
        Process::start(&mut command, address, &self.log("program"))
    }

    /// A file of the workspace.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.workspace().join(path), text)?)
    }

    fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// Outside the workspace, as the server demands; another one for each process.
    fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}-state"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.log"))
    }

    fn configured(&self, name: &str, address: SocketAddr) -> Result<PathBuf> {
        let file = self.directory.path().join(format!("{name}.json"));
        std::fs::write(&file, self.config(address)?.to_string())?;
        Ok(file)
    }

    fn config(&self, address: SocketAddr) -> Result<Value> {
        let hash: String = ring::digest::digest(&ring::digest::SHA256, STATIC_TOKEN.as_bytes())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(json!({
            "tools": { "filesystem": { "enabled": true } },
            "policy": rules(),
            "http": {
                "listen": address.to_string(),
                "legacySse": true,
                "tokens": [{ "name": "bench", "sha256": hash }],
                "oauth": {
                    "issuers": [{ "name": "bench", "issuer": self.issuer.url(), "audiences": [Issuer::AUDIENCE] }],
                    "insecureLoopbackIssuers": true,
                },
                // The limit is kept, with every request counted, but never reached.
                "limits": { "rate": 100_000, "rateWindowSeconds": 1 },
                "health": free_address()?.to_string(),
                "metrics": free_address()?.to_string(),
            },
        }))
    }
}

/// 100 rules of all three kinds, of which the last allows the echo.
fn rules() -> Value {
    let rules = |count: usize, rule: &dyn Fn(usize) -> String| (0..count).map(rule).collect::<Vec<_>>();
    let deny = rules(40, &|n| match n % 4 {
        0 => format!("read(secrets-{n}/**)"),
        1 => format!("write(releases-{n}/*.lock)"),
        2 => format!("fs_*(private-{n}/**/*.pem)"),
        _ => format!("fs_write(generated-{n}/**)"),
    });
    let ask = rules(20, &|n| format!("destroy(area-{n}/**)"));
    let mut allow = rules(RULES - deny.len() - ask.len() - 3, &|n| format!("fs_edit(team-{n}/src/**)"));
    allow.extend(["read", "fs_edit(lane-*.txt)", "demo_echo"].map(str::to_owned));
    json!({ "profile": "standard", "deny": deny, "ask": ask, "allow": allow })
}
