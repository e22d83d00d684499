//! Owns what a merge means on plain values, apart from any text.

use std::collections::BTreeMap;

/// A value of any of the formats; two values are equal when a program could not tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    /// Everything that is neither null nor a collection, in one spelling per value.
    Scalar(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// `base` with everything that it lacks of `addition`; nothing where their kinds clash.
pub fn expected(base: &Value, addition: &Value) -> Option<Value> {
    match (base, addition) {
        (_, Value::Null) | (Value::Null | Value::Scalar(_), Value::Scalar(_)) => Some(base.clone()),
        (Value::Map(base), Value::Map(addition)) => {
            let mut merged = base.clone();
            for (key, added) in addition {
                let value = match base.get(key) {
                    Some(value) => expected(value, added)?,
                    None => added.clone(),
                };
                merged.insert(key.clone(), value);
            }
            Some(Value::Map(merged))
        }
        (Value::List(base), Value::List(addition)) => {
            let mut merged = base.clone();
            for added in addition {
                if !merged.contains(added) {
                    merged.push(added.clone());
                }
            }
            Some(Value::List(merged))
        }
        _ => None,
    }
}

/// A text in double quotes, which JSON and YAML read back as the same text.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if u32::from(control) < 0x20 || u32::from(control) == 0x7f => {
                quoted.extend(["\\u00", &format!("{:02x}", u32::from(control))]);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
