"""What claims mean, and which are none."""

import time
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from broker.cli import main
from broker.domain.policy import Role
from broker.security import KEPT_S, BadToken, Issuer, read_claims
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
