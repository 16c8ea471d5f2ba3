//! The core is pure: it cannot name what would make it something else than a function of its inputs.
//! The compiler enforces most of it (`no_std`), clippy the rest; this fails when either is loosened.
//! The shell around it is not pure, but leaves nothing to chance that a test could not repeat.

use std::fs;
use std::path::{Path, PathBuf};

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kv-core")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The source without what only tests see: test modules are files of their own or stand last.
fn without_tests(path: &Path) -> String {
    let name = path.to_string_lossy();
    if name.contains("/tests") || name.contains("/testing") {
        return String::new();
    }
    let source = fs::read_to_string(path).expect("the source can be read");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

#[test]
fn the_core_has_no_standard_library_outside_its_tests() {
    let root = fs::read_to_string(core().join("src/lib.rs")).expect("the core has a root");
    assert!(root.contains("\n#![no_std]\n"));
    assert!(root.contains("\n#![forbid(unsafe_code)]\n"));
    let lines: Vec<&str> = root.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if line.contains("extern crate std") {
            assert_eq!(lines[at - 1], "#[cfg(test)]", "std is for tests only");
        }
    }
    for source in sources(&core().join("src")) {
        for word in ["std::", "extern crate std"] {
            let code = without_tests(&source).replace("#[cfg(test)]\nextern crate std;", "");
            assert!(!code.contains(word), "{} names {word}", source.display());
        }
    }
}

#[test]
fn the_core_holds_no_state_that_two_nodes_could_share() {
    for source in sources(&core().join("src")) {
        let code = without_tests(&source);
        for word in ["static ", "thread_local!", "Cell<", "Atomic", "Mutex", "unsafe "] {
            let statics = code.replace("&'static ", "");
            assert!(!statics.contains(word), "{} holds {word:?}", source.display());
        }
    }
}

/// The scores of sorted sets are floating-point numbers, and here is all that is done with them:
/// additions, comparisons and conversions, of which IEEE 754 says to the bit what they give.
const SCORES: &str = "src/value/score.rs";

#[test]
fn the_core_reckons_in_integers() {
    for source in sources(&core().join("src")) {
        if source.ends_with(SCORES) {
            continue;
        }
        let code = without_tests(&source);
        for word in ["f32", "f64"] {
            let named = code
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|identifier| identifier == word);
            assert!(!named, "{} reckons in {word}", source.display());
        }
    }
}

#[test]
fn clippy_refuses_clocks_chance_and_hash_order_in_the_core() {
    let lints = fs::read_to_string(core().join("clippy.toml")).expect("the core has its lints");
    for refused in [
        "std::collections::HashMap",
        "std::collections::HashSet",
        "std::time::Instant",
        "std::time::SystemTime",
        "std::thread::spawn",
        "std::env::var",
        "std::hash::RandomState::new",
    ] {
        assert!(lints.contains(refused), "clippy.toml of the core no longer refuses {refused}");
    }
    let workspace = fs::read_to_string(core().join("../Cargo.toml")).expect("there is a workspace");
    for lint in ["disallowed_types", "disallowed_methods", "disallowed_macros"] {
        assert!(workspace.contains(&format!("{lint} = \"deny\"")), "{lint} is no longer denied");
    }
}

#[test]
fn whoever_selects_in_the_node_looks_at_the_branches_in_their_order() {
    let node = core().join("../kv-node/src");
    let shell = core().join("../tests/shell");
    let mut selects = 0;
    for source in [sources(&node), sources(&shell)].concat() {
        let text = fs::read_to_string(&source).expect("the source can be read");
        for (_, branches) in
            text.match_indices("select!").map(|(at, word)| text.split_at(at + word.len()))
        {
            selects += 1;
            // Otherwise tokio draws the first branch from a seed of the whole process, and a run under
            // the deterministic runtime depends on those before it.
            let is_biased = branches.trim_start_matches([' ', '{', '\n']).starts_with("biased;");
            assert!(is_biased, "{} has a select! without `biased;`", source.display());
        }
    }
    assert!(selects >= 10, "only {selects} were found");
}
