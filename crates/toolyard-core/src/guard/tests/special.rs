//! T16: FIFOs, sockets, devices and directories where a file is wanted.

use std::{
    os::unix::net::UnixListener,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::*;

#[test]
fn t16_special_files_are_refused_at_once_and_the_guard_goes_on() {
    both(|opener| {
        let bench = Bench::new(opener);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(CWD, bench.at("proj/fifo"), mode).expect("a FIFO");
        let _listener = UnixListener::bind(bench.at("proj/socket")).expect("a socket");
        let mut special = vec![("fifo", Kind::Fifo, "a named pipe"), ("socket", Kind::Socket, "a socket")];
        if is_root() && mknodat(CWD, bench.at("proj/zero"), FileType::CharacterDevice, mode, makedev(1, 5)).is_ok() {
            special.push(("zero", Kind::Device, "a device"));
        } else {
            skipped("device nodes can't be made here");
        }
        let started = Instant::now();
        for _ in 0..100 {
            for (name, kind, words) in &special {
                let path = bench.checked(name);
                assert_eq!(path.stat().expect("a stat").kind, *kind);
                let error = path.open_file().map(|_| ()).expect_err("no file");
                assert_eq!(
                    (error.kind(), error.message()),
                    (ErrorKind::Denied, format!("`{name}` is {words}, not a regular file").as_str())
                );
                assert_eq!(path.open_dir().map(|_| ()).expect_err("no directory").kind(), ErrorKind::InvalidInput);
            }
        }
        let dir = bench.checked(".").open_dir().expect("a directory");
        for name in ["fifo", "socket"] {
            assert!(dir.open_child_file(name.as_ref()).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock), "{name}");
        }
        let each = started.elapsed() / 100;
        assert!(each < Duration::from_millis(100), "{each:?}");
        assert_eq!(bench.read("a.txt").expect("still works"), "inside");
    });
}

#[test]
fn t16_a_directory_is_no_file_and_a_file_no_directory() {
    both(|opener| {
        let bench = Bench::new(opener);
        for (path, message) in [("src", "`src` is a directory, not a file"), (".", "`.` is a directory, not a file")] {
            let error = bench.checked(path).open_file().map(|_| ()).expect_err(path);
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, message));
        }
        let error = bench.checked("a.txt").open_dir().map(|_| ()).expect_err("a file");
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, "`a.txt` is a file, not a directory"));
        let error = bench.checked(".").parent().map(|_| ()).expect_err("the directory itself");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(bench.resolve("fifo/below").expect("nothing yet").kind(), None);
    });
}

#[test]
fn t16_a_file_that_became_a_fifo_after_the_decision_does_not_block() {
    both(|opener| {
        let bench = Bench::new(opener);
        let path = bench.checked("a.txt");
        std::fs::remove_file(bench.at("proj/a.txt")).expect("removed");
        rustix::fs::mkfifoat(CWD, bench.at("proj/a.txt"), Mode::from_raw_mode(0o600)).expect("a FIFO");
        let started = Instant::now();
        assert_eq!(read(&path).expect_err("a FIFO").kind(), ErrorKind::Denied);
        assert!(started.elapsed() < Duration::from_millis(100));
    });
}
