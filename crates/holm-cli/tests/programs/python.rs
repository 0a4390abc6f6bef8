//! Python's own tests: those that fail inside must fail outside, too, or be known to ask for what a sandbox hasn't.

use super::{Where, all, there, told};
use std::path::Path;

/// Modules that make system calls of every kind, in seconds.
const QUICK: &str = "test_os test_posix test_mmap test_select test_selectors test_poll test_epoll test_fcntl test_shutil
    test_tempfile test_thread test_file test_fileio test_stat test_pwd test_grp test_resource test_pty test_openpty
    test_wait3 test_wait4 test_fork1 test_popen test_pipes test_time test_getpass test_posixpath test_glob test_filecmp
    test_largefile test_ctypes test_dbm test_mailbox test_uuid test_platform test_locale test_random test_hashlib test_zipfile";

/// The rest, in minutes; much of it is waiting.
const SLOW: &str = "test_subprocess test_threading test_socket test_signal test_eintr test_multiprocessing_fork
    test_multiprocessing_spawn test_multiprocessing_forkserver test_concurrent_futures test_asyncio test_asyncore test_ssl
    test_io test_pathlib test_tarfile test_faulthandler test_cmd_line test_httpservers test_smtplib test_ftplib test_imaplib
    test_urllib2_localnet test_xmlrpc test_logging test_venv test_tracemalloc test_sched test_gc";

/// Tests that fail inside, with what they ask for.
const KNOWN: &[&str] = &[
    // Ids that are not mapped: the kernel says EINVAL, where it says EPERM or obeys outside.
    "ChownFileTests.test_chown_with_root",
    "ChownFileTests.test_chown_without_permission",
    "PosixTester.test_chown",
    "PosixTester.test_fchown",
    "PosixTester.test_lchown",
    "MiscReadTest.test_extract_directory",
    "MiscReadTest.test_extract_pathlike_name",
    "MiscReadTest.test_extractall",
    "MiscReadTest.test_extractall_pathlike_name",
    "POSIXProcessTestCase.test_user",
    "POSIXProcessTestCase.test_group",
    // CAP_SETGID, which user 0 inside hasn't.
    "PosixGroupsTester.test_initgroups",
    "PosixGroupsTester.test_setgroups",
    "POSIXProcessTestCase.test_extra_groups",
];

/// Runs the modules, those tests that failed once more, and prints the names of the ones that failed twice.
const RUNNER: &str = r#"
import re, subprocess, sys
def failed(arguments):
    command = [sys.executable, '-m', 'test', '--timeout', '600', '-W', '--junit-xml', 'result.xml', *arguments]
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode(errors='replace')
    print('ran', open('result.xml').read().count('<testcase'), file=sys.stderr)
    names = set(re.findall(r'^(?:ERROR|FAIL): \S+ \(([\w.]+)\)', said, re.M))
    modules = set(re.findall(r'^test (test_\w+) (?:failed|crashed)', said, re.M)) - {name.split('.')[1] for name in names}
    return names | {'test.' + module for module in modules}
only = sys.argv[2:]
names = failed(['-j2', *sys.argv[1].split(), *[word for name in only for word in ('-m', name)]])
if names:
    modules = sorted({name.split('.')[1] for name in names})
    names &= failed([*modules, *[word for name in names if name.count('.') > 1 for word in ('-m', name)]])
print('failed:', *sorted(names))
"#;

/// The tests of `modules` that fail there; all of them, or these only.
fn failures(place: Where, modules: &str, only: &[String]) -> Vec<String> {
    let mut program = vec!["/usr/bin/python3", "-c", RUNNER, modules];
    program.extend(only.iter().map(String::as_str));
    let (text, _) = told(place, &program);
    let ran = text.lines().find_map(|line| line.strip_prefix("ran ")?.parse::<usize>().ok()).unwrap_or(0);
    assert!(ran >= if only.is_empty() { 200 } else { 1 }, "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("failed:"));
    line.unwrap_or_else(|| panic!("{text}")).split_whitespace().map(str::to_owned).collect()
}

fn check(modules: &str) {
    if !there("python3") {
        return;
    }
    if !Path::new("/usr/lib/python3.11/test/test_os.py").exists() {
        return testkit::skip("Python's tests are not installed: libpython3.11-testsuite");
    }
    let inside = failures(Where::Inside, modules, &[]);
    let known = |name: &String| KNOWN.iter().any(|known| name.ends_with(known));
    let new: Vec<String> = inside.into_iter().filter(|name| !known(name)).collect();
    if new.is_empty() {
        return;
    }
    let outside = failures(Where::Outside, modules, &new);
    let only_inside: Vec<&String> = new.iter().filter(|name| !outside.contains(name)).collect();
    assert!(only_inside.is_empty(), "these pass outside: {only_inside:?}");
}

#[test]
fn the_tests_of_python_that_are_quick_pass() {
    check(QUICK);
}

#[test]
fn the_tests_of_python_that_are_slow_pass() {
    if all() {
        check(SLOW);
    }
}
