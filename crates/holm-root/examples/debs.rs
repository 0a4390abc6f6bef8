use holm_root::debian::build::{Recipe, build, Event};
use holm_root::debian::package::{Fetched, Package};
use holm_root::store::Store;
use std::path::Path;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut packages = vec![];
    for e in std::fs::read_dir(&a[1]).unwrap() {
        let file = e.unwrap().path();
        let out = std::process::Command::new("dpkg-deb").arg("-f").arg(&file).args(["Package","Version","Architecture","Priority","Section"]).output().unwrap();
        let t = String::from_utf8(out.stdout).unwrap();
        let f = |k: &str| t.lines().find_map(|l| l.strip_prefix(k)).map(|x| x[1..].trim().to_string()).unwrap_or_default();
        let size = std::fs::metadata(&file).unwrap().len();
        let mut sha256 = [0u8; 32]; for (i, b) in file.to_string_lossy().bytes().rev().take(32).enumerate() { sha256[i] = b; }
        packages.push(Fetched { package: Package { name: f("Package"), version: f("Version"), architecture: f("Architecture"), priority: f("Priority"), section: f("Section"), essential: false, source: (String::new(), String::new()), archive: 0, filename: String::new(), size, sha256 }, file });
    }
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|x| x.parse().ok());
    let store = Store::open(Path::new(&a[2])).unwrap();
    let t = Instant::now();
    let writer = store.write().unwrap();
    let mut last = Instant::now(); let mut prev = String::new();
    let r = build(&writer, Recipe { packages, sources: "deb http://deb.debian.org/debian bookworm main\n".into(), epoch }, &a[3], "debian", &mut |e| {
        let w = format!("{e:?}"); let k = w.split('(').next().unwrap().to_string();
        if k != prev { eprintln!("{k} after {:?}", last.elapsed()); last = Instant::now(); prev = k; }
    });
    match r { Ok(m) => println!("{m:?} {:?}", t.elapsed()), Err(e) => { println!("{e}"); std::process::exit(1) } }
}
