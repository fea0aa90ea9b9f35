"""Every form in which KLE is given out is read, with the oddities of real files; everything else is refused."""

import json
from dataclasses import astuple
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.kle import Edition
from broker.domain.retention import Retention
from broker.intake.edition import FlawedEditionError, Reading, read

CSV = "emnenr,titel\n27,Social\n27.36,Hjælp\n27.36.04,Hjemmehjælp\n27.36.08,Madservice\n"
EXPECTED = {"27.36.04": "Hjemmehjælp", "27.36.08": "Madservice"}
ONE = {"EmneNr": "27.36.04", "EmneTitel": "x"}
LISTS = "http://www.kle-online.dk/rest/resources/emne/liste"
SHARED = "http://www.kle-online.dk/rest/resources/emneplan"


def subject(number: str, title: str = "Emne", info: str = "", more: str = "") -> str:
    return (
        f"<Emne><EmneNr>{number}</EmneNr><EmneTitel>{title}</EmneTitel>"
        "<EmneVejledning><VejledningTekst><p>Sager om:<ul><li>hjælp</li></ul></p></VejledningTekst></EmneVejledning>"
        "<EmneRetskildeReference><RetskildeTitel>Loven</RetskildeTitel></EmneRetskildeReference>"
        f"<EmneAdministrativInfo><OprettetDato>2009-05-01</OprettetDato>{info}</EmneAdministrativInfo>"
        f"<BevaringJaevnfoerArkivloven>K</BevaringJaevnfoerArkivloven><EmneFilter/>{more}</Emne>"
    )


def plan(*subjects: str, published: str = "2025-05-01") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><KLE-Emneplan><UdgivelsesDato>{published}</UdgivelsesDato><Hovedgruppe>'
        "<HovedgruppeNr>27</HovedgruppeNr><HovedgruppeTitel>Social service</HovedgruppeTitel><Gruppe><GruppeNr>27.36"
        "</GruppeNr><GruppeTitel>Hjælp</GruppeTitel><GruppeStikord><Tekst>Tidligere gruppenr. 16.06</Tekst>"
        f"</GruppeStikord>{''.join(subjects)}</Gruppe></Hovedgruppe></KLE-Emneplan>"
    ).encode()


def keyword(text: str) -> str:
    return f"<EmneStikord><Orden>1</Orden><Tekst>{text}</Tekst></EmneStikord>"


def moved(*successors: str) -> str:
    by = "".join(f"<AfloestAf>{one}</AfloestAf>" for one in successors)
    return f"<Historisk><Flyttet><FlyttetDato>2011-02-01</FlyttetDato>{by}</Flyttet></Historisk>"


def test_the_nested_plan_is_read() -> None:
    edition = read(plan(subject("27.36.04", "Hjemmehjælp"), subject("27.36.08", "Madservice"))).edition(None)
    assert edition == Edition(date(2025, 5, 1), EXPECTED, retention=dict.fromkeys(EXPECTED, Retention("K")))


KEPT = {
    "27.36.04": Retention("K5", "P1825D"),
    "27.36.08": Retention("B", "P5Y6M"),
    "27.36.10": Retention("tom"),
    "27.36.12": Retention(None, "P30D"),
}


def test_how_long_cases_are_kept_is_read_of_every_form_that_says_it() -> None:
    names = "BevaringJaevnfoerArkivloven", "SletningJaevnfoerPersondataloven"
    said = {
        number: {name: value for name, value in zip(names, astuple(kept), strict=True) if value is not None}
        for number, kept in KEPT.items()
    }
    subjects = "".join(
        f"<Emne><EmneNr>{number}</EmneNr><EmneTitel>x</EmneTitel>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in each.items())
        + "</Emne>"
        for number, each in said.items()
    )
    listed = [{"EmneNr": number, "EmneTitel": "x", **each} for number, each in said.items()]
    nothing = {"EmneNr": "27.36.14", "EmneTitel": "x", **dict.fromkeys(names, "")}
    rest = subjects.replace("Emne>", "l:Emne>")
    for content in (
        plan(subjects),
        f'<l:KLE-Emner xmlns:l="{LISTS}" xmlns="{SHARED}">{rest}</l:KLE-Emner>'.encode(),
        json.dumps([*listed, nothing]).encode(),
    ):
        assert read(content).retention == KEPT


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_it(encoding: str) -> None:
    text = plan(subject("27.36.04", "Hjemmehjælp")).decode().replace("UTF-8", encoding.removesuffix("-sig"))
    assert read(text.encode(encoding)).titles == {"27.36.04": "Hjemmehjælp"}


def test_a_change_dated_before_the_creation_and_an_empty_history_are_nothing_to_stumble_over() -> None:
    odd = subject("27.36.04", info="<RettetDato>2003-08-01</RettetDato><Historisk/>")
    assert read(plan(odd)).retired == {}


def test_a_file_with_only_its_date_says_only_that() -> None:
    only = b"\xef\xbb\xbf<KLE-Emneplan><UdgivelsesDato>2025-05-01+02:00</UdgivelsesDato></KLE-Emneplan>"
    assert read(only) == Reading("subjects", date(2025, 5, 1), {})


def test_a_subject_is_retired_by_a_date_and_moved_to_what_took_its_place() -> None:
    gone = "<Historisk><UdgaaetDato>2020-02-01</UdgaaetDato></Historisk>"
    reading = read(
        plan(
            subject("27.36.04", info=gone),
            subject("27.36.08", info=moved("<EmneNr>27.36.12</EmneNr>")),
            subject("27.36.10", info=moved("<EmneNr>27.36.12</EmneNr>", "<GruppeNr>27.38</GruppeNr>")),
            subject("27.36.12"),
        )
    )
    assert reading.retired == {
        "27.36.04": date(2020, 2, 1),
        "27.36.08": date(2011, 2, 1),
        "27.36.10": date(2011, 2, 1),
    }
    assert reading.successors == {"27.36.08": {"27.36.12"}, "27.36.10": {"27.36.12", "27.38"}}


def test_a_keyword_names_the_predecessors_of_a_subject_and_of_nothing_else() -> None:
    told = (
        keyword("Tidligere emnenr. 16.08.30 og 16.13.28")
        + keyword("tidligere emnenr.16.08.31 [udgået]")
        + keyword("Hjemmehjælp efter 11.22.33")
        + keyword("Tidligere emnenr. 27.36.04")
        + "<EmneOgHandlingsfacetStikord><Tekst>Tidligere emnenr. 16.99.99</Tekst></EmneOgHandlingsfacetStikord>"
    )
    assert read(plan(subject("27.36.04", more=told))).successors == {
        number: {"27.36.04"} for number in ("16.08.30", "16.13.28", "16.08.31")
    }


def test_the_lists_of_the_rest_service_are_read_in_xml() -> None:
    listed = "".join(
        f'<l:Emne ref="http://kle.example/{number}"><EmneNr>{number}</EmneNr><UUID>x</UUID><EmneTitel>{title}</EmneTitel>'
        "</l:Emne>"
        for number, title in EXPECTED.items()
    )
    xml = f'<l:KLE-Emner xmlns:l="{LISTS}" xmlns="{SHARED}">{listed}</l:KLE-Emner>'
    reading = read(xml.encode())
    assert reading == Reading("subjects", None, EXPECTED)
    assert reading.edition(date(2025, 5, 1)).published == date(2025, 5, 1)
    with pytest.raises(FlawedEditionError, match="date of publication"):
        reading.edition(None)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda listed: listed,
        lambda listed: {"Emne": listed},
        lambda listed: {"KLE-Emner": {"Emne": listed}},
        lambda listed: {"liste:KLE-Emner": {"liste:Emne": listed, "antal": 2, "next": None}},
        lambda listed: {"KLE-Emneplan": {"Hovedgruppe": {"Gruppe": [{"GruppeNr": "27.36", "Emne": listed}]}}},
    ],
)
def test_the_lists_of_the_rest_service_are_read_in_json(wrapped: Any) -> None:
    listed = [
        {"EmneNr": number, "EmneTitel": title, "ref": "http://kle.example", "EmneVejledning": None}
        for number, title in EXPECTED.items()
    ]
    assert read(json.dumps(wrapped(listed)).encode("utf-8-sig")) == Reading("subjects", None, EXPECTED)


def test_json_says_its_date_and_its_retired_subjects_too() -> None:
    gone = {"KLEAdministrativInfo": {"OprettetDato": "2009-05-01", "Historisk": {"UdgaaetDato": "2020-02-01"}}}
    said = {"KLE-Emner": {"UdgivelsesDato": "2025-05-01", "Emne": {"EmneNr": "27.36.04", "EmneTitel": "x", **gone}}}
    reading = read(json.dumps(said).encode())
    assert (reading.published, reading.retired) == (date(2025, 5, 1), {"27.36.04": date(2020, 2, 1)})


def test_facets_are_read_in_xml_json_and_csv() -> None:
    xml = (
        "<KLE-Handlingsfacetter><UdgivelsesDato>2025-05-01</UdgivelsesDato><HandlingsfacetKategori>"
        "<HandlingsfacetKategoriNr>G</HandlingsfacetKategoriNr><HandlingsfacetKategoriTitel>Generelt"
        "</HandlingsfacetKategoriTitel><Handlingsfacet><HandlingsfacetNr>G01</HandlingsfacetNr><HandlingsfacetTitel>"
        "Generelle sager</HandlingsfacetTitel></Handlingsfacet><Handlingsfacet><HandlingsfacetNr>Ø34</HandlingsfacetNr>"
        "<HandlingsfacetTitel>Regnskab</HandlingsfacetTitel><HandlingsfacetAdministrativInfo><OprettetDato>2009-01-01"
        "</OprettetDato><Historisk><UdgaaetDato>2020-01-01</UdgaaetDato></Historisk></HandlingsfacetAdministrativInfo>"
        "</Handlingsfacet></HandlingsfacetKategori></KLE-Handlingsfacetter>"
    )
    titles = {"G01": "Generelle sager", "Ø34": "Regnskab"}
    assert read(xml.encode()) == Reading("facets", date(2025, 5, 1), titles, {"Ø34": date(2020, 1, 1)})
    listed = [{"HandlingsfacetNr": number, "HandlingsfacetTitel": title} for number, title in titles.items()]
    assert read(json.dumps(listed).encode()) == Reading("facets", None, titles)
    assert read("FacetNr;Titel\nG01;Generelle sager\nØ34;Regnskab\n".encode()) == Reading("facets", None, titles)


def test_csv_is_read_with_or_without_a_byte_order_mark_and_with_further_columns() -> None:
    assert read(CSV.encode()).titles == read(CSV.encode("utf-8-sig")).titles == EXPECTED
    assert read(b'Emnenr;Titel;Noter\n27.36.04;"A; B";x\n').titles == {"27.36.04": "A; B"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("nummer,titel\n", 1),
        ("emnenr,titel\n", 2),
        ("emnenr,titel\n27.36.04,A\n27.36,B\n27-36,C\n", 4),
        ("emnenr,titel\n27.36.04\n", 2),
        ("emnenr,titel\n27.36.04,\n", 2),
        ("emnenr,titel\n27.36.04,A\n27.36.04,B\n", 3),
        ("facetnr,titel\nG1,A\n", 2),
    ],
)
def test_a_flawed_csv_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(FlawedEditionError, match=f"^line {line}:"):
        read(text.encode())


def test_csv_in_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(FlawedEditionError, match=r"^line 3: not UTF-8"):
        read(CSV.encode("latin-1"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><KLE-Emneplan>&x;</KLE-Emneplan>', "document type"),
        (b"<KLE-Emneplan>", "well-formed"),
        (b"<a>" * 100 + b"</a>" * 100, "nested"),
        (b"{", "well-formed"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested"),
        (b"<KLE-Emner/>", "no subject"),
        (b"[]", "no subject"),
        (b'[{"GruppeNr": "27.36", "GruppeTitel": "x"}]', "no subject"),
        (plan(subject("27.36.4")), "Emne 1: EmneNr"),
        (plan(subject("27.36.04"), subject("27.36.08", "")), "Emne 2: 27.36.08 has no title"),
        (plan(subject("27.36.04"), subject("27.36.04")), "Emne 2: 27.36.04 is there twice"),
        (plan(published="2025-05-01"), "no subject"),
        (plan(subject("27.36.04"), published="i maj"), "UdgivelsesDato is no date"),
        (json.dumps([{**ONE, "BevaringJaevnfoerArkivloven": "K7"}]).encode(), "27.36.04: BevaringJaevnfoerArkivloven"),
        (json.dumps([{**ONE, "SletningJaevnfoerPersondataloven": "5 aar"}]).encode(), "27.36.04: SletningJaevnfoer"),
        (json.dumps([{**ONE, "SletningJaevnfoerPersondataloven": "P"}]).encode(), "27.36.04: SletningJaevnfoer"),
        (
            json.dumps([{**ONE, "SletningJaevnfoerPersondataloven": "P9999999D"}]).encode(),
            "27.36.04: SletningJaevnfoer",
        ),
        (plan(subject("27.36.04", info="<Historisk><UdgaaetDato>snart</UdgaaetDato></Historisk>")), "UdgaaetDato"),
        (
            b'{"Emne": [{"EmneNr": "27.36.04", "EmneTitel": "x"}], "Handlingsfacet": [{"HandlingsfacetNr": "G01"}]}',
            "both",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(content: bytes, why: str) -> None:
    with pytest.raises(FlawedEditionError, match=why):
        read(content)


def test_another_date_than_the_file_s_own_is_refused() -> None:
    with pytest.raises(FlawedEditionError, match="2025-05-01"):
        read(plan(subject("27.36.04"))).edition(date(2024, 1, 1))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_whatever_make_the_reader_fail(content: bytes) -> None:
    try:
        read(content)
    except FlawedEditionError:
        return
