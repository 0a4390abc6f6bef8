//! Makes ready what a start would otherwise have to make: pid 1 as a program, and the built-in filters as instructions.
//!
//! Pid 1 (`init/`) is a freestanding static program of some kilobytes that the library carries as bytes. Cargo has no
//! stable way to put one package's program into another, so the compiler is called directly.

#[path = "src/model/seccomp/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod seccomp;

use seccomp::policy::Policy;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed=src/model/seccomp");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    init(&out.join("holm-init"));
    filters(&out.join("filters.rs"));
}

fn filters(out: &Path) {
    let mut text = String::new();
    for (name, policy) in [("DEFAULT", Policy::Default), ("STRICT", Policy::Strict)] {
        let words = policy.filter(&[]).compile().expect("a built-in policy fits");
        writeln!(text, "static {name}: [Instruction; {}] = [", words.len()).expect("a string takes everything");
        for seccomp::Instruction { code, if_true, if_false, value } in words {
            let line =
                format!("Instruction {{ code: {code}, if_true: {if_true}, if_false: {if_false}, value: {value} }},");
            writeln!(text, "{line}").expect("a string takes everything");
        }
        text.push_str("];\n");
    }
    std::fs::write(out, text).expect("OUT_DIR takes files");
}

fn init(out: &Path) {
    let target = env::var_os("TARGET").expect("cargo sets TARGET");
    let mut compiler = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    compiler.args(["--edition=2024", "--crate-type=bin", "--crate-name=holm_init", "-Dwarnings"]);
    compiler.args(["-Cpanic=abort", "-Copt-level=s", "-Cstrip=symbols", "-Crelocation-model=static"]);
    compiler.args(["-Coverflow-checks=off", "-Cdebug-assertions=off", "-Ctarget-feature=+crt-static"]);
    for option in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--gc-sections,--build-id=none,-z,noseparate-code,-z,norelro",
    ] {
        compiler.arg(format!("-Clink-arg={option}"));
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("-Clinker=");
        option.push(linker);
        compiler.arg(option);
    }
    compiler.arg("--target").arg(target).arg("-o").arg(out).arg("init/main.rs");
    let status = compiler.status().expect("the compiler starts");
    assert!(status.success(), "cannot compile init/main.rs: {status}");
}
