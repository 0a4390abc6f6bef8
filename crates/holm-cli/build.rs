//! Puts what every start runs into one place of the program: `start.ld` says which functions those are.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=start.ld");
    let optimized = std::env::var("OPT_LEVEL").is_ok_and(|level| level != "0");
    if optimized {
        let own = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", own.join("start.ld").display());
    }
}
