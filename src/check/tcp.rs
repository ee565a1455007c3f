//! The TCP check: a connection is a pass. It holds no state, because every event ends it.

use super::{Action, Event, connect_failed, exchange_failed};
use crate::outcome::{Code, Outcome};

/// What an event means to a TCP check.
pub fn handle(event: Event<'_>) -> Action {
    Action::Finish(match event {
        Event::Connected | Event::Sent | Event::Received(_) | Event::Closed => {
            Outcome::plain(Code::L4Ok)
        }
        Event::ConnectFailed(errno) => connect_failed(errno),
        // What goes first on the connection (a PROXY header) was not taken.
        Event::SendFailed(errno) | Event::ReceiveFailed(errno) => exchange_failed(errno),
        Event::Expired => Outcome::plain(Code::L4Tout),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn every_event_ends_it() {
        let code = |event| {
            let action = handle(event);
            let Action::Finish(outcome) = action else { panic!("{action:?}") };
            outcome.code
        };
        assert_eq!(code(Event::Connected), Code::L4Ok);
        assert_eq!(code(Event::ConnectFailed(Errno::ECONNREFUSED)), Code::L4Con);
        assert_eq!(code(Event::ConnectFailed(Errno::EMFILE)), Code::SockErr);
        assert_eq!(code(Event::SendFailed(Errno::EPIPE)), Code::L7Cut);
        assert_eq!(code(Event::Expired), Code::L4Tout);
    }
}
