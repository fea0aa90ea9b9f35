"""The key that signs the log of reads. It lies in a file, never in the database whose rows it vouches for."""

import base64
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from broker.settings import Settings


@dataclass(frozen=True, slots=True)
class SealingKey:
    """Signs; `id` tells which key it was."""

    id: str
    private: Ed25519PrivateKey

    def sign(self, statement: bytes) -> bytes:
        """64 bytes."""
        return self.private.sign(statement)

    @property
    def public(self) -> str:
        """What goes into `seal_public_keys` of whoever verifies."""
        return base64.b64encode(_raw(self.private.public_key())).decode()


Trusted = Mapping[str, Ed25519PublicKey]
"""By id."""


def load(path: Path) -> SealingKey:
    """The key in a PEM file. Raises OSError; ValueError when it is no Ed25519 key."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds another kind of key than Ed25519")  # noqa: TRY004 - its content is wrong
    return SealingKey(_id(key.public_key()), key)


def make(path: Path) -> None:
    """A new key in a file that only its owner may read; one that is there stays. Raises OSError.

    The file has its name only when it is whole: what ended its making, a kill or a full disk, does not end the next.
    """
    if path.exists():
        return
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)  # unlike a renaming, it takes nobody's place
    finally:
        Path(name).unlink()


def trusted(settings: Settings) -> Trusted:
    """Whose signatures count: the settings' own key, and those named beside it. Raises OSError, ValueError."""
    keys = [Ed25519PublicKey.from_public_bytes(base64.b64decode(text)) for text in settings.seal_public_keys]
    if settings.seal_key is not None:
        keys.append(load(settings.seal_key).private.public_key())
    return {_id(key): key for key in keys}


def vouched(keys: Trusted, key_id: str, signature: bytes, statement: bytes) -> bool:
    """Whether a key that counts has signed the statement."""
    key = keys.get(key_id)
    if key is None:
        return False
    try:
        key.verify(signature, statement)
    except InvalidSignature:
        return False
    return True


def _id(key: Ed25519PublicKey) -> str:
    return sha256(_raw(key)).hexdigest()[:16]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
