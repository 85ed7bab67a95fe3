//! `verifier`: loads every eBPF program without attaching it, and prints what the kernel's verifier had to do for it. The
//! verifier gives up at 1,000,000 instructions, and its count moves with every kernel and compiler: hence a budget far below.

use anyhow::{Context as _, Result, bail, ensure};
use aya::{EbpfLoader, VerifierLogLevel, programs::Program};

use crate::{
    build, process,
    setup::{self, Need},
};

/// The most instructions that the verifier may look at for one program.
const BUDGET: u32 = 200_000;

/// Builds and loads all programs.
pub(crate) fn run() -> Result<()> {
    ensure!(process::is_root(), "loading programs takes root: use `sudo -E cargo xtask verifier`");
    let toolchain = setup::ensure(Need::Toolchain)?;
    let mut is_over_budget = false;
    println!("{:36} {:>12} {:>12} {:>12}", "program", "verified", "translated", "jited bytes");
    for object in build::objects(&toolchain)? {
        let file = object.file_name().context("an object without a name")?.to_string_lossy();
        let mut ebpf = EbpfLoader::new()
            .verifier_log_level(VerifierLogLevel::STATS)
            .load_file(&object)
            .with_context(|| format!("cannot load {}", object.display()))?;
        for (name, program) in ebpf.programs_mut() {
            let name = format!("{file}: {name}");
            let Program::Xdp(program) = program else { bail!("{name} is not an XDP program") };
            program.load().with_context(|| format!("the verifier refuses {name}"))?;
            let info = program.info()?;
            let verified =
                info.verified_instruction_count().context("this kernel, before 5.16, doesn't count")?;
            let translated = info.size_translated().unwrap_or(0) / INSTRUCTION_BYTES;
            println!("{name:36} {verified:12} {translated:12} {:12}", info.size_jitted());
            is_over_budget |= verified > BUDGET;
        }
    }
    ensure!(!is_over_budget, "over the budget of {BUDGET} verified instructions");
    Ok(())
}

const INSTRUCTION_BYTES: u32 = 8;
