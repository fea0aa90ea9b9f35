"""The system user under which PostgreSQL runs when it is started by root, which it refuses to be."""

import os
import pwd
import shutil
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.errors import EmbeddedError

_NAME = "pgserver"
_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_OWNER, _USER, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_SEARCH = 1

_Entry = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user other than root."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the user to become; None when this process is not root and simply stays who it is.

    Raises:
        EmbeddedError: there is no such user, and none can be made.

    """
    if os.geteuid() != 0:
        return None
    entry = _existing() or _made()
    if entry is None:
        message = (
            f"PostgreSQL does not run as root, and its user {_NAME} cannot be made; make it, or start as another user"
        )
        raise EmbeddedError(message)
    return Account(_NAME, entry.pw_uid, entry.pw_gid)


def _existing() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_NAME)
    except KeyError:
        return None


def _made() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd:
        # It may fail because another process makes the same user now: what counts is whether there is one afterwards.
        subprocess.run((useradd, "--system", "--no-create-home", _NAME), capture_output=True, check=False)
    return _existing()


def let_through(path: Path, account: Account) -> None:
    """Let the account pass every directory above `path`, and no more than pass.

    Directories as private as a temporary or a home directory get an entry in their access list for this one user;
    only where the file system knows no such lists they are opened to everybody's passing.
    """
    for directory in reversed(path.resolve().parents):
        found = directory.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != account.uid:
            _let_pass(directory, account.uid, stat.S_IMODE(found.st_mode))


def let_read(folder: Path) -> None:
    """Let everybody read an installed folder: a strict umask at installation leaves it to its owner."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | ((mode & 0o500) >> 3) | ((mode & 0o500) >> 6)
        if wanted != mode:
            path.chmod(stat.S_IMODE(wanted))


def _let_pass(directory: Path, uid: int, mode: int) -> None:
    try:
        os.setxattr(directory, _ACL, _pack(_with_search(_entries(directory, mode), uid)))
    except OSError:
        directory.chmod(mode | stat.S_IXOTH)


def _entries(directory: Path, mode: int) -> list[_Entry]:
    try:
        packed = os.getxattr(directory, _ACL)
    except OSError:  # no list yet: the three classic entries are the list
        return [(_OWNER, mode >> 6 & 7, _NOBODY), (_GROUP, mode >> 3 & 7, _NOBODY), (_OTHER, mode & 7, _NOBODY)]
    return list(struct.iter_unpack("<HHI", packed[4:]))


def _with_search(entries: list[_Entry], uid: int) -> list[_Entry]:
    """Add the user's entry; the mask limits it and every group, so it is widened by no more than passing."""
    group = next(permission for tag, permission, _ in entries if tag == _GROUP)
    mask = next((permission for tag, permission, _ in entries if tag == _MASK), group)
    kept = [entry for entry in entries if entry[0] != _MASK and entry[::2] != (_USER, uid)]
    return sorted([*kept, (_USER, _SEARCH, uid), (_MASK, mask | _SEARCH, _NOBODY)], key=lambda entry: entry[::2])


def _pack(entries: list[_Entry]) -> bytes:
    return struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
