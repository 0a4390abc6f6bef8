//! Programs that need more than their libraries, each run in a root of the programs that the command names.

#[expect(dead_code, reason = "nothing here is left running")]
mod patience;

use patience::output;
use std::path::Path;
use std::process::Output;
use testkit::{Scratch, holm, run, skip};

/// Where programs of the host are looked up; a caller's own PATH may have others.
fn is_there(program: &str) -> bool {
    holm_root::closure::PATH.iter().any(|dir| Path::new(dir).join(program).exists())
}

/// What a command prints in a root of `programs`, run with a clean environment; `None` if the host lacks one of them.
fn run_in(programs: &str, command: &[&str]) -> Option<Output> {
    let missing = programs.split(',').find(|name| !name.starts_with('@') && !is_there(name));
    if let Some(name) = missing {
        skip(&format!("the host has no {name}"));
        return None;
    }
    Some(output(run().args(["--root", &format!("bins:{programs}"), "--env", "LANG=C.UTF-8"]).args(command)))
}

/// The command must print exactly this.
fn prints(programs: &str, command: &[&str], expected: &str) {
    let Some(done) = run_in(programs, command) else { return };
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(out, expected, "{command:?}: {err}");
    assert!(done.status.success(), "{command:?}: {err}");
}

#[test]
fn python_has_its_library_and_certificates() {
    let script = "import ssl, sqlite3, zoneinfo, ctypes, encodings.idna, json
assert not ssl.get_default_verify_paths().cafile or ssl.create_default_context().get_ca_certs()
print(json.dumps([zoneinfo.ZoneInfo('Asia/Tokyo').key, sqlite3.connect(':memory:').execute('select 1').fetchone()]))";
    prints("python3", &["/usr/bin/python3", "-c", script], "[\"Asia/Tokyo\", [1]]\n");
}

#[test]
fn perl_has_its_library() {
    let script = "print floor(3.7), length(Encode::encode('UTF-16', 'a')), \"\\n\"";
    prints("perl", &["/usr/bin/perl", "-MPOSIX", "-MEncode", "-MFile::Temp", "-e", script], "34\n");
}

#[test]
fn node_has_what_it_opens() {
    let script = "console.log(require('crypto').createHash('md5').update('a').digest('hex'), typeof fetch)";
    prints("node", &["node", "-e", script], "0cc175b9c0f1b6a831c399e269772661 function\n");
}

#[test]
fn git_commits_clones_and_runs_its_scripts() {
    let script =
        "cd /tmp && git init -q a && cd a && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first &&
        git clone -q /tmp/a /tmp/b && git -C /tmp/b log --format=%s && git submodule status && git stash list";
    prints("git", &["sh", "-c", script], "first\n");
}

#[test]
fn vim_has_its_scripts() {
    let script = "call writefile([exists('syntax_on') . has('iconv')], '/tmp/said')";
    let command = ["vim", "-es", "-c", "syntax on", "-c", script, "-c", "q"];
    prints(
        "vim,sh,cat",
        &["sh", "-c", "\"$@\"; cat /tmp/said", "sh"].into_iter().chain(command).collect::<Vec<_>>(),
        "11\n",
    );
}

#[test]
fn openssl_has_its_legacy_module_and_settings() {
    let command = ["openssl", "dgst", "-provider", "legacy", "-provider", "default", "-md4", "-r", "/dev/null"];
    prints("openssl", &command, "31d6cfe0d16ae931b73c59d7e0c089c0 */dev/null\n");
}

#[test]
fn curl_knows_whom_to_trust() {
    let Some(done) = run_in("curl", &["curl", "--verbose", "--max-time", "5", "https://127.0.0.1:1/"]) else { return };
    // Nobody is there; that it says so means that it has read the certificates.
    assert_eq!(done.status.code(), Some(7), "{}", String::from_utf8_lossy(&done.stderr));
    prints("curl,ls", &["ls", "/etc/ssl/certs/ca-certificates.crt"], "/etc/ssl/certs/ca-certificates.crt\n");
}

#[test]
fn iconv_has_its_character_sets() {
    let script = "echo é | iconv -f UTF-8 -t ISO-8859-15 | iconv -f ISO-8859-15 -t EUC-JP//TRANSLIT -c | iconv -f EUC-JP -t UTF-8";
    prints("iconv,sh", &["sh", "-c", script], "é\n");
}

#[test]
fn names_of_users_and_hosts_are_found() {
    prints("getent", &["getent", "passwd", "nobody"], "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    let Some(done) = run_in("getent", &["getent", "hosts", "localhost"]) else { return };
    assert!(String::from_utf8_lossy(&done.stdout).contains("localhost"), "{done:?}");
}

#[test]
fn date_knows_zones() {
    let command = ["--env", "TZ=Asia/Tokyo", "date", "-d", "@0", "+%R %Z"];
    prints("date", &command, "09:00 JST\n");
}

#[test]
fn every_program_of_coreutils_starts() {
    let list = std::fs::read_to_string("/var/lib/dpkg/info/coreutils.list").unwrap_or_default();
    let programs: Vec<&str> =
        list.lines().filter(|path| path.contains("bin/")).filter_map(|path| path.rsplit('/').next()).collect();
    if programs.is_empty() || !is_there("sh") {
        return skip("needs dpkg's list of the package coreutils, and sh");
    }
    let script =
        "for program; do env $program --version >/dev/null 2>/tmp/said || echo \"$program: $? $(cat /tmp/said)\"; done";
    let names = programs.join(",");
    let mut command = vec!["sh", "-c", script, "sh"];
    // These two have no such option, and say by their exit code what they are.
    command.extend(programs.iter().filter(|name| !["[", "false", "test"].contains(name)));
    prints(&format!("sh,{names}"), &command, "");
}

#[test]
fn files_of_a_package_come_by_its_list() {
    if !Path::new("/var/lib/dpkg/info/grep.list").exists() {
        return skip("needs dpkg's list of the package grep");
    }
    let done = output(run().args(["--deb", "grep", "--with", "sh", "sh", "-c", "echo a | egrep 'a|b' 2>/dev/null"]));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "a\n", "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_profiles_programs_and_the_command_lines_are_one_root() {
    let scratch = Scratch::new("with");
    let profile = scratch.join("some.toml");
    std::fs::write(&profile, "root = \"bins:sh\"\nwith = [\"ls\"]\n").expect("the scratch directory can be written");
    let script = "ls /usr/bin/sh /usr/bin/ls /usr/bin/cat";
    let done = output(run().arg("--profile").arg(&profile).args(["--with", "cat", "sh", "-c", script]));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "/usr/bin/cat\n/usr/bin/ls\n/usr/bin/sh\n", "{done:?}");
    let done = output(run().arg("--profile").arg(&profile).args(["--root", "none", "--with", "cat", "sh"]));
    assert_eq!(done.status.code(), Some(125));
}

#[test]
fn reasons_can_be_had_as_json() {
    let done = output(std::process::Command::new(holm()).args(["root", "show", "--why", "bins:sh", "--json"]));
    let shown: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
    let entries = shown["entries"].as_array().expect("it is a list");
    let link = entries.iter().find(|entry| entry["path"] == "/usr/bin/sh").expect("it was asked for");
    assert_eq!(link["because"], "sh");
    assert!(entries.iter().all(|entry| entry["kind"] != "link" || entry["target"].is_string()));
}
