//! `holm root build -f`: roots by a recipe in TOML, which depend on their inputs alone and never on what they lead to.

#[expect(dead_code, reason = "other tests use the rest")]
mod patience;
mod stores;

use patience::output;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use stores::{Store, drafts, said, there};

const SOURCE: &str = "source = \"bins:sh,cat,mkdir,id,ls,sleep\"\n";

impl Store {
    fn recipe(&self, text: &str) {
        fs::write(self.0.join("web.toml"), format!("{SOURCE}{text}")).expect("scratch is ours");
    }

    /// Builds it; the root's id.
    fn builds(&self) -> String {
        let told = self.does(&["root", "build", "-f", "web.toml"]);
        told.lines().next().and_then(|line| line.strip_prefix("web ")).expect("it has an id").to_owned()
    }

    /// What stops the recipe, with nothing left of it.
    fn stops(&self, text: &str, said: &str) {
        self.recipe(text);
        self.fails(&["root", "build", "-f", "web.toml"], said);
        assert!(!drafts(self) && !there(&self.path().join("names/web.json")), "{text}");
    }

    fn site(&self) {
        fs::create_dir_all(self.0.join("site/deep")).expect("scratch is ours");
        fs::write(self.0.join("site/index"), "index\n").expect("scratch is ours");
        fs::write(self.0.join("site/deep/page"), "page\n").expect("scratch is ours");
        symlink("/etc/passwd", self.0.join("site/link")).expect("scratch is ours");
    }
}

const SETTINGS: &str = "user = \"www\"\nworkdir = \"/srv\"\ncommand = [\"cat\", \"index\"]\n";
const RUN: &str = "run = [\"echo 'www:x:33:33::/srv:/bin/sh' >>/etc/passwd\", \"mkdir /made; echo $WORD >/made/word; id -u >/made/id\"]\n";
const REST: &str = "env = { WORD = \"hello\" }\n[[files]]\nat = \"/srv\"\nfrom = \"site\"\n\
    [[files]]\nat = \"/etc/motd\"\ntext = \"welcome\\n\"\nmode = \"600\"\n";

#[test]
fn a_root_has_what_its_recipe_says_and_runs_as_it_says() {
    let store = Store::new("recipe");
    store.site();
    store.recipe(&format!("{SETTINGS}{RUN}{REST}"));
    let id = store.builds();
    let files = store.files();
    let text = |path: &str| fs::read_to_string(files.join(path)).expect("it is there");
    assert_eq!(
        (text("made/word"), text("made/id"), text("srv/deep/page")),
        ("hello\n".into(), "0\n".into(), "page\n".into())
    );
    assert_eq!(fs::metadata(files.join("etc/motd")).expect("it is there").permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_link(files.join("srv/link")).expect("a link stays one"), std::path::Path::new("/etc/passwd"));
    assert!(store.does(&["root", "verify", "web"]).contains("as stored"));
    // The same inputs need nothing done.
    assert!(store.does(&["root", "build", "-f", "web.toml"]).contains("the same inputs made it before"));
    assert_eq!(store.does(&["root", "build", "-f", "web.toml", "other"]).lines().next(), Some(&*format!("other {id}")));
    assert_eq!(store.does(&["run", "--root", "web"]), "index\n");
    assert_eq!(store.does(&["run", "--root", "web", "sh", "-c", "echo $WORD $(id -u) $PWD"]), "hello 33 /srv\n");
    assert_eq!(
        store.does(&["run", "--root", "web", "--env", "WORD=own", "--chdir", "/", "sh", "-c", "echo $WORD $PWD"]),
        "own /\n"
    );
}

#[test]
fn each_input_counts_and_times_do_not() {
    let store = Store::new("recipe-inputs");
    store.site();
    let whole = format!("{SETTINGS}{RUN}{REST}");
    store.recipe(&whole);
    let first = store.builds();
    let file = fs::File::options().append(true).open(store.0.join("site/index")).expect("it is ours");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it is ours");
    assert!(store.does(&["root", "build", "-f", "web.toml"]).contains("made it before"), "a time was an input");
    for (from, to) in [
        ("welcome", "hi"),
        ("\"600\"", "\"644\""),
        ("hello", "bye"),
        ("/srv\"\nfrom", "/mnt\"\nfrom"),
        ("echo $WORD", "echo x$WORD"),
    ] {
        store.recipe(&whole.replace(from, to));
        let told = store.does(&["root", "build", "-f", "web.toml"]);
        assert!(!told.contains("made it before") && !told.contains(&first), "{from}: {told}");
    }
    store.recipe(&whole);
    fs::write(store.0.join("site/deep/page"), "other\n").expect("scratch is ours");
    assert_ne!(store.builds(), first);
    fs::write(store.0.join("site/deep/page"), "page\n").expect("scratch is ours");
    assert_eq!(store.builds(), first);
}

#[test]
fn a_name_follows_its_recipe_and_is_no_other_ones() {
    let store = Store::new("recipe-names");
    store.recipe("env = { A = \"1\" }\nrun = [\"echo 1 >/one\"]\n");
    let first = store.builds();
    store.recipe("run = [\"echo 2 >/one\"]\n");
    assert_ne!(store.builds(), first);
    assert_eq!(store.does(&["run", "--root", "web", "cat", "/one"]), "2\n");
    fs::create_dir(store.0.join("made")).expect("scratch is ours");
    store.does(&["root", "import", "made", "taken"]);
    store.fails(&["root", "build", "-f", "web.toml", "taken"], "cannot store taken: another root has this name");
}

#[test]
fn a_source_is_a_stored_root_a_directory_or_an_archive() {
    let store = Store::new("recipe-sources");
    store.recipe("run = [\"echo base >/base\"]\n");
    store.builds();
    store.does(&["root", "export", "web", "web.tar"]);
    fs::create_dir(store.0.join("tree")).expect("scratch is ours");
    let tar =
        std::process::Command::new("tar").args(["xf", "web.tar", "-C", "tree"]).current_dir(store.0.path()).status();
    assert!(tar.expect("tar is there").success());
    for (number, source) in ["web", "store:web", "./web.tar", "tree"].into_iter().enumerate() {
        let text = format!("source = \"{source}\"\nrun = [\"cat /base >/copy\"]\n");
        fs::write(store.0.join("next.toml"), text).expect("scratch is ours");
        let name = format!("next{number}");
        store.does(&["root", "build", "-f", "next.toml", &name]);
        assert_eq!(store.does(&["run", "--root", &name, "cat", "/copy"]), "base\n", "{source}");
        assert!(store.does(&["root", "build", "-f", "next.toml", &name]).contains("made it before"), "{source}");
    }
}

#[test]
fn files_come_from_beside_the_recipe_unless_typed_so() {
    let store = Store::new("recipe-links");
    let outside = store.0.join("outside");
    fs::write(&outside, "outside\n").expect("scratch is ours");
    fs::create_dir_all(store.0.join("own/dir")).expect("scratch is ours");
    symlink(&outside, store.0.join("own/link")).expect("scratch is ours");
    symlink("..", store.0.join("own/up")).expect("scratch is ours");
    rustix::fs::mknodat(rustix::fs::CWD, store.0.join("own/fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("it is ours");
    let build = |from: &str| {
        let text = format!("programs = [\"sh\"]\nfiles = [{{ at = \"/got\", from = \"{from}\" }}]\n");
        fs::write(store.0.join("own/web.toml"), text).expect("scratch is ours");
        output(&mut store.holm(&["root", "build", "-f", "own/web.toml"]))
    };
    for from in ["link", "up/outside", "./link"] {
        let done = build(from);
        assert_eq!(done.status.code(), Some(125), "{from}");
        assert!(
            said(&done).contains(&format!("cannot add {from}: it leads out of the recipe's directory")),
            "{}",
            said(&done)
        );
    }
    for (from, cause) in [
        ("fifo", "neither a file nor a directory"),
        ("missing", "no such file"),
        (".", "only files, directories and links"),
    ] {
        assert!(said(&build(from)).contains(cause), "{from}");
    }
    for from in ["../outside".to_owned(), outside.display().to_string()] {
        assert_eq!(build(&from).status.code(), Some(0), "{from}");
        assert_eq!(fs::read_to_string(store.files().join("got")).expect("it is there"), "outside\n");
    }
}

#[test]
fn what_is_wrong_in_a_recipe_is_told_with_its_place_and_leaves_nothing() {
    let store = Store::new("recipe-wrong");
    store.stops("comand = []\n", "web.toml:2:1: unknown field `comand`");
    store.stops("comand = []\n", "hint: did you mean command?");
    store.stops("packages = [\"vim\"]\n", "cannot use the key packages: the source is not of packages");
    store.stops("files = [{ at = \"x\", text = \"\" }]\n", "web.toml:2:17: a path inside begins with /");
    store.stops("files = [{ at = \"/a/../b\", text = \"\" }]\n", "has no ..");
    store.stops("files = [{ at = \"/x\" }]\n", "a file has either `from` or `text`");
    store.stops("files = [{ at = \"/x\", text = \"\", mode = \"rw\" }]\n", "is no mode");
    store.stops("files = [{ at = \"/etc\", text = \"\" }]\n", "cannot put /etc into the root: a directory is there");
    store.stops("env = { \"A=B\" = \"\" }\n", "a variable's name has no =");
    store
        .stops("user = \"nobody-here\"\n", "cannot have the user nobody-here: its /etc/passwd has no user nobody-here");
    store.stops("programs = [\"no-such-program\"]\n", "no-such-program");
    store.stops("variant = \"minbse\"\n", "hint: did you mean minbase?");
    fs::write(store.0.join("web.toml"), "").expect("scratch is ours");
    store.fails(&["root", "build", "-f", "web.toml"], "cannot make a root of nothing");
    store.fails(&["root", "build", "-f", "web.toml", "--lock", "x"], "cannot use --lock");
}

#[test]
fn a_command_that_fails_tells_its_code_and_last_words_and_leaves_nothing() {
    let store = Store::new("recipe-fails");
    store.stops(
        "run = [\"true\", \"echo last words; echo and these >&2; exit 7\"]\n",
        "command 2 of the recipe: it ended with 7",
    );
    store.stops("run = [\"echo last words; echo and these >&2; exit 7\"]\n", "last words\nand these");
    // Neither a network nor the host's files.
    store.stops("run = [\"cat /proc/net/route | { read a; read b; }\"]\n", "it ended with 1");
    store.stops(&format!("run = [\"ls {}\"]\n", store.0.path().display()), "it ended with 2");
}

#[test]
fn a_signal_ends_a_build_and_leaves_nothing() {
    let store = Store::new("recipe-signal");
    store.recipe("run = [\"sleep 1000\"]\n");
    let mut command = store.holm(&["root", "build", "-f", "web.toml"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let mut told = std::io::BufReader::new(child.stderr.take().expect("it is a pipe"));
    while !line.contains("running commands") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut told, &mut line).expect("it is text") > 0, "it ended");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is ours");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut told, &mut rest).expect("it is text");
    assert_eq!(child.wait().expect("it is ours").code(), Some(125), "{rest}");
    assert!(rest.contains("cannot build the root: it was interrupted"), "{rest}");
    assert!(!drafts(&store));
    assert_eq!(store.does(&["root", "ls"]).lines().count(), 1);
}

#[test]
fn programs_of_the_host_do_not_replace_what_the_source_has() {
    let store = Store::new("recipe-clash");
    store.recipe("");
    store.builds();
    let build = |more: &str| {
        fs::write(store.0.join("next.toml"), format!("source = \"web\"\n{more}")).expect("scratch is ours");
        output(&mut store.holm(&["root", "build", "-f", "next.toml"]))
    };
    assert_eq!(build("programs = [\"head\"]\n").status.code(), Some(0));
    assert_eq!(store.does(&["run", "--root", "next", "head", "-n", "1", "/etc/hosts"]), "127.0.0.1 localhost\n");
    store.recipe("files = [{ at = \"/usr/bin/head\", text = \"other\" }]\n");
    store.builds();
    let done = build("programs = [\"head\"]\n");
    assert!(
        said(&done).contains("cannot add the host's /usr/bin/head: the root has another file there"),
        "{}",
        said(&done)
    );
}

#[test]
fn with_a_source_date_no_file_is_newer_and_commands_know_it() {
    let store = Store::new("recipe-date");
    store.recipe("run = [\"echo $SOURCE_DATE_EPOCH >/date\"]\n");
    let build = |date: &str| output(store.holm(&["root", "build", "-f", "web.toml"]).env("SOURCE_DATE_EPOCH", date));
    assert_eq!(build("1000000000").status.code(), Some(0));
    let date = store.files().join("date");
    assert_eq!(fs::read_to_string(&date).expect("it is there"), "1000000000\n");
    let modified = fs::metadata(&date).expect("it is there").modified().expect("it has a time");
    assert_eq!(
        modified.duration_since(std::time::SystemTime::UNIX_EPOCH).expect("it is later").as_secs(),
        1_000_000_000
    );
    assert!(said(&build("soon")).contains("cannot use SOURCE_DATE_EPOCH=soon"));
}

#[test]
fn without_a_source_date_no_file_is_newer_than_what_it_was_made_of() {
    let store = Store::new("recipe-newest");
    store.recipe("run = [\"echo made >/made\"]\n");
    store.builds();
    let modified = |name: &str| {
        let status = fs::metadata(store.files().join(name)).expect("it is there");
        status.modified().expect("it has a time").elapsed().expect("it is past").as_secs()
    };
    // Nobody has installed a shell in the last minute.
    assert!(modified("made") > 60 && modified("made") <= modified("usr/bin/sh"), "{}", modified("made"));
}

#[test]
fn a_fifo_in_an_added_directory_is_refused_and_never_opened() {
    let store = Store::new("recipe-fifo");
    store.site();
    let fifo = store.0.join("site/deep/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()));
    let mut writer = std::process::Command::new("sh");
    let mut writer = writer.arg("-c").arg("echo waits >\"$0\"").arg(&fifo).spawn().expect("sh starts");
    store.stops("[[files]]\nat = \"/srv\"\nfrom = \"site\"\n", "only files, directories and links are added");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(writer.try_wait().expect("it is a child").is_none(), "it still waits for a reader");
    writer.kill().expect("it runs");
    writer.wait().expect("it is a child");
}
