//! Configuration: the TOML file, read and judged as a whole.
