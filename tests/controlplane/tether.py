"""Exec a program that dies with the process which started it, whatever kills that one.

Run as `python -I -S tether.py PARENT_PID PROGRAM ARGUMENT…`. The kernel sends SIGKILL when the parent *thread* ends
(PR_SET_PDEATHSIG), also when the parent is itself killed with SIGKILL, where no handler of ours could run. The setting
survives exec. Standard library only, and no package import, so that it costs some 15 ms.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure that the parent is still there to be watched, and become the program."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above, so no signal would ever come
        sys.exit("the starting process is gone")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
