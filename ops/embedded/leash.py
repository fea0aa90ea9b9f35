"""Becomes another command that ends when its parent does; it must import nothing of this project.

Usage: leash.py PARENT_PID SIGNAL USER|- COMMAND...

A process started in this way, and not by a function run between fork and exec, is safe in a program with threads.
The user is changed first: a change of user clears the parent-death signal.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Give up root for good."""
    import pwd  # noqa: PLC0415 - only a start as root pays for it

    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.chdir("/")  # where root stood may be closed to this user


def main() -> None:
    """Change the user, ask for the signal, look whether the parent died meanwhile, and become the command."""
    parent, signum, user, *command = sys.argv[1:]
    if user != "-":
        become(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    os.execvp(command[0], command)  # noqa: S606 - the command comes from this project, no shell is wanted


if __name__ == "__main__":
    main()
