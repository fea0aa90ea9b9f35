"""Editions on a real PostgreSQL: put, kept side by side, compared; and over HTTP what the commands do."""

import json
import os
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.cli.running import OWNER
from broker.domain.agreement import Facts
from broker.domain.kle import Edition, KleBook, Mapped, announced, difference
from broker.domain.outcome import Code, Rejected
from broker.domain.retention import Retention
from broker.intake.edition import read
from broker.store import database, facts, kle, kle_rules, reference, sweep
from broker.store.kle_shapes import LOCAL
from broker.store.rederivation import Scope
from broker.store.reference import NotYoursError
from broker.store.shapes import AGREEMENTS
from tests.integration.referring import AARHUS, CSV, ONBOARDING, SENDER, UDK, Store
from tests.integration.test_coverage import FILL
from tests.integration.test_reference_command import instance, sagsbro
from tests.integration.test_reference_http import api
from tests.unit.test_edition import keyword, moved, plan, subject

__all__ = ["instance"]  # a fixture
FIRST, SECOND = date(2024, 1, 1), date(2025, 5, 1)
BEFORE = Edition(FIRST, {"27.36.04": "Hjælp", "27.36.08": "Mad", "27.36.12": "Vask"})
XML = plan(
    subject("27.36.04", "Personlig hjælp", more=keyword("Tidligere emnenr. 16.08.06")),
    subject("27.36.08", "Mad", info=moved("<EmneNr>27.36.16</EmneNr>")),
    subject("27.36.16", "Madservice [udgår 2027]"),
)
FACETS = {"content": b"facetnr,titel\nG01,Generelt\n", "headers": {"Content-Type": "text/csv"}}
XML_BODY = {"content": XML, "headers": {"Content-Type": "application/xml"}}
RULE = {"authority": AARHUS, "system": "nexus", "match": {"local_code": "§ 83"}, "to": {"kle": "27.36.04"}}
RULE |= {"from": "2020-01-01"}
THEIRS = [{**SENDER, "authority": UDK}]
OWN = {"authority": AARHUS, "number": "27.36.99", "title": "Eget", "from": "2020-01-01", "to_date": None}
REFERENCE = os.environ.get("SAGSBRO_KLE_REFERENCE")


def both(known: Store) -> KleBook:
    known.does(lambda connection: kle.put_edition(connection, BEFORE, OWNER))
    known.does(lambda connection: kle.put_edition(connection, read(XML).edition(None), OWNER))
    with database.connect(known.dsn, "test") as connection:
        return facts.load(connection).kle


def test_everything_an_edition_says_comes_back_from_the_database(store: Store) -> None:
    book = both(store)
    assert book.editions == (BEFORE, read(XML).edition(None))
    revision = store.revision
    both(store)
    assert store.revision == revision
    later = book.map(AARHUS, "nexus", {"kle": "16.08.06"}, SECOND)
    assert isinstance(later, Mapped)
    assert (later.number, later.rule) == ("27.36.04", "successor of 16.08.06")
    known = store.does(lambda connection: kle.number(connection, "27.36.08"))
    assert known is not None
    assert (known["title"], known["in_newest_edition"]) == ("Mad", False)
    assert known["editions"][1] == {
        "edition": "2025-05-01", "title": "Mad", "retired": "2011-02-01", "announced_retired": None,
        "successors": ["27.36.16"], "preservation": "K", "deletion": None,
    }  # fmt: skip


def test_a_change_of_nothing_but_a_retirement_or_of_how_long_is_kept_is_a_change(store: Store) -> None:
    book = both(store)
    was = book.editions[1]
    gone = replace(was, retired={"27.36.16": date(2027, 1, 1)})
    kept = replace(gone, retention={**was.retention, "27.36.04": Retention("K", "P1825D")})
    revision = store.revision
    store.does(lambda connection: kle.put_edition(connection, gone, OWNER))
    store.does(lambda connection: kle.put_edition(connection, kept, OWNER))
    assert store.revision == revision + 2


def swept(store: Store, limit: int) -> set[tuple[str, str]]:
    """What all that is left to sweeps marks, and no longer."""
    with database.connect(store.dsn, "test") as connection:
        came, known = sweep.next_slice(connection, Facts(revision=-1), limit)
        while came is not None:
            came, known = sweep.next_slice(connection, known, limit)
        marked = set(
            connection.execute("SELECT authority, kle FROM dirty JOIN entry USING (authority, system, case_id)")
        )
        connection.execute("DELETE FROM dirty")
    return marked


def test_entries_that_are_called_otherwise_are_left_to_sweeps_and_no_others_are_marked(store: Store) -> None:
    """A change of KLE looks at no entry while workers wait for it: there may be millions."""
    store.put(SENDER)
    store.does(lambda connection: reference.put_agreements(connection, AGREEMENTS.validate_python(THEIRS), OWNER))
    with database.connect(store.dsn, "test") as connection:
        connection.execute(FILL.encode(), [200])
    both(store)
    assert store.rows("SELECT count(*) FROM dirty") == [(0,)]
    assert swept(store, 50) == {(of, "27.36.04") for of in (AARHUS, UDK)}
    renamed = replace(BEFORE, published=date(2026, 1, 1), titles={**BEFORE.titles, "29.03.00": "Fritid"})
    told = store.does(lambda connection: kle.put_edition(connection, renamed, OWNER))
    assert told["changed"] == 2
    assert swept(store, 50) == {(of, number) for of in (AARHUS, UDK) for number in ("27.36.04", "29.03.00")}
    # One from before those that are known calls nothing otherwise.
    old = replace(BEFORE, published=date(2020, 1, 1), titles={"27.36.04": "Gammel", "29.03.00": "Ældre"})
    revision = store.revision
    told = store.does(lambda connection: kle.put_edition(connection, old, OWNER))
    assert (told["changed"], store.revision) == (0, revision + 1)
    assert store.rows("SELECT count(*) FROM sweep") == [(0,)]
    own = LOCAL.validate_python([{**OWN, "number": "29.03.00"}])
    groups = replace(old, titles={**old.titles, "29.03.01": "Andet"})
    store.does(lambda connection: kle.put_edition(connection, groups, OWNER))
    swept(store, 50)
    store.does(lambda connection: kle.put_local(connection, own, ONBOARDING))
    assert store.rows("SELECT count(*) FROM dirty") == [(0,)]
    assert swept(store, 50) == {(AARHUS, "29.03.00")}


def again(store: Store) -> list[tuple[str, list[str], str]]:
    """What is asked for, and no longer."""
    asked = store.does(lambda connection: reference.asked_again(connection, None))
    store.rows("UPDATE ask_again SET closed_at = now() RETURNING 1")
    return [(one["system"], one["kle"], one["reason"]) for one in asked]


def asked_for(put: Any, system: str = "sbsys") -> list[list[str]]:
    """By an answer, of one system."""
    return [
        one["kle"]
        for said in put
        for one in said["asks_again"]
        if (one["authority"], one["system"]) == (AARHUS, system)
    ]


def test_what_an_edition_a_rule_or_an_own_number_lets_in_is_asked_of_its_sources_again(store: Store) -> None:
    """What was outside was not kept. A second time, and of what was inside or was kept, nothing is asked."""
    restricted = {
        **SENDER,
        "system": "nova",
        "state": "RESTRICTED",
        "restricted": {"kle": ["27.36.99"], "citizens": []},
    }
    store.put(SENDER, {**SENDER, "system": "nexus", "kle": ["28.*"]}, restricted)
    first = store.does(lambda connection: kle.put_edition(connection, BEFORE, OWNER))
    assert (first["asks_again"], len(again(store))) == ([], 3)  # the first loads
    put = store.does(lambda connection: kle.put_edition(connection, read(XML).edition(None), OWNER))
    assert asked_for([put]) == [["27.36.04"]]
    assert again(store) == [("sbsys", ["27.36.04"], "kle_edition 2025-05-01")]
    put = store.does(lambda connection: kle.put_edition(connection, read(XML).edition(None), OWNER))
    assert (put["asks_again"], again(store)) == ([], [])

    rule = RULE | {"system": "*", "match": {"kle": "99.*"}}
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        told = client.put("/v1/kle/rules?preview=true", json=[rule]).json()
        assert (asked_for([told]), again(store)) == ([["27.36.04"]], [])
        put = client.put("/v1/kle/rules", json=[rule]).json()
        assert put[0]["asks_again"] == told["asks_again"] != []
        assert again(store) == [("sbsys", ["27.36.04"], f"kle_rules {AARHUS}/* version 1")]
        assert (client.put("/v1/kle/rules", json=[rule]).json()[0]["asks_again"], again(store)) == ([], [])
        assert client.delete(f"/v1/kle/rules/{AARHUS}/*").json()["asks_again"] == []
        # Of what is restricted nothing was kept.
        put = client.put("/v1/kle/local", json=OWN).json()
        assert (asked_for(put), asked_for(put, "nova")) == ([], [["27.36.99"]])
        assert again(store) == [("nova", ["27.36.99"], f"kle_local {AARHUS} version 1")]


def test_a_rule_to_a_number_that_nobody_knows_yet_is_put_and_told_of(store: Store, instance: Path) -> None:
    store.does(lambda connection: kle.put_edition(connection, BEFORE, OWNER))
    rule = RULE | {"to": {"kle": "99.88.77"}}
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        for path in ("/v1/kle/rules?preview=true", "/v1/kle/rules"):
            answer = client.put(path, json=[rule, RULE | {"system": "sbsys"}]).json()
            told = answer if isinstance(answer, dict) else answer[0]
            assert told["unknown_numbers"] == ["99.88.77"]
        assert answer[1]["unknown_numbers"] == []
    code, output = sagsbro(instance, "kle", "rules", "put", "-", "--preview", given=json.dumps(rule))
    assert (code, "No edition knows 99.88.77" in output) == (0, True)


def test_an_edition_is_owed_until_the_index_has_been_derived_by_it(store: Store) -> None:
    store.does(lambda connection: kle.put_edition(connection, BEFORE, OWNER))
    owed = store.does(kle_rules.owed)
    assert [one.scope for one in owed] == [Scope()]
    store.does(lambda connection: kle.put_edition(connection, BEFORE, OWNER))
    assert store.does(kle_rules.owed) == owed  # nothing was changed


def test_the_commands_say_beforehand_and_when_it_is_done_who_is_asked_again(store: Store, instance: Path) -> None:
    store.put(SENDER)
    csv = CSV.replace("27", "28") + CSV.partition("\n")[2]
    code, output = sagsbro(instance, "kle", "import", "-", "--edition", "2024-01-01", given=csv)
    assert (code, "asked again" in output) == (0, False)
    rule = RULE | {"system": "sbsys", "match": {"kle": "28.*"}}
    code, output = sagsbro(instance, "kle", "rules", "put", "-", "--preview", given=json.dumps(rule))
    assert (code, "No edition knows" in output) == (0, False)
    assert (code, f"{AARHUS} sbsys would be asked again for 27.36.04" in output) == (0, True)
    successors = plan(subject("27.36.08", "Mad", more=keyword("Tidligere emnenr. 28.36.04")))
    code, output = sagsbro(instance, "kle", "import", "-", given=successors.decode())
    assert (code, f"{AARHUS} sbsys is asked again for 27.36.08" in output) == (0, True)


def test_two_editions_are_compared_with_the_entries_on_each_number(store: Store, instance: Path) -> None:
    both(store)
    store.entries("sbsys", "nexus")
    code, output = sagsbro(instance, "kle", "diff", "2024-01-01", "2025-05-01", "--json")
    changes = json.loads(output)
    assert code == 0
    live = {"entries": 2, "since": 0}
    none = {"entries": 0, "since": 0}
    assert changes["added"] == [{"number": "27.36.16", "title": "Madservice [udgår 2027]", **none}]
    assert changes["removed"] == [
        {"number": "27.36.08", "title": "Mad", "successors": ["27.36.16"], **none},
        {"number": "27.36.12", "title": "Vask", "successors": [], **none},
    ]
    retitled = {"number": "27.36.04", "before": "Hjælp", "after": "Personlig hjælp", "announced_retired": None}
    assert changes["retitled"] == [retitled | live | {"since": changes["retitled"][0]["since"]}]
    shown = sagsbro(instance, "kle", "diff", "2024-01-01", "2025-05-01")[1]
    assert "- 27.36.08  Mad  -> 27.36.16\n" in shown
    assert shown.endswith("1 added, 2 removed, 1 retitled\n")
    assert sagsbro(instance, "kle", "diff", "2024-01-01", "2023-01-01")[0] == 1


def test_the_command_line_takes_every_form_and_the_date_the_file_says(
    instance: Path, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "plan.xml"
    file.write_bytes(XML)
    assert sagsbro(instance, "kle", "import", str(file)) == (0, "edition 2025-05-01: 3 subjects, 3 changed\n")
    assert sagsbro(instance, "kle", "import", str(file), "--edition", "2024-01-01")[0] == 1
    assert sagsbro(instance, "kle", "import", "-", given="emnenr,titel\n27.36.04,Hjælp\n")[0] == 1
    only = "<KLE-Emneplan><UdgivelsesDato>2026-05-01</UdgivelsesDato></KLE-Emneplan>"
    code, output = sagsbro(instance, "kle", "import", "-", given=only)
    assert (code, "nothing is imported" in output) == (0, True)
    assert store.rows("SELECT count(*) FROM kle_edition") == [(1,)]
    less = "emnenr,titel\n27.36.04,Hjælp\n"
    code, output = sagsbro(instance, "kle", "import", "-", "--edition", "2025-05-01", given=less)
    assert (code, "place of an edition of that date with 3 subjects: 0 added, " in output) == (0, True)
    assert sagsbro(instance, "kle", "import", str(file))[0] == 0
    facets = sagsbro(instance, "kle", "import", "-", "--edition", "2025-05-01", given="facetnr,titel\nG01,Generelt\n")
    assert facets == (0, "facets 2025-05-01: 1 facets, 1 changed\n")
    with database.connect(store.dsn, "test") as connection:
        book = facts.load(connection).kle
    unknown = book.map(AARHUS, "nexus", {"kle": "27.36.04", "facet": "K02"}, SECOND)
    assert isinstance(unknown, Rejected)
    assert unknown.code is Code.FACET_UNKNOWN
    assert sagsbro(instance, "kle", "show", "27.36.08")[1].splitlines()[1].endswith("gone from 2011-02-01  -> 27.36.16")


def test_the_command_line_puts_lists_and_clears_own_numbers(instance: Path, store: Store) -> None:
    both(store)
    assert sagsbro(instance, "kle", "local", "put", "-", given=json.dumps(OWN))[0] == 0
    assert json.loads(sagsbro(instance, "kle", "local", "list", "--json")[1]) == [OWN]
    code, output = sagsbro(instance, "kle", "local", "put", "-", given=json.dumps([OWN, OWN | {"number": "99.36.99"}]))
    assert (code, "/1/number" in output) == (1, True)
    assert sagsbro(instance, "kle", "local", "clear", AARHUS)[0] == 0
    assert json.loads(sagsbro(instance, "kle", "local", "list", "--json")[1]) == []
    assert store.rows("SELECT version, jsonb_array_length(body) FROM kle_local ORDER BY version") == [(1, 1), (2, 0)]


def test_over_http_editions_facets_rules_and_own_numbers_are_put_and_got(store: Store) -> None:
    with api(store, role="operator") as client:
        assert client.put("/v1/kle/editions/2025-05-01", **XML_BODY).json()["numbers"] == 3
        assert client.put("/v1/kle/facets/2025-05-01", **FACETS).json()["facets"] == 1
        assert client.put("/v1/kle/facets/2025-05-01", **XML_BODY).status_code == 422
        assert client.put("/v1/kle/editions/2025-05-01", **FACETS).status_code == 422
        assert client.put("/v1/kle/editions/2024-05-01", **XML_BODY).status_code == 422
        assert client.get("/v1/kle/diff/2025-05-01/2025-05-01").json()["added"] == []
        assert client.get("/v1/kle/diff/2025-05-01/2026-05-01").status_code == 404
        for_all = RULE | {"authority": "*"}
        assert client.put("/v1/kle/rules", json=for_all).json()[0]["version"] == 1
        assert client.put("/v1/kle/rules", json=RULE).status_code == 403
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        told = client.put("/v1/kle/rules?preview=true", json=[RULE]).json()
        assert told == {
            "entries": 0,
            "changed": 0,
            "unmapped": 0,
            "rejections": 0,
            "solved": 0,
            "moves": [],
            "unknown_numbers": [],
            "asks_again": [],
        }
        (put,) = client.put("/v1/kle/rules", json=[RULE]).json()
        assert (put["changed"], put["owed"], put["unknown_numbers"]) == (True, True, [])
        (again,) = client.put("/v1/kle/rules", json=[RULE]).json()
        assert (again["changed"], again["owed"]) == (False, True)
        kept = client.get("/v1/kle/rules").json()
        assert [(one["authority"], one["owed"]) for one in kept] == [("*", True), (AARHUS, True)]
        assert kept[1]["rules"][0]["match"] == {"kle": None, "local_code": "§ 83"}
        tied = client.put("/v1/kle/rules", json=[RULE, RULE])
        assert (tied.status_code, tied.json()["code"]) == (422, "rules_tie")
        assert tied.json()["errors"][0]["pointer"] == "/1/match"
        for path in ("/v1/kle/rules", "/v1/kle/rules?preview=true"):
            assert client.put(path, json=for_all).status_code == 403
            assert client.put(path, json=RULE | {"authority": UDK}).status_code == 403
        codes = {"content": "§ 83\n§ 84,Træning,3\n".encode(), "headers": {"Content-Type": "text/csv"}}
        checked = client.post(f"/v1/kle/checks?authority={AARHUS}&system=nexus", **codes).json()
        assert (checked["codes"], [one["code"] for one in checked["unmapped"]]) == (2, ["§ 84"])
        assert client.post(f"/v1/kle/checks?authority={UDK}&system=nexus", **codes).status_code == 403
        with database.connect(store.dsn, "test") as another:
            another.execute("SELECT pg_advisory_lock(7346010)")
            refused = client.put("/v1/kle/rules?preview=true", json=[RULE])
        assert (refused.status_code, refused.json()["code"]) == (409, "preview_under_way")
        assert client.delete(f"/v1/kle/rules/{AARHUS}/nexus").json()["version"] == 2
        assert client.put("/v1/kle/local", json=OWN).json()[0]["version"] == 1
        assert client.get("/v1/kle/local").json() == [OWN]
        assert client.put("/v1/kle/local", json=OWN | {"number": "99.99.99"}).status_code == 422
        assert client.delete(f"/v1/kle/local/{AARHUS}").json()["count"] == 0
        assert client.delete(f"/v1/kle/local/{UDK}").status_code == 403


def test_only_onboarding_puts_an_authority_s_own_and_only_an_operator_what_all_share(store: Store) -> None:
    both(store)
    with pytest.raises(NotYoursError):
        store.does(lambda connection: kle.put_edition(connection, BEFORE, ONBOARDING))
    with api(store, role="operator", authorities=[AARHUS]) as client:
        assert client.put("/v1/kle/local", json=OWN).status_code == 403


@pytest.mark.skipif(REFERENCE is None, reason="KL's own numbers are not part of the project: SAGSBRO_KLE_REFERENCE")
class TestTheRealEditions:
    """3.23 as it is, and 3.22 as the published changes say that it was."""

    CHANGES: dict[str, Any] = json.loads((Path(REFERENCE) / "change.json").read_text("utf-8-sig")) if REFERENCE else {}
    TITLES = re.compile(r"3\.23: '(.*)'\. 3\.22: '(.*)'", re.DOTALL)

    @pytest.fixture
    def editions(self) -> tuple[Edition, Edition]:
        assert REFERENCE is not None
        newer = read((Path(REFERENCE) / "kle-emner-os2kle-3.23.csv").read_bytes()).edition(SECOND)
        older = dict(newer.titles)
        for number, said in self.subjects():
            if said.get("class") == "Only in 3.22":
                older[number] = "gone"
            elif said.get("class") == "Only in 3.23":
                older.pop(number)
            elif (title := self.title(said)) is not None:
                assert older[number] == title[0]
                older[number] = title[1]
        return Edition(FIRST, older), newer

    def subjects(self) -> list[tuple[str, dict[str, Any]]]:
        return [(number, said) for number, said in self.CHANGES.items() if len(number) == len("NN.NN.NN")]

    def title(self, said: dict[str, Any]) -> tuple[str, str] | None:
        found = self.TITLES.fullmatch(said.get("settings", {}).get("title", ""))
        return None if found is None else (found[1], found[2])

    def test_the_difference_is_the_one_that_was_published(
        self, editions: tuple[Edition, Edition], store: Store, instance: Path
    ) -> None:
        for edition in editions:
            put = store.does(lambda connection, edition=edition: kle.put_edition(connection, edition, OWNER))  # type: ignore[misc]
            assert put["numbers"] == len(edition.titles) > 2000
        changes = json.loads(sagsbro(instance, "kle", "diff", str(FIRST), str(SECOND), "--json")[1])
        of = {kind: {one["number"] for one in changes[kind]} for kind in ("added", "removed", "retitled")}
        assert of == {
            "added": {number for number, said in self.subjects() if said.get("class") == "Only in 3.23"},
            "removed": {number for number, said in self.subjects() if said.get("class") == "Only in 3.22"},
            "retitled": {number for number, said in self.subjects() if self.title(said) is not None},
        }
        assert all(of.values())
        with database.connect(store.dsn, "test") as connection:
            book = facts.load(connection).kle
        assert len(book.announced(SECOND)) == 17
        assert book.announced(FIRST) == {}

    def test_every_number_of_both_maps_or_is_retired(self, editions: tuple[Edition, Edition]) -> None:
        book, changes = KleBook(editions), difference(*editions)
        for number in {**editions[0].titles, **editions[1].titles}:
            for day in (FIRST, SECOND):
                came = book.map(AARHUS, "nexus", {"kle": number}, day)
                if isinstance(came, Mapped):
                    assert came.number == number
                    assert (came.announced is not None) == (
                        announced(editions[day == SECOND].titles[number]) is not None
                    )
                else:
                    expected = (
                        (Code.KLE_RETIRED, changes.removed) if day == SECOND else (Code.KLE_UNKNOWN, changes.added)
                    )
                    assert came.code is expected[0]
                    assert number in expected[1]

    def test_the_excerpt_in_the_official_form_names_its_predecessors(self) -> None:
        assert REFERENCE is not None
        reading = read((Path(REFERENCE) / "kle-emneplan-excerpt-27.36.xml").read_bytes())
        book = KleBook((reading.edition(None),))
        came = book.map(AARHUS, "nexus", {"kle": "16.08.06"}, date(2025, 6, 1))
        assert isinstance(came, Mapped)
        assert came.number == "27.36.04"
