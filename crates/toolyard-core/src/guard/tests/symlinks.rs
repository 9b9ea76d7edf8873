//! T2, T3, T4, T5, T29: symlinks.

use super::*;

#[test]
fn t2_symlinks_to_the_outside_are_refused() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link(bench.at("out/secret"), "proj/file-abs");
        bench.link("../out/secret", "proj/file-rel");
        bench.link(bench.at("out"), "proj/dir-abs");
        bench.link("../../out", "proj/src/dir-rel");
        bench.link("two", "proj/one");
        bench.link("three", "proj/two");
        bench.link("../out/secret", "proj/three");
        bench.link(bench.at("proj_evil"), "proj/evil");
        for path in [
            "file-abs",
            "file-rel",
            "dir-abs",
            "dir-abs/secret",
            "dir-abs/missing",
            "src/dir-rel/secret",
            "one",
            "evil/x",
            "src/../dir-abs/secret",
        ] {
            bench.is_outside(path);
        }
    });
}

#[test]
fn t2_symlinks_that_stay_inside_work_relative_and_absolute() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link("src/main.rs", "proj/rel");
        bench.link(bench.at("proj/src"), "proj/abs");
        bench.link("../a.txt", "proj/src/up");
        bench.link("rel", "proj/again");
        bench.link("../proj/a.txt", "proj/out-and-in");
        for (path, content, canonical) in [
            ("rel", "fn main() {}", "src/main.rs"),
            ("abs/main.rs", "fn main() {}", "src/main.rs"),
            ("src/up", "inside", "a.txt"),
            ("abs/up", "inside", "a.txt"),
            ("again", "fn main() {}", "src/main.rs"),
            ("abs/../a.txt", "inside", "a.txt"),
            ("out-and-in", "inside", "a.txt"),
        ] {
            assert_eq!(bench.read(path).expect(path), content, "{path}");
            let (judged, requested) = judged(&bench.resolve(path).expect(path));
            assert_eq!(judged, canonical, "{path}");
            assert_eq!(requested, (path != "abs/../a.txt").then(|| path.to_owned()), "{path}");
        }
        // After a symlink `..` means its target's parent, as everywhere on the system.
        bench.put("proj/deep/er/x", "x");
        bench.link("deep/er", "proj/jump");
        bench.put("proj/deep/sibling", "sibling");
        assert_eq!(bench.read("jump/../sibling").expect("below deep"), "sibling");
    });
}

#[test]
fn t2_loops_and_long_chains_end() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link("loop", "proj/loop");
        for at in 0..50 {
            bench.link(if at == 0 { "a.txt".to_owned() } else { format!("l{}", at - 1) }, &format!("proj/l{at}"));
        }
        assert_eq!(bench.read("l39").expect("40 links"), "inside");
        for path in ["loop", "loop/x", "l40", "l49"] {
            let error = bench.resolve(path).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains("more than 40 symlinks"), "{error}");
        }
    });
}

#[test]
fn t3_a_dangling_symlink_names_the_place_it_points_to() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link(bench.at("out/nope"), "proj/dangling-out");
        bench.link("../out/nope", "proj/dangling-rel");
        bench.link("new/dir/file", "proj/dangling-in");
        bench.is_outside("dangling-out");
        bench.is_outside("dangling-rel");
        bench.is_outside("dangling-out/below");
        let target = bench.resolve("dangling-in").expect("inside");
        assert_eq!((target.kind(), judged(&target)), (None, ("new/dir/file".to_owned(), Some("dangling-in".to_owned()))));
        assert!(!bench.at("out/nope").exists(), "resolving must not create anything");
    });
}

#[test]
fn t4_what_does_not_exist_yet_below_a_symlink_is_outside_as_well() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link(bench.at("out"), "proj/link");
        for path in ["link/a/b/c", "link/a/new.txt", "src/../link/a", "link/../new.txt"] {
            bench.is_outside(path);
        }
        bench.link("src", "proj/inner");
        let target = bench.resolve("inner/a/b/c").expect("inside");
        assert_eq!((target.kind(), judged(&target).0), (None, "src/a/b/c".to_owned()));
        let target = bench.resolve("x/y/z").expect("inside");
        assert_eq!((target.kind(), judged(&target)), (None, ("x/y/z".to_owned(), None)));
        assert_eq!(bench.resolve("x/../y").expect_err("no such directory").kind(), ErrorKind::NotFound);
        assert_eq!(bench.resolve("a.txt/../src").expect_err("no directory").kind(), ErrorKind::NotFound);
    });
}

#[test]
fn t5_a_symlink_that_takes_the_place_of_a_judged_path_makes_the_open_fail() {
    both(|opener| {
        let bench = Bench::new(opener);
        let (file, nested, fresh) = (bench.checked("a.txt"), bench.checked("src/main.rs"), bench.checked("src/new/file"));
        std::fs::remove_file(bench.at("proj/a.txt")).expect("removed");
        bench.link(bench.at("out/secret"), "proj/a.txt");
        std::fs::rename(bench.at("proj/src"), bench.at("proj/moved")).expect("moved");
        bench.put("out/main.rs", "SECRET");
        bench.link(bench.at("out"), "proj/src");
        assert_eq!(read(&file).expect_err("a symlink").kind(), ErrorKind::Conflict);
        assert_eq!(read(&nested).expect_err("a symlink above").kind(), ErrorKind::Conflict);
        assert_eq!(nested.stat().expect_err("a symlink above").kind(), ErrorKind::Conflict);
        assert_eq!(nested.parent().map(|_| ()).expect_err("a symlink above").kind(), ErrorKind::Conflict);
        assert_eq!(fresh.parent().map(|_| ()).expect_err("a symlink above").kind(), ErrorKind::Conflict);
        assert_eq!(bench.checked("moved").open_dir().map(|_| ()).ok(), Some(()));
        // Even a symlink to the very same file is not what was judged.
        std::fs::remove_file(bench.at("proj/src")).expect("removed");
        bench.link("moved", "proj/src");
        assert_eq!(read(&nested).expect_err("a symlink").kind(), ErrorKind::Conflict);
    });
}

#[test]
fn t29_a_symlink_means_its_target_for_editing_and_itself_for_deleting() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.link("a.txt", "proj/link");
        bench.link(bench.at("out/secret"), "proj/outward");
        let edited = bench.resolve("link").expect("inside").granted(Effect::Write);
        let (_, name) = edited.parent().expect("a parent");
        assert_eq!(name, "a.txt", "an edit replaces the target and keeps the link");
        for link in ["link", "outward"] {
            let deleted = bench.dirs.resolve(link, Follow::NotFinal).expect("the link lies inside");
            assert_eq!((deleted.kind(), judged(&deleted)), (Some(Kind::Symlink), (link.to_owned(), None)));
            let deleted = deleted.granted(Effect::Destroy);
            assert_eq!(deleted.stat().expect("the link").kind, Kind::Symlink);
            assert_eq!(deleted.open_file().map(|_| ()).expect_err("a link is no file").kind(), ErrorKind::Conflict);
        }
        bench.link("src", "proj/dir-link");
        let below = bench.dirs.resolve("dir-link/main.rs", Follow::NotFinal).expect("only the last one is kept");
        assert_eq!(judged(&below).0, "src/main.rs");
    });
}
