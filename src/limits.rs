//! Every bound of the product in one place, with the arithmetic between them checked at compile
//! time.
//!
//! Overload is a full pool that is handled and counted, never a surprise; so each queue, buffer and
//! list has its limit here, under the name that the rest of the code uses.

use std::time::Duration;

/// Targets that one daemon holds unless `engine.max_targets` says otherwise.
pub const TARGETS_MAX_DEFAULT: usize = 2_000_000;
/// Targets that `engine.max_targets` can allow.
pub const TARGETS_MAX: usize = 16_000_000;
/// Bytes of a target's id, so that the ids of one group lie in a text below 2^32 bytes.
pub const TARGET_ID_CHARS_MAX: usize = 255;
/// Groups of one daemon.
pub const GROUPS_MAX: usize = 100_000;
/// Load balancers of one daemon.
pub const LOAD_BALANCERS_MAX: usize = 10_000;
/// Listeners of one daemon.
pub const LISTENERS_MAX: usize = 10_000;
/// Workers of one daemon; more threads than this on one host is a typing error.
pub const WORKERS_MAX: usize = 256;
/// Probes in flight per worker where neither configuration nor file limit says less.
pub const IN_FLIGHT_DEFAULT: usize = 16_384;
/// Most probes in flight that one worker can be given: the kernel's largest completion queue holds
/// every completion of every slot (a slot has at most two operations in flight, and their cancels).
pub const IN_FLIGHT_MAX: usize = 16_384;
/// TLS probes in flight per worker unless `engine.tls_in_flight` says otherwise: what their
/// connections hold is bounded by it, and so few that handshakes which cost a busy target a
/// millisecond each are all done well within a timeout.
pub const TLS_IN_FLIGHT_DEFAULT: usize = 1_024;
/// Bytes of the sessions that one worker keeps unless `engine.tls_session_memory` says otherwise:
/// those of some 200,000 targets.
pub const TLS_SESSION_MEMORY_DEFAULT: usize = 256 * 1_024 * 1_024;
/// Bytes that `engine.tls_session_memory` can allow.
pub const TLS_SESSION_MEMORY_MAX: usize = 64 * 1_024 * 1_024 * 1_024;
/// Probes in flight per worker with `handshake = "raw"`, which need no socket: as many slots as a
/// sequence number can name. They are made as they are needed.
pub const RAW_IN_FLIGHT_MAX: u32 = 1 << 18;
/// Files of one worker: its ring, its eventfd, the host's three counters of dropped packets, and
/// one that its start may need for a moment.
pub const FILES_PER_WORKER: usize = 6;
/// Files of one worker besides, where a group has `handshake = "raw"`: its sixteen ports, for each
/// family two raw sockets and one that asks for routes, and one that hears of changed routes.
pub const RAW_FILES_PER_WORKER: usize = 23;
/// Files of the process besides: standard streams, configuration, the API's socket and its lock,
/// the control thread's ring, poll and signals, and some clients.
pub const FILES_BESIDES: usize = 32;
/// Entries of a ring's completion queue at most (`IORING_MAX_CQ_ENTRIES`).
pub const CQ_ENTRIES_MAX: usize = 65_536;
/// Entries of a ring's submission queue.
pub const SQ_ENTRIES: usize = 2_048;
/// Probes that a worker starts in one turn of its loop. The kernel connects one after the other,
/// some ten microseconds each, before the first completion is seen: this bounds what that adds to a
/// measured latency to a third of a millisecond, and keeps a burst from flooding one backlog.
pub const STARTS_PER_TURN: usize = 32;
/// The same where more is due than that, as long as turns stay short.
pub const STARTS_PER_TURN_BUSY: usize = 128;
/// Receive buffers of one worker, and the bytes of each.
pub const RECEIVE_BUFFERS: u16 = 512;
/// Bytes of one receive buffer.
pub const RECEIVE_BUFFER_BYTES: usize = 2_048;

/// Bytes of all response heads of one HTTP probe, inclusive (DESIGN 3.3, 3.6).
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of a response's body that a check looks at.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1_024;
/// Bytes of a health check's path (the seed: 1-1024 characters).
pub const HTTP_PATH_CHARS_MAX: usize = 1_024;
/// The same in rule set `alibaba`.
pub const ALIBABA_PATH_CHARS_MAX: usize = 80;
/// Bytes of a health check's `host`.
pub const HTTP_HOST_CHARS_MAX: usize = 253;
/// Headers that a health check can add to its requests, and their bytes on the wire together.
pub const HTTP_HEADERS_MAX: usize = 32;
/// See above.
pub const HTTP_HEADERS_BYTES_MAX: usize = 4_096;
/// Bytes that a health check can POST. A request lies in its slot while it is sent.
pub const HTTP_POST_BYTES_MAX: usize = 4_096;
/// Bytes of the service that a gRPC check asks about.
pub const GRPC_SERVICE_CHARS_MAX: usize = 255;
/// Bytes of a UDP check's datagram, and of what it expects: within one packet on any usual way.
pub const UDP_PAYLOAD_BYTES_MAX: usize = 1_024;

/// Bytes of a PEM file that a health check names.
pub const TLS_FILE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// Bytes that a target may send until a TLS handshake is done: a chain of certificates has 64 KiB
/// at most.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 128 * 1_024;
/// Bytes that a target may send in all over one TLS connection: what the check inside may read,
/// also where each record carries a few bytes of it only.
pub const TLS_BYTES_MAX: usize = 512 * 1_024;
/// Bytes of a subject, an issuer or a name that is kept of a target's certificate.
pub const TLS_NAME_BYTES_MAX: usize = 256;
/// Names that are kept of a target's certificate.
pub const TLS_NAMES_MAX: usize = 16;

/// A new target of a running daemon has its first probe within this time (DESIGN 3.4).
pub const NEW_TARGET_DELAY: Duration = Duration::from_secs(1);

/// Reports of one batch on the channel from a worker to the collector.
pub const BATCH_REPORTS: usize = 512;
/// Longest time that a report waits in a worker before its batch is sent.
pub const BATCH_DELAY: Duration = Duration::from_millis(20);
/// Batches on the channel from all workers to the collector.
pub const BATCHES_QUEUED: usize = 256;
/// Reports that a worker keeps while the collector does not take them; then it starts no probe.
pub const REPORTS_HELD_MAX: usize = 65_536;
/// Targets of one add or remove command to a worker, so that no command stalls its loop.
pub const COMMAND_TARGETS: usize = 4_096;

/// Transitions kept in memory and, later, in the store (DESIGN 5.5).
pub const EVENTS_MAX: usize = 100_000;
/// Oldest transition that is shown (DESIGN 5.5).
pub const EVENTS_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Bytes of an API request's head.
pub const API_HEAD_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of an API request's body.
pub const API_BODY_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// Parameters of one form at most: those of 200,000 targets with three each.
pub const FORM_PARAMETERS_MAX: usize = 600_000;
/// Bytes of a form parameter's name.
pub const FORM_KEY_BYTES_MAX: usize = 256;
/// Parts of a form parameter's name, as the four of `Targets.member.1.Id`.
pub const FORM_DEPTH_MAX: usize = 8;
/// Highest number of an element in a list of a form.
pub const FORM_INDEX_MAX: u32 = 1_000_000;
/// `ClientToken`s of the Alibaba API that are remembered with their answers.
pub const CLIENT_TOKENS_MAX: usize = 1_024;
/// Targets of one request that registers or deregisters at most.
pub const API_TARGETS_MAX: usize = 100_000;
/// Connections of the API at once; the next one gets a 503.
pub const API_CONNECTIONS_MAX: usize = 1_024;
/// How often a change of a group is made anew because another came in between: of clients that
/// change the same group at once, one at least gets through each time.
pub const API_CHANGE_TRIES: usize = 128;
/// Longest time for a request's head to come, and longest pause of a client that reads an answer.
pub const API_STALL_MAX: Duration = Duration::from_secs(30);
/// Bytes that the kernel holds for a client that does not read. Small, because the kernel takes
/// more only when nearly all of them were read: that is what a client must read in
/// [`API_STALL_MAX`].
pub const API_SEND_BUFFER_BYTES: usize = 64 * 1_024;
/// Bytes of all bodies together that come in over TCP at one time: each is held whole until its
/// signature is verified.
pub const API_BODIES_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Bytes of a form over TCP whose head does not say who signed it; smaller bodies need no room.
pub const API_FORM_BYTES_MAX: usize = 64 * 1_024;
/// Keys of `keys.toml`.
pub const KEYS_MAX: usize = 1_000;
/// Bytes of `keys.toml`.
pub const KEY_FILE_BYTES_MAX: u64 = 1_024 * 1_024;
/// Headers that a signature covers; a request has 100 headers at most.
pub const SIGNED_HEADERS_MAX: usize = 100;
/// Parameters of a signed query and form.
pub const PARAMETERS_MAX: usize = 65_536;
/// Nonces of signed requests that are remembered, for all keys together: some 20 MB.
pub const NONCES_MAX: usize = 262_144;
/// Wrong signatures by one key that are looked at, and requests by unknown keys.
pub const SIGNATURE_FAILURES_PER_SECOND: u64 = 10;
/// Targets of one page at most.
pub const PAGE_TARGETS_MAX: usize = 10_000;
/// Targets of one page unless asked otherwise.
pub const PAGE_TARGETS_DEFAULT: usize = 100;

/// A worker that sees its wait end this much later than asked has overslept: the time lost is
/// given back to the deadlines of the probes in flight (DESIGN 5.5).
pub const OVERSLEPT: Duration = Duration::from_millis(10);
/// Lateness (p99 of the last ten to twenty seconds) above which the engine calls itself overloaded.
pub const OVERLOADED_LATENESS: Duration = Duration::from_millis(1_000);
/// Time that a worker was not run, of the last ten to twenty seconds, above which that is told as a
/// trouble of the host.
pub const LOST_TIME_TOLD: Duration = Duration::from_millis(1_000);
/// A target that had to wait this much longer for a worker that was not run may have given the
/// connection up for it: whatever it ended it with is not held against it.
pub const TARGET_PATIENCE: Duration = Duration::from_secs(1);
/// Longest sleep of a worker, so that it notices a command even if a wake-up were lost.
pub const SLEEP_MAX: Duration = Duration::from_millis(100);
/// Longest time that a stop waits for operations in flight.
pub const STOP_GRACE: Duration = Duration::from_secs(1);

/// Longest `deregistration_delay` (DESIGN 3.2).
pub const DEREGISTRATION_DELAY_MAX: Duration = Duration::from_secs(3_600);

/// A reload that would remove more than half of a group of at least this many targets is refused
/// unless forced (DESIGN 5.1).
pub const MASS_REMOVAL_TARGETS: usize = 100;

const _: () = assert!(TLS_HANDSHAKE_BYTES_MAX <= TLS_BYTES_MAX);
const _: () = assert!(STARTS_PER_TURN <= STARTS_PER_TURN_BUSY);
const _: () = assert!(IN_FLIGHT_DEFAULT <= IN_FLIGHT_MAX);
const _: () = assert!(TLS_IN_FLIGHT_DEFAULT <= IN_FLIGHT_MAX);
const _: () = assert!(TLS_SESSION_MEMORY_DEFAULT <= TLS_SESSION_MEMORY_MAX);
const _: () = assert!(TARGETS_MAX_DEFAULT <= TARGETS_MAX);
const _: () = assert!(TARGETS_MAX * TARGET_ID_CHARS_MAX < u32::MAX as usize);
const _: () = assert!(IN_FLIGHT_MAX * 4 <= CQ_ENTRIES_MAX);
const _: () = assert!(PAGE_TARGETS_DEFAULT <= PAGE_TARGETS_MAX);
const _: () = assert!(API_FORM_BYTES_MAX <= API_BODY_BYTES_MAX);
const _: () = assert!(API_BODY_BYTES_MAX <= API_BODIES_BYTES_MAX);
const _: () = assert!(BATCH_REPORTS <= REPORTS_HELD_MAX);
