"""Reading a KLE edition as KL gives it out, of subjects or of facets: XML, JSON or CSV. Pure.

- The nested plan and the facets by XML schema 2.0, and the lists of the REST service 1.2 and 1.3, in XML or JSON: what
  counts is where an `Emne` or a `Handlingsfacet` stands, not in what it is wrapped.
- CSV with the header `emnenr,titel[,…]` or `facetnr,titel[,…]`.

Files of the real world differ from their schema, and are read all the same: a byte order mark, an empty filter, a list
inside a paragraph, a change dated before the creation, nothing in the file but its date of publication.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

import orjson

from broker.domain.kle import Edition, is_facet, is_number
from broker.domain.outcome import Rejected
from broker.domain.retention import Retention, retention
from broker.intake.xml import Element, local_name, parse

MOST: Final = 2_000_000
"""Tags and attributes: the whole plan has some hundred thousand. An operator brings it, not anybody."""
DEEPEST: Final = 60
_MARK: Final = b"\xef\xbb\xbf"
_GROUP: Final = re.compile(r"\d\d(\.\d\d)?", re.ASCII)
_PREDECESSORS: Final = re.compile(r"tidligere\s+emnenr\b\.?(.*)", re.IGNORECASE | re.DOTALL)
_IN_TEXT: Final = re.compile(r"(?<![\d.])\d\d\.\d\d\.\d\d(?!\.?\d)", re.ASCII)
_PASSED_OVER: Final = ("Vejledning", "RetskildeReference", "Filter", "OgHandlingsfacetStikord")
_KINDS: Final[Mapping[str, Literal["subjects", "facets"]]] = {"Emne": "subjects", "Handlingsfacet": "facets"}
Kind = Literal["subjects", "facets"]
Node = Mapping[str, Any]
"""Element name -> what stands under it by that name, one by one: text or a node."""


class FlawedEditionError(ValueError):
    """The file cannot be taken; the message names the place."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. published: as it says itself; with nothing else in it, there is nothing to import."""

    kind: Kind
    published: date | None
    titles: Mapping[str, str]
    retired: Mapping[str, date] = field(default_factory=dict)
    successors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    retention: Mapping[str, Retention] = field(default_factory=dict)

    def edition(self, asked: date | None) -> Edition:
        """As the edition of the date asked for, or of its own. Raises FlawedEditionError when there is none, or two."""
        published = self.published or asked
        if published is None:
            raise FlawedEditionError("the file does not say its date of publication: give the edition's date")
        if asked not in (None, published):
            raise FlawedEditionError(f"the file says that it was published on {published}")
        return Edition(published, self.titles, self.retired, self.successors, self.retention)


def read(content: bytes) -> Reading:
    """Whatever form it has. Raises FlawedEditionError."""
    begins = content.removeprefix(_MARK).lstrip()[:1]
    if begins == b"<" or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _of_tree(_xml(content))
    if begins in (b"{", b"["):
        return _of_tree(_json(content.removeprefix(_MARK)))
    return _csv(content)


def _xml(content: bytes) -> Node:
    root = parse(content, MOST)
    if isinstance(root, Rejected):
        raise FlawedEditionError(root.detail)
    return _node(root)


def _node(element: Element) -> dict[str, list[Any]]:
    under: dict[str, list[Any]] = {}
    for child in element:
        name = local_name(child)
        if not name.endswith(_PASSED_OVER):
            under.setdefault(name, []).append(_node(child) if len(child) else (child.text or "").strip())
    return under


def _json(content: bytes) -> Node:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise FlawedEditionError("not well-formed JSON") from None
    # A bare list is one of whatever its members have a number of.
    if isinstance(said, list):
        kind = next((kind for kind in _KINDS if any(isinstance(one, dict) and f"{kind}Nr" in one for one in said)), "")
        said = {kind: said}
    node = _plain(said)
    return node if isinstance(node, dict) else {}


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise FlawedEditionError(f"nested more than {DEEPEST} deep")
    if isinstance(value, dict):
        return {
            name.rpartition(":")[2]: [
                _plain(one, depth + 1) for one in (inner if isinstance(inner, list) else [inner]) if one is not None
            ]
            for name, inner in value.items()
            if not name.endswith(_PASSED_OVER)
        }
    return "" if isinstance(value, list) else str(value).strip()


def _of_tree(root: Node) -> Reading:
    published = _date(next(_texts(root, "UdgivelsesDato"), ""), "UdgivelsesDato")
    if published is None:
        # The whole of a JSON document stands under its root's name.
        inner = [one for name in root for one in root[name] if isinstance(one, dict)]
        published = next(
            (_date(said, "UdgivelsesDato") for one in inner for said in _texts(one, "UdgivelsesDato")), None
        )
    found = {kind: list(_under(root, kind)) for kind in _KINDS}
    kinds = [kind for kind, nodes in found.items() if nodes]
    if not kinds and published is not None and not any(_under(root, "Hovedgruppe")):
        return Reading("subjects", published, {})
    if len(kinds) != 1:
        raise FlawedEditionError(
            "both subjects and facets" if kinds else "there is no subject and no facet in the file"
        )
    return _reading(kinds[0], published, found[kinds[0]])


def _reading(kind: str, published: date | None, nodes: list[Node]) -> Reading:
    titles: dict[str, str] = {}
    retired: dict[str, date] = {}
    successors: dict[str, set[str]] = {}
    kept: dict[str, Retention] = {}
    is_well_made = is_number if kind == "Emne" else is_facet
    for place, node in enumerate(nodes, 1):
        number, title = (next(_texts(node, f"{kind}{name}"), "") for name in ("Nr", "Titel"))
        where = f"{kind} {place}"
        if not is_well_made(number):
            raise FlawedEditionError(f"{where}: {kind}Nr is not of its form")
        if not title:
            raise FlawedEditionError(f"{where}: {number} has no title")
        if number in titles:
            raise FlawedEditionError(f"{where}: {number} is there twice")
        titles[number] = title
        if kind == "Emne" and (said := _retention(node, number)) is not None:
            kept[number] = said
        gone, replaced_by = _history(node, number)
        if gone is not None:
            retired[number] = gone
        for one in replaced_by:
            successors.setdefault(number, set()).add(one)
        for before in _predecessors(node):
            if before != number:
                successors.setdefault(before, set()).add(number)
    followed = {number: frozenset(by) for number, by in successors.items()}
    return Reading(_KINDS[kind], published, titles, retired, followed, kept)


def _retention(node: Node, number: str) -> Retention | None:
    names = ("BevaringJaevnfoerArkivloven", "SletningJaevnfoerPersondataloven")
    try:
        return retention(*(next(_texts(node, name), "") for name in names))
    except ValueError as flaw:
        raise FlawedEditionError(f"{number}: {flaw}") from None


def _history(node: Node, number: str) -> tuple[date | None, list[str]]:
    """When it is gone, and what has taken its place: schema 2.0 says both, the REST service the day alone."""
    gone, replaced_by = None, []
    for name in node:
        if not name.endswith("AdministrativInfo"):
            continue
        for history in (past for info in _nodes(node, name) for past in _nodes(info, "Historisk")):
            for said in _texts(history, "UdgaaetDato"):
                gone = _date(said, f"{number}: UdgaaetDato") or gone
            for moved in _nodes(history, "Flyttet"):
                for said in _texts(moved, "FlyttetDato"):
                    gone = _date(said, f"{number}: FlyttetDato") or gone
                replaced_by += [
                    text
                    for by in _nodes(moved, "AfloestAf")
                    for name in ("EmneNr", "GruppeNr", "HovedgruppeNr", "HandlingsfacetNr")
                    for text in _texts(by, name)
                ]
    return gone, replaced_by


def _predecessors(node: Node) -> Iterator[str]:
    """Numbers that a keyword names as former ones: `Tidligere emnenr. 16.08.06`. Nothing else says it any more."""
    for keyword in _nodes(node, "EmneStikord"):
        for text in _texts(keyword, "Tekst"):
            if (said := _PREDECESSORS.search(text)) is not None:
                yield from _IN_TEXT.findall(said[1])


def _under(node: Node, name: str) -> Iterator[Node]:
    """Every node of that name, however deep, but for those inside one another."""
    for child, listed in node.items():
        for one in listed:
            if isinstance(one, dict):
                yield from (one,) if child == name else _under(one, name)


def _nodes(node: Node, name: str) -> Iterator[Node]:
    return (one for one in node.get(name, ()) if isinstance(one, dict))


def _texts(node: Node, name: str) -> Iterator[str]:
    return (one for one in node.get(name, ()) if isinstance(one, str))


def _date(text: str, what: str) -> date | None:
    """An xs:date, whose time zone is of no account; None of an empty one."""
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise FlawedEditionError(f"{what} is no date") from None


def _csv(content: bytes) -> Reading:
    kind: Kind = "subjects"
    titles: dict[str, str] = {}
    for line, column, number, title in _rows(_lines(content)):
        kind = "facets" if column == "facetnr" else "subjects"
        if kind == "subjects" and _GROUP.fullmatch(number):
            continue
        if not (is_number if kind == "subjects" else is_facet)(number):
            raise FlawedEditionError(
                f"line {line}: {column} is not of the form {'NN.NN.NN' if kind == 'subjects' else 'G01'}"
            )
        if not title:
            raise FlawedEditionError(f"line {line}: {number} has no title")
        if number in titles:
            raise FlawedEditionError(f"line {line}: {number} is there twice")
        titles[number] = title
    if not titles:
        raise FlawedEditionError("line 2: there is no subject in the file")
    return Reading(kind, None, titles)


def _lines(content: bytes) -> list[str]:
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FlawedEditionError(f"line {line}: not UTF-8") from None


def _rows(lines: list[str]) -> Iterator[tuple[int, str, str, str]]:
    header = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=";" if ";" in header else ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if names[:2] not in (["emnenr", "titel"], ["facetnr", "titel"]):
            raise FlawedEditionError("line 1: the header must begin emnenr,titel or facetnr,titel")
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < 2:  # noqa: PLR2004 - the two named columns
                raise FlawedEditionError(f"line {rows.line_num}: fewer than two columns")
            yield rows.line_num, names[0], row[0].strip(), row[1].strip()
    except csv.Error as error:
        raise FlawedEditionError(f"line {rows.line_num}: {error}") from None
