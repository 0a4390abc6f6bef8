//! Floor 6: the errors of a start, for users.
//!
//! Three families: the wish can't be planned (`Refused`), the kernel refused a step (`Failed`), the child ended without
//! a word (`Lost`).

use crate::exec::Stop;
use crate::plan::hint::{self, Causes};
use crate::plan::limits::Limit;
use crate::plan::step::Act;
use crate::plan::{Blame, Plan, Refusal};
use rustix::io::Errno;
use std::fmt;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The wish can't be planned; nothing was tried.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The kernel refused a step; everything done before it is undone.
    #[error(transparent)]
    Failed(Failure),
    /// The child ended before the program started, without a word: somebody killed it, perhaps for want of memory.
    #[error("cannot start the sandbox: its first process ended early (wait status {0})")]
    Lost(i32),
}

/// A step that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step's number, as in [`Plan::explain`].
    pub step: usize,
    /// How many steps there are.
    pub of: usize,
    /// What it does: `bind /opt/data on /data, read-only`.
    pub act: String,
    /// From which wish it came; may be empty.
    pub origin: String,
    /// The kernel's answer: an errno of errno(3).
    pub errno: i32,
    /// What would help; may be empty.
    pub hint: String,
    /// Whose doing it is.
    pub blame: Blame,
    /// Whether it is the program itself that can't be started.
    pub program: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.act, crate::model::text::cause(&std::io::Error::from_raw_os_error(self.errno)))
    }
}

impl std::error::Error for Failure {}

impl Error {
    /// The exit code of a shell for it: 127 program not found, 126 not executable, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Failed(failure) if failure.program => match Errno::from_raw_os_error(failure.errno) {
                Errno::NOENT | Errno::NOTDIR => 127,
                _ => 126,
            },
            _ => 125,
        }
    }

    pub(crate) fn new(plan: &Plan, stop: Stop) -> Error {
        let failed = match stop {
            Stop::Failed(failed) => failed,
            Stop::Lost(status) => return Error::Lost(status),
        };
        let (act, origin) = match plan.steps.get(failed.step.wrapping_sub(1)) {
            Some(step) => (step.act.clone(), step.origin.clone()),
            None => (Act::Init, String::new()),
        };
        let causes = Causes { resctrl: resctrl(&act, failed.errno), ..causes() };
        let hint = hint::hint(&act, failed.errno, &causes);
        Error::Failed(Failure {
            step: failed.step,
            of: plan.steps.len(),
            hint: hint.text,
            blame: hint.blame,
            program: matches!(act, Act::Execute(_) | Act::Seek(_)),
            act: act.to_string(),
            origin,
            errno: failed.errno.raw_os_error(),
        })
    }
}

/// Reads why a machine may refuse.
pub(crate) fn causes() -> Causes {
    let number = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok();
    let id = |path: &str| std::fs::metadata(path).ok().map(|m| std::os::unix::fs::MetadataExt::ino(&m));
    Causes {
        max_user_namespaces: number("user/max_user_namespaces"),
        userns_clone: number("kernel/unprivileged_userns_clone"),
        apparmor: number("kernel/apparmor_restrict_unprivileged_userns"),
        memfd_noexec: number("vm/memfd_noexec"),
        chroot: matches!((id("/"), id("/proc/1/root")), (Some(own), Some(first)) if own != first),
        initramfs: std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|text| text.lines().any(is_first_mount)),
        resctrl: None,
    }
}

/// What resctrl says about what it has refused.
fn resctrl(act: &Act, errno: Errno) -> Option<String> {
    let Act::Limit(Limit::Resctrl { mounted, .. }) = act else { return None };
    crate::exec::resctrl::group::said(mounted, errno)
}

/// Whether a line of /proc/self/mountinfo is for a root directory that is mounted on nothing but itself.
fn is_first_mount(line: &str) -> bool {
    let fields: Vec<&str> = line.split(' ').take(5).collect();
    matches!(fields[..], [id, parent, _, _, "/"] if id == parent)
}
