//! Published flaws of runc, crun, youki and containerd's shim, tried on `holm oci` with roots made for it: which, and why it is
//! not open to them, is told in docs/concepts/past-flaws.md. What counts is what becomes of the host.

mod descriptors;
mod paths;
mod proc;
mod rights;

use super::site::Site;
use super::{done, oci, text};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// A bundle of somebody hostile, with a directory of the host beside it that nothing inside should reach. The container's shell
/// runs `script`.
fn hostile(name: &str, script: &str) -> Site {
    let site = Site::new(&format!("flaw-{name}"), script);
    std::fs::create_dir(site.scratch.join("outside")).expect("scratch is ours");
    std::fs::write(site.scratch.join("outside/secret"), "secret").expect("scratch is ours");
    site
}

impl Site {
    fn root(&self, path: &str) -> PathBuf {
        self.scratch.join("rootfs").join(path)
    }

    /// A directory of the root.
    fn directory(&self, path: &str) -> PathBuf {
        let path = self.root(path);
        std::fs::create_dir_all(&path).expect("scratch is ours");
        path
    }

    /// A link of the root to where it should not lead.
    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.root(path);
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        symlink(target, path).expect("scratch is ours");
    }

    fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().expect("it is a list").push(mount);
    }

    /// Leaves out the mounts at and below a path.
    fn unmount(&mut self, path: &str) {
        let below = |one: &Value| Path::new(one["destination"].as_str().unwrap_or("")).starts_with(path);
        self.config["mounts"].as_array_mut().expect("it is a list").retain(|one| !below(one));
    }

    /// Runs it to its end.
    fn run(&self) -> Output {
        let place = self.written();
        done(oci(&self.scratch), &["run", "-b", &place, &self.id])
    }

    /// What it prints.
    fn prints(&self) -> String {
        let output = self.run();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// It is refused, and says so with these words.
    fn refused(&self, words: &str) {
        let output = self.run();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(words), "{words}: {said}{}", text(&output.stdout));
    }

    /// Makes it; `Running` ends it.
    fn made(&self) -> Running<'_> {
        let place = self.written();
        let mut make = oci(&self.scratch);
        make.args(["create", "-b", &place, &self.id]).stdout(Stdio::null());
        let output = make.stderr(Stdio::null()).status().expect("holm starts");
        assert!(output.success(), "{output}");
        Running(self)
    }

    /// Starts it, to be worked on.
    fn start(&self) -> Running<'_> {
        let running = self.made();
        let output = done(oci(&self.scratch), &["start", &self.id]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        running
    }

    /// Nothing has come to the directory of the host, or has changed there.
    fn is_unharmed(&self) {
        let names: Vec<_> = std::fs::read_dir(self.scratch.join("outside"))
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(std::fs::read_to_string(self.scratch.join("outside/secret")).expect("it is there"), "secret");
    }
}

/// A container that runs until this is dropped.
struct Running<'a>(&'a Site);

impl Running<'_> {
    fn exec(&self, options: &[&str], program: &[&str]) -> Output {
        done(oci(&self.0.scratch), &[&["exec"], options, &[&self.0.id], program].concat())
    }

    /// What a script prints in there.
    fn says(&self, options: &[&str], script: &str) -> String {
        let output = self.exec(options, &["sh", "-c", script]);
        assert!(output.status.success(), "{options:?} {script}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        done(oci(&self.0.scratch), &["delete", "--force", &self.0.id]);
    }
}

/// Does `work` while two names of a directory are exchanged again and again.
fn exchanging<T>(directory: &Path, names: [&str; 2], work: impl FnOnce() -> T) -> T {
    use rustix::fs::{Mode, OFlags, RenameFlags, open, renameat_with};
    let directory = open(directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("scratch is ours");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = renameat_with(&directory, names[0], &directory, names[1], RenameFlags::EXCHANGE);
            }
        });
        // The thread ends whatever becomes of the work.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}

/// A bind of a directory beside the root.
fn bind(source: &Path, destination: &str) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind", "rw"] })
}
