//! The settings that only checks with a request have: HTTP, HTTPS, and gRPC as far as it goes.

use super::error::{Problem, quoted};
use super::rules::Rules;
use super::spec::HealthCheckSpec;
use super::violation::{Violation, Wrong};
use super::{GrpcSettings, HttpSettings};
use crate::check::grpc;
use crate::check::http::{BodyMatch, Matcher, Method, Request, Version};
use crate::limits::{
    GRPC_SERVICE_CHARS_MAX, HTTP_HEADERS_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_HOST_CHARS_MAX,
    HTTP_PATH_CHARS_MAX, HTTP_POST_BYTES_MAX,
};
use std::time::Duration;

/// Headers that say where a message goes and how it is framed, and the cure for who wants them.
const OURS: [(&str, &str); 10] = [
    ("host", "set host instead"),
    ("connection", "set reuse instead"),
    ("keep-alive", "set reuse instead"),
    ("proxy-connection", "remove it"),
    ("content-length", "remove it; that of body is sent"),
    ("transfer-encoding", "remove it"),
    ("te", "remove it"),
    ("trailer", "remove it"),
    ("upgrade", "remove it"),
    ("expect", "remove it"),
];

impl HealthCheckSpec {
    /// Those of an HTTP or HTTPS check.
    pub(super) fn http(&self, rules: Rules) -> Result<HttpSettings, Violation> {
        let method = self.method(rules)?;
        Ok(HttpSettings {
            request: Request {
                method,
                version: self.version(rules)?,
                path: self.path(rules)?,
                host: self.host()?,
                headers: self.headers(rules)?,
                body: self.body(rules, method)?,
            },
            matcher: self.matcher(rules)?,
            body_match: self.body_match(rules, method)?,
        })
    }

    /// Those of a GRPC or GRPCS check.
    pub(super) fn grpc(&self) -> Result<GrpcSettings, Violation> {
        let service = self.grpc_service.clone().unwrap_or_default();
        if service.len() > GRPC_SERVICE_CHARS_MAX || service.contains(char::is_control) {
            let what = "is not the name of a service";
            let cure = format!("allowed: up to {GRPC_SERVICE_CHARS_MAX} printable characters");
            return Err(Violation::malformed("grpc_service", quoted(&service), what, cure));
        }
        let host = self.host()?;
        // The timeout is only written down in it.
        if let Err(what) = grpc::Check::new(&service, host.as_deref(), Duration::ZERO) {
            let value = quoted(host.as_deref().unwrap_or_default());
            let cure = "write a name or an address, with :PORT if need be".to_owned();
            let wrong = Wrong::Part { what: format!("{value} {what}"), cure };
            return Err(Violation { setting: "host", value, wrong });
        }
        Ok(GrpcSettings { service, host })
    }

    fn path(&self, rules: Rules) -> Result<String, Violation> {
        let Some(path) = &self.path else { return Ok("/".to_owned()) };
        if let Some(wrong) = path_wrong(path) {
            return Err(Violation::malformed("path", quoted(path), wrong, PATH_CURE));
        }
        let most = rules.path_chars_max();
        if path.len() > most {
            let allowed = format!("1 to {most} characters");
            return Err(rules.outside("path", quoted(path), allowed, true));
        }
        Ok(path.clone())
    }

    fn host(&self) -> Result<Option<String>, Violation> {
        let Some(host) = &self.host else { return Ok(None) };
        let fits = (1..=HTTP_HOST_CHARS_MAX).contains(&host.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if !fits || !host.bytes().all(plain) {
            let cure = "write a name or address of 1 to 253 characters, with :PORT if need be";
            return Err(Violation::malformed("host", quoted(host), "is not a Host header", cure));
        }
        Ok(Some(host.clone()))
    }

    fn matcher(&self, rules: Rules) -> Result<Matcher, Violation> {
        let Some(text) = &self.matcher else { return Ok(rules.matcher_default()) };
        let matcher: Matcher = text.parse().map_err(|message: String| {
            let (what, cure) =
                message.split_once("; ").unwrap_or((&message, "write it as 200-399"));
            let wrong = Wrong::Part { what: what.to_owned(), cure: cure.to_owned() };
            Violation { setting: "matcher", value: quoted(text), wrong }
        })?;
        match rules.matcher_allowed(&matcher) {
            Ok(()) => Ok(matcher),
            Err(allowed) => Err(rules.outside("matcher", quoted(text), allowed, true)),
        }
    }

    fn method(&self, rules: Rules) -> Result<Method, Violation> {
        let method = self.method.unwrap_or_default();
        match rules.method_allowed(method) {
            Ok(()) => Ok(method),
            Err(allowed) => Err(rules.outside("method", quoted(method.name()), allowed, true)),
        }
    }

    fn version(&self, rules: Rules) -> Result<Version, Violation> {
        let default = rules.version_default();
        let version = self.http_version.unwrap_or(default);
        if version != default && !rules.version_can_be_chosen() {
            let allowed = format!("{} only", default.name());
            return Err(rules.outside("http_version", quoted(version.name()), allowed, true));
        }
        Ok(version)
    }

    fn headers(&self, rules: Rules) -> Result<Vec<(String, String)>, Violation> {
        let Some(headers) = &self.headers else { return Ok(Vec::new()) };
        rules.free_only("headers", || "a table".to_owned())?;
        let part = |Problem { what, cure }| {
            let wrong = Wrong::Part { what, cure };
            Violation { setting: "headers", value: "a table".to_owned(), wrong }
        };
        for (name, value) in headers {
            header_problem(name, value).map_or(Ok(()), |problem| Err(part(problem)))?;
        }
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        if headers.len() > HTTP_HEADERS_MAX || bytes > HTTP_HEADERS_BYTES_MAX {
            let cure = format!(
                "allowed: {HTTP_HEADERS_MAX} headers with {HTTP_HEADERS_BYTES_MAX} bytes together"
            );
            return Err(part(Problem::new("are too many", cure)));
        }
        Ok(headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn body(&self, rules: Rules, method: Method) -> Result<String, Violation> {
        let Some(body) = &self.body else { return Ok(String::new()) };
        rules.free_only("body", || quoted(body))?;
        let wrong = |what, cure: &str| Err(Violation::malformed("body", quoted(body), what, cure));
        if method != Method::Post && !body.is_empty() {
            return wrong("has a meaning for method \"POST\" only", "add method = \"POST\"");
        }
        if body.len() > HTTP_POST_BYTES_MAX {
            return wrong("is too long", &format!("allowed: up to {HTTP_POST_BYTES_MAX} bytes"));
        }
        Ok(body.clone())
    }

    fn body_match(&self, rules: Rules, method: Method) -> Result<Option<BodyMatch>, Violation> {
        let (setting, text) = match (&self.body_contains, &self.body_regex) {
            (None, None) => return Ok(None),
            (Some(text), None) => ("body_contains", text),
            (None, Some(text)) => ("body_regex", text),
            (Some(_), Some(text)) => {
                let (what, cure) = ("does not go with body_contains", "remove one of them");
                return Err(Violation::malformed("body_regex", quoted(text), what, cure));
            }
        };
        rules.free_only(setting, || quoted(text))?;
        if method == Method::Head {
            let (what, cure) = ("has no meaning with method \"HEAD\"", "use method = \"GET\"");
            return Err(Violation::malformed(setting, quoted(text), what, cure));
        }
        let matched = match setting {
            "body_regex" => BodyMatch::regex(text),
            _ => BodyMatch::contains(text),
        };
        matched.map(Some).map_err(|what| {
            let wrong = Wrong::Part {
                what: format!("{} {what}", quoted(text)),
                cure: "write what the body must contain".to_owned(),
            };
            Violation { setting, value: quoted(text), wrong }
        })
    }
}

/// What is wrong with a header.
fn header_problem(name: &str, value: &str) -> Option<Problem> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_plain = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    let ours = OURS.into_iter().find(|(ours, _)| ours.eq_ignore_ascii_case(name));
    let quoted = quoted(name);
    if name.is_empty() || !name.bytes().all(is_token) {
        let cure = "use letters, digits and hyphens";
        Some(Problem::new(format!("has {quoted}, not a header's name"), cure))
    } else if let Some((_, cure)) = ours {
        Some(Problem::new(format!("has {quoted}, which is not yours to set"), cure))
    } else if !value.bytes().all(is_plain) || value.trim_matches([' ', '\t']) != value {
        let cure = "use visible ASCII characters, and blanks between them";
        Some(Problem::new(format!("has {quoted} with a value that no header may have"), cure))
    } else {
        None
    }
}

/// What would be right where [`path_wrong`] finds something.
pub(crate) const PATH_CURE: &str = "write 1 to 1024 characters beginning with /, blanks as %20";

/// Why `path` is not a path of a health check, if so.
pub(crate) fn path_wrong(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not begin with /");
    }
    if path.len() > HTTP_PATH_CHARS_MAX {
        return Some("is too long");
    }
    let is_graphic = path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_graphic { None } else { Some("has blanks or characters that no request line may have") }
}
