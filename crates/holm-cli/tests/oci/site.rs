//! A bundle, its configuration, which a test may change, and the state directory beside it. Whatever becomes of the test, no
//! container stays.

use super::{bundle, done, oci};
use serde_json::Value;
use std::process::{Command, Stdio};
use testkit::Scratch;

pub(crate) struct Site {
    pub(crate) scratch: Scratch,
    pub(crate) config: Value,
    /// The container's name, which is its control group's, too.
    pub(crate) id: String,
}

impl Site {
    /// A container whose shell runs `script`.
    pub(crate) fn new(name: &str, script: &str) -> Site {
        let scratch = Scratch::new(&format!("oci-{name}"));
        bundle(&scratch, script);
        let text = std::fs::read(scratch.join("config.json")).expect("it was written");
        let id = format!("holm-test-{name}-{}", std::process::id());
        Site { config: serde_json::from_slice(&text).expect("it is JSON"), scratch, id }
    }

    /// Writes the configuration as it is now; the bundle's directory.
    pub(crate) fn written(&self) -> String {
        std::fs::write(self.scratch.join("config.json"), self.config.to_string()).expect("scratch is ours");
        self.scratch.join(".").to_str().expect("it is text").to_owned()
    }

    /// The exit code of a command, and its messages. What waits to be started has the caller's streams: their end isn't waited for.
    pub(crate) fn said(&self, mut command: Command) -> (Option<i32>, String) {
        let errors = self.scratch.join("errors");
        let file = std::fs::File::create(&errors).expect("scratch is ours");
        let status = command.stdout(Stdio::null()).stderr(file).status().expect("holm starts");
        (status.code(), std::fs::read_to_string(&errors).expect("it was made"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.scratch.join("state")).into_iter().flatten().flatten() {
            let id = entry.file_name();
            done(oci(&self.scratch), &["delete", "--force", id.to_str().unwrap_or("")]);
        }
    }
}
