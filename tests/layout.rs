//! Rules about the source itself, which no compiler checks: every test is run, modules import each
//! other in one direction only, one name is one type, and no file is too long to read.

#[path = "layout/circles.rs"]
mod circles;
#[path = "layout/length.rs"]
mod length;
#[path = "layout/names.rs"]
mod names;
#[path = "layout/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Crate, rust_files};

/// The crates that the rules are about.
const PACKAGES: [&str; 3] = ["kv-core", "kv-node", "kv-sim"];

/// The modules of the core in rows. A module may import from its own row and from those above it,
/// but the parts, which are siblings, import only from above; and what is for drivers alone is
/// imported by none. To add a module, put its name in the lowest row that it needs.
const ROWS: &[Row] = &[
    Row::Open(&[
        "codec",
        "time",
        "types",
        "key",
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
        "log_runs",
    ]),
    Row::Open(&[
        "version", "value", "layout", "ring", "config", "tally", "topology", "merkle", "write",
    ]),
    Row::Open(&["event"]),
    Row::Open(&["store"]),
    Row::ForDrivers(&["log", "storage"]),
    Row::Open(&["admin", "client", "message"]),
    Row::Open(&["wire"]),
    Row::Open(&["cx"]),
    Row::Siblings(&[
        "coordinator",
        "founding",
        "handoff",
        "membership",
        "recall",
        "repair",
        "replica",
    ]),
    Row::ForDrivers(&["node"]),
];

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
    let source = Crate::read(&top(), "kv-core");
    let mut broken = Vec::new();
    for (module, file) in source.0.iter().filter(|(_, file)| !file.is_for_tests) {
        let Some(importer) = module.first() else { continue };
        if row_of(importer).is_none() {
            broken.push(format!("{importer} stands in no row of ROWS: add it"));
            continue;
        }
        for path in file.imports.iter().chain(file.exports.values()) {
            let imported = source.resolve(module, path).and_then(|found| found.first().cloned());
            if let Some(imported) = imported.filter(|imported| !may_import(importer, imported)) {
                let file = file.path.display();
                broken.push(format!("{file}: {importer} must not import {imported}"));
            }
        }
    }
    broken.dedup();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn faults_know_no_world() {
    let source = Crate::read(&top(), "kv-sim");
    let faults = |module: &[String]| module.first().is_some_and(|hall| hall == "faults");
    for (module, file) in source.0.iter().filter(|(module, _)| faults(module)) {
        for path in file.imports.iter().filter(|_| !file.is_for_tests) {
            let Some(imported) = source.resolve(module, path) else { continue };
            let may_import = ["faults", "random", "scenario"].contains(&imported[0].as_str());
            assert!(may_import, "{}: a fault must not import {imported:?}", file.path.display());
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
