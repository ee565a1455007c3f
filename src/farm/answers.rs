//! What each behaviour does once a request is there: bytes rendered once per mix, and how it ends.

use super::mix::{Behaviour, Mix};

/// Bytes of one portion of an endless head; the first one alone is over the 16 KiB that a probe
/// takes.
const ENDLESS_BYTES: usize = 20 * 1024;

/// What is done with a connection whose request is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All bytes at once, then FIN.
    Once(Box<[u8]>),
    /// RST.
    Reset,
    /// Nothing, ever.
    Never,
    /// One byte a beat, then FIN.
    Dribble(Box<[u8]>),
    /// `head`, then `more` every beat until the peer has enough.
    Endless {
        /// Sent first.
        head: Box<[u8]>,
        /// Sent every beat from then on.
        more: Box<[u8]>,
    },
}

impl Answer {
    /// The answers of all classes of `mix`, in its order.
    pub(super) fn all(mix: &Mix) -> Vec<Self> {
        mix.classes().iter().map(|class| Self::of(class.behaviour)).collect()
    }

    /// The answer of one behaviour. Refusing and silent targets never get a request; if one comes
    /// all the same, silence is nearest to what was asked for.
    pub(super) fn of(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::Healthy | Behaviour::Flap => Self::Once(response(200)),
            Behaviour::Status(status) => Self::Once(response(status)),
            Behaviour::Garbage => Self::Once(b"\x16\x03\x01 this is not HTTP\r\n\r\n"[..].into()),
            Behaviour::Cut => Self::Once(b"HTTP/1."[..].into()),
            Behaviour::Reset => Self::Reset,
            Behaviour::Stall | Behaviour::Refuse | Behaviour::Silent => Self::Never,
            Behaviour::Dribble => Self::Dribble(b"HTTP/1.1 200 OK\r\n\r\n"[..].into()),
            Behaviour::Endless => Self::endless(),
        }
    }

    fn endless() -> Self {
        let line = b"X-More: and more and more and more and more and more and more\r\n";
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        while head.len() < ENDLESS_BYTES {
            head.extend_from_slice(line);
        }
        Self::Endless { head: head.into(), more: line[..].into() }
    }
}

fn response(status: u16) -> Box<[u8]> {
    let reason = match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        404 => "Not Found",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Simulated",
    };
    let head = format!("HTTP/1.1 {status} {reason}\r\nConnection: close\r\n");
    let has_body = status >= 200 && status != 204 && status != 304;
    let body = if has_body { "Content-Length: 3\r\n\r\nok\n" } else { "\r\n" };
    (head + body).into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_head_is_over_the_limit_and_has_no_end() {
        let Answer::Endless { head, more } = Answer::of(Behaviour::Endless) else { panic!() };
        assert!(head.len() > crate::limits::HTTP_HEAD_BYTES_MAX);
        let all = [&head[..], &more[..], &more[..]].concat();
        assert!(!all.windows(4).any(|w| w == b"\r\n\r\n"));
    }

    #[test]
    fn responses_without_body_have_no_length() {
        let text = |status| String::from_utf8(response(status).into_vec()).unwrap();
        assert_eq!(text(204), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        assert!(text(503).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(text(503).ends_with("Content-Length: 3\r\n\r\nok\n"));
    }
}
