//! Names that scenarios and scripts used before release 0.2, and that stay understood until 0.3.
//!
//! A reader of names asks here for the present one first; JSON that is written shows a value under
//! its former key as well, so that scripts have time to change.

use serde_json::Value;

/// ScenarioKeys at the top of a scenario, and of the JSON of runs and sweeps: each former one with the
/// present.
pub const KEYS: [(&str, &str); 4] =
    [("marks", "probes"), ("mark_runs", "probe_runs"), ("mark", "probe"), ("calm", "nominal")];

/// Former names of probes, each with the present.
const PROBES: [(&str, &str); 13] = [
    ("stand-in-minted", "fallback-minted"),
    ("stand-in-for-two", "fallback-for-two"),
    ("epoch-after-damage", "epoch-after-corruption"),
    ("unsynced-read-refused", "incomplete-read-refused"),
    ("damaged-read-refused", "corrupt-read-refused"),
    ("record-damaged", "record-corrupt"),
    ("damaged-record-replaced", "corrupt-record-replaced"),
    ("damaged-record-deleted", "corrupt-record-deleted"),
    ("hint-damaged", "hint-corrupt"),
    ("partition-synced", "partition-complete"),
    ("key-mended", "key-repaired"),
    ("key-mended-in-vain", "key-repaired-in-vain"),
    ("message-damaged", "message-corrupted"),
];

/// Former names of aspects, each with the present.
const ASPECTS: [(&str, &str); 1] = [("damage", "flipped-bits")];

/// The present name of a probe.
pub fn probe(name: &str) -> &str {
    present(&PROBES, name)
}

/// The present name of an aspect.
pub fn aspect(name: &str) -> &str {
    present(&ASPECTS, name)
}

fn present<'a>(names: &[(&str, &'static str)], name: &'a str) -> &'a str {
    names.iter().find(|(former, _)| *former == name).map_or(name, |(_, present)| present)
}

/// Adds the former keys to a JSON value, everywhere in it.
pub fn add(value: &mut Value) {
    for_each_object(value, &mut |object| {
        for (former, present) in KEYS {
            if let Some(value) = object.get(present).cloned() {
                object.insert(former.to_owned(), value);
            }
        }
    });
}

/// Takes former keys out of a JSON value; a value that stands only under one of them is moved to
/// the present key.
pub fn replace(value: &mut Value) {
    for_each_object(value, &mut |object| {
        for (former, present) in KEYS {
            if let Some(value) = object.remove(former) {
                object.entry(present).or_insert(value);
            }
        }
    });
}

fn for_each_object(
    value: &mut Value,
    change: &mut impl FnMut(&mut serde_json::Map<String, Value>),
) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(|value| for_each_object(value, change));
            change(object);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| for_each_object(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::probes::Branch;
    use crate::random::address::Aspect;

    #[test]
    fn each_former_name_leads_to_one_that_is_there_and_is_none_itself() {
        for (former, present) in PROBES {
            assert!(Branch::named(present).is_some(), "{present}");
            assert_eq!(Branch::named(former).map(Branch::name), Some(present));
            assert!(Branch::all().all(|branch| branch.name() != former), "{former}");
        }
        for (former, present) in ASPECTS {
            assert!(Aspect::ALL.iter().any(|aspect| aspect.name() == present), "{former}");
        }
    }

    #[test]
    fn json_is_written_with_both_keys_and_read_with_either() {
        let present = json!({ "probes": { "busy": 1 }, "list": [{ "probe": "busy" }] });
        let mut both = present.clone();
        add(&mut both);
        assert_eq!((&both["marks"]["busy"], &both["list"][0]["mark"]), (&1.into(), &"busy".into()));
        replace(&mut both);
        assert_eq!(both, present);
        let mut former = json!({ "marks": { "busy": 1 }, "list": [{ "mark": "busy" }] });
        replace(&mut former);
        assert_eq!(former, present);
    }
}
