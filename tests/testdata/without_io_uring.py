"""Runs a command to which io_uring_setup(2) fails with an errno: without_io_uring.py ERRNO COMMAND...

A seccomp filter, as container runtimes have one: load the call's number; if it is 425, return the errno;
else allow. It outlives exec.
"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
IO_URING_SETUP = 425
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000
INSTRUCTIONS = [
    (0x20, 0, 0, 0),
    (0x15, 0, 1, IO_URING_SETUP),
    (0x06, 0, 0, RET_ERRNO | int(sys.argv[1])),
    (0x06, 0, 0, RET_ALLOW),
]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in INSTRUCTIONS))
program = Program(len(INSTRUCTIONS), ctypes.cast(code, ctypes.c_void_p))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
    PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0
):
    sys.exit(f"cannot install the filter: errno {ctypes.get_errno()}")
os.execv(sys.argv[2], sys.argv[2:])
