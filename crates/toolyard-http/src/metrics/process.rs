//! Figures of the process, as the operating system knows them. Those it does not tell are left out.
#![expect(clippy::disallowed_methods, reason = "the kernel's account of this process is no file of anybody")]

use std::fs;

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    /// Seconds since 1970.
    pub(super) start_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

impl Process {
    /// Looks at this process.
    pub(super) fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second();
        let mut process = Self::default();
        process.read_stat(&read("/proc/self/stat"), &read("/proc/stat"), ticks);
        process.read_status(&read("/proc/self/status"));
        // One of them is the directory that is being read.
        process.open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1));
        process.max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        process
    }

    fn read_stat(&mut self, own: &str, machine: &str, ticks_per_second: u64) {
        // The name comes second, in parentheses, and may hold anything.
        let Some((_, fields)) = own.rsplit_once(')') else { return };
        let ticks = |field: usize| fields.split_ascii_whitespace().nth(field - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
        self.cpu_seconds = ticks(14).zip(ticks(15)).map(|(user, system)| seconds(user + system));
        let boot = machine.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|time| time.trim().parse::<f64>().ok());
        self.start_seconds = boot.zip(ticks(22)).map(|(boot, started)| boot + seconds(started));
    }

    fn read_status(&mut self, status: &str) {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        self.resident_bytes = number("VmRSS").map(|kib| kib * 1024);
        self.virtual_bytes = number("VmSize").map(|kib| kib * 1024);
        self.threads = number("Threads");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_even_if_the_name_is_odd() {
        let mut process = Process::default();
        let own = "42 (a) S 9 (b) S 1 42 42 0 -1 4194560 1000 0 0 0 150 50 0 0 20 0 7 0 12345 1000000 250 18446744073709551615";
        process.read_stat(own, "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n", 100);
        process.read_status("Name:\ta\nVmSize:\t  2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n");
        assert_eq!((process.cpu_seconds, process.start_seconds), (Some(2.0), Some(1_700_000_123.45)));
        assert_eq!((process.virtual_bytes, process.resident_bytes, process.threads), (Some(2 << 20), Some(1 << 20), Some(7)));
    }

    #[test]
    fn what_the_kernel_does_not_say_is_left_out() {
        let mut process = Process::default();
        process.read_stat("", "", 100);
        process.read_stat("42 (a) S 1", "btime x", 100);
        process.read_status("VmRSS: many kB");
        assert_eq!(process, Process::default());
    }

    #[test]
    fn this_process_uses_something() {
        let held: Vec<_> = (0..200).map(|_| fs::File::open("/proc/self/stat").expect("it is there")).collect();
        let process = Process::now();
        assert!(process.open_fds > Some(200), "{process:?}");
        drop(held);
        assert!(process.resident_bytes > Some(100_000) && process.virtual_bytes > process.resident_bytes, "{process:?}");
        assert!(process.threads >= Some(1) && process.max_fds > process.open_fds, "{process:?}");
        assert!(process.start_seconds > Some(1.6e9) && process.cpu_seconds >= Some(0.0), "{process:?}");
    }
}
