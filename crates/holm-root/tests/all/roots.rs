//! Cached roots of programs: made once, used often, made again when the host changes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use holm_root::closure::PATH;
use holm_root::programs::{self, Error, Wanted};

use crate::fixture::{Elf, Root};

/// Programs that stand for the host's, in a place where they can be changed, and a cache.
struct Place {
    host: Root,
    cache: PathBuf,
}

impl Place {
    fn new() -> Place {
        let host = Root::empty();
        host.elf("/app", &Elf::library(""));
        Place { cache: host.at("/cache"), host }
    }

    fn app(&self) -> PathBuf {
        self.host.at("/app")
    }

    fn root(&self) -> Result<PathBuf, Error> {
        programs::root(&wanted([self.app().into_os_string()]), &self.cache)
    }

    /// Names in the cache's `programs`.
    fn names(&self) -> BTreeSet<String> {
        let items = fs::read_dir(self.cache.join("programs")).unwrap();
        items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Where a host path is in a root.
fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap())
}

fn names(list: &[&str]) -> Wanted {
    wanted(list.iter().map(OsString::from))
}

fn wanted(items: impl IntoIterator<Item = OsString>) -> Wanted {
    let mut wanted = Wanted::default();
    items.into_iter().for_each(|item| wanted.add(item));
    wanted
}

#[test]
fn a_root_is_the_closure_and_the_rules_and_mount_points() {
    let place = Place::new();
    let list = names(&["sh"]);
    let root = programs::root(&list, &place.cache).unwrap();
    for entry in programs::contents(&list).unwrap().entries {
        let there = fs::symlink_metadata(within(&root, &entry.path)).unwrap();
        let here = fs::symlink_metadata(&entry.path).unwrap();
        assert_eq!(there.file_type(), here.file_type(), "{entry:?}");
        if here.is_file() {
            assert_eq!((there.mtime(), there.mtime_nsec()), (here.mtime(), here.mtime_nsec()), "{entry:?}");
            assert_eq!(there.mode() & 0o7777, here.mode() & 0o755, "{entry:?}");
            assert_eq!(there.nlink(), 1, "{entry:?}");
            assert_ne!((there.dev(), there.ino()), (here.dev(), here.ino()), "{entry:?}");
            assert!(fs::read(within(&root, &entry.path)).unwrap() == fs::read(&entry.path).unwrap(), "{entry:?}");
        }
        if here.is_dir() {
            assert_eq!(there.mode() & 0o7777, 0o755, "{entry:?}");
        }
    }
    for name in ["", "proc", "dev", "tmp", "run", "etc", "home", "root", "var"] {
        let status = fs::metadata(root.join(name)).unwrap();
        assert!(status.is_dir() && status.mode() & 0o7777 == 0o755, "{name}");
    }
    for path in [&place.cache, &place.cache.join("programs")] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o755, "{path:?}");
    }
}

#[test]
fn what_not_everybody_may_read_stays_so_in_a_cache_that_everybody_may_enter() {
    let place = Place::new();
    fs::create_dir(place.host.at("/private")).unwrap();
    place.host.elf("/private/app", &Elf::library(""));
    let app = place.host.at("/private/app");
    for (directory, file, in_copy) in [(0o700, 0o755, (0o700, 0o755)), (0o750, 0o750, (0o700, 0o700))] {
        fs::set_permissions(place.host.at("/private"), Permissions::from_mode(directory)).unwrap();
        fs::set_permissions(&app, Permissions::from_mode(file)).unwrap();
        let root = programs::root(&wanted([app.clone().into_os_string()]), &place.cache).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let copy = within(&root, &app);
        assert_eq!((mode(copy.parent().unwrap()), mode(&copy)), in_copy, "{directory:o} {file:o}");
        assert_eq!(mode(&root.with_file_name("facts")), 0o600, "it names paths");
    }
}

#[test]
fn a_cache_that_was_private_is_opened_up() {
    let place = Place::new();
    fs::create_dir(&place.cache).unwrap();
    fs::set_permissions(&place.cache, Permissions::from_mode(0o700)).unwrap();
    place.root().unwrap();
    assert_eq!(fs::metadata(&place.cache).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn every_program_that_is_missing_is_named() {
    let place = Place::new();
    let error = programs::root(&names(&["no-such-a", "sh", "no-such-b"]), &place.cache).unwrap_err().to_string();
    assert!(error.contains("program no-such-a: ") && error.contains("; cannot find program no-such-b: "), "{error}");
}

#[test]
fn rules_say_why_they_added_something() {
    let entries = programs::contents(&names(&["sh"])).unwrap().entries;
    let Some(entry) = entries.iter().find(|e| e.path.ends_with("x/xterm")) else {
        eprintln!("skipped: this host has no description of xterm");
        return;
    };
    let because = entry.because.display().to_string();
    assert_eq!(because, "rule terminfo: line editing and full-screen programs on usual terminals");
}

#[test]
fn a_hit_is_the_same_directory_and_fast() {
    let place = Place::new();
    let list = names(&["sh", "ls"]);
    let first = programs::root(&list, &place.cache).unwrap();
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        assert_eq!(programs::root(&names(&["ls", "sh", "ls"]), &place.cache).unwrap(), first);
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
}

#[test]
fn a_changed_source_gives_a_new_generation_and_keeps_the_old() {
    let place = Place::new();
    let old = place.root().unwrap();
    let before = fs::read(within(&old, &place.app())).unwrap();
    File::options().append(true).open(place.app()).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let touched = place.root().unwrap();
    assert_ne!(touched, old);
    place.host.elf("/app", &Elf::library("new"));
    let new = place.root().unwrap();
    assert_ne!(new, touched);
    assert_eq!(fs::read(within(&new, &place.app())).unwrap(), fs::read(place.app()).unwrap());
    assert_eq!(fs::read(within(&old, &place.app())).unwrap(), before);
    assert_eq!(place.root().unwrap(), new);
}

#[test]
fn a_library_that_appears_where_it_was_missed_counts_as_a_change() {
    let place = Place::new();
    let dirs = format!("{}:{}", place.host.at("/one").display(), place.host.at("/two").display());
    place.host.elf("/app", &Elf::library("").needs("liba.so").runpath(&dirs));
    place.host.elf("/two/liba.so", &Elf::library("liba.so"));
    let old = place.root().unwrap();
    assert!(within(&old, &place.host.at("/two/liba.so")).exists());
    place.host.elf("/one/liba.so", &Elf::library("liba.so"));
    let new = place.root().unwrap();
    assert!(within(&new, &place.host.at("/one/liba.so")).exists());
    assert!(!within(&new, &place.host.at("/two/liba.so")).exists());
}

#[test]
fn a_link_that_is_turned_counts_as_a_change() {
    let place = Place::new();
    let link = place.host.at("/current");
    symlink("app", &link).unwrap();
    place.host.elf("/other", &Elf::library(""));
    let list = wanted([link.clone().into_os_string()]);
    let old = programs::root(&list, &place.cache).unwrap();
    fs::remove_file(&link).unwrap();
    symlink("other", &link).unwrap();
    let new = programs::root(&list, &place.cache).unwrap();
    assert_ne!(old, new);
    assert_eq!(fs::read_link(within(&new, &link)).unwrap(), Path::new("other"));
}

#[test]
fn another_boot_or_damaged_facts_give_a_new_generation() {
    let place = Place::new();
    let first = place.root().unwrap();
    let facts = |root: &Path| root.parent().unwrap().join("facts");
    let text = fs::read(facts(&first)).unwrap();
    let changed = text.iter().enumerate().map(|(at, byte)| if at == 12 { byte ^ 1 } else { *byte });
    fs::write(facts(&first), changed.collect::<Vec<u8>>()).unwrap();
    let second = place.root().unwrap();
    assert_ne!(first, second);
    fs::write(facts(&second), &text[..text.len() - 1]).unwrap();
    assert_ne!(place.root().unwrap(), second);
}

#[test]
fn set_user_id_is_dropped() {
    let place = Place::new();
    fs::set_permissions(place.app(), Permissions::from_mode(0o6775)).unwrap();
    let root = place.root().unwrap();
    assert_eq!(fs::metadata(within(&root, &place.app())).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn parallel_builders_agree_on_one_complete_root() {
    let place = Place::new();
    let list = names(&["sh", "ls"]);
    let roots: BTreeSet<PathBuf> = std::thread::scope(|scope| {
        let build = || programs::root(&list, &place.cache).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(build)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(roots.len(), 1);
    let root = roots.first().unwrap();
    for entry in programs::contents(&list).unwrap().entries {
        assert!(fs::symlink_metadata(within(root, &entry.path)).is_ok(), "{entry:?}");
    }
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
}

#[test]
fn leftovers_and_old_generations_are_swept_by_the_next_build() {
    let place = Place::new();
    let old = place.root().unwrap();
    let bins = place.cache.join("programs");
    fs::create_dir_all(bins.join("tmp-0123/root/usr")).unwrap();
    symlink("nowhere", bins.join("tmp-link")).unwrap();
    place.host.elf("/app", &Elf::library("second"));
    let second = place.root().unwrap();
    assert!(old.exists());
    let age = |root: &Path, hours: u64| {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        File::open(root.parent().unwrap()).unwrap().set_modified(then).unwrap();
    };
    age(&old, 25);
    age(&second, 25);
    place.host.elf("/app", &Elf::library("third"));
    let third = place.root().unwrap();
    assert!(!old.exists());
    // It was replaced just now, however long ago it was made.
    assert!(second.exists());
    let own = |root: &Path| root.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let key = own(&third).split_once('-').unwrap().0.to_owned();
    assert_eq!(place.names(), BTreeSet::from([key, own(&second), own(&third), "lock".to_owned()]));
}

#[test]
fn a_failed_build_leaves_nothing() {
    let place = Place::new();
    place.host.elf("/app", &Elf::library("").needs("libnowhere.so"));
    let error = place.root().unwrap_err();
    let app = place.app();
    assert_eq!(
        error.to_string(),
        format!("cannot find library libnowhere.so: no such file, but {} needs it", app.display())
    );
    assert_eq!(place.names(), BTreeSet::from(["lock".to_owned()]));
}

#[test]
fn a_cache_that_others_may_change_is_refused() {
    let place = Place::new();
    let cache = place.cache.display().to_string();
    fs::write(&place.cache, "").unwrap();
    let text = format!("cannot use cache directory {cache}: it is not a directory");
    assert_eq!(place.root().unwrap_err().to_string(), text);
    fs::remove_file(&place.cache).unwrap();
    place.root().unwrap();
    fs::set_permissions(&place.cache, Permissions::from_mode(0o777)).unwrap();
    let text = format!("cannot use cache directory {cache}: others may write to it (mode 777)");
    assert_eq!(place.root().unwrap_err().to_string(), text);
    fs::set_permissions(&place.cache, Permissions::from_mode(0o755)).unwrap();
    place.root().unwrap();
    fs::set_permissions(place.cache.join("programs"), Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(place.root(), Err(Error::Unsafe { path, .. }) if path.ends_with("programs")));
    fs::set_permissions(place.cache.join("programs"), Permissions::from_mode(0o755)).unwrap();
    let below_a_file = place.app().join("cache");
    let error = programs::root(&names(&["sh"]), &below_a_file).unwrap_err().to_string();
    assert!(error.ends_with(": not a directory"), "{error}");
    if chown(&place.cache, Some(1), None).is_err() {
        eprintln!("skipped in part: only root can give a directory away");
        return;
    }
    let text = format!("cannot use cache directory {cache}: it belongs to user 1, not to user 0");
    assert_eq!(place.root().unwrap_err().to_string(), text);
}

#[test]
fn a_root_of_bash_ls_and_ps_runs() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can chroot");
        return;
    }
    if ["bash", "ls", "ps", "chroot"].iter().any(|name| programs::contents(&names(&[name])).is_err()) {
        eprintln!("skipped: needs bash, ls, ps and chroot");
        return;
    }
    let place = Place::new();
    let root = programs::root(&names(&["bash", "ls", "ps"]), &place.cache).unwrap();
    let run = |command: &str| {
        let mut chroot = Command::new("chroot");
        let command = chroot.arg(&root).args(["/bin/bash", "-c", command]).env_clear();
        let output = command.env("LANG", "C.UTF-8").env("PATH", PATH.join(":")).output().unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let listed: BTreeSet<String> = run("ls /")[0].lines().map(str::to_owned).collect();
    let real: BTreeSet<String> =
        fs::read_dir(&root).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(listed, real);
    // There is no /proc; that ps can say so means that its libraries were loaded.
    let said = run("ps --version").concat();
    assert!(said.contains("procps") || said.contains("mount -t proc"), "{said}");
    assert_eq!(run("echo é | while read -n 1 c; do echo $c; break; done")[0], "é\n");
}
