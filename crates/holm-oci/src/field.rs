//! Which field of a configuration is wrong. Pure.

use serde::Deserialize;
use serde_json::Value;

/// A longer text's errors don't name their field: it is looked for by trying.
const LONGEST: usize = 64 << 10;
/// So often at most.
const TRIES: usize = 1000;

/// What `whole`, whose text has so many bytes, says.
///
/// # Errors
/// It says something else; by the field that is wrong, if that can be told.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(whole: &Value, length: usize) -> Result<T, String> {
    T::deserialize(whole).map_err(|error| {
        let error = error.to_string();
        let path = if length > LONGEST { String::new() } else { culprit::<T>(whole, &error) };
        if path.is_empty() { error } else { format!("{path}: {error}") }
    })
}

/// The smallest part without which the error is another one.
fn culprit<T: for<'a> Deserialize<'a>>(whole: &Value, error: &str) -> String {
    let (mut pointer, mut path, mut tries) = (String::new(), String::new(), TRIES);
    while let Some(here) = whole.pointer(&pointer) {
        let keys: Vec<String> = match here {
            Value::Object(fields) => fields.keys().cloned().collect(),
            Value::Array(items) => (0..items.len()).map(|place| place.to_string()).collect(),
            _ => break,
        };
        let matters = |key: &&String| {
            let mut without = whole.clone();
            match without.pointer_mut(&pointer) {
                Some(Value::Object(fields)) => drop(fields.remove(key.as_str())),
                Some(Value::Array(items)) => drop(key.parse().map(|place: usize| items.remove(place))),
                _ => {}
            }
            T::deserialize(&without).err().is_none_or(|other| other.to_string() != error)
        };
        let few = keys.len().min(tries);
        tries -= few;
        let Some(key) = keys[..few].iter().find(matters) else { break };
        pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        path = match here {
            Value::Array(_) => format!("{path}[{key}]"),
            _ if path.is_empty() => key.clone(),
            _ => format!("{path}.{key}"),
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::Spec;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let wrong = |value: Value| read::<Spec>(&value, 0).expect_err("it is wrong");
        let namespaces = json!([{ "type": "pid" }, { "type": "moon" }]);
        let said = wrong(json!({ "ociVersion": "1.0.0", "linux": { "namespaces": namespaces } }));
        assert!(said.starts_with("linux.namespaces[1].type: unknown variant `moon`"), "{said}");
        let said = wrong(json!({ "ociVersion": "1.0.0", "hooks": { "prestart": [{ "args": [] }] } }));
        assert_eq!(said, "hooks.prestart[0]: missing field `path`");
        let said = wrong(json!({ "ociVersion": "1.0.0", "annotations": { "a/b~c": 7 } }));
        assert!(said.starts_with("annotations.a/b~c: invalid type"), "{said}");
        assert!(wrong(json!(7)).starts_with("invalid type"));
    }
}
