//! Answers, as JSON or, where it is asked for, as XML: one tree of values, two ways to write it.
//!
//! In XML a list is its element repeated, the way Alibaba's gateway writes it; an empty list is
//! nothing.

use super::error::AlibabaError;
use crate::api::answer::to_json;
use crate::api::xml::Xml;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

impl Format {
    /// The content type, to the letter: the SDK reads an error in XML only with this one.
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }

    /// The answer `tree` to a call; `root` is its name in XML.
    fn response(self, status: StatusCode, root: &str, tree: &Value) -> Response {
        let body = match self {
            Self::Json => to_json(tree),
            Self::Xml => {
                let mut xml = Xml::default();
                write(&mut xml, root, tree);
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}", xml.into_text())
            }
        };
        (status, [(CONTENT_TYPE, self.content_type())], body).into_response()
    }
}

/// What a call answers, before the request's id is added.
pub(super) type Content = Map<String, Value>;

/// The content that `json!` made; an answer is always an object.
pub(super) fn content(value: Value) -> Content {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Content::new()
        }
    }
}

/// The answer to a call that was carried out.
pub(super) fn success(
    format: Format,
    action: &str,
    mut content: Content,
    request_id: &str,
) -> Response {
    content.insert("RequestId".to_owned(), request_id.into());
    format.response(StatusCode::OK, &format!("{action}Response"), &Value::Object(content))
}

/// The answer to a call that was not.
pub(super) fn failure(
    format: Format,
    error: &AlibabaError,
    request_id: &str,
    host: &str,
) -> Response {
    let tree = json!({
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
    });
    format.response(error.status, "Error", &tree)
}

/// Writes `value` as the element `name`. It is as deep as our own answers are.
fn write(xml: &mut Xml, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => xml.plain(name, value),
        Value::Number(value) => xml.plain(name, value),
        Value::String(value) => xml.text(name, value),
        Value::Array(values) => values.iter().for_each(|value| write(xml, name, value)),
        Value::Object(map) => xml.element(name, |xml| {
            map.iter().for_each(|(name, value)| write(xml, name, value));
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_repeated_elements() {
        let mut xml = Xml::default();
        let tree = json!({"A": [{"B": 1}, {"B": "<"}], "C": [], "D": {"E": true, "F": null}});
        write(&mut xml, "R", &tree);
        let expected = "<R><A><B>1</B></A><A><B>&lt;</B></A><D><E>true</E></D></R>";
        assert_eq!(xml.into_text(), expected);
    }
}
