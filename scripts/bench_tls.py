"""nginx as the TLS server of every target: it listens on all of loopback, with one certificate (ECDSA
P-256), TLS 1.3 and tickets, and notes of each request whether its handshake was resumed."""

import re
import subprocess

import bench

# What it says of a request: "r" of a resumed handshake, "." of a full one.
RESUMED, FULL = b"r\n", b".\n"


class Nginx(bench.Process):
    """Answers 200 to every request, once the block is entered."""

    def __init__(self, folder, workers=1, tls="1.3"):
        self.folder, self.tls = folder / "nginx", tls
        self.workers = workers
        self.access = self.folder / "access.log"
        super().__init__(["nginx", "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"],
                         folder / "nginx.log")
        self.port = None

    def __enter__(self):
        bench.need("nginx", "nginx")
        bench.need("openssl", "openssl")
        self.folder.mkdir()
        make_certificate(self.folder)
        # The port may be taken between our look and nginx's: then another one is tried.
        for _ in range(5):
            self.port = bench.free_port()
            (self.folder / "nginx.conf").write_text(nginx_config(self.folder, self.port, self.workers, self.tls))
            super().__enter__()
            try:
                # It writes the file of its process id when it listens.
                self.wait_for("nginx", (self.folder / "pid").exists)
                return self
            except bench.Broken as broken:
                error = broken
            finally:
                if not (self.folder / "pid").exists():
                    self.stop()
        raise error

    def mark(self):
        """Where the log ends now; what was written by then is known some 200 ms later."""
        return self.access.stat().st_size

    def resumed(self, since, until):
        """Part of the handshakes between two marks that were resumed."""
        with open(self.access, "rb") as log:
            log.seek(since)
            said = log.read(until - since)
        resumed, full = said.count(RESUMED), said.count(FULL)
        if not resumed + full:
            raise bench.Broken(f"nginx saw no request; see what it said: {self.text()[-200:]!r}")
        return resumed / (resumed + full)


def make_certificate(folder):
    words = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=localhost -keyout key.pem -out certificate.pem").split()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise bench.Broken(f"openssl makes no certificate: {done.stderr.strip().splitlines()[-1]}")


def nginx_config(folder, port, workers, tls):
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes {workers};
events {{ worker_connections 16384; }}
http {{
  log_format handshakes '$ssl_session_reused';
  access_log {folder}/access.log handshakes buffer=64k flush=200ms;
{temporary}
  server {{
    listen 0.0.0.0:{port} ssl backlog=65535;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv{tls};
    ssl_session_tickets on;
    location / {{ return 200 "well\\n"; }}
  }}
}}
"""


def version():
    done = subprocess.run(["nginx", "-v"], capture_output=True, text=True)
    found = re.search(r"nginx/(\S+)", done.stderr + done.stdout)
    return found.group(1) if found else "?"
