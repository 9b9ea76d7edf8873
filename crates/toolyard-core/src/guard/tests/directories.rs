//! T13: allowed directories that are nested, replaced or the root.

use super::*;

#[test]
fn t13_a_handle_stays_with_its_directory_when_another_takes_its_place() {
    both(|opener| {
        let bench = Bench::new(opener);
        std::fs::rename(bench.at("proj"), bench.at("renamed")).expect("renamed");
        bench.link(bench.at("out"), "proj");
        assert_eq!(bench.read("a.txt").expect("still held"), "inside");
        assert_eq!(bench.resolve("secret").expect("inside").kind(), None);
        assert_eq!(bench.resolve(&bench.text("proj/secret")).expect("inside").kind(), None);
        bench.is_outside(&bench.text("renamed/a.txt"));
    });
}

#[test]
fn t13_a_directory_that_was_deleted_and_made_again_says_so() {
    both(|opener| {
        let bench = Bench::new(opener);
        let before = bench.checked("a.txt");
        std::fs::remove_dir_all(bench.at("proj")).expect("deleted");
        bench.put("proj/a.txt", "another");
        for error in [bench.resolve("a.txt").expect_err("gone"), read(&before).expect_err("gone")] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.message().ends_with("was deleted or replaced"), "{error}");
        }
    });
}

#[test]
fn t13_nested_directories_give_each_file_one_name() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/inner/deep/f", "f");
        bench.put("second/only", "only");
        bench.put("second/a.txt", "shadowed");
        let all = [bench.at("proj"), bench.at("proj/inner"), bench.at("second"), bench.at("proj/inner/../inner")];
        let dirs = AllowedDirs::open_with(&all, Some(opener)).expect("directories");
        assert_eq!(dirs.iter().count(), 3, "the last one is the second, spelled differently");
        bench.link("inner/deep", "proj/to-inner");
        bench.link(bench.at("second/only"), "proj/to-second");
        let inner = bench.at("proj/inner").canonicalize().expect("a path").to_str().expect("plain").to_owned();
        for path in ["inner/deep/f", "deep/f", "to-inner/f", &bench.text("proj/inner/deep/f"), "../proj/inner/deep/f"] {
            let target = dirs.resolve(path, Follow::Final).expect(path);
            let found = resource(&target);
            assert_eq!((&*found.directory, found.path.as_str()), (inner.as_str(), "deep/f"), "{path}");
            assert_eq!(target.display(), format!("{inner}/deep/f"));
            assert_eq!(read(&target.granted(Effect::Read)).expect(path), "f");
        }
        for path in ["only", "to-second", "../second/only"] {
            assert_eq!(read(&dirs.resolve(path, Follow::Final).expect(path).granted(Effect::Read)).expect(path), "only");
        }
        // Relative: the first directory where it exists, else the first.
        assert_eq!(read(&dirs.resolve("a.txt", Follow::Final).expect("first").granted(Effect::Read)).expect("first"), "inside");
        assert_eq!(dirs.resolve("nowhere", Follow::Final).expect("first").display(), "nowhere");
        let joined = dirs.resolve(".", Follow::Final).expect("first").granted(Effect::Read).join("inner".as_ref());
        assert_eq!(joined.resource().map(|r| (r.directory.to_string(), r.path.clone())), Some((inner, String::new())));
        let error = dirs.resolve("/etc/passwd", Follow::Final).expect_err("outside");
        assert!(error.hint().is_some_and(|hint| hint.matches('`').count() == 6), "{error}");
    });
}

#[test]
fn t13_the_operators_spelling_through_a_symlink_is_accepted_too() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link(bench.at("proj"), "spelled");
        let dirs = AllowedDirs::open_with(&[bench.at("spelled")], Some(opener)).expect("a directory");
        for path in [bench.text("spelled/a.txt"), bench.text("proj/a.txt")] {
            let target = dirs.resolve(&path, Follow::Final).expect("inside");
            assert_eq!((target.display().as_str(), resource(&target).requested), ("a.txt", None));
        }
        bench.link(bench.at("spelled/src/main.rs"), "proj/by-spelling");
        assert_eq!(dirs.resolve("by-spelling", Follow::Final).expect("inside").display(), "src/main.rs");
        let error = dirs.resolve(&bench.text("spelled_evil"), Follow::Final).expect_err("another name");
        assert_eq!(error.kind(), ErrorKind::Denied);
    });
}

#[test]
fn t13_the_root_can_be_allowed() {
    both(|opener| {
        let bench = Bench::new(opener);
        let dirs = AllowedDirs::open_with(&[PathBuf::from("/")], Some(opener)).expect("the root");
        let target = dirs.resolve(&bench.text("out/secret"), Follow::Final).expect("inside");
        let found = resource(&target);
        assert_eq!(
            (&*found.directory, format!("/{}", found.path)),
            ("/", bench.at("out/secret").canonicalize().expect("a path").display().to_string())
        );
        assert_eq!(read(&target.granted(Effect::Read)).expect("readable"), "SECRET");
        assert_eq!(dirs.resolve("/", Follow::Final).expect("itself").display(), ".");
        assert_eq!(dirs.resolve("/../..", Follow::Final).expect("the top stays the top").display(), ".");
        // Even a magic link is only text here: the policy judges where it leads.
        let here = std::env::current_dir().expect("a directory");
        let target = dirs.resolve("/proc/self/cwd/Cargo.toml", Follow::Final).expect("inside");
        assert_eq!(format!("/{}", judged(&target).0), here.join("Cargo.toml").display().to_string());
    });
}

#[test]
fn t13_what_is_no_directory_can_not_be_opened() {
    let bench = Bench::new(Opener::OpenAt2);
    for path in ["proj/a.txt", "missing"] {
        let error = AllowedDirs::open(&[bench.at(path)]).expect_err(path);
        assert_eq!(error.to_string(), format!("the allowed directory `{}` can't be opened", bench.text(path)));
    }
    let none = AllowedDirs::open(&[]).expect("none");
    assert_eq!(none.resolve("a", Follow::Final).expect_err("outside").kind(), ErrorKind::Denied);
}
