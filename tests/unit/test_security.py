"""What claims mean, and which are none."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from broker.api.auth import verified
from broker.cli import main
from broker.domain.policy import Role
from broker.security import KEPT_S, BadToken, Issuer, KeysUnavailable, read_claims
from broker.settings import Settings

CLAIMS: dict[str, Any] = {"sub": "s", "role": "employee", "exp": 1_900_000_000}
CPR = "0101014444"


def test_a_full_token_is_read() -> None:
    token = read_claims(
        {
            **CLAIMS,
            "iss": "x",
            "name": "Ea",
            "scopes": [{"authority": "55133018", "kle": ["27.*"], "sensitivity": {"27.36.*": "VIP_SAGER"}}],
            "principal_ids": ["p"],
            "citizen": CPR,
            "client": {"id": "fordel", "scopes": []},
        }
    )
    assert (token.subject, token.role, token.name, token.client) == ("s", Role.EMPLOYEE, "Ea", "fordel")
    assert (token.scopes[0].level("27.36.04"), token.scopes[0].level("27.35.04")) == (4, 0)
    assert token.client_scopes == ()
    assert CPR not in repr(token)


def test_a_level_that_is_a_word_holds_for_the_whole_scope() -> None:
    scope = {"authority": "55133018", "kle": ["27.*"], "sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"}
    (read,) = read_claims({**CLAIMS, "scopes": [scope]}).scopes
    assert (read.level("27.36.04"), read.level("15.20.01")) == (2, 0)


def test_without_a_client_the_users_scopes_count_for_both() -> None:
    assert read_claims(CLAIMS).client_scopes is None
    assert read_claims({**CLAIMS, "client": {"id": "fordel"}}).client_scopes is None


@pytest.mark.parametrize(
    "broken",
    [
        {"role": "king"},
        {"role": None},
        {"exp": "soon"},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"system": "atlantis"},
        {"authorities": "55133018"},
        {"authorities": [CPR]},
        {"scopes": {}},
        {"scopes": [{}]},
        {"scopes": [{"authority": "55133018", "kle": ["x"], "sensitivity": "VIP_SAGER"}]},
        {"scopes": [{"authority": "55133018", "kle": [], "sensitivity": 4}]},
        {"scopes": [{"authority": "55133018", "kle": [], "sensitivity": {CPR: "VIP_SAGER"}}]},
        {"areas": ["*"]},
        {"citizen": "1"},
        {"client": "fordel"},
    ],
)
def test_a_claim_that_cannot_be_read_makes_it_no_token(broken: dict[str, Any]) -> None:
    with pytest.raises(BadToken) as caught:
        read_claims({**CLAIMS, **broken})
    assert CPR not in str(caught.value)


@given(st.dictionaries(st.sampled_from(("sub", "role", "exp", "scopes", "client", "citizen")), st.none() | st.text()))
def test_no_claims_raise_anything_else(claims: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        read_claims({**CLAIMS, "areas": 1, **claims})


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({}, "SAGSBRO_AUDIENCE"),
        ({"SAGSBRO_AUDIENCE": ""}, "SAGSBRO_AUDIENCE"),
        ({"SAGSBRO_AUDIENCE": "sagsbro"}, "SAGSBRO_ISSUER"),
    ],
)
def test_the_api_does_not_start_with_an_outside_issuer_of_which_half_is_known(
    said: dict[str, str], missing: str
) -> None:
    ran = CliRunner().invoke(main, ["api"], env={"SAGSBRO_JWKS_URL": "http://127.0.0.1:1/keys", **said})
    assert ran.exit_code == 1
    assert missing in ran.output


def test_a_verified_token_is_known_for_a_while_but_never_beyond_its_end() -> None:
    issuer = Issuer(Settings())
    issuer._key = ec.generate_private_key(ec.SECP256R1())
    now = time.time()
    long, short = (issuer.issue({"sub": "s", "role": "employee"}, ttl) for ttl in (3600, 20))
    assert issuer.known(long, now) is None

    verified = [issuer.verify(token) for token in (long, short)]

    assert [issuer.known(token, now) for token in (long, short)] == verified
    assert [issuer.known(token, now + 30) for token in (long, short)] == [verified[0], None]
    assert issuer.known(long, now + 2 * KEPT_S) is None
    assert issuer.known(long[:-4] + "AAAA", now) is None


@dataclass
class _Elsewhere:
    """An outside issuer, and what verifies its tokens. `answers`: cleared, it keeps whoever asks waiting."""

    maker: Issuer
    verifier: Issuer = field(init=False)
    body: bytes = b""
    asked: int = 0
    answers: threading.Event = field(default_factory=threading.Event)

    def token(self, subject: str = "s") -> str:
        return self.maker.issue({"sub": subject, "role": "employee", "aud": "sagsbro"}, 3600)


@contextmanager
def _elsewhere() -> Iterator[_Elsewhere]:
    outside = _Elsewhere(_own_issuer())
    outside.body = json.dumps(outside.maker.jwks()).encode()
    outside.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            outside.asked += 1
            outside.answers.wait(10)
            self.send_response(200 if outside.body else 500)
            self.end_headers()
            self.wfile.write(outside.body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    outside.verifier = Issuer(Settings(jwks_url=f"http://127.0.0.1:{server.server_port}/keys", audience="sagsbro"))
    try:
        yield outside
    finally:
        outside.answers.set()
        server.shutdown()
        server.server_close()


def _stranger() -> str:
    """A token signed with a key that nobody has heard of."""
    return _Elsewhere(_own_issuer()).token()


def _own_issuer() -> Issuer:
    issuer = Issuer(Settings())
    issuer._key = ec.generate_private_key(ec.SECP256R1())
    return issuer


def _later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + seconds)


async def test_nobody_whose_key_is_held_waits_while_an_issuer_keeps_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core: Any = SimpleNamespace()
    with _elsewhere() as outside:
        core.issuer = outside.verifier
        await verified(core, outside.token(), [Role.EMPLOYEE])
        _later(monkeypatch, 40)
        outside.answers.clear()
        garbage = [asyncio.create_task(verified(core, _stranger(), [])) for _ in range(40)]
        await asyncio.sleep(0.2)

        async with asyncio.timeout(1):
            assert (await verified(core, outside.token("another"), [Role.EMPLOYEE])).subject == "another"
            assert await asyncio.to_thread(lambda: True)

        outside.answers.set()
        assert all(isinstance(said, Exception) for said in await asyncio.gather(*garbage, return_exceptions=True))


def test_an_issuer_that_has_just_failed_is_not_asked_by_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with _elsewhere() as outside:
        outside.verifier.verify(outside.token())
        _later(monkeypatch, 40)
        outside.body = b""
        for _ in range(5):
            with pytest.raises(KeysUnavailable):
                outside.verifier.verify(_stranger())
        assert outside.asked == 2
        assert outside.verifier.verify(outside.token("held")).subject == "held"


def test_a_token_that_names_no_key_makes_nobody_ask() -> None:
    with _elsewhere() as outside:
        for none in ("x.y.z", "", "eyJhbGciOiJFUzI1NiJ9.e30.x"):
            with pytest.raises(BadToken):
                outside.verifier.verify(none)
        assert outside.asked == 0


@pytest.mark.parametrize("body", [b"", b"<html>be back soon</html>", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1]}'])
def test_an_issuer_that_answers_with_no_keys_is_away_and_the_token_is_not_judged(body: bytes) -> None:
    with _elsewhere() as outside:
        outside.body = body
        with pytest.raises(KeysUnavailable):
            outside.verifier.verify(outside.token())


def test_a_key_that_is_withdrawn_counts_for_no_longer_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with _elsewhere() as outside:
        outside.verifier.verify(outside.token())
        outside.body = json.dumps(_own_issuer().jwks()).encode()
        _later(monkeypatch, KEPT_S - 5)
        last = outside.token("last")
        outside.verifier.verify(last)

        _later(monkeypatch, 6)

        assert outside.verifier.known(last, time.time() + 6) is None
        with pytest.raises(BadToken):
            outside.verifier.verify(last)


async def test_keys_are_looked_at_again_before_anybody_has_to_wait_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    core: Any = SimpleNamespace()
    with _elsewhere() as outside:
        core.issuer = outside.verifier
        await verified(core, outside.token("first"), [Role.EMPLOYEE])
        _later(monkeypatch, KEPT_S / 2 + 1)
        await verified(core, outside.token("second"), [Role.EMPLOYEE])
        outside.verifier._fetching.shutdown()
        assert outside.asked == 2


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"scopes": [{"authority": "55133018", "kle": ["27"], "sensitivity": "VIP_SAGER"}]}, "scopes (a KLE pattern"),
        ({"scopes": [{"authority": "55133018", "kle": ["27.*"], "sensitivity": "x"}]}, "IKKE_FORTROLIGE_DATA"),
        ({"authorities": ["1"]}, "authorities (a CVR number: eight digits)"),
        ({"role": "x"}, "'vendor', 'employee'"),
    ],
)
def test_a_claim_that_cannot_be_read_is_told_what_would_be(claims: dict[str, object], says: str) -> None:
    with pytest.raises(BadToken) as caught:
        read_claims({**CLAIMS, **claims})
    assert says in str(caught.value)
