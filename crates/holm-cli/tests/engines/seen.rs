//! What the commands that look tell of a container that an engine runs.

use crate::site::{Done, Site, eventually};
use std::process::Command;
use testkit::holm;

/// A container that sleeps, by what an engine says of it.
pub(crate) struct Seen<'a> {
    pub(crate) site: &'a Site,
    /// For how long: no other process sleeps as long.
    pub(crate) sleeps: &'a str,
    /// Who made it, as `holm ls` has it.
    pub(crate) maker: &'a str,
    /// By what it is entered; an empty one is its pid.
    pub(crate) target: &'a str,
    /// Its host name.
    pub(crate) hostname: &'a str,
}

impl Seen<'_> {
    fn holm(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(holm());
        // Names are looked for where the engines of a user have their files.
        command.args(arguments).env("XDG_DATA_HOME", self.site.path("files")).env("LC_ALL", "C.UTF-8");
        self.site.done(command)
    }

    /// The process, as this process's pid namespace shows it, once it sleeps.
    fn pid(&self) -> String {
        let wanted = format!("sleep\0{}\0", self.sleeps);
        let find = || {
            let sleeps = |entry: &std::fs::DirEntry| {
                std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.ends_with(wanted.as_bytes()))
            };
            let found = std::fs::read_dir("/proc").expect("it is there").flatten().find(sleeps);
            found.and_then(|entry| entry.file_name().into_string().ok())
        };
        eventually(|| find().is_some());
        find().expect("it sleeps")
    }

    /// It is in each of the lists, and can be entered.
    pub(crate) fn by_all(&self) {
        let (pid, own) = (self.pid(), std::process::id().to_string());
        let list = self.holm(&["ls", "--kind", "pid,mnt", "--columns", "kind,leader,name,made-by"]).text();
        for kind in ["pid", "mnt"] {
            let row = format!("{kind} {pid} sleep {}", self.maker);
            assert!(list.lines().any(|line| words(line) == row), "{row}\n{list}");
        }
        let tree = self.holm(&["tree", "--by", "container"]).text();
        // Its pid to this process, maybe to the engine, and to itself.
        let is_it = |line: &str| line.contains(&format!(" {pid}/")) && line.ends_with("/1 sleep");
        let below = tree.lines().skip_while(|line| *line != self.maker).skip(1);
        let mut below = below.take_while(|line| !line.starts_with(char::is_alphabetic));
        assert!(below.any(is_it), "{}, {pid}\n{tree}", self.maker);
        let matrix = self.holm(&["matrix"]).text();
        assert!(matrix.lines().any(is_it), "{pid}\n{matrix}");
        let differs = self.holm(&["diff", &own, &pid]).text();
        for kind in ["pid ", "mnt ", "uts "] {
            assert!(differs.lines().any(|line| line.starts_with(kind)), "{kind}\n{differs}");
        }
        let target = if self.target.is_empty() { &pid } else { self.target };
        let entered = self.holm(&["enter", target, "uname", "-n"]);
        assert_eq!(entered.text(), format!("{}\n", self.hostname));
    }

    /// Nobody who is believed says that this is its name.
    pub(crate) fn is_not_entered_by(&self, target: &str) {
        let refused = self.holm(&["enter", target, "true"]).expect_code(125);
        assert!(refused.err.contains("there is no sandbox or container of this name"), "{}", refused.err);
    }
}

/// A line with one space between its words.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
