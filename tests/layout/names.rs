//! One name for one type: who searches a crate for a name finds one thing.

use std::collections::BTreeMap;

use super::source::Crate;
use super::{PACKAGES, top};

#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let mut found = Vec::new();
    for package in PACKAGES {
        let source = Crate::read(&top(), package);
        let mut declared = BTreeMap::<_, Vec<_>>::new();
        for file in source.0.values() {
            for name in &file.types {
                declared.entry(name.clone()).or_default().push(file.path.display().to_string());
            }
        }
        let twice = declared.into_iter().filter(|(_, files)| files.len() > 1);
        found.extend(twice.map(|(name, files)| format!("{name}: {}", files.join(", "))));
    }
    assert!(found.is_empty(), "say what makes each another thing:\n{}", found.join("\n"));
}
