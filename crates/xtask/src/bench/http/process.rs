//! A server under load: started, waited for, looked at from outside, killed.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A server that listens.
pub(super) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts a program and waits until it takes connections. What it has to say about a failure
    /// goes to `log`.
    pub(super) fn start(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(log)?)
            .spawn()
            .with_context(|| format!("{command:?} does not start"))?;
        let mut process = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if process.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{command:?} does not listen: {}", std::fs::read_to_string(log)?);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Seconds of processor time used so far, in steps of 10 ms.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let ticks = |nth: usize| fields.split_whitespace().nth(nth).and_then(|field| field.parse::<f64>().ok()).context("no times in stat");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    pub(super) fn resident_kib(&self) -> Result<u64> {
        crate::bench::client::status(self.child.id(), "VmRSS:")
    }

    pub(super) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose, and a failed measurement must not leave it behind.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

/// An address on loopback that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
