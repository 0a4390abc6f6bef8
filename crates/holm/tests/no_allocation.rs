//! From clone to exec the child shares its caller's memory: an allocation there could deadlock on a lock that a thread
//! of the caller holds. Here an allocator ends the process that allocates in a child, while threads keep its locks busy.
#![allow(unsafe_code)]

use holm::Spec;
use holm::spec::filesystem::{Access, Content, Entry, Missing, Operation, Source, Upper};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

struct Guarded;

static OWNER: AtomicI32 = AtomicI32::new(0);

fn check() {
    let owner = OWNER.load(Ordering::Relaxed);
    if owner != 0 && rustix::process::getpid().as_raw_pid() != owner {
        // SAFETY: a static text of that length.
        unsafe { libc::write(2, c"an allocation in the child\n".as_ptr().cast(), 27) };
        // SAFETY: it takes a number, allocates nothing and does not return.
        unsafe { libc::_exit(99) }
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

fn entry(operation: Operation) -> Entry {
    Entry { operation, origin: String::new() }
}

/// A wish that uses every kind of step an ordinary user can ask for.
fn everything() -> Spec {
    let mut spec = Spec::new("true");
    let at = |path: &str| PathBuf::from(path);
    let bind =
        |source: Source, path: &str, access| Operation::Bind { source, at: at(path), access, missing: Missing::Refuse };
    spec.filesystem = [
        bind(Source::Path("/usr".into()), "/a/b/usr", Access::ReadWrite),
        bind(Source::Path("/usr/bin".into()), "/devices", Access::Devices),
        Operation::Tmpfs { at: at("/memory"), size: Some(1 << 20), mode: 0o700 },
        Operation::Overlay { at: at("/over"), lower: vec!["/usr/bin".into(), "/usr/lib".into()], upper: Upper::None },
        Operation::Overlay { at: at("/over2"), lower: vec!["/usr/bin".into()], upper: Upper::Temporary },
        Operation::Directory { at: at("/dir/deep"), mode: 0o711 },
        Operation::File { at: at("/dir/file"), content: Content::Bytes(b"x".to_vec()), mode: 0o600 },
        Operation::BindData {
            at: at("/dir/data"),
            content: Content::Bytes(b"y".to_vec()),
            access: Access::ReadOnly,
            mode: 0o644,
        },
        Operation::Symlink { target: at("file"), at: at("/dir/link") },
        Operation::Chmod { at: at("/dir/file"), mode: 0o640 },
        Operation::Mqueue { at: at("/mqueue") },
        Operation::RemountReadOnly { at: at("/memory") },
        Operation::Mask { at: at("/dir/deep") },
        Operation::Mask { at: at("/dir/data") },
    ]
    .map(entry)
    .to_vec();
    spec.namespaces.time = Some(holm::spec::namespaces::TimeOffsets { boot: 1_000_000_000, monotonic: 0 });
    spec
}

/// Runs `work` while threads keep the allocator's locks busy; what fails in it is told when they have ended.
fn among_busy_threads(work: impl FnOnce() -> Result<(), String>) {
    OWNER.store(rustix::process::getpid().as_raw_pid(), Ordering::Relaxed);
    let stop = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0u8; 4000]);
                }
            });
        }
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    });
    assert_eq!(done, Ok(()));
}

#[test]
fn a_start_from_busy_threads_allocates_nothing_in_the_child() {
    among_busy_threads(|| {
        (0..40).try_for_each(|round| {
            let spec = if round % 2 == 0 { everything() } else { Spec::new("true") };
            let exit = spec.spawn().map(|mut child| child.wait().expect("it is our child"));
            if matches!(exit, Ok(exit) if exit.success()) { Ok(()) } else { Err(format!("round {round}: {exit:?}")) }
        })
    });
}

#[test]
fn the_tries_of_a_doctor_allocate_nothing() {
    use holm::doctor::facts::Outcome;
    among_busy_threads(|| {
        let facts = holm::doctor::look(&holm::doctor::Asked::default());
        // The exit code of the allocator above, which is taken for an errno; a lock that is held shows as a hang.
        let wrong = |outcome: Outcome| {
            outcome == Outcome::Hung || matches!(outcome, Outcome::Refused(errno) if errno.raw_os_error() == 99)
        };
        let found: Vec<_> = facts.tries.iter().filter(|(_, outcome)| wrong(*outcome)).collect();
        let enough = facts.tries.len() > 40;
        if enough && found.is_empty() { Ok(()) } else { Err(format!("{found:?} of {}", facts.tries.len())) }
    });
}
