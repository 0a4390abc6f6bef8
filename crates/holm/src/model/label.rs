//! What a security module has a program run as (LSM, "Linux Security Modules" of the kernel's documentation).

use std::fmt;

/// A security module that gives processes labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// AppArmor: a label is the name of a profile (apparmor(7)).
    AppArmor,
    /// SELinux: a label is a context, `USER:ROLE:TYPE:LEVEL` (selinux(8)).
    Selinux,
}

impl Module {
    /// What its label is called.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Module::AppArmor => "profile",
            Module::Selinux => "label",
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Module::AppArmor => "AppArmor",
            Module::Selinux => "SELinux",
        })
    }
}

/// A label of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Whose it is.
    pub module: Module,
    /// Its name.
    pub text: String,
}

impl Label {
    /// The most bytes of one: with its verb it is written at once, and that is a page at most (proc(5), `/proc/PID/attr`).
    pub const MOST: usize = 4000;

    /// Whether it can be written.
    pub fn fits(&self) -> bool {
        !self.text.is_empty() && self.text.len() <= Label::MOST && !self.text.bytes().any(|byte| byte < b' ')
    }

    /// The file of /proc that takes it for the next execve(2), and what is written there.
    pub(crate) fn at_exec(&self) -> (&'static str, String) {
        match self.module {
            Module::AppArmor => ("thread-self/attr/apparmor/exec", format!("exec {}", self.text)),
            Module::Selinux => ("thread-self/attr/exec", self.text.clone()),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.module, self.module.word(), crate::model::text::name(self.text.as_ref()))
    }
}
