//! No two files need each other: who reads one of them would have to read all of the circle.
//!
//! What a module takes from the modules that it lies in is not counted, since those are read before it;
//! nor is what a module only passes on.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Crate, ModulePath};
use super::{PACKAGES, top};

type Graph = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for package in PACKAGES {
        let source = Crate::read(&top(), package);
        found.extend(circles(&imports(&source)).into_iter().map(|circle| {
            let names: Vec<_> =
                circle.iter().map(|module| source.0[module].path.display().to_string()).collect();
            names.join("\n    ")
        }));
    }
    assert!(
        found.is_empty(),
        "these files need each other; move what both need into one that both import:\n    {}",
        found.join("\n\n    ")
    );
}

#[test]
fn a_circle_is_found_and_a_parent_is_none() {
    let graph = |edges: &[(&str, &str)]| -> Graph {
        let module = |name: &str| name.split("::").map(ToOwned::to_owned).collect::<ModulePath>();
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry(module(from)).or_default().insert(module(to));
        }
        graph
    };
    assert_eq!(
        circles(&graph(&[("a", "b"), ("b", "c"), ("d", "a")])),
        Vec::<Vec<ModulePath>>::new()
    );
    let circle = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]));
    assert_eq!(circle.len(), 1);
    assert_eq!(circle[0].iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// The imports of each file, but for those from the modules in which it lies.
fn imports(source: &Crate) -> Graph {
    let mut graph = Graph::new();
    for (module, file) in source.0.iter().filter(|(_, file)| !file.is_for_tests) {
        let imported = file.imports.iter().filter_map(|path| source.resolve(module, path));
        let imported = imported
            .filter(|other| !module.starts_with(other) && !source.0[other].is_for_tests)
            .collect();
        graph.insert(module.clone(), imported);
    }
    graph
}

/// The sets of modules of which each reaches every other, as sorted lists.
fn circles(graph: &Graph) -> Vec<Vec<ModulePath>> {
    let reached: BTreeMap<_, _> =
        graph.keys().map(|module| (module, reached_from(graph, module))).collect();
    let mut found = BTreeSet::new();
    for (module, beyond) in &reached {
        if beyond.contains(*module) {
            let back = |other: &&ModulePath| {
                reached.get(*other).is_some_and(|beyond| beyond.contains(*module))
            };
            found.insert(beyond.iter().filter(back).cloned().collect::<Vec<_>>());
        }
    }
    found.into_iter().collect()
}

fn reached_from(graph: &Graph, module: &ModulePath) -> BTreeSet<ModulePath> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![module]);
    while let Some(next) = left.pop() {
        for other in graph.get(next).into_iter().flatten() {
            if reached.insert(other.clone()) {
                left.push(other);
            }
        }
    }
    reached
}
