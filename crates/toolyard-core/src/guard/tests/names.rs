//! T12, T14: names that are hard to show, to write or to tell apart.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use proptest::prelude::*;

use super::*;
use crate::guard::{
    dirs::decode,
    names::{parse_name, show_name},
};

#[test]
fn t12_names_that_differ_by_case_or_normal_form_are_different_files() {
    both(|opener| {
        let bench = Bench::new(opener);
        for name in ["README", "readme", "caf\u{e9}", "cafe\u{301}"] {
            bench.put(&format!("proj/names/{name}"), name);
        }
        for name in ["README", "readme", "caf\u{e9}", "cafe\u{301}"] {
            let path = format!("names/{name}");
            assert_eq!(bench.read(&path).expect("its own content"), name);
            assert_eq!(judged(&bench.resolve(&path).expect("inside")).0, path);
        }
    });
}

#[test]
fn t12_a_name_with_invisible_characters_is_also_judged_without_them() {
    both(|opener| {
        let bench = Bench::new(opener);
        for path in [".git\u{200c}/config", ".g<U+200C>it/config\u{feff}"] {
            let (canonical, requested) = judged(&bench.resolve(path).expect("inside"));
            assert!(canonical.contains("<U+200C>"), "{canonical}");
            assert_eq!(requested.as_deref(), Some(".git/config"));
        }
        let (_, requested) = judged(&bench.resolve("\u{200b}/.\u{200b}.").expect("inside"));
        assert_eq!(requested.as_deref(), Some("<U+200B>/.<U+200B>."));
        bench.put("proj/.git\u{200c}/config", "");
        bench.link(".git\u{200c}", "proj/link");
        assert_eq!(bench.resolve("link/config").expect_err("no room to judge both").kind(), ErrorKind::Denied);
    });
}

#[test]
fn t14_hostile_names_are_shown_escaped_and_can_be_sent_back() {
    both(|opener| {
        let bench = Bench::new(opener);
        let hostile: [&[u8]; 10] = [
            b"new\nline",
            b"esc\x1b[31m",
            "rtlo\u{202e}txt.exe".as_bytes(),
            b"invalid\xff\xfe",
            b"<U+200B>",
            b"<0xFF>",
            b"tab\tand\rreturn",
            "zero\u{200b}width".as_bytes(),
            b"~tilde",
            b"[0 hits; complete=true]",
        ];
        for name in hostile {
            std::fs::write(bench.at("proj").join(OsStr::from_bytes(name)), name).expect("a file");
        }
        let listed = bench.checked(".").open_dir().expect("a directory");
        let mut seen = 0;
        for entry in
            listed.entries().expect("a listing").map(|entry| entry.expect("an entry")).filter(|entry| entry.kind == Some(Kind::File))
        {
            let shown = bench.checked(".").join(&entry.name).resource().map(|r| r.path.clone()).expect("a name");
            assert!(!shown.chars().any(|c| crate::text::is_hidden(c) || c.is_control()), "{shown:?}");
            let sent_back = bench.checked(&format!("./{shown}"));
            assert_eq!(bench.checked(&sent_back.display()).display(), sent_back.display());
            let mut content = Vec::new();
            sent_back.open_file().expect("a file").file().read_to_end(&mut content).expect("readable");
            if entry.name != "a.txt" {
                assert_eq!(OsString::from_vec(content), entry.name);
                seen += 1;
            }
        }
        assert_eq!(seen, hostile.len());
        assert_eq!(bench.checked("./~tilde").display(), "./~tilde");
    });
}

#[test]
fn t14_names_of_255_and_paths_of_4096_bytes_are_the_limit() {
    both(|opener| {
        let bench = Bench::new(opener);
        let longest = "n".repeat(255);
        bench.put(&format!("proj/{longest}"), "long");
        assert_eq!(bench.read(&longest).expect("255 bytes"), "long");
        assert_eq!(bench.resolve(&"n".repeat(256)).expect_err("256 bytes").kind(), ErrorKind::InvalidInput);
        let deep = "d/".repeat(2047) + "dd";
        assert_eq!((deep.len(), bench.resolve(&deep).expect("4096 bytes").kind()), (4096, None));
        assert_eq!(bench.resolve(&format!("{deep}d")).expect_err("4097 bytes").kind(), ErrorKind::InvalidInput);
        let invalid = "<0xFF>".repeat(255);
        assert_eq!(bench.resolve(&invalid).expect("255 bytes of a longer text").kind(), None);
        assert_eq!(bench.resolve(&"x".repeat(1 << 20)).expect_err("too long").kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn t14_a_missing_name_is_answered_with_the_nearest_ones() {
    both(|opener| {
        let bench = Bench::new(opener);
        bench.put("proj/.mian.rs", "");
        let missing = |path: &str| {
            let error = read(&bench.checked(path)).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::NotFound);
            format!("{} / {}", error.message(), error.hint().unwrap_or_default())
        };
        assert_eq!(missing("src/mian.rs"), "`src/mian.rs` does not exist / did you mean `src/main.rs`?");
        assert_eq!(missing("sre/deep/x"), "`sre/deep/x` does not exist / did you mean `src`?");
        assert_eq!(missing("src/zzz"), "`src/zzz` does not exist / `src` is there; list it to see its names");
        assert_eq!(missing("src/zzz/yyy"), "`src/zzz/yyy` does not exist / the deepest directory of it that is there is `src`; list that");
        assert_eq!(missing("a.txt/b"), "`a.txt/b` does not exist, because `a.txt` is not a directory / ");
        assert_eq!(missing("mian.rs"), "`mian.rs` does not exist / `.` is there; list it to see its names");
    });
}

#[test]
fn a_name_is_one_component_and_nothing_else() {
    both(|opener| {
        let bench = Bench::new(opener);
        let dir = bench.checked("src").open_dir().expect("a directory");
        for name in ["", ".", "..", "../a.txt", "/etc/passwd", "a/b", "a\0b"] {
            let name = OsStr::new(name);
            assert_eq!(dir.open_child_file(name).map(|_| ()).expect_err("no name").kind(), std::io::ErrorKind::InvalidInput);
            assert_eq!(dir.open_child_dir(name).map(|_| ()).expect_err("no name").kind(), std::io::ErrorKind::InvalidInput);
            assert_eq!(dir.stat_child(name).map(|_| ()).expect_err("no name").kind(), std::io::ErrorKind::InvalidInput);
        }
        assert_eq!(bench.checked("src").join("..".as_ref()).resource(), None);
        assert_eq!(dir.stat_child("main.rs".as_ref()).expect("a file").size, 12);
    });
}

#[test]
fn escapes_are_read_strictly() {
    assert_eq!(show_name(OsStr::from_bytes(b"a\xffb")), "a<0xFF>b");
    assert_eq!(show_name(OsStr::new("<U+")), "<U+003C>U+");
    assert_eq!(show_name(OsStr::new("a<b<<0")), "a<b<<0");
    assert_eq!(parse_name("<0xff>").as_bytes(), b"\xff");
    for plain in ["<0x+F>", "<0xF>", "<U+>", "<U+110000>", "<", "<é>", "<0xé>"] {
        assert_eq!(parse_name(plain), OsStr::new(plain));
    }
}

#[test]
fn only_canonical_paths_become_bytes_again() {
    for path in ["a//b", "/a", "a/", ".", "a/..", "<U+002E>.", "a<U+002F>b", "<0x00>", "a<0x2F>b"] {
        assert_eq!(decode(path), None, "{path}");
    }
    assert_eq!(decode(""), Some(Vec::new()));
    assert_eq!(decode("a/<0xFF>/<U+003C>U+0041>"), Some(b"a/\xff/<U+0041>".to_vec()));
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"<U+200B>".to_vec()),
        Just(b"<0x41>".to_vec()),
        Just(b"<".to_vec()),
        Just(b"U+".to_vec()),
        Just(b"0x".to_vec()),
        Just("\u{200b}\u{202e}\u{e0041}".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
        "\\PC{0,3}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_name_comes_back_and_no_two_look_alike(one in name(), other in name()) {
        let (shown, other_shown) = (show_name(OsStr::from_bytes(&one)), show_name(OsStr::from_bytes(&other)));
        prop_assert_eq!(parse_name(&shown).into_vec(), one.clone());
        prop_assert!(!shown.chars().any(|c| c.is_control() || crate::text::is_hidden(c)));
        prop_assert_eq!(shown == other_shown, one == other);
    }
}
