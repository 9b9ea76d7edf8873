//! Writes while another program swaps files and directories for symlinks to the outside.

use std::{
    os::unix::fs::symlink,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use super::names;
use crate::testing::Ring;

/// Swaps pairs of paths until told to stop.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Swapper {
    fn start(pairs: Vec<(PathBuf, PathBuf)>) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&swaps));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (a, b) in &pairs {
                    if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Self { stop, swaps, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the swapping thread");
        self.swaps.load(Ordering::Relaxed)
    }
}

#[test]
fn twenty_thousand_writes_under_a_rename_race_stay_inside() {
    let ring = Ring::new();
    std::fs::write(ring.beside("out/secret"), "secret").expect("a file");
    ring.put("f", "0");
    ring.put("dir/g", "0");
    symlink(ring.beside("out/secret"), ring.path("f2")).expect("a link");
    symlink(ring.beside("out"), ring.path("dir2")).expect("a link");
    let swapper = Swapper::start(vec![(ring.path("f"), ring.path("f2")), (ring.path("dir"), ring.path("dir2"))]);
    let (mut written, mut refused) = (0_u32, 0_u32);
    for n in 0..20_000_u32 {
        let (tool, arguments) = match n % 5 {
            0 => ("fs_write", json!({"path": "f", "content": n.to_string(), "overwrite": true})),
            1 => ("fs_write", json!({"path": "dir/g", "content": n.to_string(), "overwrite": true})),
            2 => ("fs_write", json!({"path": format!("dir/new/{}", n % 50), "content": n.to_string(), "overwrite": true})),
            3 => ("fs_mkdir", json!({"path": format!("dir/made/{}", n % 50)})),
            _ => ("fs_copy", json!({"from": "f", "to": "dir/copy", "overwrite": true})),
        };
        if ring.call(tool, arguments).is_error { refused += 1 } else { written += 1 }
    }
    let swaps = swapper.end();
    assert_eq!(names(ring.beside("out")), ["secret"]);
    assert_eq!(std::fs::read(ring.beside("out/secret")).expect("the secret"), b"secret");
    // Without both outcomes and many swaps there was no race to lose.
    assert!(written > 500 && refused > 500 && swaps > 1_000, "{written} written, {refused} refused, {swaps} swaps");
}
