//! Pictures of a machine that was made up, in each format, beside what they were; hostile names; limits.

use super::Format;
use super::facts::Facts;
use super::html::{SCRIPT, SCRIPT_HASH};
use super::machine::{Wanted, picture};
use super::picture::Picture;
use crate::see::matrix::Sharing;
use holm::inspect::detail::{Root, RootMount};
use holm::inspect::machine::{Found, Holder, Link, Machine, Place, Process, Unread, position};
use holm::inspect::maker::{Maker, Tool};
use holm::inspect::network::{Interface, Network};
use holm::model::namespace::Namespace;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ffi::OsString;

const FORMATS: [(Format, &str); 4] =
    [(Format::Mermaid, "mmd"), (Format::Dot, "dot"), (Format::Svg, "svg"), (Format::Html, "html")];

/// A picture as text.
fn text(format: Format, picture: &Picture) -> String {
    let bytes = format.write(picture).unwrap_or_else(|faults| panic!("{}", faults[0].message));
    String::from_utf8(bytes).expect("it is text")
}

/// What may stand in a name, and what each format takes for its own.
const HOSTILE: [&str; 9] = [
    "\"]; end",
    "<script>alert(1)",
    "%%{init: {}}",
    "a\nb\rc",
    "\u{202e}gnp.exe",
    "日本語のプロセス",
    "\\N\\l&lt;",
    "]]>--><!--",
    "`#quot;' onload=",
];

/// A machine to which sets are added.
struct Made {
    machine: Machine,
    facts: Facts,
    host: [Option<Place>; 8],
}

impl Made {
    fn new() -> Made {
        let mut made = Made { machine: Machine::default(), facts: Facts::default(), host: [None; 8] };
        for (number, kind) in Namespace::ALL.into_iter().enumerate() {
            made.host[number] = Some(made.namespace(kind, 4_026_531_832 + number as u64, Link::None));
        }
        // The first user namespace has this inode on every kernel.
        made.machine.namespaces[0].inode = 4_026_531_837;
        made.machine.namespaces[5].inode = 4_026_531_832;
        made
    }

    fn namespace(&mut self, kind: Namespace, inode: u64, above: Link) -> Place {
        let user = kind == Namespace::User;
        let (owner, parent) = if user { (Link::None, above) } else { (above, Link::None) };
        let (uid, processes, holders) = (user.then_some(1000), Vec::new(), Vec::new());
        self.machine.namespaces.push(Found { kind, inode, id: None, owner, parent, uid, processes, holders });
        self.machine.namespaces.len() - 1
    }

    /// New namespaces of these kinds from `inode` on; the others are as in `from`. The user namespace owns the others.
    fn set(&mut self, from: [Option<Place>; 8], kinds: &[Namespace], inode: u64) -> [Option<Place>; 8] {
        let mut namespaces = from;
        for (number, &kind) in kinds.iter().enumerate() {
            let user = namespaces[0].map_or(Link::None, Link::To);
            namespaces[position(kind)] = Some(self.namespace(kind, inode + number as u64, user));
        }
        namespaces
    }

    fn process(&mut self, pid: u32, name: &str, namespaces: [Option<Place>; 8]) {
        let name = OsString::from(name);
        self.machine.processes.push(Process {
            pid,
            parent: 1,
            name,
            uid: 0,
            start: pid.into(),
            ended: false,
            entry: 0,
            namespaces,
        });
        for place in namespaces.into_iter().flatten() {
            self.machine.namespaces[place].processes.push(pid);
        }
    }

    fn root(&mut self, pid: u32, system: &str, source: &str, directory: &str) {
        let mount = RootMount {
            system: system.into(),
            source: source.into(),
            directory: directory.into(),
            read_only: system == "overlay",
        };
        self.facts.roots.insert(pid, Root { directory: "/".into(), mount: Some(mount) });
    }

    fn draw(&self, wanted: &Wanted) -> Picture {
        let mut picture = picture(&self.machine, &self.facts, &Sharing::of(&self.machine), wanted);
        picture.notes.push("not all is shown: 2 sockets".to_owned());
        picture
    }
}

/// A host with two sandboxes, one of which has another in it, a container that shares its network, and a lone namespace.
fn machine() -> Made {
    use Namespace::{Ipc, Mount, Net, Pid, User, Uts};
    let mut made = Made::new();
    for (pid, name) in [(1, "systemd"), (2, "kthreadd"), (310, "sshd"), (402, "bash"), (403, "vim")] {
        made.process(pid, name, made.host);
    }
    (500..540).for_each(|pid| made.process(pid, "worker", made.host));
    made.root(1, "ext4", "/dev/vda1", "/");
    let web = made.set(made.host, &[User, Ipc, Uts, Net, Pid, Mount], 4_026_532_200);
    made.process(700, "holm-init", web);
    made.process(701, "nginx", web);
    made.facts.pids.insert(700, vec![700, 1]);
    made.facts.pids.insert(701, vec![701, 2]);
    made.root(700, "overlay", "overlay", "/");
    made.facts.maps.insert(web[0].unwrap_or_default(), "ids 0=100000 x 65536".to_owned());
    for place in web.into_iter().flatten().filter(|place| *place > 7) {
        made.facts.makers.insert(place, Maker { tool: Tool::Holm, name: String::new(), called: None });
    }
    let inner = made.set(web, &[User, Mount], 4_026_532_210);
    made.process(720, "bwrap", inner);
    made.root(720, "ext4", "/dev/vda1", "/srv/custom-root");
    let side = made.set(made.host, &[Mount], 4_026_532_220);
    let side = Namespace::ALL.map(|kind| if kind == Net { web[position(Net)] } else { side[position(kind)] });
    made.process(800, "sidecar", side);
    let lone = made.namespace(Net, 4_026_532_230, Link::To(0));
    let inside = made.machine.namespaces[7].inode;
    made.machine.namespaces[lone].holders.push(Holder::Mount { path: "/run/netns/blue".into(), inside });
    let interface = |name: &str, namespace| Interface { name: name.into(), namespace };
    let of_web = web[position(Net)].unwrap_or_default();
    made.facts.network = Network {
        interfaces: vec![
            interface("lo", 4),
            interface("eth0", 4),
            interface("veth0", 4),
            interface("lo", of_web),
            interface("eth0", of_web),
            interface("lo", lone),
        ],
        pairs: vec![[2, 4]],
        unread: 0,
    };
    made
}

#[test]
fn each_format_draws_the_machine_as_before() {
    let picture = machine().draw(&Wanted::All);
    for (format, end) in FORMATS {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/diagram/golden/machine.{end}"));
        let shown = text(format, &picture);
        // Written anew with HOLM_GOLDEN=1: look at what git says has changed, and run it once more.
        if std::env::var_os("HOLM_GOLDEN").is_some() {
            std::fs::write(&path, &shown).expect("the sources can be written");
            continue;
        }
        let golden = match format {
            Format::Mermaid => include_str!("golden/machine.mmd"),
            Format::Dot => include_str!("golden/machine.dot"),
            Format::Svg => include_str!("golden/machine.svg"),
            Format::Html => include_str!("golden/machine.html"),
            Format::Png => unreachable!("it is no text"),
        };
        assert!(shown == golden, "{} differs from what is drawn now:\n{shown}", path.display());
    }
}

#[test]
fn user_namespaces_hold_what_is_in_them() {
    let picture = machine().draw(&Wanted::All);
    let system = &picture.areas[0];
    let titles: Vec<&str> = system.below.iter().map(|area| area.title.as_str()).collect();
    assert_eq!(titles, ["Global namespaces", "User namespace 4026532200", "D · sidecar", "net 4026532230, no process"]);
    let inner: Vec<&str> = system.below[1].below.iter().map(|area| area.title.as_str()).collect();
    assert_eq!(inner, ["B · holm", "C · bwrap"]);
    let texts: Vec<&str> = system.below[0].items.iter().map(|item| item.text.as_str()).collect();
    // Threads of the kernel last.
    assert_eq!(texts, ["1 systemd", "310 sshd", "402 bash", "403 vim", "500 worker", "501 worker", "+39 more"]);
    assert!(system.below[1].below[0].items[0].text == "700/1 holm-init");
}

#[test]
fn what_is_not_asked_for_is_counted() {
    let picture = machine().draw(&Wanted::These(HashSet::from([2])));
    let system = &picture.areas[0];
    assert_eq!(system.items[0].text, "+2 more sets");
    assert_eq!((system.below.len(), system.below[1].below.len()), (2, 1));
    assert!(system.below[0].items.is_empty(), "the host's processes weren't asked for");
}

/// A machine whose processes have these names, each in a set.
fn named(names: &[&str]) -> Made {
    let mut made = Made::new();
    made.process(1, "init", made.host);
    for (number, name) in names.iter().enumerate() {
        let inode = 4_026_532_200 + number as u64 * 4;
        let set = made.set(made.host, &[Namespace::User, Namespace::Net, Namespace::Mount], inode);
        let pid = 100 + number as u32;
        made.process(pid, name, set);
        made.root(pid, name, name, name);
        let namespace = set[position(Namespace::Net)].unwrap_or_default();
        made.facts.network.interfaces.push(Interface { name: OsString::from(*name), namespace });
        made.facts.maps.insert(set[0].unwrap_or_default(), (*name).to_owned());
    }
    made
}

#[test]
fn hostile_names_stay_text_in_each_format() {
    let picture = named(&HOSTILE).draw(&Wanted::All);
    for (format, _) in FORMATS {
        let shown = text(format, &picture);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{format:?}");
        // Wide letters are shown as they are.
        assert!(shown.contains("日本語のプロセス"), "{format:?}");
    }
    let mermaid = text(Format::Mermaid, &picture);
    let body = mermaid.split_once("classDef").map_or("", |(_, body)| body);
    assert!(!body.contains("%%") && !body.contains('`') && !body.contains("<script"), "{mermaid}");
    for line in body.lines().filter(|line| line.contains('"')) {
        assert_eq!(line.matches('"').count(), 2, "{line}");
    }
    let html = text(Format::Html, &picture);
    assert_eq!(html.matches("<script").count(), 1, "its own");
    let svg = text(Format::Svg, &picture);
    let document = roxmltree::Document::parse(&svg).expect("it is well-formed");
    let names: HashSet<&str> = document.descendants().map(|node| node.tag_name().name()).collect();
    assert_eq!(names, HashSet::from(["", "svg", "title", "style", "rect", "g", "text"]));
    let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
    for shown in ["100 \"]; end", "101 <script>alert(1)", "103 a\\nb\\rc", "104 \\u{202e}gnp.exe", "106 \\N\\l&lt;"] {
        assert!(texts.contains(&shown), "{shown}: {texts:?}");
    }
}

#[test]
fn the_drawing_in_the_page_is_well_formed_too() {
    let html = text(Format::Html, &named(&HOSTILE).draw(&Wanted::All));
    let start = html.find("<svg").expect("it has a drawing");
    let end = html.find("</svg>").expect("it ends") + "</svg>".len();
    roxmltree::Document::parse(&html[start..end]).expect("it is well-formed");
    assert!(html.contains("default-src 'none'") && !html.contains("src=") && !html.contains("href"));
    let links = html.matches("http").count();
    assert_eq!((links, html.matches("http://www.w3.org/2000/svg").count()), (2, 1), "and http-equiv");
}

#[test]
fn the_policy_of_the_page_names_its_script() {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Sha256::digest(SCRIPT).to_vec();
    bytes.push(0);
    let digits = |three: &[u8]| {
        let number = three.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[number >> shift & 63]))
    };
    let mut text: String = bytes.chunks(3).flat_map(digits).collect();
    text.replace_range(43.., "=");
    assert_eq!(SCRIPT_HASH, text);
}

#[test]
fn a_machine_with_two_thousand_sets_stays_within_githubs_limits() {
    let names: Vec<String> = (0..2000).map(|number| format!("worker \"{number}\"")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let picture = named(&names).draw(&Wanted::All);
    let shown = text(Format::Mermaid, &picture);
    assert!(shown.chars().count() <= 50_000 && shown.chars().count() > 5_000, "{}", shown.chars().count());
    let edges = shown.lines().filter(|line| line.contains("~~~") || line.contains("---")).count();
    assert!(edges <= 500, "{edges}");
    assert!(shown.contains("more boxes"), "{shown}");
    // The others draw all of it.
    assert!(text(Format::Svg, &picture).contains("worker &quot;1999&quot;"));
}

#[test]
fn nothing_that_can_be_read_makes_an_empty_picture() {
    let machine = Machine { unread: Unread { processes: 3, ..Unread::default() }, ..Machine::default() };
    let picture = picture(&machine, &Facts::default(), &Sharing::of(&machine), &Wanted::All);
    for (format, _) in FORMATS {
        assert!(text(format, &picture).contains("Host system"));
    }
}

#[test]
fn a_file_name_says_the_format_or_is_refused() {
    let of = |name: &str| Format::of(std::path::Path::new(name)).ok();
    assert_eq!(of("a.b/machine.svg"), Some(Format::Svg));
    assert_eq!((of("x.mmd"), of("x.gv"), of("x.htm")), (Some(Format::Mermaid), Some(Format::Dot), Some(Format::Html)));
    assert_eq!((of("svg"), of("x.pdf"), of("")), (None, None, None));
}
