//! Floor 3: facts about the machine and the caller that this wish depends on, read once before planning.
//!
//! Reads only, and decides nothing: what is missing is a fact, not an error. Planning works from this value alone, so
//! a test can plan for a machine that isn't there.

pub mod groups;
pub mod labels;
pub mod limits;
pub(crate) mod ranges;
pub mod resctrl;

use crate::model::label::Module;
use crate::model::namespace::Namespace;
use crate::spec::Spec;
use crate::spec::filesystem::{Operation, Root, Source, Upper, Writes};
use crate::spec::identity::Maps;
use crate::spec::life::Stdio;
use crate::spec::limits::Limits;
use crate::spec::namespaces::{Choice, Target};
use limits::LimitFacts;
use ranges::Ranges;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// An entry of a root's top directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Top {
    /// A symbolic link with this text.
    Link(PathBuf),
    /// A directory.
    Directory,
}

/// The directory a root is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFacts {
    /// Which of the paths that will be mounted on don't exist in it.
    pub missing: Vec<PathBuf>,
}

/// The facts. All ids are as the caller's user namespace shows them.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Whether there are supplementary groups besides the effective group.
    pub groups: bool,
    /// The user's name, home and shell in /etc/passwd.
    pub user: Option<Account>,
    /// The group's name in /etc/group.
    pub group: Option<String>,
    /// Whether setgroups(2) was given up in the caller's user namespace, for it and all below (user_namespaces(7)).
    pub setgroups_denied: bool,
    /// Whether the caller has CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID (capabilities(7)).
    pub privileged: bool,
    /// The version of Landlock's interface, 0 if there is none (landlock(7)).
    pub landlock: u32,
    /// The kernel's version, its first two numbers, where a time namespace or a root that stands apart is wished: it matters, and
    /// nothing shows it but trying.
    pub kernel: Option<(u32, u32)>,
    /// Whether those rights hold over the caller's mount namespace: not for a new user namespace alone, as by unshare -U.
    pub owns_mounts: bool,
    /// The current directory.
    pub directory: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The first of 65,536 ids that belong to nobody; looked for only if a privileged caller wishes automatic maps.
    pub range: Option<u32>,
    /// First id and count of the caller's ranges in /etc/subuid; read only if they are asked for.
    pub subuid: Vec<(u32, u32)>,
    /// The same for /etc/subgid.
    pub subgid: Vec<(u32, u32)>,
    /// Which of these two files are there and can't be read: whose ids are whose isn't known then.
    pub unread: Vec<(PathBuf, Errno)>,
    /// Where newuidmap(1) is.
    pub newuidmap: Option<PathBuf>,
    /// Where newgidmap(1) is.
    pub newgidmap: Option<PathBuf>,
    /// `/usr`'s links: bin, sbin, lib and so on; those that are there.
    pub tops: Vec<(PathBuf, Result<Top, Errno>)>,
    /// Small files of /etc with their contents.
    pub etc_files: Vec<(PathBuf, Vec<u8>)>,
    /// Files and directories of /etc that are bound.
    pub etc_binds: Vec<(PathBuf, Kind)>,
    /// The sources that the wish names, and what is there.
    pub sources: Vec<(PathBuf, Result<Kind, rustix::io::Errno>)>,
    /// The root directory that the wish names.
    pub root: Option<Result<RootFacts, rustix::io::Errno>>,
    /// Descriptors that the wish names and that aren't open.
    pub closed: Vec<i32>,
    /// What limits depend on; read only if one is wished.
    pub limits: LimitFacts,
    /// The security modules in force; looked for only if a label is wished.
    pub modules: Vec<Module>,
}

/// A line of /etc/passwd (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: PathBuf,
    /// Shell.
    pub shell: PathBuf,
}

/// The first two numbers of the kernel's version (uname(2)). To a process with the personality `UNAME26` that says 2.6 (personality(2)).
pub fn kernel() -> Option<(u32, u32)> {
    let told = rustix::system::uname().release().to_str().ok().and_then(version);
    let written = || version(&std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?);
    told.filter(|(major, _)| *major > 2).or_else(written)
}

/// The first two numbers of a release of the kernel.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    numbers.next().zip(numbers.next())
}

impl Host {
    /// Reads what planning `spec` needs.
    pub fn probe(spec: &Spec) -> Host {
        Host::with_landlock(spec, crate::sys::landlock::version())
    }

    /// The same where Landlock's version is known: a filter may kill whoever asks for it.
    pub(crate) fn with_landlock(spec: &Spec, landlock: u32) -> Host {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let user = account(uid);
        let mut host = Host {
            uid,
            gid,
            groups: rustix::process::getgroups().is_ok_and(|all| all.iter().any(|g| g.as_raw() != gid)),
            group: group_name(gid),
            setgroups_denied: std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny")),
            privileged: privileged(),
            landlock,
            kernel: (*spec.namespaces.choice(Namespace::Time) == Choice::New || spec.root_stands_apart())
                .then(kernel)
                .flatten(),
            owns_mounts: owns_mounts(),
            directory: std::env::current_dir().ok(),
            environment: std::env::vars_os().collect(),
            ..Host::default()
        };
        if spec.identity.maps == Maps::Automatic && host.privileged {
            let all = host.read_ranges();
            host.range = ranges::free(&all);
        } else if !matches!(spec.identity.maps, Maps::Automatic | Maps::Single) {
            let name = user.as_ref().map(|u| u.name.clone());
            let [users, groups] = host.read_ranges();
            host.subuid = users.of(uid, name.as_deref());
            host.subgid = groups.of(uid, name.as_deref());
            host.newuidmap = helper("newuidmap");
            host.newgidmap = helper("newgidmap");
        }
        host.user = user;
        if matches!(spec.root, Root::Host | Root::Programs(_)) {
            host.tops = tops();
            host.etc_files = etc_files();
            host.etc_binds = etc_binds();
        }
        host.sources = sources(spec);
        host.root = root(spec);
        host.closed = closed(spec);
        if !spec.policy.labels.is_empty() {
            host.modules = labels::all_in_force();
        }
        if spec.limits != Limits::default() {
            host.limits = LimitFacts::probe(&spec.limits, host.privileged);
        }
        host
    }

    /// Reads both files of ranges; notes which can't be read.
    fn read_ranges(&mut self) -> [Ranges; 2] {
        ["/etc/subuid", "/etc/subgid"].map(|file| {
            Ranges::read(Path::new(file)).unwrap_or_else(|errno| {
                self.unread.push((file.into(), errno));
                Ranges::default()
            })
        })
    }

    /// What is at `path`, a source that the wish names.
    pub fn source(&self, path: &Path) -> Option<Result<Kind, rustix::io::Errno>> {
        self.sources.iter().find(|(p, _)| p == path).map(|(_, found)| *found)
    }
}

fn account(uid: u32) -> Option<Account> {
    let text = std::fs::read("/etc/passwd").ok()?;
    text.split(|&b| b == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&b| b == b':').collect();
        let [name, _, id, _, _, home, shell] = fields[..] else { return None };
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        (id == uid.to_string().as_bytes()).then(|| Account {
            name: String::from_utf8_lossy(name).into_owned(),
            home: path(home),
            shell: path(shell),
        })
    })
}

fn group_name(gid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid.to_string()).then(|| name.to_owned())
    })
}

fn privileged() -> bool {
    use rustix::thread::CapabilitySet;
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SETUID | CapabilitySet::SETGID;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

fn owns_mounts() -> bool {
    let own = rustix::fs::open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    // EPERM is the kernel's word for another's (ioctl_ns(2)); after any other failure the start has to show it.
    own.map_or(true, |own| !matches!(crate::sys::namespace::owner(own.as_fd()), Err(Errno::PERM)))
}

/// Where a set-user-id helper is: never on the caller's PATH.
pub(crate) fn helper(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists())
}

fn tops() -> Vec<(PathBuf, Result<Top, Errno>)> {
    let names = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
    let look = |path: &Path| {
        let is_link = std::fs::symlink_metadata(path)?.is_symlink();
        if is_link { std::fs::read_link(path).map(Top::Link) } else { Ok(Top::Directory) }
    };
    let entry = |name: &str| {
        let path = Path::new("/").join(name);
        match look(&path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)) {
            Err(Errno::NOENT) => None,
            found => Some((path, found)),
        }
    };
    names.into_iter().filter_map(entry).collect()
}

/// Files of the host's /etc that programs need to find libraries, names, certificates and the time of day, and none
/// that tells about the host's users or services.
fn etc_files() -> Vec<(PathBuf, Vec<u8>)> {
    let small = ["/etc/resolv.conf", "/etc/localtime", "/etc/services", "/etc/protocols"];
    small.iter().filter_map(|path| Some((PathBuf::from(path), std::fs::read(path).ok()?))).collect()
}

/// What is too large to be copied, on the same terms.
fn etc_binds() -> Vec<(PathBuf, Kind)> {
    let bound = [
        "/etc/ld.so.cache",
        "/etc/alternatives",
        "/etc/ssl/certs",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/certs",
        "/etc/pki/ca-trust",
    ];
    bound.iter().filter_map(|path| Some((PathBuf::from(path), kind(Path::new(path)).ok()?))).collect()
}

fn sources(spec: &Spec) -> Vec<(PathBuf, Result<Kind, rustix::io::Errno>)> {
    let mut paths: Vec<&PathBuf> = Vec::new();
    for entry in &spec.filesystem {
        match &entry.operation {
            Operation::Bind { source: Source::Path(path), .. } => paths.push(path),
            Operation::Overlay { lower, upper, .. } => {
                paths.extend(lower);
                if let Upper::Kept { upper, work } = upper {
                    paths.extend([upper, work]);
                }
            }
            _ => {}
        }
    }
    if let Writes::Kept(directory) = &spec.writes {
        paths.push(directory);
    }
    paths.into_iter().map(|path| (path.clone(), kind(path))).collect()
}

/// What is at a path, links followed.
fn kind(path: &Path) -> Result<Kind, rustix::io::Errno> {
    let found = rustix::fs::stat(path)?;
    let is_directory = rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir();
    Ok(if is_directory { Kind::Directory } else { Kind::Other })
}

fn root(spec: &Spec) -> Option<Result<RootFacts, rustix::io::Errno>> {
    let (Root::Directory(path) | Root::Programs(path)) = &spec.root else { return None };
    let open = || -> Result<OwnedFd, rustix::io::Errno> {
        let root = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // A directory that can't be searched is useless as a root; say so before anything starts.
        rustix::fs::accessat(&root, ".", rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)?;
        Ok(root)
    };
    Some(open().map(|root| {
        let wanted = crate::spec::filesystem::mount_points(spec);
        RootFacts { missing: wanted.into_iter().filter(|at| !exists_inside(&root, at)).collect() }
    }))
}

fn exists_inside(root: &OwnedFd, at: &Path) -> bool {
    // A symbolic link is something, too: mounting on it is refused later, not covered up.
    crate::sys::inside::look(root.as_fd(), at, OFlags::NOFOLLOW).is_ok()
}

fn closed(spec: &Spec) -> Vec<i32> {
    let mut named = spec.descriptors.clone();
    named.extend(spec.stdio.iter().filter_map(|s| if let Stdio::Descriptor(n) = s { Some(*n) } else { None }));
    named.extend(spec.filesystem.iter().filter_map(|entry| entry.operation.descriptor()));
    named.extend(spec.namespaces.choices.iter().filter_map(|(_, choice)| match choice {
        Choice::Join(Target::Descriptor(n), _) => Some(*n),
        _ => None,
    }));
    named.retain(|&n| n < 0 || !is_open(n, spec.inherited_only));
    named
}

/// Those of `numbers` that are descriptors of this process's caller: open, and not to be closed by execve(2).
pub fn inherited(numbers: std::ops::Range<i32>) -> Vec<i32> {
    numbers.filter(|&number| is_open(number, true)).collect()
}

fn is_open(number: i32, inherited_only: bool) -> bool {
    let flags = crate::sys::process::borrow(number).and_then(|fd: BorrowedFd<'_>| rustix::io::fcntl_getfd(fd).ok());
    flags.is_some_and(|flags| !(inherited_only && flags.contains(FdFlags::CLOEXEC)))
}
