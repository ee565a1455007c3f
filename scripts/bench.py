"""What the scripts share: a farm and a daemon that are gone at the end whatever happens, what the
daemon says over its socket, what the kernel says of a process, and figures against bars.

Exit status of every script: 0 all bars met, 1 a bar missed, 2 something is missing or broken, which
one line on stderr names with the cure, 130 on Ctrl-C. Progress goes to stderr, figures to stdout.
"""

import contextlib
import ctypes
import fcntl
import gc
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x4000_0000
PATIENCE_S = 60


class Broken(Exception):
    """What ends a script with status 2: what, and the cure."""


def run(main):
    """Runs a script; the blocks that it is in are left in order, also on Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    except Broken as broken:
        print(f"error: {broken}", file=sys.stderr)
        status = 2
    except Exception:
        # Not 1, which says that a bar is missed.
        traceback.print_exc()
        status = 2
    sys.exit(status)


def progress(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def need(program, package):
    if not shutil.which(program):
        raise Broken(f"{program} is missing; apt-get install {package}")


def need_root(why):
    if os.geteuid() != 0:
        raise Broken(f"{why} needs root; run this with sudo")


def add_binary(parser):
    parser.add_argument("--binary", type=Path, default=os.environ.get("RINGCHECK_BINARY"),
                        help="the program; default: $RINGCHECK_BINARY, or a release build of now")


def binary(given, *more):
    """The program, built now unless one was given; with the arguments that cargo takes besides."""
    if given:
        if not Path(given).is_file():
            raise Broken(f"{given} is no file; give the path of a ringcheck binary")
        return Path(given).resolve()
    progress("cargo build --release")
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--bins", *more]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise Broken("the release build failed; see above, or give --binary")
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "ringcheck"


def raise_file_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def isolate(required=True):
    """Moves this process, and what it will start, into a new network namespace with a loopback
    interface that is up; whether that was possible. It has no name and goes with the last of its
    processes."""
    if LIBC.unshare(CLONE_NEWNET):
        if required:
            raise Broken("cannot make a network namespace; run this as root")
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP
    return True


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="ringcheck-bench-") as path:
        yield Path(path)


# Targets


def number(i):
    """Address number `i` of a farm, as a number: from 127.1.0.0 on (src/farm/range.rs)."""
    return 0x7F01_0000 + i


def address(i):
    bits = number(i)
    return f"127.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"


def is_dark(i, percent):
    """Whether a blackout of `percent` covers address number `i` (src/farm/darkness.rs)."""
    return (number(i) * 0x9E37_79B1 % 2**32 >> 12) % 100 < percent


def write_targets(path, targets, port):
    """A list of address numbers as a targets file."""
    path.write_text("".join(f"{address(i)}:{port}\n" for i in targets))


@contextlib.contextmanager
def refusing_port():
    """A port that is held and never listened on, so that the kernel refuses connections to it."""
    with socket.socket() as held:
        held.bind(("0.0.0.0", 0))
        yield held.getsockname()[1]


def free_port():
    """A port of loopback that nobody has, as far as one can know before it is listened on."""
    with socket.socket() as free:
        free.bind(("0.0.0.0", 0))
        return free.getsockname()[1]


# Processes


class Process:
    """A child with its output in a log; gone when the block ends, and when this script dies."""

    def __init__(self, command, log, cpus=None, limits=None):
        self.words = [str(word) for word in command]
        self.log = Path(log)
        self.cpus = cpus
        self.limits = limits or {}
        self.child = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, preexec_fn=self._prepare,
                                          start_new_session=True)
        return self

    def _prepare(self):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for limit, value in self.limits.items():
            resource.setrlimit(limit, (value, value))
        if self.cpus:
            os.sched_setaffinity(0, self.cpus)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(10)
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def check(self):
        """Ends the script where the child has ended by itself."""
        if self.child.poll() is not None:
            said = self.text().strip().splitlines()[-1:] or ["nothing"]
            what = " ".join(self.words[:2])
            raise Broken(f"'{what}' ended with status {self.child.returncode}: {said[0]}")

    def wait_for(self, what, is_so, patience_s=PATIENCE_S, pause_s=0.05):
        """What `is_so` returns once that is true."""
        give_up = time.monotonic() + patience_s
        while not (found := is_so()):
            self.check()
            if time.monotonic() > give_up:
                raise Broken(f"waited {patience_s:.0f} s for {what} in vain; is the machine overloaded?")
            time.sleep(pause_s)
        return found

    def cpu_s(self):
        """User and system time of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_kib(self, what="VmRSS"):
        """`VmRSS`, or `VmHWM` for the most that it has been."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", text).group(1))

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Farm(Process):
    """`ringcheck farm`, answering once the block is entered."""

    def __init__(self, binary, folder, mix="healthy=1", *more, **options):
        command = [binary, "farm", "--port", "0", "--mix", mix, *more]
        super().__init__(command, folder / "farm.log", **options)
        self.port = None

    def __enter__(self):
        super().__enter__()
        try:
            port = lambda: re.search(r", port (\d+), .*curl", self.text(), re.S)
            self.port = int(self.wait_for("the farm", port).group(1))
        except BaseException:
            self.stop()
            raise
        return self

    def black_out(self, is_dark):
        self.child.send_signal(signal.SIGUSR1 if is_dark else signal.SIGUSR2)


def config(folder, groups, engine="", name="ringcheck.toml", more=""):
    """A configuration; each group is its name, its targets file, and its health check's lines."""
    text = f'[engine]\n{engine}\n[api]\nsocket = "{folder}/api.sock"\n{more}\n'
    for group, targets_file, check in groups:
        text += (f'[[group]]\nname = "{group}"\nrules = "free"\ntargets_file = "{targets_file}"\n'
                 f'deregistration_delay = "0s"\n[group.health_check]\n{check}\n')
    path = folder / name
    path.write_text(text)
    return path


class Daemon(Process):
    """`ringcheck serve` on a configuration of :func:`config`."""

    def __init__(self, binary, config, **options):
        log = config.parent / f"{config.stem}.log"
        super().__init__([binary, "serve", "--config", config], log, **options)
        self.binary = binary
        self.socket = str(config.parent / "api.sock")

    def ask(self, path, method="GET", body=None, timeout_s=10):
        """Status and body."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout_s)
        with contextlib.closing(connection):
            connection.sock.connect(self.socket)
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def json(self, path, method="GET", body=None):
        status, text = self.ask(path, method, body)
        if status >= 300:
            raise Broken(f"{method} {path} was answered {status}: {text}")
        return json.loads(text or "null")

    def is_up(self):
        try:
            return self.ask("/v1/summary")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def summary(self):
        self.check()
        return self.json("/v1/summary")

    def events_to(self, state, since=0, group=None):
        """How many transitions into the state there were after number `since`, and the last number."""
        found, of_group = 0, f"&group={group}" if group else ""
        while True:
            status, text = self.ask(f"/v1/events?since={since}&limit=10000{of_group}")
            if status != 200:
                raise Broken(f"GET /v1/events was answered {status}: {text}")
            found += text.count(f'"to":"{state}"')
            next_since = int(re.search(r'"next_since":(\d+)', text[-200:]).group(1))
            if next_since == since:
                return found, since
            since = next_since

    def direct_sockets(self):
        """Sockets in the tables of its rings, one for every slot that was ever in use at once."""
        files = Path(f"/proc/{self.pid}/fd")
        rings = [fd.name for fd in files.iterdir() if os.readlink(fd) == "anon_inode:[io_uring]"]
        return sum(len(re.findall(r"^ +\d+: socket:", self.table_of(ring), re.M)) for ring in rings)

    def table_of(self, ring):
        """What the kernel says of a ring; it says nothing of its table while the ring is being used."""
        path = Path(f"/proc/{self.pid}/fdinfo/{ring}")
        has_table = lambda: text if "UserFiles:" in (text := path.read_text()) else None
        return self.wait_for("a ring's table", has_table, pause_s=0.001)

    def wait_until(self, what, is_so, patience_s=PATIENCE_S, pause_s=0.2):
        """The first summary of which `is_so` is true."""
        self.wait_for("the daemon's socket", self.is_up, patience_s)
        give_up = time.monotonic() + patience_s
        while not is_so(found := self.summary()):
            if time.monotonic() > give_up:
                raise Broken(f"waited {patience_s:.0f} s until {what}; targets are "
                             f"{found['targets']}; is the machine overloaded?")
            time.sleep(pause_s)
        return found

    def wait_healthy(self, count, patience_s=PATIENCE_S):
        return self.wait_until(f"{count:,} targets are healthy",
                               lambda now: now["targets"]["healthy"] >= count, patience_s)

    def tell(self, *arguments):
        """Status and output of a ringcheck command about this daemon."""
        done = subprocess.run([self.binary, *arguments, "--socket", self.socket], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S)
        return done.returncode, done.stdout.strip()


def connects():
    """Connections that were begun in this network namespace (RFC 2012, tcpActiveOpens)."""
    head, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()
                    if line.startswith("Tcp:")]
    return int(values[head.index("ActiveOpens")])


# Questions over a kept connection


class Kept:
    """A kept connection to the daemon that measures: no parser of ours stands in the way."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def exchange(self, request):
        """Sends a request and reads the answer, which has a length or is chunked; its bytes."""
        self.socket.sendall(request)
        pieces = [self.socket.recv(1 << 20)]
        while not is_whole(answer := b"".join(pieces)):
            pieces = [answer, self.socket.recv(1 << 20)]
            if not pieces[1]:
                raise Broken(f"the daemon hung up behind {answer[-200:]!r}")
        return answer


def is_whole(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    at = head.lower().find(b"content-length: ")
    if at < 0:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head[at + 16 :].split(b"\r\n", 1)[0])


def get_request(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def times_ms(kept, requests, is_right, pause_s=0.002):
    """How long each answer takes, sorted; the pause makes requests meet every moment of the
    workers' turns, and take no whole core."""
    times = []
    gc.disable()
    for request in requests:
        began = time.perf_counter_ns()
        answer = kept.exchange(request)
        times.append((time.perf_counter_ns() - began) / 1e6)
        if not is_right(answer):
            raise Broken(f"unexpected answer: {answer[:400]!r}")
        time.sleep(pause_s)
    gc.enable()
    return sorted(times)


def percentile(values, part):
    values = sorted(values)
    return values[min(int(len(values) * part), len(values) - 1)]


# Figures against bars


def shown(value):
    """A number with as many digits as matter beside a bar."""
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


class Bars:
    """Prints each figure beside its bar, and knows whether all are met."""

    def __init__(self):
        self.missed = []
        self.lines = []

    def most(self, what, value, bar, unit=""):
        self._judge(what, value, f"at most {shown(bar)}{unit}", unit, value <= bar)

    def least(self, what, value, bar, unit=""):
        self._judge(what, value, f"at least {shown(bar)}{unit}", unit, value >= bar)

    def holds(self, what, is_so, detail=""):
        self._say(f"{what}: {'yes' if is_so else 'NO'}{f', {detail}' if detail else ''}", is_so)

    def note(self, text):
        """A figure without a bar."""
        self.lines.append(text)
        print(text, flush=True)

    def _judge(self, what, value, bar, unit, is_met):
        self._say(f"{what}: {shown(value)}{unit} (bar: {bar}) {'met' if is_met else 'MISSED'}", is_met)

    def _say(self, line, is_met):
        if not is_met:
            self.missed.append(line)
        self.note(line)

    def status(self):
        if self.missed:
            print(f"{len(self.missed)} missed", flush=True)
        return 1 if self.missed else 0
