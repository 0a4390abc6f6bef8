//! Changes kept under a name: what is shown, applied and made a root of is what the sandbox did, and nothing else, whatever
//! it did; and the host is as it was until something is applied.

#[path = "../patience/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod patience;
#[path = "../stores/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod stores;

mod apply;
mod commit;
mod hostile;
mod kills;
mod ranges;
mod show;

use patience::output;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A store and a work tree of this test.
struct Place(stores::Store);

impl Place {
    /// The tree `work` has two files, a link, and a directory with a file.
    fn new(name: &str) -> Place {
        let place = Place(stores::Store::new(&format!("changes-{name}")));
        fs::create_dir_all(place.work("deep")).expect("scratch is ours");
        for (path, text) in [("one", "1\n"), ("two", "2\n"), ("deep/three", "3\n")] {
            fs::write(place.work(path), text).expect("scratch is ours");
        }
        symlink("one", place.work("link")).expect("scratch is ours");
        place
    }

    fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.0.join(path)
    }

    fn work(&self, path: impl AsRef<Path>) -> PathBuf {
        self.join("work").join(path)
    }

    fn holm(&self, arguments: &[&str]) -> Command {
        self.0.holm(arguments)
    }

    /// A command that runs a script in a copy of the tree.
    fn script(&self, name: &str, options: &[&str], script: &str) -> Command {
        let (overlay, work) = (format!("--overlay={name}"), self.work("").display().to_string());
        let mut arguments = vec!["run", &overlay, "--bind-rw", "work", "--chdir", &work];
        arguments.extend(options);
        arguments.extend(["sh", "-ec", script]);
        self.holm(&arguments)
    }

    /// Runs a script in a copy of the tree, under the name `try`; what it prints.
    fn runs(&self, script: &str) -> String {
        told(&output(&mut self.script("try", &[], script)), 0)
    }

    fn does(&self, arguments: &[&str]) -> String {
        self.0.does(arguments)
    }

    /// What a command says that ends with 125, and that has `text` in it.
    fn fails(&self, arguments: &[&str], text: &str) -> String {
        self.0.fails(arguments, text)
    }

    /// The lines of `holm diff try` without the tree's own path.
    fn diff(&self) -> Vec<String> {
        let work = format!("{}/", self.join("work").display());
        self.does(&["diff", "try"]).lines().map(|line| line.replacen(&work, "", 1)).collect()
    }

    /// All of the tree: kinds, modes, texts of links, contents.
    fn tree(&self) -> String {
        let found = Command::new("sh").arg("-ec").arg(VIEW).current_dir(self.work("")).output().expect("sh starts");
        told(&found, 0)
    }

    /// The directory of changes on the host.
    fn upper(&self, path: &str) -> PathBuf {
        self.join("store/changes/try/1-upper").join(path)
    }
}

/// Prints all of a tree.
const VIEW: &str = "find . -printf '%y %m %p %l\\n' | sort; find . -type f | sort | xargs -r -d '\\n' cat";

fn told(done: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}
