//! The entries of the fuzz targets, on a fixed number of changed seeds and of bytes by chance: the same in each run.

#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
#[path = "../../../fuzz/src/lib.rs"]
mod entries;

use entries::Root;
use std::time::{Duration, Instant};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.below(256) as u8).collect()
    }

    /// `seed` with a few places changed, cut, doubled, or taken from `words`.
    fn changed(&mut self, seed: &[u8], words: &[&str]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 64));
            match self.below(5) {
                0 if from < bytes.len() => bytes[from] ^= 1 << self.below(8),
                1 => drop(bytes.drain(from..to)),
                2 => drop(bytes.splice(from..from, bytes[from..to].to_vec())),
                3 => drop(bytes.splice(from..from, self.bytes(8))),
                _ => drop(bytes.splice(from..to, words[self.below(words.len())].bytes())),
            }
        }
        bytes
    }
}

/// Runs `entry` on `rounds` changed ones of each seed and as many by chance; each is done soon.
fn feed(seeds: &[&[u8]], words: &[&str], rounds: usize, entry: impl Fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in seeds {
        entry(seed);
        for _ in 0..rounds {
            for bytes in [random.changed(seed, words), random.bytes(200)] {
                let start = Instant::now();
                entry(&bytes);
                assert!(start.elapsed() < Duration::from_secs(20), "{}", bytes.escape_ascii());
            }
        }
    }
}

#[test]
fn profiles_of_any_bytes_are_taken_or_refused() {
    let seed = b"root = \"host\"\nrw = true\nshare = [\"net\"]\nmounts = [{ bind = \"/opt\" }, { tmpfs = \"/t:size=1M\" }]\noverlay = true\n";
    let words = ["[", "{", "\"", "\u{e9}", "mounts", "overlay = ", "99999999999999999999", "[[mounts]]\n", "'''", "\0"];
    feed(&[seed], &words, 3000, entries::profile);
}

#[test]
fn files_of_engines_name_containers_or_are_not_believed() {
    let seeds: [&[u8]; 2] =
        [b"[{\"id\":\"4f5e\",\"names\":[\"web\"],\"flags\":{}}]", b"{\"ID\":\"4f5e\",\"Name\":\"/web\",\"State\":{}}"];
    feed(
        &seeds,
        &["[", "{", "null", "\"names\":", "\"id\":", "\"ID\":7", "1e99", "\\u0000"],
        2000,
        entries::containers,
    );
}

#[test]
fn files_of_proc_of_any_bytes_are_read_without_harm() {
    let seeds: [&[u8]; 8] = [
        b"42 (a) R 1 (\n) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 12345 0 0\n",
        b"Name:\tx\nUid:\t1000\t1001\t1000\t1000\nGid:\t5\t6\t5\t5\nNSpid:\t5709\t72\nCapPrm:\t00000000000000c0\nCapEff:\t0000000000000040\nNoNewPrivs:\t1\nSeccomp:\t2\n",
        b"36 35 98:0 / / rw - ext4 /dev/root rw\n90 36 0:4 net:[4026532000] /run/netns/a\\040b rw shared:2 - nsfs nsfs rw\n91 36 0:5 / /proc/kcore ro - tmpfs tmpfs rw\n",
        b"38 31 0:37 /a /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n1:name=systemd:/a/b\n0::/user.slice\n",
        b"3:cpu,cpuacct:/docker/4f5e0c9a7b3d21e8f60a9c4b5d7e8f1023456789abcdef0123456789abcdef01\n0::/kubepods/pod0d5f4a3e-1111-2222-3333-444455556666/x\n",
        b"         0       1000          1\n         1     100000      65536\n",
        b"Limit                     Soft Limit           Hard Limit           Units     \nMax cpu time              10                   unlimited            seconds   \n",
        b"    0:     9 8/8 3/1000000 40/25000000\n 1000:     4 4/4 190/200 40/20000\n",
    ];
    let words = [
        "(",
        ")",
        " ",
        "\n",
        ":",
        "/..",
        "../",
        "\\040",
        "\\777",
        " - ",
        "nsfs",
        "cgroup2",
        "4294967295",
        "-1",
        "\0",
        "net:[18446744073709551615]",
        "--type=renderer",
        "pod",
        ".scope",
        "libpod-",
        "\u{e9}",
    ];
    feed(&seeds, &words, 2000, entries::proc);
}

#[test]
fn recipes_of_any_bytes_are_taken_or_refused() {
    let seed = b"source = \"debian:s\"\nvariant = \"minbase\"\npackages = [\"a=1\"]\nrun = ['''a''']\nuser = \"a:b\"\n[env]\nA = \"b\"\n\
        [[files]]\nat = \"/a\"\nfrom = \"b\"\nmode = \"644\"\n";
    let words = ["[", "{", "\"", "\u{e9}", "files", "..", "7777", "[[files]]\n", "'''", "\0", "text = "];
    feed(&[seed], &words, 3000, entries::recipe);
}

#[test]
fn what_is_known_of_changes_is_taken_as_it_was_written_or_refused() {
    let seed = br#"{"version":1,"name":"fuzz","root":{"stored":{"name":"a","id":"b"}},"places":[{"key":"1","base":"/a","at":"/a\\x20b",
        "inode":1,"began":[1,2],"applied":[["a",1,2,3]]}],"marks":"user","ids":{"outside":{"users":[[0,1,2]],"groups":[]}},
        "points":["/p"],"started":1,"command":["sh"]}"#;
    let words =
        ["\\x", "\\", "null", "-1", "1e999", "\"inside\"", "\"host\"", "root", "\"key\":\"\"", "[", "4294967296"];
    feed(&[seed], &words, 2000, entries::about);
}

#[test]
fn filters_of_any_bytes_are_taken_or_refused_and_answer_as_they_say() {
    let seed = br#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        { "names": ["read", "_llseek"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] }] }"#;
    let words = ["SCMP_ACT_LOG", "SCMP_CMP_GE", "18446744073709551615", "-1", "[", "{", "\"write\"", "null", "1e999"];
    feed(&[seed], &words, 3000, entries::filter);
}

#[test]
fn configurations_and_records_of_any_bytes_are_taken_or_refused() {
    let seed = br#"{ "ociVersion": "1.2.0", "process": { "user": { "uid": 0, "gid": 0 }, "args": ["sh"], "env": ["A=b"], "cwd": "/",
        "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 2 }], "capabilities": { "bounding": ["CAP_KILL"] } },
        "root": { "path": "r" }, "mounts": [{ "destination": "/d", "type": "tmpfs", "options": ["ro", "size=1k", "rro"] }],
        "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid", "path": "/proc/1/ns/pid" }], "sysctl": { "net.a": "1" },
        "uidMappings": [{ "containerID": 0, "hostID": 1, "size": 1 }], "cgroupsPath": "/a", "resources": { "pids": { "limit": 1 } },
        "devices": [{ "path": "/dev/x", "type": "c", "major": 1, "minor": 3 }], "maskedPaths": ["/proc/x"] } }"#;
    let words = ["null", "-1", "[", "{}", "\"\"", "..", "/", "4294967296", "\"user\"", "\"bind\"", "\u{9}", "1.0.0"];
    feed(&[seed], &words, 2000, entries::oci::configuration);
    let seed = br#"{"form":3,"ociVersion":"1.2.0","id":"a","bundle":"/b","rootfs":"/r","owner":0,"created":"","annotations":{"a":"b"},
        "own":{"user":{},"cwd":"/","args":["sh"]},"seccomp":null,"groups":[{"directory":"/g","unified":true,"origin":"made"}],"process":{"pid":1,"start":2},"stage":"waits"}"#;
    feed(&[seed], &words, 1000, entries::oci::record);
}

#[test]
fn processes_and_resources_of_any_bytes_are_taken_or_refused() {
    let seed = br#"{"terminal":false,"consoleSize":{"height":1,"width":2},"user":{"uid":0,"gid":0,"umask":18,"additionalGids":[5]},"args":["sh"],
        "env":["PATH=/bin"],"cwd":"/","capabilities":{"bounding":["CAP_KILL"],"ambient":["CAP_KILL"]},"rlimits":[{"type":"RLIMIT_CORE","hard":1,"soft":0}],
        "noNewPrivileges":true,"apparmorProfile":"docker-default","oomScoreAdj":-5,"selinuxLabel":"u:r:t:s0","ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":4},
        "scheduler":{"policy":"SCHED_BATCH","nice":3},"execCPUAffinity":{"initial":"0","final":"0-3,7"}}"#;
    let words = ["null", "-1", "[", "\\u0000", "\"\"", "0-1023,", "/", "4294967296", "\\n", "=", "CAP_ALL", "1e99"];
    feed(&[seed], &words, 2000, entries::oci::process);
    let seed = br#"{"memory":{"limit":1000,"swap":2000,"reservation":-1,"swappiness":3},"pids":{"limit":7},"cpu":{"shares":9,"quota":-1,"period":100000,
        "cpus":"0-1","mems":"0","idle":1,"burst":5},"blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":9}],"rdma":{"mlx":{"hcaHandles":3}},"unified":{"memory.high":"max"},
        "devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"r"}],"network":{"classID":1}}"#;
    let words = [
        "null",
        "-1",
        "[",
        "..",
        "/",
        "\"\"",
        "18446744073709551615",
        "9223372036854775807",
        ".",
        "\\u0000",
        "memory.",
    ];
    feed(&[seed], &words, 2000, entries::oci::resources);
}

/// Lists that name much in few words, of the most bytes that are read: what is made of them stays small.
#[test]
fn long_lists_take_no_more_memory_than_their_text() {
    let list = "0-1023,".repeat(2_000_000) + "0";
    let text =
        format!(r#"{{"args":["sh"],"cwd":"/","user":{{"uid":0,"gid":0}},"execCPUAffinity":{{"final":"{list}"}}}}"#);
    let start = Instant::now();
    entries::oci::process(text.as_bytes());
    assert!(start.elapsed() < Duration::from_secs(20));
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    assert!(peak.is_some_and(|kilobytes| kilobytes < 1 << 20), "{peak:?} kB");
}

#[test]
fn values_of_any_bytes_are_taken_or_refused() {
    let seeds: [&[u8]; 6] = [
        b"/a:/b",
        b"/m:lower=/a,lower=/b,upper=/u,work=/w",
        b"fd:3:/x:644",
        b"boot=1d,mono=-3ms",
        b"u:0:100000:65536",
        b"net=fd:7",
    ];
    let words = [":", "\\:", ",", "=", "..", "/", "4294967295", "-", "999999999999999999999K", "size=", "\u{20ac}"];
    feed(&seeds, &words, 2000, entries::options);
}

#[test]
fn filters_made_up_of_any_bytes_answer_as_their_rules_say() {
    let mut random = Random(7);
    for _ in 0..1500 {
        entries::compiler(&random.bytes(2000));
    }
}

#[test]
fn programs_and_lists_of_libraries_of_any_bytes_are_read_or_refused() {
    let root = Root::make();
    let program = std::fs::read("/bin/true").expect("a system has it");
    // The structures are in the first bytes; the rest is code.
    let (head, rest) = program.split_at(program.len().min(2048));
    let whole = |bytes: &[u8]| entries::elf(&root, &[bytes, rest].concat());
    feed(&[head], &["\u{7f}ELF", "\0\0\0\0\0\0\0\0", "/lib", "$ORIGIN"], 800, whole);
    drop(root);
    let root = Root::make();
    let mut list = b"glibc-ld.so.cache1.1".to_vec();
    for number in [1u32, 30, 2, 0, 0, 0, 0, 0x303, 72, 82, 0, 0, 0] {
        list.extend(number.to_le_bytes());
    }
    list.extend(b"libc.so.6\0/lib/libc.so.6\0");
    feed(&[&list], &["glibc-ld.so.cache1.1", "ld.so-1.7.0", "\0\0\0\0", "/lib"], 800, |bytes| {
        entries::cache(&root, bytes)
    });
}

#[test]
fn texts_of_archives_of_any_bytes_are_read_or_refused() {
    let seeds: [&[u8]; 6] = [
        b"Package: a\nVersion: 1:2-3\nArchitecture: all\nDepends: b (>= 1) | c:any, d\nFilename: p\nSize: 1\n\nPackage: b\nVersion: 1\nArchitecture: amd64\nConflicts: c\nProvides: d (= 2)\n",
        b"Suite: s\nCodename: c\nDate: Sat, 11 Jul 2026 01:16:37 UTC\nSHA256:\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n",
        b"deb [arch=amd64 signed-by=/k] http://a/ s main\n# no\ndeb-src http://a s main\n",
        b"Types: deb\nURIs: http://a\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: s\n- - a\n-----BEGIN PGP SIGNATURE-----\n\niHUEARYIAB0=\n-----END PGP SIGNATURE-----\n",
        b"version = 1\n[[archive]]\nuri = \"http://a\"\nsuite = \"s\"\ncomponents = []\norigin = \"\"\ndate = \"2026-01-01T00:00:00Z\"\nrelease-sha256 = \"\"\n[[package]]\n",
    ];
    let words = [
        "\n",
        "\n\n",
        ": ",
        " (",
        "|",
        ",",
        "~",
        "\u{99}",
        "-----",
        "[",
        "\"",
        "Package: a\n",
        "Depends: a",
        "9999999999",
    ];
    feed(&seeds, &words, 400, entries::debian::debian);
}

/// A tar header and the content behind it (tar(5)); its sum is the entry's business.
fn member(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut all = vec![0; 512 + content.len().div_ceil(512) * 512];
    let mut put = |at: usize, bytes: &[u8]| all[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000755\x000000000\x000000000");
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(512, content);
    all
}

#[test]
fn archives_of_any_bytes_are_stored_whole_or_refused_and_write_nothing_outside() {
    let parts = [
        member("d/", b'5', "", b""),
        member("d/f", b'0', "", b"text"),
        member("l", b'2', "../d", b""),
        member("l/g", b'0', "", b"more"),
        member("h", b'1', "d/f", b""),
        member("x", b'x', "", b"13 size=1000\n"),
        member("s", b'0', "", b"0"),
    ];
    let root = Root::empty();
    let words = ["..", "/", "../", "\0", "5", "2", "777777", "path=../x\n", "size="];
    feed(&[&parts.concat(), &parts[2..].concat()], &words, 150, |bytes| entries::archive(&root, bytes));
}

#[test]
fn images_of_squashfs_of_any_bytes_are_stored_whole_or_refused() {
    let root = Root::empty();
    let from = std::env::temp_dir().join(format!("holm-fuzz-squashfs-{}", std::process::id()));
    std::fs::create_dir_all(from.join("made/d")).expect("there is space");
    for (name, bytes) in [("made/d/file", vec![7; 5000]), ("made/empty", vec![]), ("made/text", b"text".to_vec())] {
        std::fs::write(from.join(name), bytes).expect("there is space");
    }
    std::os::unix::fs::symlink("d/file", from.join("made/link")).expect("there is space");
    // Tables that aren't compressed are changed, not only broken.
    let packed = std::process::Command::new("mksquashfs")
        .args(["made", "image", "-noI", "-noF", "-b", "4096", "-nopad", "-no-progress", "-quiet", "-all-root"])
        .current_dir(&from)
        .output();
    let seed = packed.ok().filter(|done| done.status.success()).and_then(|_| std::fs::read(from.join("image")).ok());
    std::fs::remove_dir_all(&from).expect("it is ours");
    let Some(seed) = seed else { return testkit::skip("there is no mksquashfs") };
    let words = ["\0\0\0\0", "\u{1}", "..", "/", "\0\u{1}", "\u{7f}\u{7f}\u{7f}\u{7f}", "hsqs"];
    feed(&[&seed], &words, 600, |bytes| entries::archive(&root, bytes));
}

#[test]
fn documents_of_images_of_any_bytes_are_read_or_refused() {
    let seeds: [&[u8]; 5] = [
        br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1}]}"#,
        br#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"platform":{"os":"linux","architecture":"amd64"}}]}"#,
        br#"{"os":"linux","architecture":"amd64","config":{"Env":["A=b"],"User":"0:0","Entrypoint":["a"],"Cmd":["b"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#,
        br#"{"auths":{"localhost:5000":{"auth":"bWU6aGlkZGVu"}},"credsStore":"vault","credHelpers":{"a.example":"b"}}"#,
        b"debian docker.io/library/debian:bookworm localhost:5000/group/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let words =
        ["{", "[", "null", "\\u0000", "sha256:", "@", ":", "/", "__", "--", "index.docker.io/", "arm64", "-1", "1e99"];
    feed(&seeds, &words, 300, entries::image::image);
}

#[test]
fn packages_of_any_bytes_are_read_or_refused() {
    let text = b"Package: a\nVersion: 1\nArchitecture: all\nMulti-Arch: same\nDescription: d\n";
    let mut archive = member("./control", b'0', "", text);
    archive.extend(member("./postinst", b'0', "", b"#!/bin/sh\n"));
    let whole =
        |bytes: &[u8]| entries::debian::ar(&[("debian-binary", b"2.0\n"), ("control.tar", bytes), ("data.tar", bytes)]);
    let root = Root::empty();
    let words = ["..", "/", "control", "control.tar.xz", "_x", "`\n", "99999999", "\0", "Package: ", "S", "2.0\n"];
    assert!(entries::debian::package(&root, &archive));
    feed(&[&archive, &whole(&archive)], &words, 800, |bytes| {
        entries::debian::package(&root, bytes);
    });
}
