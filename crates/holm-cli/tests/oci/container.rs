//! A container that runs while a test works on it.

use super::site::Site;
use super::{done, empty, oci, text};
use std::process::{Command, Output, Stdio};

pub(crate) struct Container(Site);

impl std::ops::Deref for Container {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl Container {
    /// A container whose shell runs `script`; `change` is done to its configuration before.
    pub(crate) fn with(name: &str, script: &str, change: impl FnOnce(&mut serde_json::Value)) -> Container {
        let mut site = Site::new(name, script);
        change(&mut site.config);
        let place = site.written();
        let container = Container(site);
        let mut make = container.command(&["create", "-b", &place, &container.id]);
        // What waits to be started has the caller's streams: their end isn't waited for.
        make.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(make.status().expect("holm starts").success(), "{name}");
        container.succeeds(&["start", &container.id]);
        container
    }

    pub(crate) fn new(name: &str, script: &str) -> Container {
        Container::with(name, script, |_| ())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = oci(&self.scratch);
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        done(oci(&self.scratch), arguments)
    }

    /// What it prints.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The message of a failure with this code.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// `exec` with these arguments before the container's name, and a script for the shell in there.
    pub(crate) fn exec(&self, options: &[&str], script: &str) -> Output {
        let arguments = [&["exec"], options, &[&self.id, "sh", "-c", script]].concat();
        self.run(&arguments)
    }

    /// What a script prints that is run in there.
    pub(crate) fn says(&self, options: &[&str], script: &str) -> String {
        let output = self.exec(options, script);
        assert!(output.status.success(), "{options:?} {script}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// What `state` says.
    pub(crate) fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.succeeds(&["state", &self.id])).expect("it is JSON")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.state()["pid"].as_u64().expect("it runs") as u32
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let output = self.run(&["delete", "--force", &self.id]);
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(empty(&self.scratch.join("state")));
        }
    }
}
