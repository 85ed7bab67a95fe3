//! The secret that seeds the hash, so that nobody outside can choose users who all fall to one backend.
//!
//! Every node of one VIP must have the same: the fingerprint is there to compare them by, in status and digest.
//! Invariant: neither the key nor the seed is ever shown, by `Debug`, by JSON or in an error.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use xxhash_rust::{xxh3, xxh64};

use super::problem::Fault;
use super::syntax;

/// A key's shortest, in bytes: twice the seed's 8, since what people type or encode has fewer random bits than bits.
pub const KEY_BYTES_MIN: usize = 16;
/// Keeps the fingerprint from being of use as a hash of the key for anything else.
const FINGERPRINT_DOMAIN: &[u8] = b"siplb hash-key fingerprint v1\0";
/// Mode bits that let everybody on the machine read.
const READ_BY_OTHERS: u32 = 0o004;

/// Where the secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum HashKey {
    /// In a file; blanks and newlines at its ends don't count.
    File(PathBuf),
    /// In the configuration itself, as hexadecimal digits.
    Hex(Vec<u8>),
}

/// The secret, ready for use.
#[derive(Clone, PartialEq, Eq)]
pub struct LoadedKey {
    /// The seed of every keyed hash: xxh64 of the key's bytes with seed 0. A secret.
    pub seed: u64,
    /// The same on nodes that have the same key, and not a secret.
    pub fingerprint: u32,
    /// What is unwise about how the key is kept, for the log.
    pub warning: Option<Fault>,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HashKeyError {
    /// The file can't be read.
    #[error("the hash-key file {path} can't be read ({source}); make one with: {}", how_to_make(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file has too little in it.
    #[error(
        "the hash-key file {path} holds {bytes} bytes, fewer than {KEY_BYTES_MIN}; make one with: {}",
        how_to_make(path)
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// How much is in it, without blanks at its ends.
        bytes: usize,
    },
}

impl HashKey {
    /// Reads the setting, `file:PATH` or `hex:DIGITS`. No message repeats what could be a key.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("file:") {
            return syntax::path(path).map(Self::File);
        }
        let Some(digits) = text.strip_prefix("hex:") else {
            let mend = "write \"file:/etc/siplb/hash.key\", or \"hex:\" and digits";
            return Err(Fault::new("says neither file nor hex", mend));
        };
        let least = 2 * KEY_BYTES_MIN;
        if digits.len() < least {
            let what = format!("has {} hexadecimal digits", digits.len());
            return Err(Fault::new(
                what,
                format!("give at least {least}; `openssl rand -hex 16` makes them"),
            ));
        }
        let bytes = digits.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        });
        bytes.collect::<Option<Vec<u8>>>().map(Self::Hex).ok_or_else(|| {
            Fault::new(
                "is not a row of hexadecimal bytes",
                "use pairs of the digits 0-9 and a-f, nothing between",
            )
        })
    }

    /// Fetches the key and makes the seed of it.
    ///
    /// # Errors
    /// When the file can't be read or holds fewer than [`KEY_BYTES_MIN`] bytes.
    pub fn load(&self) -> Result<LoadedKey, HashKeyError> {
        let path = match self {
            Self::Hex(bytes) => return Ok(LoadedKey::new(bytes, None)),
            Self::File(path) => path,
        };
        let unreadable = |source| HashKeyError::Unreadable { path: path.clone(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(unreadable)?;
        let key = content.trim_ascii();
        if key.len() < KEY_BYTES_MIN {
            return Err(HashKeyError::Short { path: path.clone(), bytes: key.len() });
        }
        let warning = (mode & READ_BY_OTHERS != 0).then(|| {
            let path = path.display();
            Fault::new(
                format!("everybody can read the hash-key file {path}"),
                format!("run: chmod 600 {path}"),
            )
        });
        Ok(LoadedKey::new(key, warning))
    }
}

impl LoadedKey {
    fn new(key: &[u8], warning: Option<Fault>) -> Self {
        let public = xxh3::xxh3_64(&[FINGERPRINT_DOMAIN, key].concat());
        Self { seed: xxh64::xxh64(key, 0), fingerprint: (public >> 32) as u32, warning }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn how_to_make(path: &Path) -> String {
    let path = path.display();
    format!("(umask 077; head -c 32 /dev/urandom | base64 > {path}), the same on every node")
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Hex(_) => f.write_str("hex:(secret)"),
        }
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey({self})")
    }
}

impl fmt::Debug for LoadedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedKey")
            .field("fingerprint", &format_args!("{:08x}", self.fingerprint))
            .field("warning", &self.warning)
            .finish_non_exhaustive()
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DIGITS: &str = "000102030405060708090a0b0c0d0e0f";

    fn in_file(content: &[u8], mode: u32) -> (tempfile::TempDir, HashKey) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hash.key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let key = HashKey::parse(&format!("file:{}", path.display())).unwrap();
        (folder, key)
    }

    #[test]
    fn a_file_and_hex_digits_of_the_same_bytes_are_one_key() {
        let text = b"sixteen bytes ok";
        let digits: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = HashKey::parse(&format!("hex:{digits}")).unwrap().load().unwrap();
        let (_folder, file) = in_file(b" sixteen bytes ok\r\n", 0o600);
        assert_eq!(file.load().unwrap(), hex);
        assert_eq!(hex.seed, xxh64::xxh64(text, 0));
        assert_ne!(u64::from(hex.fingerprint), hex.seed >> 32);
    }

    #[test]
    fn short_absent_and_open_files_are_told_apart() {
        let (_folder, short) = in_file(b"fifteen bytes..\n\n", 0o600);
        assert!(matches!(short.load(), Err(HashKeyError::Short { bytes: 15, .. })));
        let (folder, open) = in_file(&[7; 32], 0o644);
        assert!(open.load().unwrap().warning.unwrap().mend.contains("chmod 600"));
        drop(folder);
        let message = open.load().unwrap_err().to_string();
        assert!(message.contains("can't be read") && message.contains("make one with"), "{message}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for bad in [
            DIGITS.to_owned(),
            format!("hex:{}", &DIGITS[1..]),
            format!("hex:{DIGITS}0"),
            format!("hex:{DIGITS}zz"),
            format!("hex:{DIGITS} "),
            "hex:".to_owned(),
            "file:".to_owned(),
            "file:hash.key".to_owned(),
        ] {
            let fault = HashKey::parse(&bad).unwrap_err().to_string();
            assert!(!fault.contains("0a0b0c"), "{fault}");
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let key = HashKey::parse(&format!("hex:{DIGITS}")).unwrap();
        let loaded = key.load().unwrap();
        let shown = format!("{key} {key:?} {} {loaded:?}", serde_json::to_string(&key).unwrap());
        assert!(!shown.contains("0a0b") && !shown.contains("10, 11"), "{shown}");
        assert!(!shown.contains(&loaded.seed.to_string()) && !shown.contains(&format!("{:x}", loaded.seed)));
    }
}
