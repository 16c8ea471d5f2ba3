//! One word for one thing: former words stay out of code, scenarios and documents, and whoever writes
//! one is told the present one. `ARCHITECTURE.md` ends with the glossary.

use std::fs;
use std::path::{Path, PathBuf};

/// What is looked at, from the root of the repository.
const PLACES: &[&str] = &[
    "kv-core",
    "kv-node",
    "kv-sim",
    "scenarios",
    "tests",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

/// Files that name former words because that is what they are about.
const EXCEPTIONS: &[&str] = &["kv-sim/src/scenario/former_names.rs", "tests/vocabulary.rs"];

/// A word that is not used, in small letters and with spaces between its parts, and what is.
/// `stand in` is found in `StandIn`, `stand_ins` and `stand-in`, and not in "they stand in a row".
const WORDS: &[(&str, &str)] = &[
    ("agenda", "event queue"),
    ("asker", "requester, or `from`"),
    ("chronicle", "narrative"),
    ("damage", "corrupt, incomplete or stale"),
    ("damaged", "corrupt"),
    ("deed", "operation"),
    ("desk", "issuer"),
    ("doom", "kill at"),
    ("errand", "command, or request"),
    ("happening", "event"),
    ("heir", "fallback, or other owner"),
    ("mark synced", "mark complete"),
    ("mend", "repair"),
    ("mended", "repaired"),
    ("mending", "repairing"),
    ("parcel", "message in transit"),
    ("patience", "timeout"),
    ("robbed", "taken from"),
    ("rotten", "corrupt"),
    ("ruin", "disk fault"),
    ("shelf", "reservoir"),
    ("stand in", "fallback"),
    ("survey", "what it is"),
    ("world mark", "world probe"),
    ("young", "fresh"),
];

/// The same, where the parts are words of a sentence.
const PHRASES: &[(&str, &str)] = &[
    ("make whole", "repair"),
    ("made whole", "repaired"),
    ("name the write", "mint"),
    ("named the write", "minted"),
    ("names the write", "mints"),
    ("whole again", "repaired"),
];

#[test]
fn former_words_are_gone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for place in PLACES {
        collect(&root.join(place), &mut files);
    }
    assert!(files.len() > 200, "{} files are not all there are", files.len());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("it lies below the root").display().to_string();
        if EXCEPTIONS.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("it is text");
        for (number, line) in text.lines().enumerate() {
            for (word, instead) in words_in(line) {
                found.push(format!("{name}:{}: `{word}`: say {instead}", number + 1));
            }
        }
        for (word, instead) in words_in(&name) {
            found.push(format!("{name}: `{word}` in its name: say {instead}"));
        }
    }
    assert!(found.is_empty(), "former words:\n{}", found.join("\n"));
}

#[test]
fn a_former_word_is_found_however_it_is_written() {
    for text in
        ["an errand", "Errand::Join", "on_errand", "ERRANDS_MAX", "MakeErrands", "an-errand."]
    {
        assert_eq!(words_in(text), [("errand", "command, or request")], "{text}");
    }
    for text in ["stand_ins", "StandIn", "stand-in", "a stand-in for two"] {
        assert_eq!(words_in(text), [("stand in", "fallback")], "{text}");
    }
    for text in ["the replica named the write", "whichever named the write."] {
        assert_eq!(words_in(text), [("named the write", "minted")], "{text}");
    }
    for text in ["recommend", "heirloom", "they stand in the file", "outstanding", "theirs"] {
        assert_eq!(words_in(text), [], "{text}");
    }
}

/// The former words in a text, each with what to say instead.
fn words_in(text: &str) -> Vec<(&'static str, &'static str)> {
    let parts = parts(text);
    let sentence = parts.replace('|', " ");
    let words = WORDS.iter().filter(|(word, _)| contains(&parts, word));
    let phrases = PHRASES.iter().filter(|(phrase, _)| contains(&sentence, phrase));
    words.chain(phrases).copied().collect()
}

/// Tells whether the word, or more than one of it, stands between two ends.
fn contains(parts: &str, word: &str) -> bool {
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    parts.match_indices(word).any(|(at, _)| {
        let rest = &parts[at + word.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        is_end(parts[..at].chars().next_back()) && is_end(rest.chars().next())
    })
}

/// The text in small letters, with a space where a name is made of parts (`CamelCase`, `snake_case`,
/// `with-hyphens`) and a bar where one ends.
fn parts(text: &str) -> String {
    let mut parts = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            parts.push(' ');
        }
        match letter {
            '-' | '_' => parts.push(' '),
            letter if letter.is_alphanumeric() => parts.push(letter.to_ascii_lowercase()),
            _ if parts.ends_with('|') => {}
            _ => parts.push('|'),
        }
        before = letter;
    }
    parts
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("it can be listed") {
            collect(&entry.expect("it can be listed").path(), files);
        }
        return;
    }
    let kinds = ["rs", "toml", "md", "mutant", "py", "js", "html", "sh", "snap"];
    if path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known)) {
        files.push(path.to_owned());
    }
}
