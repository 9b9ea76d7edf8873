//! Changes that fail before or after their first effect, and what they say about it.

use super::*;
use crate::guard::replace::Tree;

fn destroy(place: &Place, name: &str) -> Tree {
    Tree::list(&place.granted(name, Effect::Destroy), 100, &soon()).expect("a listed directory")
}

#[test]
fn directories_made_for_a_change_that_fails_go_again() {
    let full = Capabilities { room: false, ..Capabilities::ALL };
    let place = Place::new();
    std::fs::create_dir(place.path("kept")).expect("a directory");
    place.put("f", "old");
    for to in ["a/b/c", "kept/a/b"] {
        let written = full.limited(|| place.begin(to).put(&[b"x"], &soon(), Durability::Unsynced));
        assert!(written.is_err_and(|error| error.message().contains("the disk is full; nothing was changed")), "{to}");
        assert_eq!((place.names(), names(&place.path("kept"))), (vec!["f".into(), "kept".into()], vec![]), "{to}");
    }
}

#[test]
fn a_directory_that_somebody_else_has_filled_stays() {
    let place = Place::new();
    // Somebody else puts something into a directory that was made for the change.
    place.put("f", "old");
    let theirs = place.path("kept/a/theirs");
    let taken = place.path("kept/a/f");
    before_rename(move || {
        std::fs::write(theirs, "theirs").expect("a file");
        std::fs::write(taken, "theirs").expect("a file");
    });
    let moved = rename(&place.granted("f", Effect::Write), &place.granted("kept/a/f", Effect::Write), false, Durability::Unsynced, &soon());
    assert_eq!(kind(moved), Some(ErrorKind::Conflict));
    assert_eq!(names(&place.path("kept/a")), ["f", "theirs"]);
    assert_eq!((place.get("f").as_str(), place.get("kept/a/f").as_str()), ("old", "theirs"));
}

#[test]
fn a_tree_of_which_nothing_could_be_removed_is_an_error() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("d/e")).expect("directories");
    let tree = destroy(&place, "d");
    place.put("d/e/new", "new");
    assert_eq!(kind(tree.remove(Durability::Unsynced, &soon())), Some(ErrorKind::Conflict));
    assert_eq!(place.get("d/e/new"), "new");
    // With something removed before, that is told.
    place.put("d/e/old", "old");
    std::fs::remove_file(place.path("d/e/new")).expect("removed");
    let tree = destroy(&place, "d");
    place.put("d/e/new", "new");
    let progress = tree.remove(Durability::Unsynced, &soon()).expect("a part");
    assert_eq!((progress.files, progress.bytes, progress.done()), (1, 3, 1));
    assert_eq!(progress.stopped.map(|why| why.kind()), Some(ErrorKind::Conflict));
    assert_eq!(names(&place.path("d/e")), ["new"]);
}

#[test]
fn a_tree_of_which_nothing_could_be_copied_leaves_nothing() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("d/e/f")).expect("directories");
    place.put("d/e/f/g", "gone soon");
    let tree = destroy(&place, "d");
    std::fs::remove_file(place.path("d/e/f/g")).expect("removed");
    let copied = tree.copy(&place.granted("x/y", Effect::Write), Durability::Unsynced, &soon());
    assert_eq!(kind(copied), Some(ErrorKind::NotFound));
    assert_eq!(place.names(), ["d"]);
    place.put("d/a", "first");
    place.put("d/e/f/g", "gone soon");
    let tree = destroy(&place, "d");
    std::fs::remove_file(place.path("d/e/f/g")).expect("removed");
    let progress = tree.copy(&place.granted("x/y", Effect::Write), Durability::Unsynced, &soon()).expect("a part");
    assert_eq!((progress.files, progress.done()), (1, 1));
    assert_eq!(progress.stopped.map(|why| why.kind()), Some(ErrorKind::NotFound));
    assert_eq!(place.get("x/y/a"), "first");
}

#[test]
fn a_disk_that_can_not_sync_does_not_hide_what_was_done() {
    let limited = Capabilities { sync: false, ..Capabilities::ALL };
    let place = Place::new();
    std::fs::create_dir(place.path("d")).expect("a directory");
    place.put("d/f", "content");
    place.put("g", "content");
    limited.limited(|| {
        let copied = destroy(&place, "d").copy(&place.granted("to", Effect::Write), Durability::Synced, &soon()).expect("copied");
        assert_eq!((copied.done(), copied.stopped.is_none()), (2, true));
        assert_eq!(copied.unsynced.map(|why| why.kind()), Some(ErrorKind::Unavailable));
        let removed = destroy(&place, "d").remove(Durability::Synced, &soon()).expect("removed");
        assert_eq!((removed.done(), removed.stopped.is_none()), (2, true));
        assert_eq!(removed.unsynced.map(|why| why.kind()), Some(ErrorKind::Unavailable));
        let removed = remove(&place.granted("g", Effect::Destroy), Durability::Synced, &soon()).expect("removed");
        assert_eq!(removed.unsynced.map(|why| why.kind()), Some(ErrorKind::Unavailable));
        let made = make_directory(&place.granted("a/b", Effect::Write), Durability::Synced, &soon());
        assert!(made.is_err_and(|error| error.message().contains("was changed, but")));
        let written = place.begin("x/y").put(&[b"new"], &soon(), Durability::Synced);
        assert!(written.is_err_and(|error| error.message().contains("was changed, but")));
    });
    assert_eq!(place.names(), ["a", "to", "x"]);
    assert_eq!((place.get("x/y").as_str(), place.path("a/b").is_dir()), ("new", true));
}
