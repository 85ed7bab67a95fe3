//! What the packet tests and the benchmarks share: frames, an example of a node's state, the loaded program, and messages.
//!
//! The tests load the real program and run frames through it (`BPF_PROG_TEST_RUN`) without attaching it anywhere. They
//! need root, and fail with one sentence without it; a test that was skipped would look like one that passed.
//!
//! Expectations are computed here from the specifications and with other people's libraries, never with the code under
//! test: checksums anew from all words, owners by XXH64 of `xxhash-rust` and a plain remainder.

pub mod corpus;
pub mod daemon;
pub mod example;
pub mod frame;
pub mod growth;
pub mod mutation;
pub mod program;
