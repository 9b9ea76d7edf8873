//! T7: renames that run against reads.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

/// Reads of one run; two swappers run against it all the time.
const READS: usize = 100_000;

#[derive(Debug, Default)]
struct Seen {
    inside: usize,
    refused: usize,
    leaked: usize,
}

#[test]
fn t7_no_read_ever_leaves_while_files_and_directories_are_swapped_with_symlinks() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/dir/f", "inside");
        bench.put("out/f", "SECRET");
        bench.link(bench.at("out/secret"), "proj/file-link");
        bench.link(bench.at("out"), "proj/dir-link");
        let stop = AtomicBool::new(false);
        let [mut files, mut below, mut listed, mut above] = std::array::from_fn(|_| Seen::default());
        thread::scope(|scope| {
            for (one, other) in [("proj/a.txt", "proj/file-link"), ("proj/dir", "proj/dir-link")] {
                let (one, other, stop) = (bench.at(one), bench.at(other), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("exchanged");
                    }
                });
            }
            for round in 0..READS {
                note(&mut files, bench.read("a.txt"));
                note(&mut below, bench.read("dir/f"));
                if round % 20 == 0 {
                    note(&mut listed, names_below(&bench));
                    note(&mut above, bench.read("dir/../a.txt"));
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        for seen in [&files, &below, &listed, &above] {
            assert_eq!(seen.leaked, 0, "{seen:?}");
            assert!(seen.inside > 100 && seen.refused > 100, "the race was not run: {seen:?}");
        }
        report(opener, &files, &below);
    });
}

fn note(seen: &mut Seen, read: Result<String, ToolError>) {
    match read {
        Ok(text) if text.starts_with("inside") => seen.inside += 1,
        Ok(_) => seen.leaked += 1,
        Err(_) => seen.refused += 1,
    }
}

/// `inside` when the listing shows the inner directory, else the names it shows.
fn names_below(bench: &Bench) -> Result<String, ToolError> {
    let dir = bench.resolve("dir")?.granted(Effect::Read).open_dir()?;
    let names: Vec<_> = dir.entries().expect("a listing").map(|entry| entry.expect("an entry").name).collect();
    Ok(if names == ["f"] { "inside".to_owned() } else { format!("{names:?}") })
}

#[expect(clippy::print_stderr, reason = "the figures belong in the log of the test run")]
fn report(opener: Opener, files: &Seen, below: &Seen) {
    eprintln!("{opener:?}: files {files:?}, below a directory {below:?}");
}

#[test]
fn t7_an_opened_directory_stays_the_one_that_was_opened() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/dir/f", "inside");
        bench.put("out/f", "SECRET");
        let dir = bench.checked("dir").open_dir().expect("a directory");
        std::fs::rename(bench.at("proj/dir"), bench.at("proj/moved")).expect("moved");
        bench.link(bench.at("out"), "proj/dir");
        let mut text = String::new();
        dir.open_child_file("f".as_ref()).expect("still the same").read_to_string(&mut text).expect("readable");
        assert_eq!(text, "inside");
        bench.link(bench.at("out/secret"), "proj/moved/link");
        let refused = dir.open_child_file("link".as_ref()).expect_err("a symlink");
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        assert_eq!(dir.stat_child("link".as_ref()).expect("the link itself").kind, Kind::Symlink);
    });
}
