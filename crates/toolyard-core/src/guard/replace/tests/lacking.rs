//! File systems without exchanging, refusing renames, nameless files, and moves between two of them.

use super::*;

/// Every combination of the three ways that may be missing.
fn combinations() -> impl Iterator<Item = Capabilities> {
    let both = [true, false];
    both.into_iter().flat_map(move |exchange| {
        both.into_iter().flat_map(move |no_replace| {
            both.into_iter().map(move |nameless| Capabilities { exchange, no_replace, nameless, ..Capabilities::ALL })
        })
    })
}

#[test]
fn content_is_created_and_replaced_in_every_way() {
    for can in combinations() {
        can.limited(|| {
            let place = Place::new();
            let write = |content: &[u8]| place.begin("a/f").put(&[content], &soon(), Durability::Unsynced);
            assert_eq!(write(b"first").map(|written| written.created).ok(), Some(true), "{can:?}");
            assert_eq!(write(b"second").map(|written| written.created).ok(), Some(false), "{can:?}");
            assert_eq!((place.get("a/f").as_str(), names(&place.path("a"))), ("second", vec!["f".to_owned()]), "{can:?}");
            let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(place.path("a/f")).expect("a file"));
            assert_eq!(links, 1, "{can:?}");
        });
    }
}

#[test]
fn whoever_changes_or_makes_the_file_in_between_wins_in_every_way() {
    for can in combinations() {
        can.limited(|| {
            interfering_wins();
            appearing_wins();
        });
    }
}

#[test]
fn a_move_never_replaces_what_appears_in_between() {
    for one_device in [true, false] {
        for can in combinations() {
            let can = Capabilities { one_device, ..can };
            can.limited(|| {
                let place = Place::new();
                place.put("f", "ours");
                std::fs::create_dir(place.path("d")).expect("a directory");
                // Without the flag the name is looked at after the first try.
                let theirs = place.path("d/g");
                before_rename(move || std::fs::write(theirs, "theirs").expect("a file"));
                let moved =
                    rename(&place.granted("f", Effect::Write), &place.granted("d/g", Effect::Write), false, Durability::Unsynced, &soon());
                assert_eq!(kind(moved), Some(ErrorKind::Conflict), "{can:?}");
                assert_eq!((place.get("f").as_str(), place.get("d/g").as_str()), ("ours", "theirs"), "{can:?}");
            });
        }
    }
}

#[test]
fn a_file_moves_between_file_systems_as_a_copy_in_every_way() {
    for can in combinations() {
        let can = Capabilities { one_device: false, ..can };
        can.limited(|| {
            let place = Place::new();
            place.put("f", "content");
            place.put("h", "another");
            let go = |from: &str, to: &str, overwrite| {
                rename(&place.granted(from, Effect::Write), &place.granted(to, Effect::Write), overwrite, Durability::Synced, &soon())
            };
            let moved = go("f", "a/b/g", false).expect("moved");
            assert_eq!((moved.copied, moved.replaced, moved.directories_made), (true, false, 2), "{can:?}");
            assert_eq!(kind(go("h", "a/b/g", false)), Some(ErrorKind::Conflict), "{can:?}");
            assert_eq!((place.get("a/b/g").as_str(), place.get("h").as_str()), ("content", "another"), "{can:?}");
            assert_eq!(go("h", "a/b/g", true).map(|moved| moved.replaced).ok(), Some(true), "{can:?}");
            assert_eq!(
                (place.get("a/b/g").as_str(), names(&place.path("a/b")), place.names()),
                ("another", vec!["g".into()], vec!["a".into()])
            );
        });
    }
}

#[test]
fn a_source_that_changes_while_it_moves_to_another_file_system_stays() {
    let place = Place::new();
    place.put("f", "short");
    std::fs::create_dir(place.path("d")).expect("a directory");
    place.put("d/g", "replaced");
    let source = place.path("f");
    let can = Capabilities { one_device: false, ..Capabilities::ALL };
    let moved = can.limited(|| {
        // The first rename is the refused move itself, the second one swaps the copy in.
        before_rename(move || before_rename(move || std::fs::write(source, "much longer").expect("a file")));
        rename(&place.granted("f", Effect::Write), &place.granted("d/g", Effect::Write), true, Durability::Unsynced, &soon())
    });
    let error = moved.expect_err("a conflict");
    assert!(error.kind() == ErrorKind::Conflict && error.message().contains("both are there now"), "{error}");
    assert_eq!((place.get("f").as_str(), place.get("d/g").as_str()), ("much longer", "short"));
}

#[test]
fn a_move_that_fails_between_file_systems_takes_its_directories_back() {
    let place = Place::new();
    std::fs::create_dir(place.path("d")).expect("a directory");
    let can = Capabilities { one_device: false, ..Capabilities::ALL };
    let moved = can.limited(|| {
        rename(&place.granted("d", Effect::Write), &place.granted("x/y/d", Effect::Write), false, Durability::Unsynced, &soon())
    });
    assert_eq!(kind(moved), Some(ErrorKind::Conflict));
    assert_eq!(place.names(), ["d"]);
}
