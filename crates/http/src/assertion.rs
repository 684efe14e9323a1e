//! A passkey's answer as clients give it: what `PublicKeyCredential.toJSON()` makes, as an object or as
//! its text.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::passkey::Assertion;
use serde_json::Value;

use crate::api_error::ApiError;

/// Takes it with padding and without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads it.
///
/// # Errors
/// [`ApiError::Field`].
pub fn read_assertion(value: &Value) -> Result<Assertion, ApiError> {
    let not_json = "must be the JSON that a passkey answers with";
    let parsed;
    let object = match value {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text.trim())
                .map_err(|_| ApiError::field("assertion", not_json))?;
            &parsed
        }
        object => object,
    };
    if !object.is_object() {
        return Err(ApiError::field("assertion", not_json));
    }
    let id = if object["rawId"].is_null() { "id" } else { "rawId" };
    Ok(Assertion {
        credential_id: bytes(object, &[id])?,
        client_data_json: bytes(object, &["response", "clientDataJSON"])?,
        authenticator_data: bytes(object, &["response", "authenticatorData"])?,
        signature: bytes(object, &["response", "signature"])?,
        user_handle: match &object["response"]["userHandle"] {
            Value::Null => None,
            Value::String(empty) if empty.is_empty() => None,
            _ => Some(bytes(object, &["response", "userHandle"])?),
        },
    })
}

fn bytes(object: &Value, path: &[&str]) -> Result<Vec<u8>, ApiError> {
    let value = path.iter().fold(object, |value, name| &value[*name]);
    let text = value.as_str().unwrap_or_default().replace('+', "-").replace('/', "_");
    match BASE64URL.decode(&text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => {
            let field = format!("assertion.{}", path.join("."));
            Err(ApiError::field(field, "must be bytes in base64url"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({
            "id": "AQID", "rawId": "AQID", "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": "e30", "authenticatorData": "_-8=", "signature": "/+8",
                "userHandle": null,
            },
        })
    }

    #[test]
    fn an_object_and_its_text_are_the_same() {
        let read = read_assertion(&answer()).unwrap();
        assert_eq!(read, read_assertion(&answer().to_string().into()).unwrap());
        assert_eq!(read.credential_id, [1, 2, 3]);
        assert_eq!((read.authenticator_data, read.signature), (vec![255, 239], vec![255, 239]));
        assert_eq!(read.user_handle, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |value: Value| match read_assertion(&value).unwrap_err() {
            ApiError::Field { field, .. } => field,
            other => panic!("{other:?}"),
        };
        for value in [json!("hello"), json!(7), json!([]), json!(null)] {
            assert_eq!(refused(value), "assertion");
        }
        let mut without = answer();
        without["response"]["signature"] = json!("***");
        assert_eq!(refused(without), "assertion.response.signature");
        assert_eq!(refused(json!({})), "assertion.id");
    }
}
