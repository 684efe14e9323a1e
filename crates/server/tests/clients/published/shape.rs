//! Comparing an answer with a printed one: the same fields of the same types.

use serde_json::Value;

/// Asserts that an answer has the fields of the printed one, each of its type or null, and no more.
pub fn assert_same_shape(answer: &Value, printed: &Value, what: &str) {
    if let Err(difference) = compare(answer, printed) {
        panic!("{what}: {difference}\nanswered {answer}\nprinted {printed}");
    }
}

fn compare(answer: &Value, printed: &Value) -> Result<(), String> {
    match (answer, printed) {
        (Value::Object(answer), Value::Object(printed)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                object.keys().cloned().collect::<std::collections::BTreeSet<_>>()
            };
            if names(answer) != names(printed) {
                return Err(format!("fields {:?}, not {:?}", names(answer), names(printed)));
            }
            printed.iter().try_for_each(|(name, printed)| {
                compare(&answer[name], printed).map_err(|inner| format!("{name}: {inner}"))
            })
        }
        (Value::Array(answer), Value::Array(printed)) => match (answer.first(), printed.first()) {
            (Some(answer), Some(printed)) => compare(answer, printed),
            (None, Some(_)) => Err("an empty list".to_owned()),
            (_, None) => Ok(()),
        },
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => Ok(()),
        _ => Err(format!("{answer}, not like {printed}")),
    }
}

#[test]
fn fields_and_types_count() {
    use serde_json::json;
    let printed = json!({"data": [{"id": 1, "at": "x", "error": null}]});
    let good = json!({"data": [{"id": 7, "at": null, "error": "none"}]});
    assert_eq!(compare(&good, &printed), Ok(()));
    let fields = r#"{"at", "error", "id"}"#;
    for (bad, difference) in [
        (json!({"data": []}), "data: an empty list".to_owned()),
        (
            json!({"data": [{"id": 7, "at": "y"}]}),
            format!(r#"data: fields {{"at", "id"}}, not {fields}"#),
        ),
        (
            json!({"data": [{"id": "7", "at": "y", "error": null}]}),
            r#"data: id: "7", not like 1"#.to_owned(),
        ),
        (
            json!({"data": [{"id": 7, "at": "y", "error": null, "more": 1}]}),
            format!(r#"data: fields {{"at", "error", "id", "more"}}, not {fields}"#),
        ),
    ] {
        assert_eq!(compare(&bad, &printed), Err(difference), "{bad}");
    }
}
