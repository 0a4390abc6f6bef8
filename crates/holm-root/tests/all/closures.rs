//! Each rule of the loaders, on a tree made for it.

use holm_root::closure::{Error, Kind, Levels, closure};

use crate::fixture::{Bits, Elf, Root, ld_so_cache};

#[test]
fn a_closure_has_the_loader_the_libraries_and_the_links_on_the_way() {
    let root = Root::empty();
    root.elf("/usr/lib64/ld-2.so", &Elf::loader(&["/lib", "/usr/lib"]));
    root.link("/usr/lib64/ld-linux-x86-64.so.2", "ld-2.so");
    root.link("/lib64", "usr/lib64");
    root.link("/lib", "/usr/lib");
    root.elf("/usr/lib/libc-1.so", &Elf::library("libc.so.6"));
    root.link("/usr/lib/libc.so.6", "libc-1.so");
    root.elf("/usr/bin/app", &Elf::program().needs("libc.so.6"));
    let expected = [
        "/lib -> /usr/lib",
        "/lib64 -> usr/lib64",
        "/usr/bin/app",
        "/usr/lib/libc-1.so",
        "/usr/lib/libc.so.6 -> libc-1.so",
        "/usr/lib64/ld-2.so",
        "/usr/lib64/ld-linux-x86-64.so.2 -> ld-2.so",
    ];
    assert_eq!(root.found("app"), expected);
}

#[test]
fn entries_say_who_asked_and_stand_behind_their_directories() {
    let root = Root::new();
    root.elf("/bin/app", &Elf::program().needs("liba.so"));
    root.elf("/lib/liba.so", &Elf::library("liba.so").needs("libb.so"));
    root.elf("/usr/lib/libb.so", &Elf::library("libb.so"));
    let entries = root.closure("app").unwrap();
    let because = |path: &str| entries.iter().find(|e| e.path.ends_with(path)).unwrap().because.display().to_string();
    assert_eq!(because("bin/app"), "app");
    assert_eq!(because("ld-linux-x86-64.so.2"), "/bin/app");
    assert_eq!(because("liba.so"), "/bin/app");
    assert_eq!(because("libb.so"), "/lib/liba.so");
    for (index, entry) in entries.iter().enumerate() {
        let parent = entry.path.parent().unwrap();
        let made = |e: &&holm_root::closure::Entry| e.path == parent && e.kind == Kind::Dir;
        assert!(parent.parent().is_none() || entries[..index].iter().any(|e| made(&e)), "{entry:?}");
    }
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let root = Root::new();
    root.elf("/lib/liba.so", &Elf::library("liba.so").needs("libb.so"));
    root.elf("/app/libb.so", &Elf::library("libb.so"));
    root.elf("/app/with-rpath", &Elf::program().needs("liba.so").rpath("$ORIGIN"));
    root.elf("/app/with-runpath", &Elf::program().needs("liba.so").runpath("$ORIGIN"));
    assert_eq!(root.libraries("/app/with-rpath"), ["/app/libb.so", "/lib/liba.so"]);
    let error = root.closure("/app/with-runpath").unwrap_err();
    assert!(matches!(&error, Error::MissingLibrary { name, .. } if name == "libb.so"), "{error}");
    let text = "cannot find library libb.so: no such file, but /lib/liba.so needs it";
    assert_eq!(error.to_string(), text);
}

#[test]
fn runpath_makes_the_objects_own_and_inherited_rpath_void() {
    let root = Root::new();
    for dir in ["/one", "/two", "/three"] {
        root.elf(&format!("{dir}/libb.so"), &Elf::library("libb.so"));
    }
    root.elf("/app/both", &Elf::program().needs("libb.so").rpath("/one").runpath("/two"));
    assert_eq!(root.libraries("/app/both"), ["/two/libb.so"]);
    root.elf("/app/liba.so", &Elf::library("liba.so").needs("libb.so").runpath("/three"));
    root.elf("/app/heir", &Elf::program().needs("liba.so").rpath("$ORIGIN:/one"));
    assert_eq!(root.libraries("/app/heir"), ["/app/liba.so", "/three/libb.so"]);
}

#[test]
fn origin_is_the_programs_real_directory_and_a_librarys_directory_as_opened() {
    let root = Root::new();
    root.link("/bin/app", "../opt/app/bin/app");
    root.elf("/opt/app/bin/app", &Elf::program().needs("liba.so").runpath("${ORIGIN}/../lib"));
    root.elf("/store/liba-1.so", &Elf::library("liba.so").needs("libb.so").runpath("$ORIGIN"));
    root.link("/opt/app/lib/liba.so", "/store/liba-1.so");
    root.elf("/opt/app/lib/libb.so", &Elf::library("libb.so"));
    root.elf("/store/libb.so", &Elf::library("libb.so"));
    assert_eq!(root.libraries("app"), ["/opt/app/bin/app", "/opt/app/lib/libb.so", "/store/liba-1.so"]);
}

#[test]
fn lib_is_what_the_loader_was_built_with() {
    let root = Root::empty();
    root.elf("/lib64/ld-linux-x86-64.so.2", &Elf::loader(&["/usr/lib/x86_64-linux-gnu"]));
    root.elf("/opt/lib/x86_64-linux-gnu/liba.so", &Elf::library("liba.so"));
    root.elf("/opt/app", &Elf::program().needs("liba.so").runpath("$ORIGIN/$LIB"));
    assert_eq!(root.libraries("/opt/app"), ["/opt/lib/x86_64-linux-gnu/liba.so"]);
}

#[test]
fn a_library_of_another_machine_or_class_is_passed_over() {
    let root = Root::new();
    let mut other = Elf::library("liba.so");
    other.machine = 183;
    let mut narrow = Elf::library("liba.so");
    narrow.bits = Bits::B32;
    root.elf("/one/liba.so", &other);
    root.elf("/two/liba.so", &narrow);
    root.elf("/usr/lib/liba.so", &Elf::library("liba.so"));
    root.elf("/app", &Elf::program().needs("liba.so").runpath("/one:/two"));
    assert_eq!(root.libraries("/app"), ["/usr/lib/liba.so"]);
}

#[test]
fn a_32_bit_program_finds_32_bit_libraries() {
    let root = Root::empty();
    let narrow = |mut elf: Elf| {
        elf.bits = Bits::B32;
        elf.machine = 3;
        elf
    };
    root.elf("/lib/ld-linux.so.2", &narrow(Elf::loader(&["/lib"])));
    root.elf("/lib/liba.so", &narrow(Elf::library("liba.so")));
    root.elf("/app", &narrow(Elf::program().interpreter("/lib/ld-linux.so.2").needs("liba.so")));
    assert_eq!(root.found("/app"), ["/app", "/lib/ld-linux.so.2", "/lib/liba.so"]);
}

#[test]
fn what_is_loaded_serves_later_needs_of_its_soname() {
    let root = Root::new();
    root.elf("/app/a.so", &Elf::library("libb.so"));
    root.elf("/lib/libb.so", &Elf::library("libb.so"));
    root.elf("/app/app", &Elf::program().needs("$ORIGIN/a.so").needs("libb.so").needs("ld-linux-x86-64.so.2"));
    assert_eq!(root.libraries("/app/app"), ["/app/a.so"]);
}

#[test]
fn nodeflib_refuses_the_default_directories_also_from_the_cache() {
    const NODEFLIB: u64 = 0x800;
    let root = Root::new();
    root.file("/etc/ld.so.cache", ld_so_cache(&[("liba.so", "/lib/liba.so"), ("libb.so", "/opt/libb.so")]));
    root.elf("/lib/liba.so", &Elf::library("liba.so"));
    root.elf("/opt/libb.so", &Elf::library("libb.so"));
    root.elf("/plain", &Elf::program().needs("liba.so").needs("libb.so"));
    root.elf("/picky", &Elf::program().needs("libb.so").flag_1(NODEFLIB));
    root.elf("/too-picky", &Elf::program().needs("liba.so").flag_1(NODEFLIB));
    assert_eq!(root.libraries("/plain"), ["/etc/ld.so.cache", "/lib/liba.so", "/opt/libb.so"]);
    assert_eq!(root.libraries("/picky"), ["/etc/ld.so.cache", "/opt/libb.so"]);
    assert!(matches!(root.closure("/too-picky"), Err(Error::MissingLibrary { .. })));
}

#[test]
fn the_cache_is_kept_only_if_the_loader_would_be_lost_without() {
    let root = Root::new();
    root.file("/etc/ld.so.cache", ld_so_cache(&[("liba.so", "/lib/liba.so"), ("libgone.so", "/gone/libgone.so")]));
    root.elf("/lib/liba.so", &Elf::library("liba.so"));
    root.elf("/usr/lib/libgone.so", &Elf::library("libgone.so"));
    root.elf("/app", &Elf::program().needs("liba.so").needs("libgone.so"));
    assert_eq!(root.libraries("/app"), ["/lib/liba.so", "/usr/lib/libgone.so"]);
}

#[test]
fn a_filter_needs_its_library_and_an_auxiliary_may_do_without() {
    let root = Root::new();
    root.elf("/lib/liba.so", &Elf::library("liba.so").filters("libreal.so").auxiliary("libfast.so"));
    root.elf("/app", &Elf::program().needs("liba.so"));
    let error = root.closure("/app").unwrap_err();
    assert!(matches!(&error, Error::MissingLibrary { name, .. } if name == "libreal.so"), "{error}");
    root.elf("/lib/libreal.so", &Elf::library("libreal.so"));
    assert_eq!(root.libraries("/app"), ["/lib/liba.so", "/lib/libreal.so"]);
    root.elf("/usr/lib/libfast.so", &Elf::library("libfast.so").needs("libreal.so"));
    assert_eq!(root.libraries("/app"), ["/lib/liba.so", "/lib/libreal.so", "/usr/lib/libfast.so"]);
}

#[test]
fn musl_knows_neither_filters_nor_auxiliaries() {
    const LOADER: &str = "/lib/ld-musl-x86_64.so.1";
    let root = Root::empty();
    root.elf(LOADER, &Elf::library(""));
    root.elf("/app", &Elf::program().interpreter(LOADER).filters("libreal.so").auxiliary("libfast.so"));
    root.elf("/lib/libfast.so", &Elf::library("libfast.so"));
    assert_eq!(root.found("/app"), ["/app", LOADER]);
}

#[test]
fn a_loader_of_another_machine_that_is_missing_says_which() {
    let root = Root::empty();
    let mut app = Elf::program().interpreter("/lib/ld-linux-aarch64.so.1");
    app.machine = 183;
    root.elf("/app", &app);
    let text =
        "cannot find interpreter /lib/ld-linux-aarch64.so.1: no such file, but /app needs it, a program for aarch64";
    assert_eq!(root.closure("/app").unwrap_err().to_string(), text);
}

#[test]
fn tuned_copies_come_with_the_plain_one() {
    let root = Root::new();
    for dir in ["/lib/glibc-hwcaps/x86-64-v3", "/lib/glibc-hwcaps/x86-64-v4", "/usr/lib"] {
        root.elf(&format!("{dir}/liba.so"), &Elf::library("liba.so"));
    }
    root.elf("/app", &Elf::program().needs("liba.so"));
    let expected = ["/lib/glibc-hwcaps/x86-64-v3/liba.so", "/lib/glibc-hwcaps/x86-64-v4/liba.so", "/usr/lib/liba.so"];
    assert_eq!(root.libraries("/app"), expected);
}

#[test]
fn musl_reads_its_path_file_and_inherits_runpath() {
    const LOADER: &str = "/lib/ld-musl-x86_64.so.1";
    let root = Root::empty();
    root.elf(LOADER, &Elf::library(""));
    root.file("/etc/ld-musl-x86_64.path", "/lib\n/srv/lib\n");
    root.file("/etc/ld.so.cache", ld_so_cache(&[("liba.so", "/opt/liba.so")]));
    root.elf("/opt/liba.so", &Elf::library("liba.so"));
    root.elf("/srv/lib/liba.so", &Elf::library("liba.so").needs("libb.so"));
    root.elf("/app/libb.so", &Elf::library("libb.so"));
    let program = Elf::program().interpreter(LOADER).needs("libc.musl-x86_64.so.1").needs("liba.so");
    root.elf("/app/app", &program.runpath("$ORIGIN"));
    let expected = ["/app/app", "/app/libb.so", "/etc/ld-musl-x86_64.path", LOADER, "/srv/lib/liba.so"];
    assert_eq!(root.found("/app/app"), expected);
}

#[test]
fn a_static_program_needs_nothing() {
    let root = Root::empty();
    root.elf("/bin/busybox", &Elf::library(""));
    assert_eq!(root.found("busybox"), ["/bin/busybox"]);
}

#[test]
fn absolute_links_and_dots_stay_inside_the_root() {
    let root = Root::new();
    root.link("/bin/app", "/../../opt/app");
    root.elf("/opt/app", &Elf::program());
    assert!(root.found("/bin/app").contains(&"/opt/app".to_owned()));
    root.link("/bin/host", "/bin/sh");
    assert!(matches!(root.closure("/bin/host"), Err(Error::NotFound { .. })));
}

#[test]
fn a_loop_of_links_ends_after_40() {
    let root = Root::new();
    root.link("/bin/a", "b");
    root.link("/bin/b", "/bin/a");
    let error = root.closure("/bin/a").unwrap_err();
    assert!(matches!(error, Error::Loop { of: Levels::Links, .. }));
    assert_eq!(error.to_string(), "cannot follow /bin/a: too many levels of symbolic links");
    root.elf("/chain/0", &Elf::library(""));
    for number in 1..=41 {
        root.link(&format!("/chain/{number}"), &(number - 1).to_string());
    }
    assert_eq!(root.closure("/chain/40").unwrap().len(), 42);
    assert!(root.closure("/chain/41").is_err());
}

#[test]
fn programs_are_found_by_name_or_absolute_path_only() {
    let root = Root::new();
    root.elf("/usr/bin/app", &Elf::library(""));
    root.elf("/bin/app", &Elf::library(""));
    root.file("/usr/local/bin/app", "not executable");
    std::fs::set_permissions(root.at("/usr/local/bin/app"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    assert_eq!(root.found("app"), ["/usr/bin/app"]);
    let error = |program: &str| root.closure(program).unwrap_err().to_string();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(error("nothing"), format!("cannot find program nothing: no such executable file in {path}"));
    assert_eq!(error("/nothing"), "cannot find program /nothing: no such executable file");
    assert_eq!(error("./app"), "cannot find program ./app: it must be a plain name or an absolute path");
    for odd in ["", ".", "..", "/", "a\0b"] {
        assert!(matches!(root.closure(odd), Err(Error::NotFound { .. })), "{odd:?}");
    }
    assert!(closure(&[], root.path()).unwrap().is_empty());
}

#[test]
fn a_text_file_is_no_program_and_no_library() {
    let root = Root::new();
    root.file("/bin/text", "hello");
    let error = root.closure("text").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /bin/text: it is neither an ELF file nor a script");
    root.file("/lib/libc.so", "GROUP ( libc.so.6 )");
    root.elf("/app", &Elf::program().needs("libc.so"));
    let error = root.closure("/app").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /lib/libc.so: it has the name of a library but isn't an ELF file");
}
