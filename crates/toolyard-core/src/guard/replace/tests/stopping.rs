//! A change that was stopped before it began to commit never happens; one that began is finished.

use std::fs::File;

use super::*;
use crate::guard::replace::Tree;

fn stopped() -> Stop {
    let stop = soon();
    assert!(stop.raise());
    stop
}

/// A place with a file and a directory that holds another one.
fn furnished() -> Place {
    let place = Place::new();
    place.put("f", "old");
    std::fs::create_dir_all(place.path("d/e")).expect("directories");
    place.put("d/e/g", "deep");
    place
}

fn listed(place: &Place, effect: Effect) -> Tree {
    Tree::list(&place.granted("d", effect), 100, &soon()).expect("a listed directory")
}

#[test]
fn nothing_changes_after_a_stop() {
    type Change = fn(&Place, &Stop) -> Result<(), ToolError>;
    let changes: [(&str, Change); 9] = [
        ("replace", |place, stop| place.begin("f").put(&[b"new"], stop, Durability::Unsynced).map(|_| ())),
        ("create", |place, stop| place.begin("x/y/z").put(&[b"new"], stop, Durability::Unsynced).map(|_| ())),
        ("replace with a copy", |place, stop| {
            let source = File::open(place.path("d/e/g")).expect("a source");
            place.begin("f").put_copy(&source, stop, Durability::Unsynced).map(|_| ())
        }),
        ("make a directory", |place, stop| make_directory(&place.granted("x/y", Effect::Write), Durability::Unsynced, stop).map(|_| ())),
        ("make one directory", |place, stop| make_directory(&place.granted("x", Effect::Write), Durability::Unsynced, stop).map(|_| ())),
        ("rename", |place, stop| {
            rename(&place.granted("f", Effect::Write), &place.granted("x/y", Effect::Write), false, Durability::Unsynced, stop).map(|_| ())
        }),
        ("remove", |place, stop| remove(&place.granted("f", Effect::Destroy), Durability::Unsynced, stop).map(|_| ())),
        ("remove a tree", |place, stop| listed(place, Effect::Destroy).remove(Durability::Unsynced, stop).map(|_| ())),
        ("copy a tree", |place, stop| {
            listed(place, Effect::Read).copy(&place.granted("x/y", Effect::Write), Durability::Unsynced, stop).map(|_| ())
        }),
    ];
    for (name, change) in changes {
        let place = furnished();
        let stop = stopped();
        assert_eq!(kind(change(&place, &stop)), Some(ErrorKind::Cancelled), "{name}");
        assert!(!stop.has_claimed(), "{name}");
        assert_eq!(
            (place.names(), place.get("f"), place.get("d/e/g")),
            (vec!["d".into(), "f".into()], "old".into(), "deep".into()),
            "{name}"
        );
        let place = furnished();
        let stop = soon();
        assert_eq!(kind(change(&place, &stop)), None, "{name}");
        assert!(!stop.raise(), "{name} was made without a claim");
    }
}

#[test]
fn a_stop_during_the_commit_comes_too_late() {
    let place = furnished();
    let stop = soon();
    let late = stop.clone();
    before_rename(move || assert!(!late.raise(), "stopped in the middle of a commit"));
    assert_eq!(kind(place.begin("f").put(&[b"new"], &stop, Durability::Unsynced)), None);
    assert!(stop.is_raised());
    assert_eq!(place.get("f"), "new");
}

#[test]
fn a_tree_is_copied_up_to_the_stop() {
    let place = furnished();
    place.put("d/e/h", "more");
    let stop = soon();
    let late = stop.clone();
    let tree = listed(&place, Effect::Read);
    // Without nameless files each copied file is renamed, which is where this stop comes.
    let progress = Capabilities { nameless: false, ..Capabilities::ALL }.limited(|| {
        before_rename(move || assert!(!late.raise()));
        tree.copy(&place.granted("to", Effect::Write), Durability::Unsynced, &stop).expect("a part")
    });
    assert_eq!((progress.files, progress.done()), (1, 1));
    assert_eq!(progress.stopped.map(|why| why.kind()), Some(ErrorKind::Cancelled));
    assert_eq!(names(&place.path("to/e")), ["g"]);
}
