//! The part of JSON Schema that our documents use, so that what they promise is held against what is printed.

use serde_json::Value;

/// What `value` breaks of `schema`, with where it is; nothing if it is as promised. An instance may not have properties that the
/// schema does not name: a document that forgets one is wrong, too.
///
/// # Panics
/// If the schema uses a keyword that is not known here.
#[must_use]
pub fn broken(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    judge(schema, schema, value, "", &mut found);
    found
}

const WORDS: [&str; 3] = ["$schema", "title", "description"];

fn judge(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in keywords {
        let mut wrong = |holds: bool| {
            if !holds {
                found.push(format!("{at}: {value} breaks `{keyword}` {rule}"));
            }
        };
        match keyword.as_str() {
            "type" => wrong(types(rule).iter().any(|name| is(name, value))),
            "const" => wrong(rule == value),
            "enum" => wrong(rule.as_array().is_some_and(|all| all.contains(value))),
            "minimum" => wrong(value.as_i64().is_none_or(|number| Some(number) >= rule.as_i64())),
            "required" => {
                for name in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        found.push(format!("{at}: no `{name}`"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(of_it) => judge(root, of_it, inner, &format!("{at}/{name}"), found),
                        None => found.push(format!("{at}: `{name}` is not described")),
                    }
                }
            }
            "items" => {
                for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                    judge(root, rule, inner, &format!("{at}/{i}"), found);
                }
            }
            "oneOf" => {
                let fits = |one: &&Value| {
                    let mut broken = Vec::new();
                    judge(root, one, value, at, &mut broken);
                    broken.is_empty()
                };
                wrong(rule.as_array().into_iter().flatten().filter(fits).count() == 1);
            }
            "$ref" => {
                let pointer =
                    rule.as_str().and_then(|rule| rule.strip_prefix('#')).expect("a reference within the document");
                judge(root, root.pointer(pointer).expect("it leads somewhere"), value, at, found);
            }
            "$defs" => {}
            word => assert!(WORDS.contains(&word), "the keyword `{word}` is not known here"),
        }
    }
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type `{other}` is not known here"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_promises_is_held_against_a_value() {
        let schema = json!({
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": { "enum": ["x", null] },
                "b": { "type": ["integer", "null"], "minimum": 1 },
                "c": { "type": "array", "items": { "$ref": "#/$defs/text" } },
                "d": { "oneOf": [{ "type": "null" }, { "$ref": "#/$defs/text" }] },
            },
            "$defs": { "text": { "type": "string" } },
        });
        for good in [json!({"a": "x"}), json!({"a": null, "b": 3, "c": ["y"], "d": null}), json!({"a": "x", "d": "z"})]
        {
            assert_eq!(broken(&schema, &good), Vec::<String>::new());
        }
        for bad in [
            json!([]),
            json!({}),
            json!({"a": "y"}),
            json!({"a": "x", "b": 0}),
            json!({"a": "x", "b": "1"}),
            json!({"a": "x", "c": [1]}),
            json!({"a": "x", "d": 1}),
            json!({"a": "x", "e": 1}),
        ] {
            assert!(!broken(&schema, &bad).is_empty(), "{bad}");
        }
    }
}
