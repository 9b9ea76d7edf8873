//! T1, T8: paths that lead out, and other names for places.

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use super::*;

#[test]
fn t1_paths_outside_are_refused_with_one_text_whether_or_not_something_is_there() {
    both(|opener| {
        let bench = Bench::new(opener);
        for path in [
            bench.text("proj_evil/x"),
            bench.text("proj_evil/missing"),
            bench.text("proj/../proj_evil/x"),
            bench.text("proj/./../out/secret"),
            bench.text("proj//..//out/secret"),
            bench.text("proj//..//out/missing"),
            "../out/secret".into(),
            "../out/missing".into(),
            "src/../../out/secret".into(),
            "..".into(),
            "/etc/passwd".into(),
            "/etc/no-such-file".into(),
            "/".into(),
        ] {
            bench.is_outside(&path);
        }
    });
}

#[test]
fn t1_malformed_paths_are_refused_and_odd_looking_ones_are_plain_names() {
    both(|opener| {
        let bench = Bench::new(opener);
        for path in ["", "~", "~/x", "~root/x", "file:///etc/passwd", "FILE://a.txt", "a\0b", "a<U+0000>b", "a<U+002F>b", "..<0x2F>out"] {
            assert_eq!(bench.resolve(path).expect_err(path).kind(), ErrorKind::InvalidInput, "{path}");
        }
        for path in ["%2e%2e/out/secret", "a.txt ", "a.txt.", "..\\out\\secret", "C:\\x", "\\\\server\\share", "...", "<U+zz>"] {
            let target = bench.resolve(path).expect(path);
            assert_eq!((target.kind(), judged(&target).1), (None, None), "{path}");
        }
        for (path, canonical) in [(".", ""), ("./src//main.rs", "src/main.rs"), ("src/../a.txt", "a.txt"), ("src/", "src")] {
            assert_eq!(judged(&bench.resolve(path).expect(path)), (canonical.to_owned(), None), "{path}");
        }
        // An escape is no way to write `..` past the checks.
        bench.is_outside("../proj_evil/x");
        assert_eq!(bench.resolve("<U+002E>./out/secret").expect_err("outside").kind(), ErrorKind::Denied);
        assert_eq!(bench.resolve("a.txt/").expect_err("a file").kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn t1_absolute_paths_inside_work_and_come_back_relative() {
    both(|opener| {
        let bench = Bench::new(opener);
        for path in [bench.text("proj/src/main.rs"), bench.text("proj/src/../src/main.rs"), bench.text("proj/../proj/src/main.rs")] {
            assert_eq!(bench.checked(&path).display(), "src/main.rs");
            assert_eq!(bench.read(&path).expect("readable"), "fn main() {}");
        }
        assert_eq!(bench.checked(&bench.text("proj")).display(), ".");
        assert_eq!(bench.read("../proj/a.txt").expect("it never left"), "inside");
    });
}

#[test]
fn t8_aliases_of_proc_and_dev_lead_outside() {
    both(|opener| {
        let bench = Bench::new(opener);
        let root = format!("/proc/self/root{}", bench.text("proj/a.txt"));
        let pid = format!("/proc/{}/cwd/a.txt", std::process::id());
        for path in ["/proc/self/cwd/Cargo.toml", &root, &pid, "/dev/fd/3", "/proc/self/fd/0", "/dev/stdin"] {
            bench.is_outside(path);
        }
        bench.link("/proc/self/cwd", "proj/cwd");
        bench.link("/proc/self/root", "proj/root");
        bench.link("/dev/fd/3", "proj/fd");
        for path in ["cwd/Cargo.toml", "root/etc/passwd", "fd"] {
            bench.is_outside(path);
        }
    });
}

#[test]
fn t8_a_bind_mount_that_shows_files_twice_is_refused_and_another_file_system_is_not() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/secrets/key", "KEY");
        std::fs::create_dir_all(bench.at("proj/alias")).expect("a directory");
        std::fs::create_dir_all(bench.at("proj/other")).expect("a directory");
        std::fs::create_dir_all(bench.at("proj/volume")).expect("a directory");
        bench.put("elsewhere/v.txt", "volume");
        let mounts = [
            mount_bind(bench.at("proj/secrets"), bench.at("proj/alias")),
            mount("tmpfs", bench.at("proj/other"), "tmpfs", MountFlags::empty(), None),
            mount_bind(bench.at("elsewhere"), bench.at("proj/volume")),
        ];
        let _mounted: Vec<_> = ["alias", "other", "volume"]
            .into_iter()
            .zip(&mounts)
            .filter(|(_, mounted)| mounted.is_ok())
            .map(|(point, _)| Mounted(bench.at("proj").join(point)))
            .collect();
        if mounts.iter().all(Result::is_ok) {
            bench.put("proj/other/file", "other");
            for path in ["alias", "alias/key", "alias/missing"] {
                let error = bench.resolve(path).expect_err("an alias");
                assert_eq!(error.kind(), ErrorKind::Denied);
                assert!(error.message().contains("bind mount"), "{error}");
            }
            assert_eq!(bench.read("secrets/key").expect("the original"), "KEY");
            assert_eq!(bench.read("other/file").expect("another file system"), "other");
            assert_eq!(bench.read("volume/v.txt").expect("a volume of the same device, not shown elsewhere"), "volume");
            let dir = bench.checked(".").open_dir().expect("a directory");
            let names: Vec<_> =
                ["alias", "other", "volume"].iter().map(|name| dir.open_child_dir(name.as_ref()).err().map(|e| e.kind())).collect();
            assert_eq!(names, [Some(std::io::ErrorKind::PermissionDenied), None, None]);
        } else {
            skipped("mounting is not permitted here");
        }
    });
}

/// Goes away before the directory it is in is deleted, also when the test fails.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(errno) = unmount(&self.0, UnmountFlags::DETACH) {
            skipped(&format!("a mount is left behind: {errno}"));
        }
    }
}
