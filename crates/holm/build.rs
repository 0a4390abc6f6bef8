//! Compiles pid 1 (`init/`), a freestanding static program of some kilobytes that the library carries as bytes.
//!
//! Cargo has no stable way to put one package's program into another, so the compiler is called directly.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=init");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("holm-init");
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
    compiler.arg("--target").arg(target).arg("-o").arg(&out).arg("init/main.rs");
    let status = compiler.status().expect("the compiler starts");
    assert!(status.success(), "cannot compile init/main.rs: {status}");
}
