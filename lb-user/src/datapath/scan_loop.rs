//! Which of the two ways to loop the kernel knows; [`super::Code`] has an object for each.
//!
//! The kernel is asked, and not its release number: distributions take features back into older releases. What it is asked
//! is to check a program of four instructions, which is gone again at once.

use std::{
    env, fmt, io,
    os::fd::{FromRawFd as _, OwnedFd},
    sync::OnceLock,
};

/// Environment variable that chooses instead: for whoever wants to see the other build at work, or suspects this one.
const CHOICE: &str = "SIPLB_SCAN_LOOP";

/// How the program's scanning loops turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanLoop {
    /// By the instruction `may_goto` (Linux 6.9).
    MayGoto,
    /// By the helper `bpf_loop` (Linux 5.17).
    BpfLoop,
}

impl fmt::Display for ScanLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MayGoto => "may_goto",
            Self::BpfLoop => "bpf_loop",
        })
    }
}

impl ScanLoop {
    /// The faster way that this kernel knows: asked once, and told in the log.
    pub fn of_kernel() -> Self {
        static ANSWER: OnceLock<ScanLoop> = OnceLock::new();
        *ANSWER.get_or_init(|| {
            let asked_for = env::var(CHOICE).ok().and_then(|name| Self::named(&name));
            let (answer, why) = match asked_for {
                Some(answer) => (answer, format!("{CHOICE} asks for it")),
                None => Self::from_probe(probe()),
            };
            log::info!("the program scans in loops by {answer}: {why}");
            answer
        })
    }

    /// The way of that name.
    fn named(name: &str) -> Option<Self> {
        [Self::MayGoto, Self::BpfLoop].into_iter().find(|way| way.to_string() == name)
    }

    /// The same, asked anew and told to the caller.
    ///
    /// # Errors
    /// When the kernel does not permit this process to load programs.
    pub fn ask() -> io::Result<Self> {
        Self::known(probe())
    }

    /// What an attempt to load `may_goto` says.
    fn known(loaded: io::Result<OwnedFd>) -> io::Result<Self> {
        match loaded {
            Ok(_) => Ok(Self::MayGoto),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(Self::BpfLoop),
            Err(error) => Err(error),
        }
    }

    /// The same in any case, and why.
    fn from_probe(loaded: io::Result<OwnedFd>) -> (Self, String) {
        match Self::known(loaded) {
            Ok(Self::MayGoto) => (Self::MayGoto, "the kernel has that instruction".into()),
            Ok(Self::BpfLoop) => (
                Self::BpfLoop,
                "the kernel lacks the instruction may_goto, which is faster (Linux 6.9)".into(),
            ),
            // Whoever may not even load this will be told so when the program itself is loaded.
            Err(error) => {
                (Self::MayGoto, format!("whether the kernel has that instruction can't be told ({error})"))
            }
        }
    }
}

/// An instruction, `struct bpf_insn` of linux/bpf.h.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    const fn new(code: u8, offset: i16) -> Self {
        Self { code, registers: 0, offset, immediate: 0 }
    }
}

/// `r0 = 0; do {} while (may_goto); return r0`: the shape that the scanner's loops have.
static PROBE: [Instruction; 4] = [
    Instruction::new(0xb7, 0),  // r0 = 0
    Instruction::new(0xe5, 1),  // may_goto +1, BPF_JMP | BPF_JCOND
    Instruction::new(0x05, -2), // goto -2
    Instruction::new(0x95, 0),  // exit
];

/// The first fields of what `BPF_PROG_LOAD` takes, a part of `union bpf_attr` of linux/bpf.h. The kernel takes the rest as 0.
#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// Loads [`PROBE`].
fn probe() -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    let attributes = ProgramLoad {
        program_type: BPF_PROG_TYPE_XDP,
        instruction_count: PROBE.len() as u32,
        instructions: PROBE.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    // SAFETY: the kernel reads the attributes, whose size is given, and what they point to, which is static.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size_of::<ProgramLoad>())
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made this descriptor just now, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_way_can_be_named() {
        assert_eq!(ScanLoop::named("bpf_loop"), Some(ScanLoop::BpfLoop));
        assert_eq!(ScanLoop::named("may_goto"), Some(ScanLoop::MayGoto));
        assert_eq!(ScanLoop::named("faster"), None);
    }

    #[test]
    fn an_unknown_instruction_and_nothing_else_means_the_slower_way() {
        let of = |number| ScanLoop::from_probe(Err(io::Error::from_raw_os_error(number))).0;
        assert_eq!(of(libc::EINVAL), ScanLoop::BpfLoop);
        assert_eq!(of(libc::EPERM), ScanLoop::MayGoto);
        let (any, _) = io::pipe().expect("a pipe can be made");
        assert_eq!(ScanLoop::from_probe(Ok(any.into())).0, ScanLoop::MayGoto);
    }
}
