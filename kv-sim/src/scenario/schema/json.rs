//! The reference of all keys as a JSON Schema, by which editors complete and check scenarios. It
//! demands less than the parser does: what depends on other keys is left out.

use serde_json::{Map, Value, json};

use super::sections;
use crate::faults::FAULTS;
use crate::scenario::key_doc::{DefaultDoc, KeyDoc, SectionDoc, ValueDoc};

/// Makes the JSON Schema of scenarios.
pub fn to_json() -> Value {
    let sections = sections();
    let mut schema = object_of(&sections, "");
    let details = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a scenario of kv-sim",
    });
    extend(&mut schema, details);
    let swarm = object_of(&sections, "[swarm]");
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("swarm".to_owned(), swarm);
    }
    // The nodes of a swarm are drawn.
    schema["required"] = json!(["title"]);
    schema
}

/// The schema of the table that stands under this head.
fn object_of(sections: &[SectionDoc], head: &str) -> Value {
    let section = sections.iter().find(|section| section.head == head);
    let Some(section) = section else { return json!({}) };
    match head {
        "[[fault]]" => fault(sections, section),
        "[probes]" => json!({
            "type": "object",
            "description": section.about,
            "additionalProperties": { "type": "integer", "minimum": 1 },
        }),
        _ => object(sections, section, &section.keys),
    }
}

fn object(sections: &[SectionDoc], section: &SectionDoc, keys: &[KeyDoc]) -> Value {
    let property = |key: &KeyDoc| (key.name.to_owned(), described(sections, key));
    let properties: Map<_, _> = keys.iter().map(property).collect();
    let required = keys.iter().filter(|key| key.default == DefaultDoc::Required);
    let required: Vec<_> = required.map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A fault is one of its kinds, with the keys that all of them take.
fn fault(sections: &[SectionDoc], shared: &SectionDoc) -> Value {
    let kinds = FAULTS.iter().filter_map(|word| {
        let head = format!("kind = \"{}\"", word.name);
        let section = sections.iter().find(|section| section.head == head)?;
        let keys: Vec<_> = shared.keys.iter().chain(&section.keys).copied().collect();
        let mut kind = object(sections, section, &keys);
        kind["properties"]["kind"] = json!({ "const": word.name });
        Some(kind)
    });
    json!({ "description": shared.about, "oneOf": kinds.collect::<Vec<_>>() })
}

fn described(sections: &[SectionDoc], key: &KeyDoc) -> Value {
    let mut schema = value(sections, key);
    extend(&mut schema, json!({ "description": key.about }));
    let default = match key.default {
        DefaultDoc::Number(number) => Some(json!(number)),
        // Numbers, words, flags and empty tables are the same in both languages.
        DefaultDoc::Value(text) => serde_json::from_str(text).ok(),
        DefaultDoc::Required | DefaultDoc::Nothing | DefaultDoc::Words(_) => None,
    };
    if let Some(default) = default {
        extend(&mut schema, json!({ "default": default }));
    }
    schema
}

fn value(sections: &[SectionDoc], key: &KeyDoc) -> Value {
    let whole = |min, max| json!({ "type": "integer", "minimum": min, "maximum": max });
    let range = |min: u64, max: u64| json!({ "type": "array", "items": whole(min as i64, max), "minItems": 2, "maxItems": 2 });
    match key.value {
        ValueDoc::Whole(min, max) => whole(min, max),
        ValueDoc::WholeOrRange(min, max) => {
            json!({ "oneOf": [whole(min as i64, max), range(min, max)] })
        }
        ValueDoc::Range(min, max) => range(min, max),
        ValueDoc::Decimal(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        ValueDoc::Probability => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        ValueDoc::Flag => json!({ "type": "boolean" }),
        ValueDoc::Text | ValueDoc::Node => json!({ "type": "string" }),
        ValueDoc::Word(words) => json!({ "enum": words }),
        ValueDoc::Words(words) => json!({ "type": "array", "items": { "enum": words } }),
        ValueDoc::Nodes => json!({ "type": "array", "items": { "type": "string" } }),
        ValueDoc::Table(head) => {
            let table = object_of(sections, head);
            let is_list = head.starts_with("[[") || key.default == DefaultDoc::Value("[]");
            if is_list { json!({ "type": "array", "items": table }) } else { table }
        }
        ValueDoc::Other(_) => json!({}),
    }
}

fn extend(schema: &mut Value, by: Value) {
    if let (Some(schema), Value::Object(by)) = (schema.as_object_mut(), by) {
        schema.extend(by);
    }
}
