//! Takes the eBPF object that `cargo xtask build` left in the workspace's target folder to where the crate embeds it from.

use std::{env, fs, path::Path};

fn main() {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let object = Path::new(&package).join("../target/bpf/siplb.bpf.o");
    println!("cargo::rerun-if-changed={}", object.display());
    let embedded = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("siplb.bpf.o");
    if fs::copy(&object, embedded).is_err() {
        println!("cargo::error=the eBPF object is not built yet: run `cargo xtask build`");
    }
}
