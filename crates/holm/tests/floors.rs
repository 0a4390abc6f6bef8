//! The floors: a module imports only from lower floors, and unsafe code is in `sys` alone.

use std::path::{Path, PathBuf};

/// The floor of each top module; equal floors may not import each other, but for a module and its own parts.
const FLOORS: &[(&str, u32)] = &[
    ("sys", 0),
    ("model", 1),
    ("spec", 2),
    ("host", 3),
    ("plan", 4),
    ("inspect", 4),
    ("exec", 5),
    ("error", 6),
    ("run", 7),
    ("doctor", 8),
];

fn floor(module: &str) -> u32 {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
        .unwrap_or_else(|| panic!("{module} has no floor"))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("it is a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The module that a file belongs to, its path, and the lines of its code, numbered, without comments.
type File = (String, PathBuf, Vec<(usize, String)>);

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(&root).expect("it was found there").with_extension("");
        let module = inside.components().next().expect("it has a name").as_os_str().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("it is text");
        let code = |(number, line): (usize, &str)| {
            let line = line.split("//").next().unwrap_or_default();
            (!line.trim().is_empty()).then(|| (number + 1, line.to_owned()))
        };
        let lines = text.lines().enumerate().filter_map(code).collect();
        (module, path, lines)
    };
    found.into_iter().map(read).filter(|(module, ..)| module != "lib").collect()
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (module, path, lines) in files() {
        for (number, line) in lines {
            for rest in line.split("crate::").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                seen += 1;
                if name.is_empty() || !FLOORS.iter().any(|(n, _)| *n == name) {
                    wrong.push(format!(
                        "{}:{number}: crate::{name} is no module: import from the owning one",
                        path.display()
                    ));
                } else if name != module && floor(&name) >= floor(&module) {
                    wrong.push(format!("{}:{number}: {module} imports {name}, which is not below it", path.display()));
                }
            }
        }
    }
    assert!(seen > 50, "the test reads the code: {seen} imports");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let mut wrong = Vec::new();
    for (module, path, lines) in files() {
        for (number, line) in lines {
            let allows = line.contains("allow(unsafe_code)") || line.contains("unsafe {") || line.contains("unsafe fn");
            if module != "sys" && allows {
                wrong.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside sys: {}", wrong.join(", "));
}
