"""The server's half of NTLM, for simulators: challenges, and knows a user by the name in the answer. No passwords."""

import base64
import struct
from typing import Final

from fastapi import Request, Response

_SIGNATURE: Final = b"NTLMSSP\0"
_ANSWER: Final = 3
# Unicode, NTLM, extended session security, target information.
_FLAGS: Final = 0x00888201
_DOMAIN: Final = "TEST".encode("utf-16-le")
_TARGET: Final = struct.pack("<HH", 2, len(_DOMAIN)) + _DOMAIN + struct.pack("<HH", 0, 0)
_CHALLENGE: Final = (
    _SIGNATURE
    + struct.pack("<IHHIIQQHHI", 2, 0, 0, 48, _FLAGS, 0x0123456789ABCDEF, 0, len(_TARGET), len(_TARGET), 48)
    + _TARGET
)


def refusal(request: Request, user: str) -> Response | None:
    """None, once `user` has answered the challenge; else the next step of the negotiation."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    token = base64.b64decode(said) if scheme == "NTLM" else b""
    if not token.startswith(_SIGNATURE):
        return Response(status_code=401, headers={"WWW-Authenticate": "NTLM"})
    (kind,) = struct.unpack_from("<I", token, 8)
    if kind != _ANSWER:
        challenge = base64.b64encode(_CHALLENGE).decode()
        return Response(status_code=401, headers={"WWW-Authenticate": f"NTLM {challenge}"})
    return None if user.encode("utf-16-le") in token else Response(status_code=401)
