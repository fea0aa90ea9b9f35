"""Tokens: who calls, in which role, within which bounds. The development issuer's key lives in the database.

A token is taken whole or not at all: a claim that cannot be read makes it no token. Exceptions never quote a claim.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import jwt
import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from broker.domain import unfit
from broker.domain.case import SENSITIVITY
from broker.domain.identity import is_cpr, is_cvr, is_system
from broker.domain.kle import is_pattern
from broker.domain.policy import Role, Scope
from broker.domain.unfit import UnfitError
from broker.settings import Settings
from broker.store.database import connect

ALGORITHM: Final = "ES256"
OUTSIDE_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EVERYTHING: Final = "N*"
KEPT_S: Final = 60.0
"""How long a token, or an outside issuer's set of keys, is taken without another look; a key that is withdrawn counts
for no longer than this after it was last seen."""
ASK_S: Final = 10.0
"""How often at most an outside issuer is asked for its keys, whatever comes of it."""
MOST_KEPT: Final = 1000
REST: Final = 1.0  # seconds in which nobody else waits for a database that has just not answered


class BadToken(Exception):  # noqa: N818 - a verdict on a token, not a fault of ours
    """The token is not one of ours, has run out, or has a claim that cannot be read."""


class KeysUnavailable(Exception):  # noqa: N818 - a state of the world, not a fault
    """The keys to check a token with are out of reach just now."""


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token. `client_scopes` None: the user's own scopes count for the client system too."""

    subject: str
    role: Role
    expires: datetime
    name: str = ""
    system: str | None = None
    authorities: frozenset[str] = frozenset()
    scopes: tuple[Scope, ...] = ()
    areas: tuple[str, ...] = ()
    principal_ids: frozenset[str] = frozenset()
    citizen: str | None = field(default=None, repr=False)
    client: str | None = None
    client_scopes: tuple[Scope, ...] | None = None
    unit: str = ""


class _OutsideKeys:
    """An outside issuer's public keys by their ids. Who asks for one that is held waits for nobody."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=5)
        self._asking = threading.Lock()
        self._held: tuple[dict[str, Any], float] = {}, float("-inf")
        self._asked_at = float("-inf")
        self._failed = False

    @property
    def age(self) -> float:
        """Seconds since the set that is held was asked for."""
        return time.monotonic() - self._held[1]

    @property
    def due(self) -> bool:
        """So old that asking again keeps anybody from waiting for it later."""
        return self.age > KEPT_S / 2 and self._may_ask()

    def held(self, key: str | None) -> Any:
        """The key with this id, without waiting; None when it must be asked for."""
        return self._held[0].get(key or "") if self.age < KEPT_S else None

    def get(self, key: str | None) -> Any:
        """The key with this id; asks for it, at most once in ASK_S. Raises BadToken, KeysUnavailable."""
        if key and self.held(key) is None:
            self.ask(key)
        if (found := self.held(key)) is not None:
            return found
        if key and (self._failed or self.age >= KEPT_S):
            raise KeysUnavailable("the outside issuer does not answer with its keys")
        raise BadToken("not a token of this issuer")

    def ask(self, key: str | None = None) -> None:
        """Fetch the set, unless somebody else has just tried. Blocks."""
        with self._asking:
            if self.held(key) is not None or not self._may_ask():
                return
            self._asked_at = time.monotonic()
            try:
                keys = {str(one.key_id): one.key for one in self._client.get_signing_keys()}
                self._held, self._failed = (keys, self._asked_at), False
            except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OSError):  # it may answer anything
                self._failed = True

    def _may_ask(self) -> bool:
        return time.monotonic() - self._asked_at >= ASK_S


class Issuer:
    """Makes tokens with the development key, and verifies those of the issuer that the settings name.

    Blocking, and made for threads: the event loop calls `verify` in those that `threads` names.
    """

    def __init__(self, settings: Settings) -> None:
        """Reads nothing yet: database and outside issuer may be away."""
        self._settings = settings
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._reading = threading.Lock()
        self._failed_at = float("-inf")
        self._verified: dict[bytes, tuple[Token, float]] = {}
        self._outside = None if settings.jwks_url is None else _OutsideKeys(settings.jwks_url)
        self._fetching = ThreadPoolExecutor(1, "keys")

    def issue(self, claims: Mapping[str, Any], ttl: int) -> str:
        """A development token of these claims, good for `ttl` seconds."""
        key = self._development_key()
        now = int(time.time())
        stamped = {**claims, "iss": self._settings.issuer, "iat": now, "exp": now + ttl}
        return jwt.encode(stamped, key, ALGORITHM, {"kid": key_id(key)})

    def verify(self, token: str) -> Token:
        """The token's content. Raises BadToken; KeysUnavailable or OperationalError when keys are out of reach."""
        try:
            key, algorithms, age = self._key_for(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=self._settings.issuer,
                **self._audience(),
            )
        except jwt.ExpiredSignatureError:
            raise BadToken("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise BadToken("not a token of this issuer") from None
        read = read_claims(claims)
        if len(self._verified) >= MOST_KEPT:
            self._verified.clear()
        self._verified[_digest(token)] = read, min(read.expires.timestamp(), time.time() + KEPT_S - age)
        return read

    def threads(self, token: str) -> Executor | None:
        """Where to verify this token: a thread of its own while its key must be fetched, else any (None)."""
        if self._outside is None:
            return self._fetching if self._key is None else None
        if self._outside.due:
            self._fetching.submit(self._outside.ask)
        return None if self._outside.held(_key_named(token)) is not None else self._fetching

    def known(self, token: str, now: float) -> Token | None:
        """The content of a token that was verified a moment before `now` and is good still. Does not block."""
        read, until = self._verified.get(_digest(token), (None, 0.0))
        return read if now < until else None

    def jwks(self) -> dict[str, Any]:
        """The public half of the development key, as a JWK set."""
        key = self._development_key()
        numbers = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {"keys": [{**numbers, "kid": key_id(key), "alg": ALGORITHM, "use": "sig"}]}

    def _audience(self) -> dict[str, Any]:
        """What is asked of the claims; of an outside token also that it was made for here, or it is none."""
        required = ["exp", "iss", "sub"]
        if self._outside is None:
            return {"options": {"require": required, "verify_aud": False}}
        return {"audience": self._settings.audience or (), "options": {"require": [*required, "aud"]}}

    def _key_for(self, token: str) -> tuple[Any, list[str], float]:
        """The key, what may be signed with it, and for how many seconds nobody has looked whether it still counts."""
        if self._outside is None:
            return self._development_key().public_key(), [ALGORITHM], 0.0
        return self._outside.get(_key_named(token)), list(OUTSIDE_ALGORITHMS), self._outside.age

    def _development_key(self) -> ec.EllipticCurvePrivateKey:
        with self._reading:
            if self._key is None:
                if time.monotonic() - self._failed_at < REST:
                    raise KeysUnavailable("the development key cannot be read")
                try:
                    self._key = _stored_key(self._settings.dsn)
                except psycopg.Error:
                    self._failed_at = time.monotonic()
                    raise
            return self._key


def _key_named(token: str) -> str | None:
    """The id of the key that this says it is signed with, if it says so."""
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError):
        return None
    return named if isinstance(named, str) else None


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """What tells one key from another in a JWK set."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(public).hexdigest()[:16]


def _stored_key(dsn: str) -> ec.EllipticCurvePrivateKey:
    """The one key of this database; of several processes that start at once, one makes it."""
    made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with connect(dsn, "issuer") as connection:
        connection.execute("INSERT INTO secret (name, value) VALUES ('issuer', %s) ON CONFLICT DO NOTHING", [made])
        row = connection.execute("SELECT value FROM secret WHERE name = 'issuer'").fetchone()
    if row is None:
        raise LookupError("the issuer's key was removed while it was read")
    key = serialization.load_pem_private_key(bytes(row[0]), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the issuer's key is of another kind")
    return key


def _checked(check: Any, what: str) -> AfterValidator:
    def test(text: str) -> str:
        if not check(text):
            raise UnfitError(what)
        return text

    return AfterValidator(test)


_Level = Annotated[str, _checked(SENSITIVITY.__contains__, f"one of {', '.join(SENSITIVITY)}")]
_Pattern = Annotated[str, _checked(is_pattern, unfit.PATTERN)]
_Cvr = Annotated[str, _checked(is_cvr, unfit.CVR)]


class _Claim(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class _ScopeClaim(_Claim):
    authority: _Cvr
    kle: tuple[_Pattern, ...] | list[_Pattern]
    sensitivity: _Level | dict[_Pattern, _Level]

    def scope(self) -> Scope:
        said = {EVERYTHING: self.sensitivity} if isinstance(self.sensitivity, str) else self.sensitivity
        return Scope.of(self.authority, tuple(self.kle), {pattern: SENSITIVITY[name] for pattern, name in said.items()})


class _ClientClaim(_Claim):
    id: str
    scopes: list[_ScopeClaim] | None = None


class _Claims(_Claim):
    sub: str
    role: Literal["vendor", "employee", "control", "citizen", "consent", "onboarding", "operator", "auditor"]
    exp: int | float
    name: str | None = None
    system: Annotated[str, _checked(is_system, unfit.SYSTEM)] | None = None
    authorities: list[_Cvr] = []
    scopes: list[_ScopeClaim] = []
    areas: list[_Pattern] = []
    principal_ids: list[str] = []
    citizen: Annotated[str, _checked(is_cpr, unfit.CPR)] | None = None
    client: _ClientClaim | None = None
    unit: str | None = None


def _valid(flaw: Mapping[str, Any]) -> str:
    """What would be valid, without a word of what was said."""
    return str(flaw.get("ctx", {}).get("error", flaw["msg"]))


def read_claims(claims: Mapping[str, Any]) -> Token:
    """The meaning of verified claims. Raises BadToken naming the claims that cannot be read, and what is valid."""
    try:
        read = _Claims.model_validate(dict(claims))
        expires = datetime.fromtimestamp(read.exp, UTC)
    except ValidationError as error:
        flaws = [flaw for flaw in error.errors(include_input=False, include_url=False) if flaw["loc"]]
        # Where one of several forms would do, our own words say more than that it is none of them.
        flaws.sort(key=lambda flaw: flaw["type"] == "value_error")
        told = {str(flaw["loc"][0]): _valid(flaw) for flaw in flaws}
        said = "; ".join(f"{name} ({valid})" for name, valid in sorted(told.items()))
        raise BadToken(f"claims that cannot be read: {said}") from None
    except (ValueError, OverflowError, OSError):
        raise BadToken("claims that cannot be read: exp") from None
    client = read.client
    return Token(
        subject=read.sub,
        role=Role(read.role),
        expires=expires,
        name=read.name or "",
        system=read.system,
        authorities=frozenset(read.authorities),
        scopes=tuple(claim.scope() for claim in read.scopes),
        areas=tuple(read.areas),
        principal_ids=frozenset(read.principal_ids),
        citizen=read.citizen,
        client=None if client is None else client.id,
        client_scopes=None
        if client is None or client.scopes is None
        else tuple(claim.scope() for claim in client.scopes),
        unit=read.unit or "",
    )
