//! Takes the eBPF objects that `cargo xtask build` left in the workspace's target folder to where the crate embeds them
//! from: one for each way to loop, see `src/datapath/object.rs`, and that of `siplb decap`.

use std::{env, fs, path::Path};

fn main() {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for name in ["siplb.bpf.o", "siplb-bpf-loop.bpf.o", "decap.bpf.o"] {
        let object = Path::new(&package).join("../target/bpf").join(name);
        println!("cargo::rerun-if-changed={}", object.display());
        if fs::copy(&object, Path::new(&out).join(name)).is_err() {
            println!("cargo::error=the eBPF object {name} is not built yet: run `cargo xtask build`");
        }
    }
}
