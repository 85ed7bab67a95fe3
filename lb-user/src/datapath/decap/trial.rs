//! An instance of the program that is attached nowhere: frames are run through it by `BPF_PROG_TEST_RUN`.

use std::collections::BTreeMap;

use aya::{
    Ebpf, EbpfLoader,
    programs::{TestRun, TestRunOptions},
};
use lb_common::decap::Outcome;

use super::{Addresses, maps::DecapMaps};
use crate::datapath::{
    error::{DatapathError, Doing, OpenError},
    object::{self, Code},
};

/// A loaded program with maps of its own.
pub struct Trial {
    object: Ebpf,
    maps: DecapMaps,
}

impl Trial {
    /// Loads the program with these addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(addresses: &Addresses) -> Result<Self, OpenError> {
        let mut object = EbpfLoader::new().load(Code::DECAP.object).map_err(object::refusal)?;
        let program = object::program(&mut object, Code::DECAP.program)?;
        program.load().map_err(|error| object::refusal(error.into()))?;
        let mut maps = DecapMaps::take(&mut object)?;
        maps.set_addresses(addresses)?;
        Ok(Self { object, maps })
    }

    /// Runs a frame: the XDP return code, and the frame as the program left it.
    ///
    /// # Errors
    /// When the kernel does not take the frame: fewer than 14 bytes, for instance.
    pub fn run(&mut self, frame: &[u8]) -> Result<(u32, Vec<u8>), DatapathError> {
        let mut out = vec![0; frame.len()];
        let program = object::program(&mut self.object, Code::DECAP.program)?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        let result = program.test_run(options).doing("run a frame through the program")?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }

    /// How many packets met which fate since the program was loaded.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn packets(&self) -> Result<BTreeMap<Outcome, u64>, DatapathError> {
        self.maps.packets()
    }
}
