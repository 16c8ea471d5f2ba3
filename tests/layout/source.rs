//! The source of one crate as the rules look at it: which file is which module, what each imports,
//! and which types it declares. Code for tests alone is left out of the imports, not of the types.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Ident, Item, UseTree, Visibility};

/// The path of a module within its crate; empty for the crate itself.
pub(crate) type ModulePath = Vec<String>;

/// The files of a crate by the modules that they are.
pub(crate) struct Crate(pub(crate) BTreeMap<ModulePath, SourceFile>);

/// The parts of a file that the rules are about.
#[derive(Default)]
pub(crate) struct SourceFile {
    /// The file, from the top of the repository.
    pub(crate) path: PathBuf,
    /// True if only tests use the module.
    pub(crate) is_for_tests: bool,
    /// The paths that the code uses, tests left out.
    pub(crate) imports: Vec<Vec<String>>,
    /// The types that the file declares, in whatever scope but that of a function.
    pub(crate) types: BTreeSet<String>,
    /// The paths that the file passes on, by the names that it gives them.
    pub(crate) exports: BTreeMap<String, Vec<String>>,
}

impl Crate {
    /// Reads the source of a package.
    pub(crate) fn read(top: &Path, package: &str) -> Self {
        let source = top.join(package).join("src");
        let mut files = BTreeMap::new();
        for path in rust_files(&source) {
            let inside = path.strip_prefix(&source).expect("it lies below").with_extension("");
            let mut module: ModulePath =
                inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            module.pop_if(|last| ["lib", "mod"].contains(&last.as_str()));
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let parsed = syn::parse_file(&text).expect("it compiles");
            let is_for_tests =
                module.iter().any(|part| ["testing", "tests"].contains(&part.as_str()));
            let path = path.strip_prefix(top).expect("it lies below").to_path_buf();
            let mut file = SourceFile { path, is_for_tests, ..SourceFile::default() };
            file.look_at(&parsed.items, is_for_tests);
            files.insert(module, file);
        }
        Self(files)
    }

    /// The module whose file declares what a module means by a path; none, if that is another crate.
    pub(crate) fn resolve(&self, from: &[String], path: &[String]) -> Option<ModulePath> {
        let mut rest = path;
        let mut at = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => from.to_vec(),
            first if self.0.contains_key(&[from, &[first.to_owned()]].concat()) => from.to_vec(),
            _ => return None,
        };
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    let below = [&at[..], &[name.to_owned()]].concat();
                    if self.0.contains_key(&below) {
                        at = below;
                    } else {
                        let exported = self.0.get(&at).and_then(|file| file.exports.get(name));
                        return exported
                            .and_then(|exported| self.resolve(&at, exported))
                            .or(Some(at));
                    }
                }
            }
            rest = others;
        }
        Some(at)
    }
}

impl SourceFile {
    fn look_at(&mut self, items: &[Item], in_tests: bool) {
        for item in items {
            match item {
                Item::Use(import) => {
                    let paths = paths_of(&import.tree);
                    if !matches!(import.vis, Visibility::Inherited) {
                        self.exports.extend(paths.into_iter().map(|(path, name)| (name, path)));
                    } else if !in_tests {
                        self.imports.extend(paths.into_iter().map(|(path, _)| path));
                    }
                }
                Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        self.look_at(items, in_tests || is_for_tests(&module.attrs));
                    }
                }
                Item::Struct(item) => self.declare(&item.ident),
                Item::Enum(item) => self.declare(&item.ident),
                Item::Union(item) => self.declare(&item.ident),
                Item::Trait(item) => self.declare(&item.ident),
                Item::Type(item) => self.declare(&item.ident),
                _ => {}
            }
        }
    }

    fn declare(&mut self, name: &Ident) {
        self.types.insert(name.to_string());
    }
}

/// All `.rs` files below a folder, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
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

/// Tells whether an item is compiled for tests only: `#[cfg(test)]`, or a condition that holds
/// `test`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "test")
                    && !condition.contains("not (test)")
            })
    })
}

/// The paths of an import, each with the name that it gets.
fn paths_of(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => paths_of(&path.tree)
            .into_iter()
            .map(|(below, name)| ([vec![path.ident.to_string()], below].concat(), name))
            .collect(),
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(name) => vec![(vec![name.ident.to_string()], name.rename.to_string())],
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(paths_of).collect(),
    }
}
