//! Rules about the source itself, which no compiler checks: every test is run, the modules of the
//! core import each other in one direction only, and faults import no world.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the core in rows. A module may import from its own row and from those above it,
/// but the parts, which are siblings, import only from above; and what is for drivers alone is
/// imported by none. To add a module, put its name in the lowest row that it needs.
const ROWS: &[Row] = &[
    Row::Open(&[
        "codec",
        "time",
        "types",
        "key",
        "error",
        "quorum",
        "sampling",
        "sha",
        "hybrid",
        "fifo",
        "fingerprint",
        "in_flight",
        "durable",
        "deadline",
        "probe",
    ]),
    Row::Open(&["version", "layout", "ring", "config", "tally", "topology", "merkle", "write"]),
    Row::Open(&["event"]),
    Row::Open(&["store"]),
    Row::ForDrivers(&["storage"]),
    Row::Open(&["admin", "client", "message"]),
    Row::Open(&["wire"]),
    Row::Open(&["cx"]),
    Row::Siblings(&[
        "coordinator",
        "founding",
        "handoff",
        "membership",
        "repair",
        "replica",
        "session",
        "transfer",
    ]),
    Row::ForDrivers(&["node"]),
];

/// Modules that only tests use: they may import everything.
const FOR_TESTS: &[&str] = &["testing", "tests"];

enum Row {
    /// Its modules may import each other.
    Open(&'static [&'static str]),
    /// Its modules may not.
    Siblings(&'static [&'static str]),
    /// Its modules are entry points: neither they nor the rows below may import them.
    ForDrivers(&'static [&'static str]),
}

impl Row {
    fn modules(&self) -> &'static [&'static str] {
        match self {
            Self::Open(modules) | Self::Siblings(modules) | Self::ForDrivers(modules) => modules,
        }
    }
}

/// The row of a module, counted from the top.
fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.modules().contains(&module))
}

fn may_import(importer: &str, imported: &str) -> bool {
    if importer == imported {
        return true;
    }
    let (Some(of_importer), Some(of_imported)) = (row_of(importer), row_of(imported)) else {
        return false;
    };
    match ROWS[of_imported] {
        Row::Open(_) => of_imported <= of_importer,
        Row::Siblings(_) => of_imported < of_importer,
        Row::ForDrivers(_) => false,
    }
}

#[test]
fn every_test_at_the_top_belongs_to_a_target() {
    let declared: Vec<_> =
        ["kv-core", "kv-sim", "kv-node"].iter().flat_map(|package| test_targets(package)).collect();
    let tests = top().join("tests");
    for file in rust_files(&tests) {
        // A folder below tests/ holds modules of the file beside it.
        if file.parent() == Some(&tests) {
            let name = file.file_name().expect("a file").to_string_lossy().into_owned();
            assert!(
                declared.contains(&name),
                "tests/{name} is never run: declare it as [[test]] in a Cargo.toml"
            );
        }
    }
}

#[test]
fn the_modules_of_the_core_import_in_one_direction_only() {
    let source = top().join("kv-core/src");
    let mut broken = Vec::new();
    for file in rust_files(&source) {
        let importer = module_of(&source, &file);
        if importer == "lib" || is_for_tests(&source, &file) {
            continue;
        }
        if row_of(&importer).is_none() {
            broken.push(format!("{importer} stands in no row of ROWS: add it"));
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file can be read");
        for imported in imports(without_tests(&text)) {
            if !may_import(&importer, &imported) {
                broken.push(format!("{}: {importer} must not import {imported}", file.display()));
            }
        }
    }
    broken.dedup();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn faults_know_no_world() {
    let faults = top().join("kv-sim/src/faults");
    for file in rust_files(&faults) {
        if is_for_tests(&faults, &file) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file can be read");
        for imported in imports(without_tests(&text)) {
            let may_import = ["faults", "random", "scenario"].contains(&&*imported);
            assert!(may_import, "{}: a fault must not import {imported}", file.display());
        }
    }
}

#[test]
fn the_rule_lets_through_what_points_up_and_nothing_else() {
    let allowed = [
        ("node", "coordinator"),
        ("coordinator", "cx"),
        ("ring", "types"),
        ("hybrid", "time"),
        ("replica", "replica"),
        ("replica", "store"),
        ("storage", "store"),
    ];
    for (importer, imported) in allowed {
        assert!(may_import(importer, imported), "{importer} may import {imported}");
    }
    let refused = [
        ("coordinator", "replica"),
        ("replica", "node"),
        ("wire", "cx"),
        ("types", "version"),
        ("store", "message"),
        ("storage", "cx"),
        ("storage", "replica"),
        ("replica", "storage"),
        ("node", "storage"),
        ("types", "a_module_without_a_row"),
    ];
    for (importer, imported) in refused {
        assert!(!may_import(importer, imported), "{importer} must not import {imported}");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::time::Span;\n    pub(crate) use crate::{ring::Ring, tally::{A, B},\n  \
                wire};\nuse alloc::vec::Vec;\n/// use crate::not::this\n// use crate::nor::this;\n";
    assert_eq!(imports(text), ["time", "ring", "tally", "wire"]);
}

/// The top of the repository.
fn top() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("packages lie at the top").to_path_buf()
}

/// The names of the files that a package declares as tests, without their folder.
fn test_targets(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(top().join(package).join("Cargo.toml")).expect("a package");
    let manifest: BTreeMap<String, toml::Value> = toml::from_str(&manifest).expect("it is TOML");
    let tests = manifest.get("test").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    tests
        .iter()
        .filter_map(|test| test.get("path")?.as_str()?.strip_prefix("../tests/"))
        .map(ToOwned::to_owned)
        .collect()
}

/// All `.rs` files below a folder, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The module at the top of the crate that a file belongs to.
fn module_of(source: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(source).expect("it lies below");
    let first = inside.components().next().expect("it has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn is_for_tests(source: &Path, file: &Path) -> bool {
    let inside = file.strip_prefix(source).expect("it lies below").with_extension("");
    inside.iter().any(|part| FOR_TESTS.contains(&&*part.to_string_lossy()))
}

/// The text before its module of tests, which may import what it likes.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(before, _)| before)
}

/// The modules at the top of the crate that a text imports from.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut modules = Vec::new();
    for statement in code.split("use crate::").skip(1) {
        let tree = statement.split(';').next().unwrap_or_default();
        match tree.strip_prefix('{') {
            None => modules.extend(first_word(tree)),
            Some(list) => modules.extend(top_level(list).into_iter().filter_map(first_word)),
        }
    }
    modules
}

/// The elements of a list in braces, not those of lists within it.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut elements) = (0_u32, 0, Vec::new());
    for (position, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                elements.push(&list[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    elements
}

fn first_word(text: &str) -> Option<String> {
    let word =
        text.trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    (!word.is_empty()).then(|| word.to_owned())
}
