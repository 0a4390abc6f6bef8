//! The store of roots: what hostile archives, kills, full and read-only disks and damage do to it, which is nothing.

mod archives;
#[expect(dead_code, reason = "nothing here is left running in the background")]
mod patience;
mod stores;

use archives::{file, link, member, sum};
use patience::output;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use stores::{Store, drafts, said, there};
use testkit::{Scratch, holm, is_root, skip};

impl Store {
    /// Everything below the store, with sizes.
    fn all(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut left = vec![self.path()];
        while let Some(path) = left.pop() {
            let Ok(status) = path.symlink_metadata() else { continue };
            if status.is_dir() {
                left.extend(fs::read_dir(&path).expect("it is ours").map(|item| item.expect("it is ours").path()));
            }
            found.push((path, if status.is_dir() { 0 } else { status.len() }));
        }
        found.sort();
        found
    }

    /// A directory to import, with most of what there is.
    fn directory(&self) -> PathBuf {
        let path = self.0.join("made");
        fs::create_dir_all(path.join("etc/deep")).expect("scratch is ours");
        fs::write(path.join("etc/note"), "a note").expect("scratch is ours");
        fs::hard_link(path.join("etc/note"), path.join("etc/same")).expect("scratch is ours");
        fs::write(path.join("odd \\ name\n"), vec![7; 70_000]).expect("scratch is ours");
        fs::write(path.join("hole"), vec![0; 1 << 20]).expect("scratch is ours");
        fs::write(path.join("set"), "#!/bin/sh\n").expect("scratch is ours");
        fs::set_permissions(path.join("set"), PermissionsExt::from_mode(0o4755)).expect("it is ours");
        symlink("/nowhere/at all", path.join("link")).expect("scratch is ours");
        path
    }
}

#[test]
fn what_goes_in_comes_out_and_is_stored_once() {
    let store = Store::new("round");
    store.directory();
    let id = store.does(&["root", "import", "made", "one"]).split(' ').nth(1).map(str::to_owned);
    store.does(&["root", "export", "one", "one.tar"]);
    for (name, packer) in [("gz", "gzip"), ("xz", "xz"), ("zst", "zstd")] {
        let plain = fs::File::open(store.0.join("one.tar")).expect("it is there");
        let Ok(packed) = Command::new(packer).arg("-c").stdin(plain).stderr(Stdio::null()).output() else {
            skip(&format!("there is no {packer}"));
            continue;
        };
        let file = store.0.join(format!("one.tar.{name}"));
        fs::write(file, packed.stdout).expect("scratch is ours");
        let again = store.does(&["root", "import", &format!("one.tar.{name}"), name]);
        assert_eq!(again.split(' ').nth(1).map(str::to_owned), id, "{name}");
    }
    assert_eq!(fs::read_dir(store.path().join("roots")).expect("it is there").count(), 1);
    store.does(&["root", "verify"]);
    let files = store.files();
    assert_eq!(fs::read(files.join("odd \\ name\n")).expect("it is there"), vec![7; 70_000]);
    let (hole, note) = (files.join("hole").metadata(), files.join("etc/note").metadata());
    assert!(hole.is_ok_and(|hole| hole.len() == 1 << 20 && hole.blocks() < 64));
    assert_eq!(note.ok().map(|note| note.ino()), files.join("etc/same").metadata().ok().map(|same| same.ino()));
    let listed = output(Command::new("tar").arg("tvf").arg(store.0.join("one.tar")));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("etc/same link to etc/note") && listed.contains("-rwsr-xr-x"), "{listed}");
    store.fails(&["root", "import", "made/etc", "one"], "another root has this name");
}

#[test]
fn names_and_links_of_any_bytes_come_out_as_they_went_in() {
    let store = Store::new("names");
    let long = store.0.join("made").join(std::ffi::OsStr::from_bytes(&[0xed; 120]));
    fs::create_dir_all(&long).expect("scratch is ours");
    fs::write(long.join("file"), "text").expect("scratch is ours");
    symlink("a//b/./c", long.join("slashes")).expect("scratch is ours");
    symlink("x".repeat(300), long.join("far")).expect("scratch is ours");
    let id = |said: String| said.split(' ').nth(1).map(str::to_owned);
    let first = id(store.does(&["root", "import", "made", "one"]));
    store.does(&["root", "export", "one", "one.tar"]);
    assert_eq!(id(store.does(&["root", "import", "one.tar", "two"])), first);
}

#[test]
fn roots_that_differ_share_their_files() {
    let store = Store::new("share");
    let made = store.directory();
    store.does(&["root", "import", "made", "one"]);
    fs::write(made.join("more"), "more").expect("scratch is ours");
    store.does(&["root", "import", "made", "two"]);
    let inodes: Vec<u64> = fs::read_dir(store.path().join("roots"))
        .expect("it is there")
        .map(|root| {
            root.expect("it can be listed").path().join("files/etc/note").metadata().expect("it is there").ino()
        })
        .collect();
    assert!(inodes.len() == 2 && inodes[0] == inodes[1], "{inodes:?}");
    store.does(&["root", "rm", "one"]);
    assert_eq!(store.does(&["root", "verify"]), "two: as stored\n");
    store.does(&["root", "rm", "two"]);
    assert_eq!(fs::read_dir(store.path().join("pool")).expect("it is there").count(), 0);
}

/// What it is, its members, and the file they may make or the error that they are.
type Case<'t> = (&'t str, Vec<Vec<u8>>, Result<&'t str, &'t str>);

#[test]
fn a_hostile_archive_reaches_nothing_outside() {
    let outside = Scratch::new("store-outside");
    let out = outside.path().display().to_string();
    fs::write(outside.join("victim"), "as before").expect("scratch is ours");
    let victim = outside.join("victim").display().to_string();
    let cases: Vec<Case> = vec![
        ("climbing", vec![file("../victim", "x")], Err("a part '..'")),
        ("climbing inside", vec![file("a/../../victim", "x")], Err("a part '..'")),
        ("absolute", vec![file(&victim, "x")], Ok(&victim[1..])),
        ("absolute link", vec![link("l", &out), file("l/victim", "x")], Ok(&victim[1..])),
        ("climbing link", vec![link("l", &format!("../../../..{out}")), file("l/victim", "x")], Ok(&victim[1..])),
        ("link to a file", vec![link("l", &victim), file("l", "x")], Ok("l")),
        ("swapped", vec![member(b'5', "d", "", b""), link("d", &out), file("d/victim", "x")], Ok(&victim[1..])),
        ("swapped back", vec![link("d", &out), member(b'5', "d", "", b""), file("d/victim", "x")], Ok("d/victim")),
        ("link in a link", vec![link("a", "b"), link("b", &out), file("a/victim", "x")], Ok(&victim[1..])),
        ("loop", vec![link("a", "b"), link("b", "a"), file("a/x", "x")], Err("too many levels of symbolic links")),
        ("hard link out", vec![member(b'1', "h", &victim, b"")], Err("no such file")),
        ("hard link up", vec![member(b'1', "h", "../victim", b"")], Err("a part '..'")),
        ("hard link by a link", vec![link("l", &out), member(b'1', "h", "l/victim", b"")], Err("no such file")),
        (
            "hard link of a directory",
            vec![member(b'5', "d", "", b""), member(b'1', "h", "d", b"")],
            Err("is a directory"),
        ),
        ("the root", vec![link("/", &out)], Err("take the place of the root")),
        ("by a file", vec![file("f", "x"), file("f/victim", "x")], Err("not a directory")),
        ("long", vec![file(&format!("{}/x", "a".repeat(90)), "x")], Ok("")),
        ("unknown", vec![member(b'V', "x", "", b"")], Err("of a kind that no root can have")),
        ("truncated", vec![file("a", "x")[..514].to_vec()], Err("ends in the middle")),
        ("half a header", vec![file("a", "x")[..300].to_vec()], Err("ends in the middle")),
        ("twice", vec![file("a", "y"), file("a", "x")], Ok("a")),
        ("a name too long", vec![member(b'L', "n", "", &[b'a'; 300]), file("a", "x")], Err("file name too long")),
        ("a huge name", vec![member(b'L', "n", "", &vec![b'a'; 1 << 21]), file("a", "x")], Err("more than a megabyte")),
    ];
    for (what, members, wanted) in cases {
        let store = Store::new("hostile");
        fs::write(store.0.join("a.tar"), members.concat()).expect("scratch is ours");
        match wanted {
            Err(text) => {
                store.fails(&["root", "import", "a.tar", "a"], text);
                assert!(!drafts(&store), "{what}: a draft is left");
                assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n", "{what}");
            }
            Ok(inside) => {
                store.does(&["root", "import", "a.tar", "a"]);
                let content = fs::read_to_string(store.files().join(inside));
                assert!(inside.is_empty() || content.is_ok_and(|content| content == "x"), "{what}");
                store.does(&["root", "verify"]);
            }
        }
        assert_eq!(fs::read_to_string(outside.join("victim")).ok().as_deref(), Some("as before"), "{what}");
        assert_eq!(fs::read_dir(outside.path()).expect("scratch is ours").count(), 1, "{what}");
        assert!(!there(&store.0.join("victim")), "{what}");
    }
}

#[test]
fn an_export_that_fails_leaves_what_was_there_and_nothing_more() {
    let store = Store::new("export");
    fs::write(store.0.join("a.tar"), member(b'0', "file", "", b"content")).expect("scratch is ours");
    store.does(&["root", "import", "a.tar", "a"]);
    let file = store.files().join("file");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is ours");
    fs::write(file, "other").expect("it is ours");
    for name in ["b.tar", "b.tar.part"] {
        fs::write(store.0.join(name), "mine").expect("scratch is ours");
    }
    let count = || fs::read_dir(store.0.path()).expect("scratch is ours").count();
    let before = count();
    store.fails(&["root", "export", "a", "b.tar"], "it is damaged");
    for name in ["b.tar", "b.tar.part"] {
        assert_eq!(fs::read_to_string(store.0.join(name)).ok().as_deref(), Some("mine"), "{name}");
    }
    assert_eq!(count(), before);
}

#[test]
fn devices_are_listed_and_not_made() {
    let store = Store::new("devices");
    let members = [member(b'3', "null", "", b""), member(b'4', "disk", "", b""), member(b'6', "pipe", "", b"")];
    fs::write(store.0.join("a.tar"), members.concat()).expect("scratch is ours");
    let printed = store.does(&["root", "import", "a.tar", "a"]);
    assert!(printed.contains("2 device nodes"), "{printed}");
    let files = store.files();
    assert!(!there(&files.join("null")) && !there(&files.join("disk")));
    assert!(files.join("pipe").metadata().is_ok_and(|pipe| pipe.file_type().is_fifo()));
    store.does(&["root", "verify"]);
    store.does(&["root", "export", "a", "b.tar"]);
    let listed = output(Command::new("tar").arg("tvf").arg(store.0.join("b.tar")));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("crwxr-xr-x") && listed.contains("1,3") && listed.contains("brwxr-xr-x"), "{listed}");
}

#[test]
fn what_grows_beyond_the_limit_is_refused() {
    let store = Store::new("bomb");
    // A sparse file of the old GNU form: 16 TiB, none of it stored.
    let mut sparse = member(b'S', "hole", "", b"");
    sparse[257..265].copy_from_slice(b"ustar  \0");
    sparse[329..345].fill(0);
    sparse[386..397].copy_from_slice(b"00000000000");
    sparse[483..495].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0]);
    sum(&mut sparse);
    fs::write(store.0.join("sparse.tar"), sparse).expect("scratch is ours");
    store.fails(&["root", "import", "sparse.tar", "a"], "the limit");
    fs::write(store.0.join("big.tar"), member(b'0', "zero", "", &vec![0; 4 << 20])).expect("scratch is ours");
    output(Command::new("gzip").arg(store.0.join("big.tar")));
    store.fails(&["root", "import", "big.tar.gz", "a", "--max-size", "1M"], "the limit");
    assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n");
    store.does(&["root", "import", "big.tar.gz", "a", "--max-size", "8M"]);
}

#[test]
fn damage_is_named_and_removed_by_name() {
    let store = Store::new("damage");
    store.directory();
    store.does(&["root", "import", "made", "one"]);
    let files = store.files();
    fs::write(files.join("etc/note"), "b note").expect("it is ours");
    fs::remove_file(files.join("link")).expect("it is ours");
    fs::write(files.join("new"), "").expect("it is ours");
    fs::set_permissions(files.join("set"), PermissionsExt::from_mode(0o700)).expect("it is ours");
    let said = store.fails(&["root", "verify", "one"], "one differs at etc/note: its content is another");
    for what in ["link: it is missing", "new: it was not there", "set: its mode", "etc/same: its content"] {
        assert!(said.contains(what), "{said}");
    }
    fs::write(store.path().join("names/one.json"), "{\"version\": 1}").expect("it is ours");
    store.fails(&["root", "ls"], "hint: holm root rm one removes it");
    store.fails(&["run", "--root", "one", "true"], "names/one.json: it is no metadata");
    store.does(&["root", "rm", "one"]);
    assert_eq!(store.does(&["root", "ls", "--json"]), "[]\n");
    // What has rotted in the pool isn't used again.
    store.does(&["root", "import", "made", "one"]);
    assert_eq!(store.does(&["root", "verify"]), "one: as stored\n");
}

#[test]
fn bad_wishes_are_told_and_change_nothing() {
    let store = Store::new("wishes");
    store.directory();
    store.fails(&["root", "show", "web"], "hint: holm root ls lists");
    assert!(!store.path().exists(), "asking makes no store");
    store.does(&["root", "import", "made", "web"]);
    let before = store.all();
    store.fails(&["root", "rm", "wbe"], "hint: did you mean web?");
    store.fails(&["root", "import", "nowhere", "x"], "cannot read nowhere: no such file");
    store.fails(&["root", "import", "made", "../x"], "it must begin with a letter or digit");
    store.fails(&["root", "import", "made", "host"], "--root has another meaning for it");
    store.fails(&["root", "import", ".", "x"], "the store is in it");
    store.fails(&["root", "import", "/dev/null", "x"], "neither a directory nor a file");
    store.fails(&["root", "export", "web", "web.tar.gz"], "hint: holm root export web /dev/stdout | gzip");
    store.fails(&["root", "export", "web", "/dev/full"], "no space left on device");
    store.fails(&["run", "--root", "web", "--rw", "true"], "cannot write through to the stored root web");
    fs::write(store.0.join("web.toml"), "root = \"web\"\n").expect("scratch is ours");
    fs::write(store.0.join("rw.toml"), "rw = true\n").expect("scratch is ours");
    for apart in [["--profile", "web.toml", "--rw"].as_slice(), &["--profile", "rw.toml", "--root", "web"]] {
        let arguments = [["run"].as_slice(), apart, &["true"]].concat();
        store.fails(&arguments, "cannot write through to the stored root web");
    }
    store.fails(&["run", "--root", "store:nothing", "true"], "cannot find root nothing");
    assert_eq!(store.all(), before);
    fs::set_permissions(store.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    store.fails(&["root", "ls"], "others may enter it");
    fs::set_permissions(store.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
    fs::write(store.path().join("version"), "holm store 9\n").expect("it is ours");
    store.fails(&["root", "ls"], "its version is \"holm store 9\", not \"holm store 1\"");
    if is_root() {
        std::os::unix::fs::chown(store.path(), Some(12_345), None).expect("root may");
        store.fails(&["root", "ls"], "it belongs to user 12345, not to user 0");
    }
}

/// Runs a line of sh as root of a mount namespace of its own.
fn elsewhere(store: &Store, line: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(if is_root() { ["-m", "--"].as_slice() } else { ["-Urm", "--"].as_slice() });
    command.args(["sh", "-c", line]).env("HOLM_STORE", store.path()).env("HOLM", holm()).current_dir(store.0.path());
    output(&mut command)
}

#[test]
fn a_full_or_read_only_disk_is_told_and_leaves_the_store_as_it_was() {
    let store = Store::new("disk");
    store.directory();
    fs::write(store.0.join("made/large"), vec![1; 3 << 20]).expect("scratch is ours");
    let line = "mkdir -m 700 store && mount -t tmpfs -o size=2m,mode=700 tmpfs store && \"$HOLM\" root import made/etc small && \
                ! \"$HOLM\" root import made large && \"$HOLM\" root verify && ls -A store && mount -o remount,bind,ro store && \
                \"$HOLM\" root ls && \"$HOLM\" root import made large";
    let done = elsewhere(&store, line);
    let (printed, said) = (String::from_utf8_lossy(&done.stdout).into_owned(), said(&done));
    assert_eq!(done.status.code(), Some(125), "{printed}{said}");
    assert!(said.contains("cannot unpack made/large: no space left on device"), "{said}");
    assert!(said.contains("store/draft-0: read-only file system"), "{said}");
    assert!(printed.contains("small: as stored\nlock\nnames\npool\nrecipes\nroots\nversion\n"), "{printed}");
}

#[test]
fn a_directory_is_stored_without_more_space_where_blocks_can_be_shared() {
    if !is_root() {
        return;
    }
    let store = Store::new("clone");
    if !Path::new("/usr/sbin/mkfs.btrfs").exists() {
        return skip("there is no mkfs.btrfs");
    }
    let line = "set -e; truncate -s 256M disk && mkfs.btrfs -q disk && mkdir at && mount -o loop disk at && cd at && mkdir made && \
                head -c 40000000 /dev/urandom > made/large && sync && used() { df --output=used -k . | tail -n 1; } && before=$(used) && \
                export HOLM_STORE=$PWD/store && \"$HOLM\" root import made one && sync && echo $(($(used) - before)) && \
                echo changed >> made/large && \"$HOLM\" root verify";
    let done = elsewhere(&store, line);
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{printed}{}", said(&done));
    let more: Vec<i64> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(more.len() == 1 && more[0] < 10_000, "{printed}");
    assert!(printed.ends_with("one: as stored\n"), "{printed}");
}

#[test]
fn an_image_of_a_file_system_is_told_from_an_archive() {
    let store = Store::new("file-system");
    fs::write(store.0.join("a.squashfs"), [b"hsqs".as_slice(), &[0; 4092]].concat()).expect("scratch is ours");
    store.fails(&["root", "import", "a.squashfs", "a"], "it is no squashfs of version 4.0");
}

#[test]
fn a_stored_root_is_run_in_and_stays_as_it_is() {
    let store = Store::new("run");
    fs::create_dir(store.0.join("made")).expect("scratch is ours");
    store.does(&["root", "import", "made", "bare"]);
    let tools = ["--bind", "/usr", "--bind", "/lib", "--bind", "/lib64"];
    let run = |root: &str, line: &str| {
        let arguments = [&["run", "--root", root], tools.as_slice(), &["/usr/bin/sh", "-c", line]].concat();
        store.does(&arguments)
    };
    assert_eq!(run("store:bare", "echo x > /new && cat /new"), "x\n");
    assert_eq!(run("bare", "ls /new 2>&1 || echo none").lines().last(), Some("none"));
    assert_eq!(store.does(&["root", "verify"]), "bare: as stored\n");
    fs::create_dir(store.0.join("bare")).expect("scratch is ours");
    fs::write(store.0.join("bare/here"), "").expect("scratch is ours");
    assert!(run("bare", "ls /").contains("here"), "a directory that exists is meant");

    let arguments =
        [&["run", "--root", "store:bare"], tools.as_slice(), &["/usr/bin/sh", "-c", "echo in; read x"]].concat();
    let mut running = store.holm(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = [0; 3];
    std::io::Read::read_exact(running.stdout.as_mut().expect("it is piped"), &mut line).expect("it says that it is in");
    store.fails(&["root", "rm", "bare"], "a sandbox runs in it");
    running.stdin.take().expect("it is piped").write_all(b"\n").expect("it reads");
    running.wait().expect("it is our child");
    store.does(&["root", "rm", "bare"]);
}

#[test]
fn a_link_that_a_dead_writer_left_is_in_nobodys_way() {
    let store = Store::new("link");
    let made = store.directory();
    store.does(&["root", "import", "made", "one"]);
    let pool = store.path().join("pool");
    let any = fs::read_dir(&pool).expect("it is ours").flatten().next().expect("it holds files").path();
    fs::hard_link(any, pool.join("link")).expect("it is ours");
    fs::write(made.join("more"), "more").expect("scratch is ours");
    store.does(&["root", "import", "made", "two"]);
    assert_eq!(store.does(&["root", "verify"]), "one: as stored\ntwo: as stored\n");
    let any = fs::read_dir(&pool).expect("it is ours").flatten().next().expect("it holds files").path();
    fs::hard_link(any, pool.join("link")).expect("it is ours");
    store.does(&["root", "rm", "one"]);
    store.does(&["root", "rm", "two"]);
    assert_eq!(fs::read_dir(&pool).expect("it is ours").count(), 0);
}

#[test]
fn a_kill_at_any_moment_leaves_the_store_whole() {
    let store = Store::new("kill");
    let made = store.directory();
    store.does(&["root", "import", "made", "kept"]);
    for number in 0..40 {
        fs::write(made.join(format!("file-{number}")), format!("{number}").repeat(5000)).expect("scratch is ours");
    }
    let start = std::time::Instant::now();
    store.does(&["root", "import", "made", "whole"]);
    let long = start.elapsed();
    store.does(&["root", "rm", "whole"]);
    let mut stored = 0;
    for round in 0..100_u32 {
        // Spread over the whole of an import, in no order.
        let moment = f64::from(round * 37 % 100) / 90.0;
        let mut import = store.holm(&["root", "import", "made", "new"]);
        let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(long.mul_f64(moment));
        import.kill().expect("it is our child");
        import.wait().expect("it is our child");
        let verified = store.does(&["root", "verify"]);
        assert!(verified.starts_with("kept: as stored\n"), "{round}: {verified}");
        if verified.contains("new: as stored") {
            stored += 1;
            store.does(&["root", "rm", "new"]);
        }
    }
    eprintln!("{stored} of 100 imports came before the kill");
    store.does(&["root", "gc"]);
    store.does(&["root", "import", "made", "new"]);
    assert_eq!(store.does(&["root", "verify"]), "kept: as stored\nnew: as stored\n");
    let mut left: Vec<_> =
        fs::read_dir(store.path()).expect("it is ours").flatten().map(|item| item.file_name()).collect();
    left.sort();
    assert_eq!(
        left.iter().map(|name| name.as_bytes()).collect::<Vec<_>>().join(&b' '),
        b"lock names pool recipes roots version"
    );
}
