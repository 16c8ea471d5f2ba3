//! A file can be read in one go.

use std::fs;

use super::source::rust_files;
use super::top;

/// The most lines of a file. From about 500 on, look for the noun that can move out.
const LINES_MAX: usize = 600;

#[test]
fn no_file_is_too_long_to_read() {
    let folders = ["kv-core/src", "kv-node/src", "kv-sim/src", "tests"];
    let files = folders.iter().flat_map(|folder| rust_files(&top().join(folder)));
    let too_long: Vec<_> = files
        .filter_map(|file| {
            let lines =
                fs::read_to_string(&file).expect("a source file can be read").lines().count();
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "move a noun out of each:\n{}", too_long.join("\n"));
}
