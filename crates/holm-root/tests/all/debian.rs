//! Roots of packages that are made up here: their scripts are run by this machine's own dpkg, which one of them holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use holm_root::debian::archive::Selection;
use holm_root::debian::build::{Error, Recipe};
use holm_root::debian::package::{Fetched, Package};
use holm_root::programs::{self, Wanted};
use holm_root::progress::{Progress, Stage};
use holm_root::store::{Metadata, Store};
use tempfile::TempDir;

/// Packages in the making, and a store.
pub(crate) struct Place {
    directory: TempDir,
    packages: Vec<Fetched>,
}

impl Place {
    /// With a package of the programs that scripts need; `None` where there is no dpkg.
    pub(crate) fn new() -> Option<Place> {
        if Command::new("dpkg-deb").arg("--version").output().is_err() {
            testkit::skip("dpkg-deb is missing");
            return None;
        }
        let mut place = Place { directory: tempfile::tempdir().unwrap(), packages: Vec::new() };
        let mut wanted = Wanted::default();
        let dpkg = "dpkg dpkg-deb dpkg-divert dpkg-query dpkg-split dpkg-statoverride dpkg-trigger";
        let others = "sh cat chmod chown diff id ls mkdir mv rm tar";
        dpkg.split(' ').chain(others.split(' ')).for_each(|name| wanted.add(name.into()));
        let root = programs::root(&wanted, &place.at("programs")).unwrap();
        let tools = place.tree("tools", "Essential: yes\n");
        let copied =
            Command::new("cp").args(["-a", "--no-preserve=ownership"]).arg(root.join(".")).arg(&tools).status();
        assert!(copied.unwrap().success());
        fs::create_dir_all(tools.join("usr/sbin")).unwrap();
        for name in ["ldconfig", "start-stop-daemon"] {
            script(&tools.join("usr/sbin").join(name), "exit 0");
        }
        place.pack("tools", "gzip");
        Some(place)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of a package, with what it says of itself.
    pub(crate) fn tree(&self, name: &str, more: &str) -> PathBuf {
        let tree = self.at(name);
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        let text = format!(
            "Package: {name}\nVersion: 1.0\nArchitecture: amd64\nMaintainer: nobody\n{more}Description: made up\n"
        );
        fs::write(tree.join("DEBIAN/control"), text).unwrap();
        tree
    }

    pub(crate) fn pack(&mut self, name: &str, compression: &str) {
        let file = self.at(&format!("{name}.deb"));
        let mut pack = Command::new("dpkg-deb");
        pack.args(["--root-owner-group", &format!("-Z{compression}"), "--build"]).arg(self.at(name)).arg(&file);
        let packed = pack.output().unwrap();
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        self.add(name, file);
    }

    fn add(&mut self, name: &str, file: PathBuf) {
        let mut sha256 = [0; 32];
        let known = name.len().min(sha256.len());
        sha256[..known].copy_from_slice(&name.as_bytes()[..known]);
        let package = Package {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            architecture: "amd64".to_owned(),
            priority: "optional".to_owned(),
            section: "misc".to_owned(),
            essential: false,
            source: (name.to_owned(), "1.0".to_owned()),
            archive: 0,
            filename: String::new(),
            size: fs::metadata(&file).unwrap().len(),
            sha256,
        };
        self.packages.push(Fetched { package, file });
    }

    pub(crate) fn store(&self, name: &str) -> Store {
        Store::open(&self.at(name)).unwrap()
    }

    pub(crate) fn build(&self, store: &str) -> Result<Metadata, Error> {
        let packages = self.packages.iter().map(|fetched| fetched.package.clone()).collect();
        let recipe = Recipe::new(&Selection { archives: Vec::new(), packages }, Some(1_700_000_000));
        let writer = self.store(store).write().unwrap();
        recipe.build(&writer, &self.packages, "made", "packages", &mut |_| ControlFlow::Continue(()))
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.store("store").hold("made").unwrap().files
    }

    /// Asserts that a build fails, and that nothing is left of it.
    pub(crate) fn fails(&self, text: &str) {
        let error = self.build("store").unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        for name in ["roots", "names", "pool", "recipes"] {
            assert_eq!(fs::read_dir(self.at("store").join(name)).unwrap().count(), 0, "{name}");
        }
        assert!(!self.at("store/draft").exists());
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

pub(crate) fn put(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What dpkg says of the root.
pub(crate) fn dpkg(files: &Path, arguments: &[&str]) -> String {
    let mut dpkg = Command::new("dpkg-query");
    dpkg.arg(format!("--admindir={}", files.join("var/lib/dpkg").display())).args(arguments);
    let said = dpkg.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn scripts_run_in_dpkgs_order_and_its_database_is_right() {
    let Some(mut place) = Place::new() else { return };
    let one = place.tree("one", "Multi-Arch: same\n");
    put(one.join("etc/one.conf"), "as shipped\n");
    put(one.join("DEBIAN/conffiles"), "/etc/one.conf\n");
    put(one.join("DEBIAN/triggers"), "interest-noawait /usr/share/seen\ninterest-noawait called\n");
    put(one.join("usr/bin/set"), "x");
    fs::set_permissions(one.join("usr/bin/set"), PermissionsExt::from_mode(0o6755)).unwrap();
    fs::hard_link(one.join("usr/bin/set"), one.join("usr/bin/same")).unwrap();
    symlink("set", one.join("usr/bin/link")).unwrap();
    let facts = "echo \"$0 $1 $DPKG_MAINTSCRIPT_PACKAGE $(cat /var/lib/dpkg/tmp.ci/control | (read -r a; echo $a))\"";
    script(&one.join("DEBIAN/preinst"), &format!("{facts} >> /order"));
    let post = "echo \"$1: $2\" >> /order; echo \"$DEBIAN_FRONTEND $(id -u) ${TMPDIR-none} $SOURCE_DATE_EPOCH\" >> /order\n\
        cat /usr/sbin/policy-rc.d >> /order; chown 0:42 /etc/one.conf; ls /sys/class/net >> /order 2>&1 || :";
    script(&one.join("DEBIAN/postinst"), post);
    place.pack("one", "xz");
    let two = place.tree("two", "Depends: one\n");
    put(two.join("usr/share/seen/two"), "2");
    put(two.join("DEBIAN/triggers"), "activate-noawait called\n");
    script(
        &two.join("DEBIAN/postinst"),
        "echo two >> /order; mkdir -p /var/log; echo log > /var/log/dpkg.log; echo x > /run/left",
    );
    place.pack("two", "zstd");

    let made = place.build("store").unwrap();
    let files = place.files();
    let order = read(files.join("order"));
    let lines: Vec<&str> = order.lines().collect();
    assert_eq!(lines[0], "/var/lib/dpkg/tmp.ci/preinst install one Package: one", "{order}");
    assert!(lines[1].starts_with("configure: "), "{order}");
    assert_eq!(lines[2], "noninteractive 0 none 1700000000", "{order}");
    assert!(order.contains("exit 101") && order.contains("two"), "{order}");
    assert!(order.contains("triggered: /usr/share/seen called") || order.contains("triggered: called"), "{order}");
    let state = dpkg(&files, &["-W", "-f", "${binary:Package} ${Status}\\n"]);
    let all = "one:amd64 install ok installed\ntools install ok installed\ntwo install ok installed\n";
    assert_eq!(state, all);
    assert_eq!(dpkg(&files, &["-S", "/usr/bin/link"]), "one:amd64: /usr/bin/link\n");
    let conffile = dpkg(&files, &["-W", "-f", "${Conffiles}", "one"]);
    assert_eq!(conffile.trim(), format!("/etc/one.conf {}", md5(&files.join("etc/one.conf"))));
    assert!(read(files.join("var/lib/dpkg/info/one:amd64.md5sums")).contains("  usr/bin/set\n"));

    let set = fs::metadata(files.join("usr/bin/set")).unwrap();
    assert_eq!(set.mode() & 0o7777, 0o6755);
    assert_eq!(fs::read_link(files.join("usr/bin/link")).unwrap(), Path::new("set"));
    assert_eq!(fs::read_link(files.join("bin")).unwrap(), Path::new("usr/bin"));
    let group = if testkit::is_root() { 42 } else { fs::metadata(&files).unwrap().gid() };
    assert_eq!(fs::metadata(files.join("etc/one.conf")).unwrap().gid(), group);
    assert_eq!(fs::metadata(files.join("order")).unwrap().mtime(), 1_700_000_000);
    for left in ["usr/sbin/policy-rc.d", "var/log/dpkg.log", "run/left", "var/lib/dpkg/holm.ci", "tmp/holm"] {
        assert!(!files.join(left).exists(), "{left}");
    }
    assert!(place.store("store").verify("made").unwrap().is_empty());
    assert_eq!(made.not_on_disk.owners == 0, testkit::is_root());
}

fn md5(path: &Path) -> String {
    let said = Command::new("md5sum").arg(path).output().unwrap();
    String::from_utf8(said.stdout).unwrap()[..32].to_owned()
}

#[test]
fn the_same_packages_are_the_same_archive_and_are_built_once() {
    let Some(mut place) = Place::new() else { return };
    let one = place.tree("one", "");
    put(one.join("usr/share/one"), "1");
    script(&one.join("DEBIAN/postinst"), "echo now > /var/now; echo more >> /usr/share/one");
    place.pack("one", "none");
    let (first, second) = (place.build("store").unwrap(), place.build("other").unwrap());
    assert_eq!(first.id, second.id);
    let export = |name: &str| {
        let mut bytes = Vec::new();
        place.store(name).export("made", &mut bytes).unwrap();
        bytes
    };
    assert!(export("store") == export("other"), "the archives differ");
    assert_eq!(read(place.files().join("usr/share/one")), "1more\n");

    // The packages are not looked at again, and records go with their roots.
    let file = place.packages[1].file.clone();
    fs::rename(&file, place.at("hidden")).unwrap();
    assert_eq!(place.build("store").unwrap().id, first.id);
    place.store("store").write().unwrap().remove("made").unwrap();
    assert_eq!(fs::read_dir(place.at("store/recipes")).unwrap().count(), 0);
    place.fails("one.deb: no such file or directory");
}

#[test]
fn a_file_is_where_a_diversion_sends_it() {
    let Some(mut place) = Place::new() else { return };
    put(place.tree("plain", "").join("usr/bin/hello"), "plain");
    place.pack("plain", "gzip");
    let better = place.tree("better", "");
    put(better.join("usr/bin/hello"), "better");
    let divert = "dpkg-divert --package better --add --rename --divert /usr/bin/hello.plain /usr/bin/hello";
    script(&better.join("DEBIAN/preinst"), divert);
    place.pack("better", "xz");
    place.build("store").unwrap();
    let files = place.files();
    assert_eq!(read(files.join("usr/bin/hello")), "better");
    assert_eq!(read(files.join("usr/bin/hello.plain")), "plain");
    let state = dpkg(&files, &["-W", "-f", "${Package} ${Status}\\n", "better"]);
    assert_eq!(state, "better install ok installed\n");
}

#[test]
fn a_script_that_fails_is_told_and_nothing_is_stored() {
    let Some(mut place) = Place::new() else { return };
    let one = place.tree("one", "");
    script(&one.join("DEBIAN/postinst"), "echo this is why; exit 3");
    place.pack("one", "gzip");
    place.fails("this is why");
    script(&one.join("DEBIAN/preinst"), "echo earlier; exit 1");
    place.packages.pop();
    place.pack("one", "gzip");
    place.fails("the preinst of one failed");
}

#[test]
fn packages_that_share_a_path_are_refused_by_name() {
    let Some(mut place) = Place::new() else { return };
    put(place.tree("one", "").join("lib/shared"), "1");
    place.pack("one", "gzip");
    put(place.tree("two", "").join("usr/lib/shared"), "2");
    place.pack("two", "gzip");
    place.fails("lib/shared: the package");
}

#[test]
fn a_package_that_is_another_or_damaged_is_refused() {
    let Some(mut place) = Place::new() else { return };
    put(place.tree("one", "").join("usr/share/one"), &"one ".repeat(5000));
    place.pack("one", "xz");
    let file = place.packages[1].file.clone();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    place.fails("it ends in the middle of a member");
    let mut changed = whole.clone();
    let end = changed.len() - 60;
    changed[end] ^= 0xff;
    fs::write(&file, changed).unwrap();
    place.fails("cannot unpack");
    fs::write(&file, whole).unwrap();
    place.packages[1].package.version = "2.0".to_owned();
    place.fails("it says that it is \"1.0\", and the archive \"2.0\"");
}

/// A package with these members, each with a name, a link's text or content.
pub(crate) fn hostile(place: &mut Place, members: &[(&str, tar::EntryType, &str)]) {
    let mut data = tar::Builder::new(Vec::new());
    for (name, kind, text) in members {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(*kind);
        let content = if kind.is_file() { text.as_bytes() } else { b"" };
        if !kind.is_file() {
            header.set_link_name_literal(text).unwrap();
            header.set_device_major(8).unwrap();
            header.set_device_minor(1).unwrap();
        }
        header.set_size(content.len() as u64);
        if let Some(sparse) = header.as_gnu_mut().filter(|_| kind.is_gnu_sparse()) {
            sparse.set_real_size(content.len() as u64);
        }
        header.set_cksum();
        data.append(&header, content).unwrap();
    }
    place.tree("one", "");
    place.packages.truncate(1);
    place.pack("one", "none");
    let file = place.packages[1].file.clone();
    let packed = fs::read(&file).unwrap();
    // The first two members stay: debian-binary and control.tar.
    let at = packed.windows(8).position(|here| here == b"data.tar").unwrap();
    let data = data.into_inner().unwrap();
    let mut bytes = packed[..at].to_vec();
    writeln!(bytes, "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", "data.tar", 0, 0, 0, 644, data.len()).unwrap();
    bytes.extend(data);
    fs::write(&file, bytes).unwrap();
}

#[test]
fn no_member_of_a_package_leads_out_of_the_root() {
    use tar::EntryType::{Block, Link, Regular, Symlink};
    let Some(mut place) = Place::new() else { return };
    hostile(&mut place, &[("../../out", Regular, "x")]);
    place.fails("its name has a part '..'");
    hostile(&mut place, &[("./usr/in", Link, "../../../etc/passwd")]);
    place.fails("its name has a part '..'");
    hostile(&mut place, &[("./y", Symlink, "/tmp"), ("./y", Regular, "x")]);
    place.fails("/y: the package one has it, too");
    hostile(&mut place, &[("./usr/lib", Symlink, "/tmp")]);
    place.fails("/usr/lib: the package");
    hostile(&mut place, &[(".", Symlink, "/tmp")]);
    place.fails("it would take the place of the root");

    let outside = place.at("outside");
    fs::create_dir(&outside).unwrap();
    let link = format!("{}", outside.display());
    hostile(&mut place, &[("./x", Symlink, &link), ("./x/in", Regular, "in"), ("./dev/disk", Block, "")]);
    place.build("store").unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let files = place.files();
    assert_eq!(read(files.join(link.trim_start_matches('/')).join("in")), "in");
    let disk = fs::symlink_metadata(files.join("dev/disk"));
    assert!(disk.is_err(), "{disk:?}");
    assert!(!fs::metadata(&files).unwrap().file_type().is_block_device());
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    let Some(place) = Place::new() else { return };
    let packages = place.packages.iter().map(|fetched| fetched.package.clone()).collect();
    let recipe = Recipe::new(&Selection { archives: Vec::new(), packages }, None);
    for stage in ["Unpack", "Configure", "Store"] {
        let writer = place.store("store").write().unwrap();
        let mut stop = |progress: Progress| match format!("{:?}", progress.stage) == stage {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let stopped = recipe.build(&writer, &place.packages, "made", "packages", &mut stop);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stage}: {stopped:?}");
        assert!(!place.at("store/draft").exists(), "{stage}");
        assert!(place.store("store").all().unwrap().is_empty(), "{stage}");
    }
}

#[test]
fn a_script_that_says_nothing_can_be_interrupted() {
    let Some(mut place) = Place::new() else { return };
    let tree = place.tree("silent", "");
    script(&tree.join("DEBIAN/postinst"), "while :; do :; done");
    place.pack("silent", "none");
    let packages = place.packages.iter().map(|fetched| fetched.package.clone()).collect();
    let recipe = Recipe::new(&Selection { archives: Vec::new(), packages }, None);
    let writer = place.store("store").write().unwrap();
    let mut last = (0, std::time::Instant::now());
    let mut stop = |progress: Progress| {
        if progress.stage != Stage::Configure || progress.done != last.0 {
            last = (progress.done, std::time::Instant::now());
        }
        match last.1.elapsed().as_millis() > 1500 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let stopped = recipe.build(&writer, &place.packages, "made", "packages", &mut stop);
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert!(!place.at("store/draft").exists());
}

/// What an archive has of a path: kind, mode, owner, and content or where it leads.
type Entry = (u8, u32, u64, u64, Vec<u8>);

fn entries(archive: impl std::io::Read) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut links = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path: PathBuf = entry.path().unwrap().components().filter(|part| part.as_os_str() != ".").collect();
        let header = entry.header();
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let target = entry.link_name().unwrap().map(|link| link.into_owned());
        let mut content = Vec::new();
        match (header.entry_type(), target) {
            (tar::EntryType::Link, Some(of)) => {
                links.push((path, of.components().filter(|part| part.as_os_str() != ".").collect::<PathBuf>()));
                continue;
            }
            (_, Some(target)) => content.extend_from_slice(target.as_os_str().as_encoded_bytes()),
            (_, None) => drop(entry.read_to_end(&mut content).unwrap()),
        }
        let kind = entry.header().entry_type().as_byte();
        let mode = if kind == b'2' { 0 } else { mode };
        found.insert(path, (kind, mode, uid, gid, content));
    }
    for (path, of) in links {
        let target = found[&of].clone();
        found.insert(path, target);
    }
    found
}

/// What differs on purpose; `docs/roots/debian.md` has the reasons.
fn is_intended(path: &str) -> bool {
    let exact = [
        "dev",
        "etc/fstab",
        "etc/hostname",
        "etc/resolv.conf",
        "etc/shells",
        "etc/apt/sources.list",
        "var/lib/apt/extended_states",
        "var/lib/dpkg/arch",
    ];
    let backup =
        ["var/lib/dpkg/", "var/cache/debconf/"].iter().any(|at| path.starts_with(at)) && path.ends_with("-old");
    exact.contains(&path) || backup || ["var/lib/apt/lists/", "var/cache/apt/"].iter().any(|at| path.starts_with(at))
}

#[test]
fn a_root_is_what_mmdebstrap_makes_of_the_same_packages() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/packages.tar"));
    if !testkit::is_root() {
        // The owners that scripts give are root's to give.
        return;
    }
    if !path.exists() {
        return testkit::skip("there is no target/packages.tar: test.sh makes it");
    }
    let mut place = Place { directory: tempfile::tempdir().unwrap(), packages: Vec::new() };
    let theirs = entries(fs::File::open(path).unwrap());
    for (path, (.., content)) in &theirs {
        if path.extension().is_some_and(|end| end == "deb") {
            let file = place.at(path.file_name().unwrap().to_str().unwrap());
            fs::write(&file, content).unwrap();
            let said = Command::new("dpkg-deb").arg("--field").arg(&file).output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
            place.add(&field("Package:"), file);
            let package = &mut place.packages.last_mut().unwrap().package;
            (package.version, package.architecture) = (field("Version:"), field("Architecture:"));
            (package.priority, package.section) = (field("Priority:"), field("Section:"));
        }
    }
    place.build("store").unwrap();
    let mut ours = Vec::new();
    place.store("store").export("made", &mut ours).unwrap();
    let ours = entries(ours.as_slice());
    let all: BTreeSet<&PathBuf> = theirs.keys().chain(ours.keys()).collect();
    let differs = |path: &&PathBuf| theirs.get(*path) != ours.get(*path) && !is_intended(path.to_str().unwrap());
    let shown = |path: &PathBuf| {
        let facts = |entry: Option<&Entry>| entry.map(|(kind, mode, uid, gid, _)| (*kind, *mode, *uid, *gid));
        format!("{}: {:?}, {:?}", path.display(), facts(theirs.get(path)), facts(ours.get(path)))
    };
    let differences: Vec<String> = all.into_iter().filter(differs).map(shown).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(ours.len() > 3000, "{}", ours.len());
}
