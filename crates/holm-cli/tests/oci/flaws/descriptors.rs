//! What the caller has open, its program, and its memory.

use super::super::patience::within;
use super::{Site, hostile, oci, text};
use serde_json::json;
use std::process::{Command, Output, Stdio};
use testkit::{holm, much};

/// Runs `holm oci` with the directory `outside` open at many numbers, as an engine or a service manager may leave it.
fn with_descriptors(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    let script = "for n in 3 4 5 6 7 8 9 11 17 31; do eval \"exec $n<$1\"; done; shift; exec \"$@\"";
    command.args(["-c", script, "-"]).arg(site.scratch.join("outside")).arg(holm());
    command.args(["oci", "--root"]).arg(site.scratch.join("state")).args(arguments).stdin(Stdio::null());
    command.output().expect("a shell starts")
}

/// CVE-2024-21626: a directory of the host that was open by mistake became the working directory, or the program was found in it.
/// CVE-2016-9962 began with such a descriptor, too.
#[test]
fn a_descriptor_of_the_host_is_neither_directory_nor_program_of_a_container() {
    let mut site =
        hostile("leaked", "for l in /proc/1/fd/*; do readlink $l; test -e $l/secret && echo secret; done; pwd");
    let place = site.written();
    let output = with_descriptors(&site, &["run", "-b", &place, &site.id]);
    let said = text(&output.stdout);
    assert!(said.starts_with("/dev/null\npipe:[") && said.ends_with("]\n/\n"), "{said}{}", text(&output.stderr));
    assert_eq!(said.lines().count(), 4, "{said}");
    std::fs::copy("/bin/true", site.scratch.join("outside/program")).expect("scratch is ours");
    for number in 3..33 {
        let link = format!("/proc/self/fd/{number}");
        site.link("way", &link);
        let ways = [link.clone(), "/way".to_owned(), format!("/proc/thread-self/fd/{number}/..")];
        for cwd in &ways[..if number % 4 == 0 { 3 } else { 1 }] {
            site.config["process"]["cwd"] = json!(cwd);
            let place = site.written();
            let output = with_descriptors(&site, &["run", "-b", &place, &site.id]);
            assert_eq!(output.status.code(), Some(1), "{cwd}: {}", text(&output.stdout));
        }
    }
    site.config["process"]["cwd"] = json!("/");
    for number in [3, 7, 11, 31] {
        site.config["process"]["args"] = json!([format!("/proc/self/fd/{number}/program")]);
        let place = site.written();
        let output = with_descriptors(&site, &["run", "-b", &place, &site.id]);
        assert_eq!(output.status.code(), Some(1), "{number}: {}", text(&output.stderr));
    }
}

/// CVE-2019-5736: the container's program was /proc/self/exe, or a script for it: the launcher, which it could then overwrite.
#[test]
fn the_launchers_own_program_is_neither_run_nor_changed() {
    let before = std::fs::read(holm()).expect("it is there");
    let mut site = hostile("launcher", "true");
    site.link("program", "/proc/self/exe");
    std::fs::write(site.root("script"), "#!/proc/self/exe\n").expect("scratch is ours");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(site.root("script"), PermissionsExt::from_mode(0o755)).expect("scratch is ours");
    for program in ["/proc/self/exe", "/program", "/script", "/proc/1/exe", "/proc/thread-self/exe"] {
        site.config["process"]["args"] = json!([program, "--version"]);
        let output = site.run();
        let said = text(&output.stdout);
        // At most it is the init, sealed and without a name, which knows no such arguments.
        assert!(said.is_empty(), "{program}: {said}");
    }
    assert!(std::fs::read(holm()).expect("it is there") == before);
}

/// What looks, as long as the container runs, at every process that comes: what it has open, runs, and is in.
const WATCH: &str = r#"
    my %seen; my $end = time + 60;
    $| = 1;
    print "ready\n";
    while (time < $end && !-e "/over") {
        opendir(my $proc, "/proc"); my @all = grep { /^\d+$/ && $_ != $$ && $_ != 1 } readdir $proc; closedir $proc;
        for my $pid (@all) {
            for my $name (qw(exe cwd root), map { "fd/$_" } 0 .. 40) {
                my $to = readlink "/proc/$pid/$name"; next unless defined $to;
                open(my $in, "<", "/proc/$pid/$name/secret") and print "secret by $name\n";
                open(my $out, "+<", "/proc/$pid/exe") and print "program by $name\n" if $name eq "exe" && $to =~ /holm/;
                print "$to\n" unless $seen{$to}++;
            }
            open(my $env, "<", "/proc/$pid/environ") and do { local $/; my $all = <$env> // ""; print "environment\n" if $all =~ /HOLM_TEST_SECRET/; };
        }
    }
"#;

/// CVE-2016-9962: a container with CAP_SYS_PTRACE took what a process that joined it still had open of the host. CVE-2019-5736 in
/// its second form overwrote the program of such a process.
#[test]
fn who_may_trace_in_a_container_finds_nothing_of_who_enters_it() {
    let mut site = hostile("traced", "exec perl /watch >/said");
    std::fs::write(site.root("watch"), WATCH).expect("scratch is ours");
    let sets = json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    site.config["process"]["capabilities"] = json!({ "bounding": sets, "permitted": sets, "effective": sets });
    let before = std::fs::read(holm()).expect("it is there");
    let running = site.start();
    let said = || std::fs::read_to_string(site.root("said")).unwrap_or_default();
    within(20, "it looks", || said().contains("ready\n"));
    for _ in 0..much(40, 1000) {
        let mut command = Command::new("bash");
        let script = "exec 3<$1 4<$1 5<$1; cd $1; shift; exec \"$@\"";
        command.args(["-c", script, "-"]).arg(site.scratch.join("outside")).arg(holm()).args(["oci", "--root"]);
        command.arg(site.scratch.join("state")).args(["exec", &site.id, "true"]).env("HOLM_TEST_SECRET", "1");
        let output = command.stdin(Stdio::null()).output().expect("a shell starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    std::fs::write(site.root("over"), "").expect("scratch is ours");
    let state = || text(&super::done(oci(&site.scratch), &["state", &site.id]).stdout);
    within(20, "it ends", || state().contains("stopped"));
    let said = said();
    for word in ["secret by", "program by", "environment", "outside", &holm().display().to_string()] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    drop(running);
    assert!(std::fs::read(holm()).expect("it is there") == before);
}
