//! Which packages are chosen.

use holm_root::debian::wish::{Origin, Variant};
use testkit::archive::Archive;

use crate::fixture::{Place, names};

/// The packages that are there besides the essential one, or why there are none. A line is `name version: fields`, with
/// commas of `;` between fields.
fn choose(packages: &str, include: &[&str]) -> Result<String, String> {
    let place = Place::make();
    let mut archive = Archive::new(&place.server, "sane");
    archive.add("essential", "1", "Essential: yes\n", b"e");
    for line in packages.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, fields) = line.split_once('=').unwrap();
        let (version, fields) = fields.split_once(' ').unwrap_or((fields, ""));
        let fields: String =
            fields.split(';').filter(|field| !field.is_empty()).map(|field| format!("{}\n", field.trim())).collect();
        archive.add(name, version, &fields, line.as_bytes());
    }
    archive.publish(&place.key);
    let mut wish = place.wish();
    wish.variant = Variant::Essential;
    wish.include = include.iter().map(|name| (*name).to_owned()).collect();
    let chosen = place.resolve(&wish).map_err(|error| error.to_string())?;
    let names: Vec<String> = chosen.packages.iter().map(|one| format!("{}={}", one.name, one.version)).collect();
    Ok(names.into_iter().filter(|name| name != "essential=1").collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn expect(packages: &str, include: &[&str], chosen: &str) {
    assert_eq!(choose(packages, include).as_deref(), Ok(chosen));
}

#[track_caller]
fn refuse(packages: &str, include: &[&str], cause: &str) {
    let error = choose(packages, include).expect_err(cause);
    assert!(error.contains(cause), "{error}");
}

#[test]
fn dependencies_are_followed_recommendations_are_not() {
    expect("a=1 Depends: b, c\nb=1 Pre-Depends: d; Recommends: e\nc=1\nd=1\ne=1", &["a"], "a=1 b=1 c=1 d=1");
    expect("a=1 Depends: b\nb=1 Depends: a", &["a"], "a=1 b=1");
}

#[test]
fn the_latest_version_is_chosen_unless_another_is_asked_for() {
    let packages = "a=1\na=1~rc1\na=0:1.10\na=1.9";
    expect(packages, &["a"], "a=0:1.10");
    expect(packages, &["a=1.9"], "a=1.9");
    expect("a=1 Depends: b\nb=1\nb=2", &["a", "b=1"], "a=1 b=1");
    refuse("a=1 Depends: b (>= 2)\nb=1\nb=2", &["a", "b=1"], "a 1 needs b (>= 2) (b 1 is chosen)");
    refuse("a=1\na=2", &["a=1", "a=2"], "a");
}

#[test]
fn the_first_alternative_that_can_be_there_is_chosen() {
    expect("a=1 Depends: b | c\nb=1\nc=1", &["a"], "a=1 b=1");
    expect("a=1 Depends: b (>= 2) | c\nb=1\nc=1", &["a"], "a=1 c=1");
    expect("a=1 Depends: b | c\nc=1", &["a"], "a=1 c=1");
    expect("a=1 Depends: b | c\nb=1\nc=1", &["a", "c"], "a=1 c=1");
    expect("a=1 Depends: b | c\nb=1 Depends: nothing\nc=1", &["a"], "a=1 c=1");
    expect("a=1 Depends: b | c, d\nb=1\nc=1\nd=1 Conflicts: b", &["a"], "a=1 c=1 d=1");
    refuse(
        "a=1 Depends: b (>= 2) | c\nb=1",
        &["a"],
        "a 1 needs b (>= 2) (the archives have b 1) or c (no archive has it)",
    );
}

#[test]
fn a_name_can_be_provided() {
    expect("a=1 Depends: v\nb=1 Provides: v", &["a"], "a=1 b=1");
    expect("a=1 Depends: v\nb=1 Provides: v\nv=1", &["a"], "a=1 v=1");
    expect(
        "a=1 Depends: v\nc=1 Provides: v; Priority: optional\nd=1 Provides: v; Priority: important",
        &["a"],
        "a=1 d=1",
    );
    expect("a=1 Depends: v (>= 2)\nb=1 Provides: v\nc=1 Provides: v (= 2)", &["a"], "a=1 c=1");
    expect("a=1\nb=1 Provides: v", &["v"], "b=1");
    refuse("b=1 Provides: v\nc=1 Provides: v", &["v"], "cannot find package v");
    refuse("a=1 Depends: v (>= 1)\nb=1 Provides: v", &["a"], "a 1 needs v (>= 1) (no archive has it)");
}

#[test]
fn packages_that_conflict_are_not_together() {
    refuse("a=1 Conflicts: b\nb=1", &["a", "b"], "b 1 is asked for, but a 1 conflicts with b");
    refuse("a=1\nb=1 Breaks: a (<< 2)", &["a", "b"], "b 1 is asked for, but b 1 conflicts with a (<< 2), which is a 1");
    expect("a=2\nb=1 Breaks: a (<< 2)", &["a", "b"], "a=2 b=1");
    refuse("a=1 Conflicts: v\nb=1 Provides: v", &["a", "b"], "b 1 is asked for, but a 1 conflicts with v");
    // A package that provides what it conflicts with is the only one that does.
    expect("a=1 Provides: v; Conflicts: v", &["a"], "a=1");
    refuse("a=1 Depends: b\nb=1 Conflicts: a", &["a"], "a 1 needs b (b 1 conflicts with a, which is a 1)");
}

#[test]
fn architectures_of_relations_count() {
    expect("a=1 Depends: b:any\nb=1 Multi-Arch: allowed", &["a"], "a=1 b=1");
    expect("a=1 Depends: b:amd64 | c\nb=1\nc=1", &["a"], "a=1 b=1");
    expect("a=1 Depends: b:i386 | c\nb=1\nc=1", &["a"], "a=1 c=1");
    expect("a=1 Depends: b:any | c\nb=1\nc=1", &["a"], "a=1 c=1");
    expect("a=1 Conflicts: b:i386\nb=1", &["a", "b"], "a=1 b=1");
    refuse("a=1 Architecture: i386", &["a"], "cannot find package a");
}

#[test]
fn many_choices_that_all_fail_end_soon() {
    let mut packages = String::from("a=1 Depends: nothing, ");
    let names: Vec<String> = (0..40).map(|at| format!("x{at} | y{at}")).collect();
    packages = packages.replace("nothing, ", &format!("{}, nothing", names.join(", ")));
    for at in 0..40 {
        packages += &format!("\nx{at}=1\ny{at}=1");
    }
    refuse(&packages, &["a"], "a 1 needs nothing (no archive has it)");
}

#[test]
fn of_several_archives_the_latest_version_counts() {
    let place = Place::make();
    place.publish();
    let mut updates = Archive::new(&place.server, "sane-updates");
    updates.add("tool", "1:3+u1", "", b"updated").add("new", "1", "Priority: required\n", b"n").publish(&place.key);
    let apt = place.directory.path().join("apt");
    std::fs::create_dir(&apt).unwrap();
    let line = format!("deb [signed-by={}] {}/debian", place.keyring().display(), place.server.url());
    std::fs::write(apt.join("sources.list"), format!("{line} sane main\n{line} sane-updates main\n")).unwrap();
    let mut wish = place.wish();
    wish.origin = Origin::Host(apt);
    // Which packages are required is the suite's own word.
    assert_eq!(names(&place.resolve(&wish).unwrap()), ["apt 2", "base 1.0", "lib 2.1-1", "tool 1:3+u1"]);
}
