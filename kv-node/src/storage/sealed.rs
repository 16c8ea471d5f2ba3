//! Small files that a node keeps beside its data: text that people may read, sealed by a checksum.
//!
//! ```text
//!   # a comment that says what this is
//!   format = 2
//!   …                      the content, as TOML
//!   # checksum 0a1b2c3d    over all before this line
//! ```
//! The format stands where every version finds it, so that a file of another format is known for
//! what it is, whatever else it says. After a crash there is the former file or the new one, whole.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const SEAL: &str = "# checksum ";

/// The reason why a sealed file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum SealError {
    #[error("its checksum is wrong or missing")]
    Checksum,
    #[error("{0}")]
    Content(String),
    #[error("its format is {0}")]
    Format(u32),
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// Returns the text of a file. The content begins with its format.
pub(super) fn seal(comment: &str, content: &impl Serialize) -> String {
    let content = toml::to_string(content).expect("numbers and text are always TOML");
    let sealed = format!("{comment}{content}");
    let checksum = crc32fast::hash(sealed.as_bytes());
    format!("{sealed}{SEAL}{checksum:08x}\n")
}

/// Reads the content of a text of this format.
pub(super) fn unseal<T: DeserializeOwned>(text: &str, format: u32) -> Result<T, SealError> {
    if let Ok(FormatOnly { format: found }) = toml::from_str(text)
        && found != format
    {
        return Err(SealError::Format(found));
    }
    let (sealed, checksum) = text.rsplit_once(SEAL).ok_or(SealError::Checksum)?;
    if checksum != format!("{:08x}\n", crc32fast::hash(sealed.as_bytes())) {
        return Err(SealError::Checksum);
    }
    toml::from_str(sealed).map_err(|error| SealError::Content(error.to_string()))
}

/// Replaces the file of this name in a directory, atomically.
pub(super) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.new"));
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, directory.join(name))?;
    sync_directory(directory)
}

/// Syncs the names in a directory to the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Content {
        format: u32,
        name: String,
    }

    fn content() -> Content {
        Content { format: 2, name: "a \"quoted\"\nname".into() }
    }

    #[test]
    fn what_is_sealed_is_read_back() {
        let text = seal("# a comment\n", &content());
        assert!(text.starts_with("# a comment\nformat = 2\n"), "{text}");
        assert_eq!(unseal(&text, 2), Ok(content()));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let text = seal("# a comment\n", &content()).into_bytes();
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut flipped = text.clone();
                flipped[at] ^= 1 << bit;
                let flipped = String::from_utf8(flipped).expect("ASCII stays ASCII");
                assert!(unseal::<Content>(&flipped, 2).is_err(), "bit {bit} of byte {at}");
            }
            let cut = String::from_utf8(text[..at].to_vec()).expect("it is ASCII");
            assert!(unseal::<Content>(&cut, 2).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_format_is_known_for_what_it_is_whatever_else_it_says() {
        for other in [1, 3] {
            let text = format!("format = {other}\nshape = \"unknown\"\n");
            assert_eq!(unseal::<Content>(&text, 2), Err(SealError::Format(other)));
        }
    }
}
