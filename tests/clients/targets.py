"""Targets on loopback that do what a test tells them, and change it at any time.

Each has an address of its own in 127.0.0.0/8, so that nobody else takes its port while it refuses.
"""

import itertools
import os
import socket
import struct
import threading

_numbers = itertools.count(1)

_ANSWERS = {
    "200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    "503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "garbage": b"220 mail.example ESMTP ready\r\n",
}


class Target:
    """One address and port. `does`: "200", "503", "garbage", "refuse" or "silent"."""

    def __init__(self, does="200", port=0):
        number = next(_numbers)
        process = os.getpid() % 65_000
        self.ip = f"127.{20 + number % 200}.{process // 256}.{process % 256}"
        self.port = port
        self._listener = None
        self._queued = []
        self.do(does)

    def do(self, what):
        """From now on does this."""
        self._close()
        if what == "refuse":
            if not self.port:
                self._listen(1)
                self._close()
        elif what == "silent":
            # A full queue of connections: the kernel drops every further SYN.
            self._listen(0)
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex((self.ip, self.port))
                self._queued.append(client)
        else:
            self._listen(128)
            serving = (self._listener, _ANSWERS[what])
            threading.Thread(target=_serve, args=serving, daemon=True).start()

    def _listen(self, backlog):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.ip, self.port))
        listener.listen(backlog)
        self.port = listener.getsockname()[1]
        self._listener = listener

    def _close(self):
        for client in self._queued:
            client.close()
        self._queued = []
        if self._listener:
            # Ends the accept() of the thread that serves, too.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None


def _serve(listener, answer):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            client.settimeout(1)
            client.recv(4096)
            client.sendall(answer)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # The checker has what it wants, and hung up.
        finally:
            client.close()
