//! What a program sees, may write and can't reach, by the binary as a user runs it. Run as root and as an ordinary user.

#[expect(dead_code, reason = "other tests use the rest")]
mod patience;

use patience::Running;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, run};

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("holm starts")
}

/// Standard output of a run that succeeds.
fn shown(options: &[&str], script: &str) -> String {
    let done = output(run().args(options).args(["sh", "-c", script]));
    assert!(done.status.success(), "{options:?} {script}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}

/// Exit code and standard error of a run that fails.
fn refused(options: &[&OsStr], program: &[&str]) -> (i32, String) {
    let done = output(run().args(options).args(program));
    (done.status.code().expect("it exits"), String::from_utf8_lossy(&done.stderr).into_owned())
}

fn os<'a>(texts: &[&'a str]) -> Vec<&'a OsStr> {
    texts.iter().map(|text| OsStr::new(*text)).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the scratch directory has a plain name")
}

#[test]
fn nothing_of_the_hosts_data_is_seen() {
    let seen = shown(&[], "ls -A / | tr '\\n' ' '; ls -A /tmp /run");
    for name in ["srv", "root/.", "boot", "sys", "mnt", "opt"] {
        assert!(!seen.split_whitespace().any(|word| word == name), "{name} in {seen}");
    }
    assert_eq!(shown(&[], "cat /etc/shadow 2>/dev/null | wc -l"), "0");
}

#[test]
fn no_way_leads_up_from_any_root() {
    let scratch = Scratch::new("up");
    let directory = |name: &str| {
        fs::create_dir(scratch.join(name)).expect("scratch is ours");
        text(&scratch.join(name)).to_owned()
    };
    let (bare, kept, again) = (directory("bare"), format!("--overlay={}", directory("kept")), directory("again"));
    for name in ["usr", "proc", "dev", "tmp"] {
        fs::create_dir_all(scratch.join("whole").join(name)).expect("scratch is ours");
    }
    let whole = text(&scratch.join("whole")).to_owned();
    for root in [&bare, &whole] {
        for name in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), Path::new(root).join(name)).expect("scratch is ours");
        }
    }
    let upper = format!("--overlay={again}");
    let roots: [&[&str]; 9] = [
        &[],
        &["--overlay"],
        &[&kept],
        &["--root", "bins:sh,ls,stat,test"],
        &["--root", &bare, "--bind", "/usr"],
        &["--root", &bare, "--bind", "/usr", "--overlay"],
        &["--root", &bare, "--bind", "/usr", &upper],
        &["--root", &whole, "--bind", "/usr"],
        &["--root", &whole, "--bind", "/usr", "--rw"],
    ];
    let escape = scratch.join("escaped");
    let script = format!(
        "stat -c '%d:%i' / /.. /../.. /../../..; echo $(ls -A /); echo $(ls -A /..); touch /..{} 2>/dev/null || true",
        escape.display()
    );
    for options in roots {
        let seen = shown(options, &script);
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines[..4].iter().all(|id| *id == lines[0]), "{options:?}: {seen}");
        assert_eq!(lines[4].trim_end(), lines[5].trim_end(), "{options:?}");
        assert!(!escape.exists(), "{options:?}");
    }
}

#[test]
fn the_hosts_settings_cannot_be_written() {
    for options in [&[][..], &["--user", "root"], &["--share", "net"], &["--share", "pid"]] {
        for name in ["kernel/core_pattern", "kernel/hostname", "vm/swappiness", "net/ipv4/ip_forward"] {
            let script = format!("( : >> /proc/sys/{name} ) 2>/dev/null && echo open || echo refused");
            assert_eq!(shown(options, &script), "refused", "{options:?} {name}");
        }
    }
}

#[test]
fn only_the_sandboxs_processes_are_seen() {
    assert_eq!(shown(&[], "set -- /proc/[0-9]*; echo $#"), "2", "the init and sh, which starts nothing for this");
    assert_eq!(shown(&[], "echo $$"), "2");
}

#[test]
fn each_namespace_is_new_and_share_keeps_it() {
    for kind in ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("the kernel has it");
        let script = format!("readlink /proc/self/ns/{kind}");
        assert_ne!(shown(&[], &script), own.to_string_lossy(), "{kind}");
        if kind != "user" && kind != "pid" {
            assert_eq!(shown(&["--share", kind], &script), own.to_string_lossy(), "{kind}");
        }
    }
}

#[test]
fn the_loopback_is_up_and_alone() {
    assert_eq!(shown(&[], "tail -n +3 /proc/net/dev | wc -l"), "1");
    assert_ne!(shown(&[], "grep -c 127.0.0.1 /proc/net/fib_trie"), "0", "an address means that it is up");
}

#[test]
fn a_time_namespace_has_its_offsets() {
    let uptime = shown(&["--time-offset", "boot=1000d"], "cut -d. -f1 /proc/uptime");
    assert!(uptime.parse::<u64>().expect("it is a number") >= 86_400_000, "{uptime}");
}

#[test]
fn the_program_has_no_capability_and_can_gain_none() {
    for user in [&[][..], &["--user", "root"]] {
        let status = shown(user, "grep -E 'Cap|NoNewPrivs' /proc/self/status");
        for line in status.lines() {
            let (name, value) = line.split_once(":\t").expect("the kernel's form");
            let expected = if name == "NoNewPrivs" { "1" } else { "0000000000000000" };
            assert_eq!(value, expected, "{name} with {user:?}");
        }
    }
}

#[test]
fn ids_inside_are_as_wished() {
    let own = |flag: &str| {
        let done = Command::new("id").arg(flag).output().expect("id is there");
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    };
    assert_eq!(shown(&[], "id -u; id -g"), format!("{}\n{}", own("-u"), own("-g")));
    assert_eq!(shown(&["--user", "root"], "id -u; id -g; id -un; echo $HOME"), "0\n0\nroot\n/root");
    assert_eq!(shown(&["--user", "7:8"], "id -u; id -g"), "7\n8");
}

#[test]
fn started_by_root_the_program_is_not_root_outside() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("owners");
    fs::write(scratch.join("secret"), "whole").expect("scratch is ours");
    fs::set_permissions(scratch.join("secret"), fs::Permissions::from_mode(0o600)).expect("it is ours");
    let bind = format!("{}:/s", text(scratch.path()));
    // What is bound has its owners on disk.
    let script = "cat /s/secret; stat -c %u:%g /s/secret; echo new >/s/new; mkdir /s/d; chown 5:6 /s/d";
    assert_eq!(shown(&["--cap-add", "chown", "--bind-rw", &bind], script), "whole0:0");
    for (name, ids) in [("new", (0, 0)), ("d", (5, 6))] {
        let facts = fs::metadata(scratch.join(name)).expect("it was made");
        assert_eq!((facts.uid(), facts.gid()), ids, "{name}");
    }
    let maps = |options: &[&str]| shown(options, "cat /proc/self/uid_map /proc/self/gid_map");
    let ids: Vec<u64> = maps(&[]).split_whitespace().map(|n| n.parse().expect("a number")).collect();
    assert!(ids[1] >= 524_288 && ids[1] + 65_536 <= 0x7000_0000 && ids[2] == 65_536, "{ids:?}");
    assert_eq!(ids[..3], ids[3..]);
    assert_ne!(maps(&[]), maps(&[]), "each start takes another range");
    assert_eq!(maps(&["--userns", "host"]).split_whitespace().collect::<Vec<_>>(), ["0", "0", "1", "0", "0", "1"]);
    let explained = output(run().args(["--explain", "true"]));
    assert!(!String::from_utf8_lossy(&explained.stdout).contains("root outside"));
}

#[test]
fn a_kept_overlay_of_root_keeps_owners() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("kept-owners");
    let option = format!("--overlay={}", text(scratch.path()));
    shown(&[&option, "--cap-add", "chown"], "echo changed >/usr/new; chown 7 /usr/new; rm /usr/bin/true");
    assert_eq!(fs::metadata(scratch.join("usr-upper/new")).expect("it is kept").uid(), 7);
    assert_eq!(shown(&[&option], "cat /usr/new; [ -e /usr/bin/true ] || echo gone"), "changed\ngone");
}

#[test]
fn ranges_of_ids_are_mapped() {
    if testkit::is_root() {
        // The caller's own id is mapped nowhere here: the program is nobody outside.
        let away = ["--user", "1000:1000", "--map", "1000:100000:1"];
        assert_eq!(shown(&away, "id -u; touch /tmp/x ~/x && stat -c %u /tmp/x"), "1000\n1000");
        let maps = ["--map", "0:0:1", "--map", "1:100000:1000"];
        assert_eq!(shown(&maps, "wc -l < /proc/self/uid_map"), "2");
        assert_eq!(shown(&[&maps[..], &["--user", "5:5"]].concat(), "id -u; touch ~/x && stat -c %u ~/x"), "5\n5");
        return;
    }
    let status = fs::read_to_string("/etc/subuid").expect("test.sh gives the user a range");
    let name = Command::new("id").arg("-un").output().expect("id is there");
    let name = String::from_utf8_lossy(&name.stdout).trim().to_owned();
    let first = status.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(':')?.split(':').next());
    if let Some(first) = first {
        // Groups stay, for newgidmap gives setgroups up where just the own group is mapped.
        let one = format!("u:0:{first}:1");
        assert_eq!(shown(&["--map", &one, "--user", "root"], "id -u; id -g"), "0\n0");
        let both = ["--map", &one, "--map", &format!("g:0:{first}:1"), "--user", "root"];
        let script = "id -u; id -G; grep -c 127.0.0.1 /proc/net/fib_trie >/dev/null && echo up";
        assert_eq!(shown(&both, script), "0\n0\nup", "neither of the caller's ids is mapped");
    }
    let seen = shown(&["--map", "auto", "--user", "root"], "wc -l < /proc/self/uid_map; id -G");
    assert_eq!(seen, "2\n0", "the supplementary groups are dropped, since newgidmap leaves setgroups");
}

#[test]
fn the_root_is_read_only_and_tmp_is_fresh() {
    assert_eq!(shown(&[], "touch /x /usr/x /etc/x 2>/dev/null; ls /x /usr/x /etc/x 2>/dev/null | wc -l"), "0");
    assert_eq!(shown(&[], "touch /tmp/x ~/x /dev/shm/x && echo all"), "all");
    assert_eq!(shown(&["--overlay"], "touch /x /usr/x && ls /x /usr/x"), "/usr/x\n/x");
    assert!(!Path::new("/usr/x").exists());
}

#[test]
fn kept_changes_can_be_removed_by_their_owner() {
    let scratch = Scratch::new("removed");
    let kept = scratch.join("kept");
    for round in 0..2 {
        fs::create_dir(&kept).expect("scratch is ours");
        let overlay = format!("--overlay={}", text(&kept));
        for _ in 0..2 {
            shown(&[&overlay], &format!("echo {round} > /usr/x; rm -rf /usr/games; mv /usr/x /usr/y"));
        }
        fs::remove_dir_all(&kept).expect("nothing in it is unreadable");
    }
}

#[test]
fn binds_are_read_only_down_to_every_mount_below() {
    let scratch = Scratch::new("binds");
    fs::write(scratch.join("file"), "text").expect("scratch is ours");
    let path = text(scratch.path());
    assert_eq!(
        shown(&["--bind", path], &format!("cat {path}/file; touch {path}/new 2>/dev/null || echo no")),
        "textno"
    );
    shown(&["--bind-rw", &format!("{path}:/work")], "echo more > /work/new");
    assert_eq!(fs::read_to_string(scratch.join("new")).expect("it was written"), "more\n");
    // In a mount namespace of its own, with a file system mounted below the source.
    let script = format!(
        "mkdir {path}/below && mount -t tmpfs tmpfs {path}/below && {} run --bind {path}:/s sh -c 'touch /s/below/x' 2>&1",
        testkit::holm().display()
    );
    let done = output(Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("Read-only file system"), "{said} {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn modes_inside_are_the_wished_ones_whatever_the_callers_umask() {
    let script =
        format!("umask 077; {} run --dir /a:1777 --dir /b/c stat -c %a /a /b /b/c /etc", testkit::holm().display());
    let done = output(Command::new("sh").args(["-c", &script]));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "1777\n755\n755\n755\n");
}

#[test]
fn operations_are_done_in_the_order_of_the_options() {
    let seen =
        shown(&["--tmpfs", "/a", "--dir", "/a/b:700", "--symlink", "b:/a/l", "--mask", "/a/b"], "ls /a; ls -A /a/b");
    assert_eq!(seen, "b\nl");
    let covered = shown(&["--dir", "/a/b", "--tmpfs", "/a"], "ls /a");
    assert_eq!(covered, "");
}

#[test]
fn a_symbolic_link_in_the_root_leads_nowhere_outside() {
    let scratch = Scratch::new("links");
    let root = scratch.join("root");
    let victim = scratch.join("victim");
    for directory in [&root, &victim, &root.join("proc"), &root.join("dev"), &root.join("tmp"), &root.join("usr")] {
        fs::create_dir(directory).expect("scratch is ours");
    }
    symlink(&victim, root.join("absolute")).expect("scratch is ours");
    symlink("../../../../../../tmp", root.join("climbing")).expect("scratch is ours");
    for at in ["/absolute", "/climbing"] {
        let bind = format!("/usr:{at}");
        let options = ["--root", text(&root), "--bind", &bind];
        let (code, said) = refused(&os(&options), &["true"]);
        assert_eq!(code, 125, "{said}");
        assert!(said.contains("symbolic link"), "{said}");
    }
    refused(&os(&["--root", text(&root), "--bind", "/usr:/absolute/new"]), &["true"]);
    assert_eq!(fs::read_dir(&victim).expect("it is there").count(), 0);
}

#[test]
fn nothing_is_made_in_a_directory_of_the_host() {
    let scratch = Scratch::new("untouched");
    let path = text(scratch.path());
    let (code, said) = refused(&os(&["--bind-rw", &format!("{path}:/w"), "--tmpfs", "/w/new"]), &["true"]);
    assert_eq!((code, said.contains("cannot mount a tmpfs on /w/new")), (125, true), "{said}");
    let (code, _) = refused(&os(&["--root", path]), &["true"]);
    assert_eq!(code, 127);
    assert_eq!(fs::read_dir(path).expect("it is there").count(), 0);
}

#[test]
fn a_root_of_programs_has_these_and_no_others() {
    if !testkit::is_root() && std::env::var_os("HOME").is_none() {
        return testkit::skip("no HOME for the cache");
    }
    let options = ["--root", "bins:sh,ls,cat"];
    assert_eq!(
        shown(&options, "ls /proc/self/exe >/dev/null && cat /etc/passwd | while read l; do echo $l; break; done"),
        "root:x:0:0:root:/root:/bin/bash"
    );
    let (code, said) = refused(&os(&options), &["grep"]);
    assert_eq!(code, 127, "{said}");
}

#[test]
fn a_program_with_other_ids_reaches_its_root_of_programs() {
    if testkit::is_root() {
        let options = ["--root", "bins:sh,id", "--map", "0:100000:1000", "--user", "5:6"];
        assert_eq!(shown(&options, "id -u; id -g"), "5\n6");
    }
}

#[test]
fn every_program_that_a_root_cannot_have_is_named() {
    let (code, said) = refused(&os(&["--root", "bins:no-such-a,sh,no-such-b"]), &["sh"]);
    assert_eq!((code, said.matches("error: cannot find program no-such-").count()), (125, 2), "{said}");
}

#[test]
fn a_hand_made_root_says_which_libraries_it_lacks() {
    let scratch = Scratch::new("handmade");
    fs::create_dir_all(scratch.join("bin")).expect("scratch is ours");
    fs::copy("/bin/bash", scratch.join("bin/bash")).expect("bash is there");
    let (code, said) = refused(&os(&["--root", text(scratch.path())]), &["bash"]);
    assert_eq!(code, 127, "{said}");
    assert!(
        said.contains("bash needs") && said.contains("libtinfo.so.6") && said.contains("--root bins:bash"),
        "{said}"
    );
}

#[test]
fn contradictions_are_told_all_at_once() {
    let options = ["--bind", "/nowhere", "--dir", "relative", "--hostname", "", "--pass-fd", "77", "--share", "mnt"];
    let (code, said) = refused(&os(&options), &["true"]);
    assert_eq!(code, 125);
    for part in
        ["/nowhere: no such file", "not an absolute path", "host name", "descriptor 77", "mount namespace is not"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn names_that_are_not_utf8_work() {
    let scratch = Scratch::new("bytes");
    let name = OsStr::from_bytes(b"n\xff\xfe");
    fs::create_dir(scratch.join(name)).expect("scratch is ours");
    fs::write(scratch.join(name).join("f"), "x").expect("scratch is ours");
    let mut bind = scratch.join(name).into_os_string();
    bind.push(":/data");
    let done = output(run().arg("--bind").arg(&bind).args(["cat", "/data/f"]));
    assert_eq!(done.stdout, b"x", "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_path_of_5000_characters_is_refused_and_10000_binds_work() {
    let long = format!("/{}", "x".repeat(5000));
    let (code, said) = refused(&os(&["--bind", &long]), &["true"]);
    assert_eq!(code, 125);
    assert!(said.contains("too long") && said.len() < 2000, "{said}");
    let mut command = run();
    for number in 0..10_000 {
        command.args(["--bind", &format!("/usr/bin/env:/b/{number}")]);
    }
    let done = output(command.args(["sh", "-c", "ls /b | wc -l"]));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim_end(), "10000", "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_join_of_what_is_no_namespace_is_refused() {
    let (code, said) = refused(&os(&["--join", "net=/etc/passwd"]), &["true"]);
    assert_eq!((code, said.contains("not a namespace of that kind")), (125, true), "{said}");
    let (code, said) = refused(&os(&["--join", "net=/proc/self/ns/uts"]), &["true"]);
    assert_eq!((code, said.contains("not a namespace of that kind")), (125, true), "{said}");
}

#[test]
fn namespaces_of_a_process_can_be_joined() {
    let mut holder = run();
    let holder = Running::ready(holder.args(["sh", "-c", "echo; exec sleep 60"]));
    let init = testkit::init_of(holder.child.id());
    let (user, uts, net) = (format!("user={init}"), format!("uts={init}"), format!("net={init}"));
    let done = output(run().args(["--join", &user, "--join", &uts, "--join", &net]).args([
        "sh",
        "-c",
        "readlink /proc/self/ns/net; hostname",
    ]));
    let expected = fs::read_link(format!("/proc/{init}/ns/net")).map(|link| format!("{}\nholm\n", link.display()));
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(String::from_utf8_lossy(&done.stdout), expected.expect("its owner may look"), "{said}");
}

#[test]
fn a_kept_namespace_can_be_joined_later() {
    let scratch = Scratch::new("keep");
    let path = scratch.join("uts");
    let keep = format!("uts={}", path.display());
    if !testkit::is_root() {
        let (code, said) = refused(&os(&["--keep", &keep]), &["true"]);
        assert_eq!((code, said.contains("CAP_SYS_ADMIN")), (125, true), "{said}");
        return;
    }
    shown(&["--keep", &keep, "--hostname", "kept"], "true");
    let joined = shown(&["--join", &keep], "hostname");
    let unmounted = Command::new("umount").arg(&path).status().expect("umount is there");
    assert_eq!((joined.as_str(), unmounted.success()), ("kept", true));
}

#[test]
fn explain_does_nothing_and_numbers_the_steps() {
    let done = output(run().args(["--explain", "--bind", "/usr:/x", "true"]));
    let table = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && table.contains("  1. start the child") && table.contains("from --bind /usr:/x"),
        "{table}"
    );
    let done = output(run().args(["--explain=json", "true"]));
    let json = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(json.contains("\"number\": 1") && json.contains("\"version\": 1"), "{json}");
}

#[test]
fn a_profile_fills_in_and_a_typo_is_refused() {
    let scratch = Scratch::new("profile");
    let good = scratch.join("good.toml");
    fs::write(&good, "hostname = \"web\"\nmounts = [{ tmpfs = \"/data:mode=700\" }]\n").expect("scratch is ours");
    assert_eq!(shown(&["--profile", text(&good)], "hostname; stat -c %a /data"), "web\n700");
    assert_eq!(shown(&["--profile", text(&good), "--hostname", "flag"], "hostname"), "flag");
    let bad = scratch.join("bad.toml");
    fs::write(&bad, "\nhostnam = \"web\"\n").expect("scratch is ours");
    let (code, said) = refused(&os(&["--profile", text(&bad)]), &["true"]);
    assert_eq!((code, said.contains("bad.toml:2:1: unknown field `hostnam`")), (125, true), "{said}");
}
