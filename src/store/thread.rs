//! The store's thread: commits in the order in which they are asked for, and once a second what has
//! come to the history.

use super::{Database, EventRow, Op, StoreError};
use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use std::thread::JoinHandle;
use std::time::Duration;

/// Commits that wait; more make those who ask wait.
const COMMITS_QUEUED: usize = 64;
/// How often transitions are kept.
const FEED_EVERY: Duration = Duration::from_secs(1);
/// Transitions of one transaction.
const FEED_EVENTS: usize = 1_000;

/// Where transitions come from.
pub trait Feed: Send {
    /// At most `limit` of those behind `seq`, by seq.
    fn since(&mut self, seq: u64, limit: usize) -> Vec<EventRow>;
    /// The newest seq that was given.
    fn newest(&self) -> u64;
    /// The time now, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// The way to the store; a clone is another way to the same.
#[derive(Clone, Debug)]
pub struct Store {
    /// None where nothing is kept.
    commits: Option<Sender<Commit>>,
}

/// The thread; it ends by [`StoreThread::stop`], or when this is dropped.
#[derive(Debug)]
pub struct StoreThread {
    /// Disconnected when the thread shall end.
    lives: Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Commit {
    ops: Vec<Op>,
    done: Sender<Result<(), StoreError>>,
}

impl Store {
    /// A store that keeps nothing: what was made is there until the daemon ends.
    #[must_use]
    pub const fn memory() -> Self {
        Self { commits: None }
    }

    /// Starts the thread that writes to `database`, which has begun with the seq `newest`.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(
        database: Database,
        newest: u64,
        feed: Box<dyn Feed>,
    ) -> std::io::Result<(Self, StoreThread)> {
        let (commits, asked) = bounded(COMMITS_QUEUED);
        let (lives, ends) = bounded(0);
        let mut keeper = Keeper { database, kept: newest, feed, is_failing: false };
        let body = move || {
            keeper.run(&asked, &ends);
            keeper.close();
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(body)?;
        Ok((Self { commits: Some(commits) }, StoreThread { lives, thread }))
    }

    /// Whether what is committed is still there after a restart.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.commits.is_some()
    }

    /// Carries out all of `ops` in one transaction; they are durable when this returns. Blocks.
    ///
    /// # Errors
    /// Why they were not kept; then none of them was.
    pub fn commit(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        let Some(commits) = self.commits.as_ref().filter(|_| !ops.is_empty()) else {
            return Ok(());
        };
        let (done, is_done) = bounded(1);
        commits.send(Commit { ops, done }).map_err(|_| StoreError::Closed)?;
        is_done.recv().map_err(|_| StoreError::Closed)?
    }
}

impl StoreThread {
    /// Waits until what was asked for is done, and the last transitions are kept. Commits from now
    /// on are [`StoreError::Closed`].
    pub fn stop(self) {
        drop(self.lives);
        // A panic of the thread is a bug, and is passed on as one.
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

struct Keeper {
    database: Database,
    /// The newest seq that is in the database.
    kept: u64,
    feed: Box<dyn Feed>,
    /// Whether the last attempt to keep transitions failed: that is said once.
    is_failing: bool,
}

impl Keeper {
    fn run(&mut self, asked: &Receiver<Commit>, ends: &Receiver<()>) {
        let (ticks, nobody) = (tick(FEED_EVERY), never());
        let mut open = asked;
        loop {
            select! {
                recv(open) -> commit => match commit {
                    Ok(commit) => self.commit(commit),
                    Err(_) => open = &nobody,
                },
                recv(ticks) -> _ => self.feed(),
                recv(ends) -> _ => break,
            }
        }
        asked.try_iter().for_each(|commit| self.commit(commit));
    }

    fn commit(&mut self, Commit { ops, done }: Commit) {
        let result = self.database.commit(&ops);
        if let Err(error) = &result {
            tracing::error!("{error}; the change is refused");
        }
        // Whoever asked may be gone; it is done all the same.
        let _ = done.send(result);
    }

    /// Keeps the transitions that have come since the last time.
    fn feed(&mut self) {
        loop {
            let rows = self.feed.since(self.kept, FEED_EVENTS);
            let Some(newest) = rows.last().map(|row| row.seq) else { return };
            match self.database.push_events(&rows, self.feed.now_ms()) {
                Ok(()) => (self.kept, self.is_failing) = (newest, false),
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!("{error}; transitions are not kept until then");
                    }
                    return;
                }
            }
            if rows.len() < FEED_EVENTS {
                return;
            }
        }
    }

    fn close(mut self) {
        self.feed();
        let newest = self.feed.newest().max(self.kept);
        if let Err(error) = self.database.close(newest) {
            tracing::error!("{error}; the next start will leave out some numbers of events");
        }
    }
}
