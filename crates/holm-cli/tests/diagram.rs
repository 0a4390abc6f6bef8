//! Pictures of this machine: what is there is drawn, and no name can make more of itself than text.

#[expect(dead_code, reason = "other tests use the rest")]
mod patience;

use patience::Running;
use std::io::Write;
use std::process::{Command, Stdio};
use testkit::{Scratch, children_of, holm, is_root, skip};

/// What `holm diagram` prints.
fn diagram(arguments: &[&str]) -> String {
    let done = Command::new(holm()).arg("diagram").args(arguments).output().expect("holm starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("it prints UTF-8")
}

/// The pid of the child of a process, or its own.
fn inside(process: &Running) -> String {
    let pid = process.child.id();
    children_of(pid).first().unwrap_or(&pid).to_string()
}

/// A sandbox in which a shell waits, with these options.
fn sandbox(options: &[&str]) -> Running {
    let mut command = testkit::run();
    command.args(options).args(["sh", "-c", "echo; sleep 600; true"]);
    Running::ready(&mut command)
}

/// A process in namespaces of its own that calls itself `name`, in perl's `qq()`.
fn named(name: &str) -> Running {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "perl", "-e"]);
    command.arg(format!("$| = 1; $0 = qq({name}); print qq(\\n); sleep 600"));
    Running::ready(&mut command)
}

#[test]
fn sandboxes_are_drawn_with_what_is_their_own() {
    let one = sandbox(&[]);
    let other = sandbox(&["--share", "net", "--root", "bins:sh,sleep"]);
    let pids = [testkit::init_of(one.child.id()), testkit::init_of(other.child.id())];
    let (one, other) = (diagram(&[&pids[0], "--format", "svg"]), diagram(&[&pids[1], "--format", "svg"]));
    for (text, pid) in [(&one, &pids[0]), (&other, &pids[1])] {
        roxmltree::Document::parse(text).expect("it is well-formed");
        for part in ["Host system", "Global namespaces", "· holm", "/2 sh", "root /", &format!(">{pid}/1 holm-init<")]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("class=\"own-pid\"") && text.contains("class=\"own-mnt\""), "{text}");
    }
    assert!(one.contains("class=\"own-net\"") && !other.contains("class=\"own-net\""), "{one}\n{other}");
    let all = diagram(&["--format", "svg"]);
    assert!(pids.iter().all(|pid| all.contains(&format!(">{pid}/1 holm-init<"))), "{all}");
    // Outside of the box processes of others come and go.
    let own = |text: &str| {
        let (_, rest) = text.split_once("· holm").expect("it has a box");
        rest.split_once("id=\"notes\"").map(|(own, _)| own.to_owned())
    };
    assert_eq!(own(&one), own(&diagram(&[&pids[0], "--format", "svg"])), "two pictures of the same are the same");
}

#[test]
fn a_user_namespace_in_another_is_drawn_in_it() {
    let script = "unshare --user --map-root-user --uts sh -c 'echo; exec sleep 600'";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--kill-child",
        "--fork",
        "--pid",
        "sh",
        "-c",
        &format!("{script}; true"),
    ]);
    let outer = Running::ready(&mut command);
    let outer = inside(&outer);
    let inner = children_of(outer.parse().expect("it is a pid"))[0].to_string();
    let text = diagram(&[&outer, &inner, "--format", "dot"]);
    let owner = text.find("User namespace ").expect("it has a box");
    let (outside, inside) = text.split_at(owner);
    assert!(inside.contains("sleep") && !outside.contains("sleep"), "{text}");
}

#[test]
fn hostile_names_of_processes_stay_text() {
    // Names have 15 bytes; the last one is of wide letters and one that is no UTF-8.
    let names = [
        "\\\"]; end",
        "<script>a()",
        "%%{init: {",
        "a\\nb\\x1b[2J",
        "\\xe2\\x80\\xaegnp.exe",
        "\\xe6\\x97\\xa5\\xe6\\x9c\\xac\\xff",
    ];
    let running: Vec<Running> = names.iter().map(|name| named(name)).collect();
    let pids: Vec<String> = running.iter().map(inside).collect();
    let drawn = |format: &str| {
        let mut arguments: Vec<&str> = pids.iter().map(String::as_str).collect();
        arguments.extend(["--format", format]);
        diagram(&arguments)
    };
    let svg = drawn("svg");
    let document = roxmltree::Document::parse(&svg).expect("it is well-formed");
    let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
    let shown = ["\"]; end", "<script>a()", "%%{init: {", "a\\nb\\u{1b}[2J", "\\u{202e}gnp.exe", "日本\\xff"];
    for (pid, name) in pids.iter().zip(shown) {
        assert!(texts.contains(&format!("{pid}/1 {name}").as_str()), "{name}: {texts:?}");
    }
    assert_eq!(drawn("html").matches("<script").count(), 1);
    let mermaid = drawn("mermaid");
    assert!(
        !mermaid.contains("<script") && !mermaid.contains("\"];") && mermaid.matches("%%").count() == 2,
        "{mermaid}"
    );
    let Ok(mut graphviz) = Command::new("dot").arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        return skip("Graphviz is missing");
    };
    graphviz.stdin.take().expect("it is a pipe").write_all(drawn("dot").as_bytes()).expect("dot reads all");
    let done = graphviz.wait_with_output().expect("it is our child");
    let laid_out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && laid_out.contains(&format!("{}/1 &lt;script&gt;a()", pids[1])), "{laid_out}");
    assert!(laid_out.contains("日本\\xff") && laid_out.contains("&quot;]; end"), "{laid_out}");
}

#[test]
fn a_veth_pair_joins_two_boxes() {
    if !is_root() {
        return;
    }
    let waiting = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo; exec sleep 600"]);
        Running::ready(&mut command)
    };
    let (one, other) = (waiting(), waiting());
    let (one, other) = (one.child.id().to_string(), other.child.id().to_string());
    // Made in the first one, so that nothing of it is ever in the host's network.
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &one, "ip", "link", "add", "left0", "type", "veth"]);
    let made = command.args(["peer", "name", "right0", "netns", &other]).status();
    assert!(made.expect("iproute2 is there").success());
    let text = diagram(&[&one, &other, "--format", "svg"]);
    let document = roxmltree::Document::parse(&text).expect("it is well-formed");
    let end = |name: &str| {
        let label = document.descendants().find(|node| node.text() == Some(name)).expect("it is drawn");
        let area =
            label.ancestors().filter(|node| node.attribute("class") == Some("area")).nth(1).expect("it is in a set");
        area.descendants().filter_map(|node| node.text()).any(|text| text == format!("{one} sleep"))
    };
    assert!(end("left0") && !end("right0"), "{text}");
    assert_eq!(text.matches("class=\"veth\"").count(), 1, "{text}");
    assert!(diagram(&[&one, &other]).contains("|\"veth\"|"));
    assert_eq!(diagram(&[&one, "--format", "svg"]).matches("class=\"veth\"").count(), 0, "one end isn't drawn");
}

/// A picture in dots, once it is drawn: width, height, and the bytes of its parts that hold dots (PNG, "Chunk layout").
#[cfg(feature = "png")]
fn parts(png: &[u8]) -> (u32, u32, usize) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("it has four bytes"));
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "it has the signature");
    let (mut at, mut bytes) = (8, 0);
    while at < png.len() {
        let length = number(at) as usize;
        bytes += if &png[at + 4..at + 8] == b"IDAT" { length } else { 0 };
        at += length + 12;
    }
    (number(16), number(20), bytes)
}

#[cfg(feature = "png")]
#[test]
fn a_picture_in_dots_is_that_of_the_svg() {
    let scratch = Scratch::new("diagram-png");
    let own = std::process::id().to_string();
    let path = scratch.join("a.png");
    let done = Command::new(holm()).args(["diagram", &own, "-o"]).arg(&path).output().expect("holm starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (width, height, bytes) = parts(&std::fs::read(&path).expect("it is there"));
    let svg = diagram(&[&own, "--format", "svg"]);
    let document = roxmltree::Document::parse(&svg).expect("it is well-formed");
    let side = |name: &str| document.root_element().attribute(name).and_then(|side| side.parse::<u32>().ok());
    assert_eq!((Some(width), Some(height)), (side("width").map(|side| side * 2), side("height").map(|side| side * 2)));
    // One of a single colour has some hundred.
    assert!(bytes > 10_000, "{width} x {height} dots are not blank: {bytes} bytes");
}

#[cfg(not(feature = "png"))]
#[test]
fn where_dots_are_not_built_in_the_error_says_how_to_get_them() {
    let done = Command::new(holm()).args(["diagram", "--format", "png"]).output().expect("holm starts");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(
        errors.contains("error: cannot draw a PNG: it is not built into") && errors.contains("rsvg-convert"),
        "{errors}"
    );
    assert_eq!((done.status.code(), done.stdout.len()), (Some(125), 0));
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let scratch = Scratch::new("diagram");
    let own = std::process::id().to_string();
    let to = |path: &std::path::Path| {
        Command::new(holm()).args(["diagram", &own, "-o"]).arg(path).output().expect("holm starts")
    };
    let path = scratch.join("a.html");
    std::fs::write(&path, "before").expect("it can be written");
    assert!(to(&path).status.success());
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
    let directory = scratch.join("b.svg");
    std::fs::create_dir(&directory).expect("it can be made");
    let done = to(&directory);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(errors.starts_with("error: cannot write ") && done.status.code() == Some(125), "{errors}");
    let left = std::fs::read_dir(scratch.path()).expect("it can be listed").count();
    assert_eq!(left, 2, "nothing is left aside");
}
