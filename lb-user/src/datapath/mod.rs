//! The kernel program: load, adopt, publish, run. This module alone names aya.
pub mod image;
