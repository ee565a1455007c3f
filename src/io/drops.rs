//! Packets that this host drops by itself and tells nobody of: a SYN that finds the table of
//! connections (nf_conntrack) or of neighbours full is gone, `connect` goes on as if it had left,
//! and the probe would look like the timeout of a target that is well.
//!
//! Only counters that no target can raise are taken. `early_drop` is not among them: there the new
//! connection got the place of an old one. Rules that drop are not either: they are meant.
//!
//! The files are those of the network namespace of the thread that opens them, stay open, and are
//! read in place: a few microseconds, no allocation once the buffer has its size. What is not there
//! has dropped nothing.

use crate::time::Instant;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Files of `/proc/thread-self/net/stat`, one line per CPU, and the columns that count.
/// `chainlength` is what the table drops where too many connections fall on one place of it.
const SOURCES: [(&str, &[&str]); 3] = [
    ("nf_conntrack", &["drop", "chainlength"]),
    ("arp_cache", &["table_fulls"]),
    ("ndisc_cache", &["table_fulls"]),
];
/// How often the kernel is asked at most.
const READ_EVERY: Duration = Duration::from_millis(10);
/// What is read at once: the kernel gives whole lines, a page of them at most.
const CHUNK: usize = 4_096;

/// The counters of one network namespace.
#[derive(Debug)]
pub struct Drops {
    files: [Option<File>; SOURCES.len()],
    text: Vec<u8>,
    read_at: Instant,
    dropped: u64,
}

impl Drops {
    /// The counters of the calling thread's network namespace.
    #[must_use]
    pub fn open(now: Instant) -> Self {
        let open = |(name, _)| File::open(format!("/proc/thread-self/net/stat/{name}")).ok();
        let files = SOURCES.map(open);
        let mut drops = Self { files, text: Vec::new(), read_at: now, dropped: 0 };
        drops.dropped = drops.read();
        drops
    }

    /// Packets dropped so far, as of `now` or at most `READ_EVERY` before. Any change tells of
    /// new ones; the kernel's counters have 32 bits and begin again at 0.
    pub fn dropped(&mut self, now: Instant) -> u64 {
        if now.since(self.read_at) >= READ_EVERY {
            self.read_at = now;
            self.dropped = self.read();
        }
        self.dropped
    }

    fn read(&mut self) -> u64 {
        let mut dropped = 0;
        for (file, (_, columns)) in self.files.iter().zip(SOURCES) {
            let Some(file) = file else { continue };
            read_all(file, &mut self.text);
            dropped += sum(&self.text, columns);
        }
        dropped
    }
}

/// Reads a file from its begin; what cannot be read ends it.
fn read_all(file: &File, text: &mut Vec<u8>) {
    text.clear();
    loop {
        let end = text.len();
        text.resize(end + CHUNK, 0);
        let count = file.read_at(&mut text[end..], end as u64).unwrap_or(0);
        text.truncate(end + count);
        if count == 0 {
            return;
        }
    }
}

/// The sum of these columns of a table whose first line names them, in hexadecimal.
fn sum(table: &[u8], columns: &[&str]) -> u64 {
    let mut lines = table.split(|&byte| byte == b'\n');
    let Some(heads) = lines.next() else { return 0 };
    let wanted = |(word, head): (&[u8], &[u8])| {
        let number = std::str::from_utf8(word).ok();
        let number = number.and_then(|word| u64::from_str_radix(word, 16).ok());
        columns.iter().any(|column| column.as_bytes() == head).then(|| number.unwrap_or(0))
    };
    lines.flat_map(|line| words(line).zip(words(heads)).filter_map(wanted)).sum()
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 prints it.
    const CONNTRACK: &[u8] = b"\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop \
icmp_error  expect_new expect_create expect_delete search_restart\n\
00000000  00000001 00000002 00000000 00000004 00000000 00000000 00000003 00000000 00000008 000000ff \
00000020 00000000  00000000 00000000 00000000 00000000\n\
00000000  00000001 00000002 00000000 00000004 00000000 00000000 00000000 00000000 00000008 00000010 \
00000020 00000000  00000000 00000000 00000000 00000000\n";

    #[test]
    fn columns_are_found_by_name_and_summed_over_cpus() {
        assert_eq!(sum(CONNTRACK, SOURCES[0].1), 0xff + 0x10 + 3);
        assert_eq!(sum(CONNTRACK, &["early_drop"]), 0x40);
        assert_eq!(sum(CONNTRACK, &["table_fulls"]), 0);
        for odd in [&b""[..], b"\n", b"drop", b"drop\n\nzz\n", b"drop\n1 2 3\nffffffffffffffffff\n"]
        {
            assert!(sum(odd, &["drop"]) <= 1, "{odd:?}");
        }
    }

    #[test]
    fn the_host_is_asked_once_in_a_while_and_what_is_not_there_drops_nothing() {
        let at = Instant::from_millis;
        let file = tempfile::tempfile().unwrap();
        let write =
            |count| file.write_all_at(format!("drop\n{count:08x}\n").as_bytes(), 0).unwrap();
        write(1);
        let files = [Some(file.try_clone().unwrap()), None, None];
        let mut drops = Drops { files, text: Vec::new(), read_at: at(0), dropped: 0 };
        assert_eq!(drops.dropped(at(10)), 1);
        write(5);
        assert_eq!(drops.dropped(at(19)), 1, "not asked again yet");
        assert_eq!(drops.dropped(at(20)), 5);
        // Whatever this host has: it can be read, and no file is missing for want of rights.
        let mut real = Drops::open(at(0));
        assert!(real.dropped(at(10)) >= real.dropped);
    }
}
