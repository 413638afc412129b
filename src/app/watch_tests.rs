//! Files that are written, replaced, linked elsewhere and taken away.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(names: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        names.iter().for_each(|name| folder.write(name, "one"));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// As editors do it: another file is written and takes the name.
    fn replace(&self, name: &str, text: &str) {
        self.write("beside", text);
        fs::rename(self.path("beside"), self.path(name)).unwrap();
    }

    fn sight(&self, names: &[&str]) -> Sight {
        Sight::of(names.iter().map(|name| self.path(name)).collect())
    }
}

fn names(found: &[PathBuf]) -> Vec<&str> {
    found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn a_change_is_told_when_the_file_looks_the_same_twice_and_until_it_was_read() {
    let folder = Folder::with(&["a", "b"]);
    let mut sight = folder.sight(&["a", "b"]);
    assert!(sight.look().is_empty() && sight.look().is_empty());
    folder.replace("a", "two");
    assert!(sight.look().is_empty(), "it may be half written");
    folder.replace("a", "three");
    assert!(sight.look().is_empty(), "it was");
    assert_eq!(names(&sight.look()), ["a"]);
    assert_eq!(names(&sight.look()), ["a"], "nobody has read it");
    let mut sight = folder.sight(&["a", "b"]).now_of(vec![folder.path("a")]);
    assert!(sight.look().is_empty());
}

#[test]
fn one_that_settles_waits_for_the_others() {
    let folder = Folder::with(&["a", "b"]);
    let mut sight = folder.sight(&["a", "b"]);
    folder.replace("a", "two");
    sight.look();
    folder.replace("b", "two");
    assert!(sight.look().is_empty());
    assert_eq!(names(&sight.look()), ["a", "b"]);
}

#[test]
fn the_same_content_is_no_change_unless_it_was_refused() {
    let folder = Folder::with(&["a"]);
    let mut sight = folder.sight(&["a"]);
    folder.replace("a", "one");
    assert!(sight.look().is_empty() && sight.look().is_empty() && sight.look().is_empty());
    let mut sight = folder.sight(&["a"]).refused();
    assert!(sight.look().is_empty() && sight.look().is_empty(), "not again as long as nothing is written");
    folder.replace("a", "one");
    sight.look();
    assert_eq!(names(&sight.look()), ["a"]);
}

#[test]
fn a_link_that_points_elsewhere_is_a_change() {
    // As Kubernetes mounts files: a -> data/a, data -> v1, and `data` is exchanged.
    let folder = Folder::with(&[]);
    for (version, text) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(folder.path(version)).unwrap();
        fs::write(folder.path(version).join("a"), text).unwrap();
    }
    symlink("v1", folder.path("data")).unwrap();
    symlink("data/a", folder.path("a")).unwrap();
    let mut sight = folder.sight(&["a"]);
    symlink("v2", folder.path("new")).unwrap();
    fs::rename(folder.path("new"), folder.path("data")).unwrap();
    sight.look();
    assert_eq!(names(&sight.look()), ["a"]);
}

#[test]
fn coming_and_going_are_changes() {
    let folder = Folder::with(&["a"]);
    let mut sight = folder.sight(&["a", "b"]);
    folder.write("b", "new");
    fs::remove_file(folder.path("a")).unwrap();
    sight.look();
    assert_eq!(names(&sight.look()), ["a", "b"]);
}

#[test]
fn what_changes_while_it_is_read_shows_afterwards() {
    let folder = Folder::with(&["a"]);
    let before = folder.sight(&["a"]);
    folder.replace("a", "two");
    let mut sight = before.now_of(vec![folder.path("a")]);
    sight.look();
    assert_eq!(names(&sight.look()), ["a"]);
}

#[test]
fn a_file_that_was_read_and_never_looked_at_counts_as_changed_once() {
    let folder = Folder::with(&["a", "b"]);
    // Another configuration names `b`, which was read and then edited before anybody looked.
    let mut sight = folder.sight(&["a"]).now_of(vec![folder.path("a"), folder.path("b"), folder.path("none")]);
    assert!(sight.look().is_empty());
    assert_eq!(names(&sight.look()), ["b"]);
    let files = ["a", "b", "none"];
    let mut sight = folder.sight(&files).now_of(files.map(|name| folder.path(name)).to_vec());
    assert!(sight.look().is_empty() && sight.look().is_empty(), "it was looked at before it was read again");
}

#[tokio::test]
async fn what_a_reload_has_put_there_meanwhile_stands() {
    let folder = Folder::with(&["a"]);
    let sight = SharedSight::new(ArcSwap::from_pointee(folder.sight(&["a"])));
    folder.replace("a", "two");
    assert!(look(&sight).await.is_empty());
    let newer = Arc::new(folder.sight(&["a"]));
    // It is looked at apart from this thread, and a reload ends before that is told.
    let looked = tokio::join!(look(&sight), async { sight.store(Arc::clone(&newer)) }).0;
    assert!(looked.is_empty(), "{looked:?} was read by then");
    assert!(Arc::ptr_eq(&sight.load_full(), &newer));
}
