//! Files of a stopped or killed node that were corrupted: nothing is lost in silence, no value is wrong,
//! and what is good is there.

use kv_core::types::ContentHash;

use super::*;

/// The number of keys.
const KEYS: u64 = 60;

/// Chance, as a function of a seed and a count.
struct FileChance(u64, u64);

impl FileChance {
    fn below(&mut self, end: usize) -> usize {
        self.1 += 1;
        let draw = ContentHash::of(&[&self.0.to_be_bytes(), &self.1.to_be_bytes()]).0;
        (draw % end.max(1) as u128) as usize
    }
}

/// All files in a folder and below, in order.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let copied = to.join(file.strip_prefix(from).expect("it lies there"));
        std::fs::create_dir_all(copied.parent().expect("it has one")).expect("there is room");
        std::fs::copy(&file, copied).expect("there is room");
    }
}

/// The values that each key has had, the present one last.
type Histories = BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

fn write(machine: &mut Machine, histories: &mut Histories, draws: &mut FileChance, batches: usize) {
    for _ in 0..batches {
        let mut writes = BTreeMap::new();
        for _ in 0..4 {
            let key = format!("key {:03}", draws.below(KEYS as usize)).into_bytes();
            let record = (draws.below(6) > 0).then(|| {
                let bytes = draws.below(2_000);
                (0..bytes).map(|_| draws.below(256) as u8).collect::<Vec<_>>()
            });
            writes.insert(key, record);
        }
        machine.put(writes.iter().map(|(key, record)| (&key[..], record.as_deref())));
        for (key, record) in writes {
            histories.entry(key).or_insert_with(|| vec![None]).push(record);
        }
    }
}

/// A node's data with records in several tables and in several segments of the log. An older image of
/// it is put beside.
fn data(home: &Path, is_clean: bool) -> Histories {
    let (data, mut draws, mut histories) = (home.join("data"), FileChance(1, 0), Histories::new());
    for run in 1..4 {
        let mut machine = Machine::open(&data, run);
        for _ in 0..3 {
            write(&mut machine, &mut histories, &mut draws, 12);
            machine.flush();
        }
        write(&mut machine, &mut histories, &mut draws, 60);
        if run == 2 {
            machine.stop();
            copy(&data, &home.join("older"));
        } else if run < 3 || is_clean {
            machine.stop();
        } else {
            // What was synced last is said by what is written behind it.
            machine.engine.check().expect("the disk is well");
        }
    }
    histories
}

/// Corrupts one file of the data, or two. Returns in words what was done.
fn corrupt(data: &Path, older: &Path, draws: &mut FileChance) -> String {
    let all = files(data);
    let path = &all[draws.below(all.len())];
    let name = path.strip_prefix(data).expect("it lies there").display().to_string();
    let mut bytes = std::fs::read(path).expect("it can be read");
    let at = draws.below(bytes.len());
    let done = match draws.below(8) {
        0 => {
            std::fs::remove_file(path).expect("it is there");
            return format!("{name} removed");
        }
        1 => {
            let other = &all[draws.below(all.len())];
            let swapped = std::fs::read(other).expect("it can be read");
            std::fs::write(other, &bytes).expect("there is room");
            std::fs::write(path, swapped).expect("there is room");
            return format!("{name} swapped with {}", other.display());
        }
        2 => {
            let image = older.join(&name);
            let Ok(image) = std::fs::read(image) else { return "nothing".into() };
            bytes = image;
            "of an older image"
        }
        3 => {
            bytes.truncate(at);
            "cut"
        }
        4 => {
            let end = (at + 1 + draws.below(5_000)).min(bytes.len());
            bytes[at..end].fill(0);
            "with a hole"
        }
        5 => {
            bytes.extend(std::iter::repeat_n(0xa5, 1 + draws.below(300)));
            "longer"
        }
        6 => {
            // A page of another time.
            let Ok(image) = std::fs::read(older.join(&name)) else { return "nothing".into() };
            let end = (at + 4_096).min(bytes.len()).min(image.len());
            if let Some(page) = image.get(at..end) {
                bytes[at..end].copy_from_slice(page);
            }
            "with a page of an older image"
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << draws.below(8);
            }
            "with a flipped bit"
        }
    };
    std::fs::write(path, bytes).expect("there is room");
    format!("{name} {done}, at {at}")
}

/// Checks what is found after that. Returns the number of keys that are not as they were.
fn check(machine: &Machine, histories: &Histories, what: &str) -> usize {
    let mut lost = 0;
    for (key, history) in histories {
        let present = history.last().expect("there is a first");
        let key_words = key.escape_ascii();
        match machine.get(key) {
            Ok(record) if record.as_deref() == present.as_deref() => {}
            Ok(record) => {
                let record = record.map(|record| record.to_vec());
                assert_eq!(
                    machine.found,
                    StartFinding::Lacking,
                    "{what}: {key_words} lost in silence"
                );
                assert!(history.contains(&record), "{what}: {key_words} never had this value");
                lost += 1;
            }
            Err(Corrupt) => lost += 1,
        }
    }
    lost
}

fn corruptions(is_clean: bool, seeds: std::ops::Range<u64>) {
    let home = tempfile::tempdir().expect("there is room");
    let histories = data(home.path(), is_clean);
    let (mut lacking, mut losses, mut kept) = (0, 0, 0);
    for seed in seeds {
        let copied = home.path().join("copied");
        let _absent = std::fs::remove_dir_all(&copied);
        copy(&home.path().join("data"), &copied);
        let what = corrupt(&copied, &home.path().join("older"), &mut FileChance(seed, 0));
        let what = format!("seed {seed}, {what}");
        let opened = Machine::try_open(&copied, 4);
        let mut machine = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
        let lost = check(&machine, &histories, &what);
        let is_lacking = machine.found == StartFinding::Lacking;
        lacking += usize::from(is_lacking);
        losses += usize::from(lost > 0);
        kept += histories.len() - lost;
        // The loss is remembered until it was noted, and what is written then is found.
        drop(machine);
        machine = Machine::open(&copied, 5);
        assert_eq!(machine.found == StartFinding::Lacking, is_lacking, "{what}: forgotten");
        machine.put([(&b"noted"[..], Some(&b"yes"[..]))]);
        machine.flush();
        machine.put([(&b"later"[..], Some(&b"yes"[..]))]);
        machine.stop();
        let machine = Machine::open(&copied, 6);
        assert_eq!(machine.found, StartFinding::Whole, "{what}: found once more");
        assert_eq!((machine.get(b"noted"), machine.get(b"later")), (some("yes"), some("yes")));
    }
    assert!(lacking > 10 && losses > 10, "{lacking} found, {losses} that cost something");
    assert!(kept > losses * histories.len() / 2, "what is good is kept: {kept}");
}

#[test]
fn no_corruption_of_the_files_of_a_stopped_node_is_silent() {
    corruptions(true, 0..400);
}

#[test]
fn no_corruption_of_the_files_of_a_killed_node_is_silent() {
    corruptions(false, 1_000..1_400);
}
