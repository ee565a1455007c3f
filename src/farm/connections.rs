//! The open connections of one thread that are not answered at once: a bounded slab, oldest first
//! out.
//!
//! A key holds slot and serial number, so that an event for a connection that is gone already finds
//! nothing. Invariant: never more than `max` connections; `ages` holds each open key once, in the
//! order of opening, and keys of closed ones until the next sweep.

use socket2::Socket;
use std::collections::VecDeque;

/// Names one connection for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    slot: u32,
    serial: u32,
}

impl Key {
    /// As epoll's token; never above `u64::MAX >> 1`.
    pub(super) fn token(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.serial)
    }

    /// The inverse of [`Key::token`].
    #[expect(clippy::cast_possible_truncation, reason = "takes the halves apart")]
    pub(super) fn from_token(token: u64) -> Self {
        Self { slot: (token >> 32) as u32, serial: token as u32 }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The request is not complete: its last bytes, and how many there were.
    Request {
        /// The last three bytes; zeros before the first.
        tail: [u8; 3],
        /// Bytes read.
        read: u32,
    },
    /// It will never be answered.
    Stalled,
    /// This many bytes of the answer are sent.
    Dribbling(usize),
    /// The head has no end.
    Endless,
}

/// One open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// Index of its answer.
    pub(super) class: usize,
    pub(super) progress: Progress,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Vec<(u32, Option<Connection>)>,
    free: Vec<u32>,
    ages: VecDeque<Key>,
    max: usize,
}

impl Connections {
    /// Room for `max` connections.
    pub(super) fn new(max: usize) -> Self {
        // Slots stay below 2^31, so that tokens stay below those of the listeners.
        let max = max.clamp(1, 1 << 24);
        Self { slots: Vec::new(), free: Vec::new(), ages: VecDeque::new(), max }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Keeps a connection; where there is no room, the oldest is closed for it.
    pub(super) fn insert(&mut self, connection: Connection) -> Key {
        if self.open() == self.max {
            self.close_oldest();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.slots[slot as usize];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = Some(connection);
        let key = Key { slot, serial: entry.0 };
        self.ages.push_back(key);
        self.sweep();
        key
    }

    /// The connection, if it is still open.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Connection> {
        let entry = self.slots.get_mut(key.slot as usize)?;
        if entry.0 == key.serial { entry.1.as_mut() } else { None }
    }

    /// Takes the connection out; dropping it closes it.
    pub(super) fn remove(&mut self, key: Key) -> Option<Connection> {
        self.get(key)?;
        self.free.push(key.slot);
        self.slots[key.slot as usize].1.take()
    }

    /// Closes the oldest connection; false where none is open.
    pub(super) fn close_oldest(&mut self) -> bool {
        while let Some(key) = self.ages.pop_front() {
            if self.remove(key).is_some() {
                return true;
            }
        }
        false
    }

    /// Forgets the keys of closed connections once they are most of `ages`: amortised O(1).
    fn sweep(&mut self) {
        if self.ages.len() > 2 * self.open() + 64 {
            let slots = &self.slots;
            self.ages.retain(|key| {
                let entry = &slots[key.slot as usize];
                entry.0 == key.serial && entry.1.is_some()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    fn connection(class: usize) -> Connection {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        Connection { socket, class, progress: Progress::Stalled }
    }

    #[test]
    fn the_oldest_goes_where_there_is_no_room() {
        let mut all = Connections::new(3);
        let keys: Vec<_> = (0..5).map(|class| all.insert(connection(class))).collect();
        assert_eq!(all.open(), 3);
        let open: Vec<_> = keys.iter().filter_map(|&key| Some(all.get(key)?.class)).collect();
        assert_eq!(open, [2, 3, 4]);
        assert!(all.remove(keys[3]).is_some());
        assert!(all.remove(keys[3]).is_none(), "a key names one connection only");
        assert_eq!(Key::from_token(keys[4].token()), keys[4]);
    }

    #[test]
    fn what_is_remembered_stays_bounded() {
        let mut all = Connections::new(10);
        let stalled = all.insert(connection(7));
        for _ in 0..10_000 {
            let key = all.insert(connection(0));
            all.remove(key);
        }
        assert!(all.ages.len() < 100 && all.slots.len() == 2);
        assert_eq!(all.get(stalled).map(|c| c.class), Some(7));
    }
}
