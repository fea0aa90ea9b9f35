"""What readers and searches need to know of an entry, derived from its state. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.domain.case import GROUPS, NEVER, SENSITIVITY, SENSITIVITY_UNSAID, Item, State, visible_items
from broker.domain.identity import EntryKey

PRIMARY: Final = "PRIMARY"
SECONDARY: Final = "SECONDARY"


def party_ref(id_type: str, party_id: str) -> str:
    """How a party is named in the index: kind and number."""
    return f"{id_type}:{party_id}"


_CPR: Final = party_ref("CPR", "")


@dataclass(init=False)
class Entry:
    """One case in the index, as the policy sees it. `principals`: None when there is no security profile.

    parties: (role, reference) of every party, the primary ones first.
    created_at: microseconds since 1970, UTC.
    """

    key: EntryKey
    complete: bool
    kle: str | None
    sensitivity: int
    parties: tuple[tuple[str, str], ...]
    principals: frozenset[str] | None
    hidden_from_citizen: bool
    user_key: str | None
    created_at: int | None
    state: str | None

    def __init__(
        self,
        key: EntryKey,
        complete: bool,  # noqa: FBT001 - given by name where it is not a row's part
        kle: str | None,
        sensitivity: int,
        parties: tuple[tuple[str, str], ...],
        principals: frozenset[str] | None,
        hidden_from_citizen: bool,  # noqa: FBT001 - the same
        user_key: str | None,
        created_at: int | None,
        state: str | None,
    ) -> None:
        self.key = key
        self.complete = complete
        self.kle = kle
        self.sensitivity = sensitivity
        self.parties = parties
        self.principals = principals
        self.hidden_from_citizen = hidden_from_citizen
        self.user_key = user_key
        self.created_at = created_at
        self.state = state

    @property
    def primary_citizens(self) -> Iterator[str]:
        """The civil registration numbers of the primary parties."""
        return (ref.removeprefix(_CPR) for role, ref in self.parties if role == PRIMARY and ref.startswith(_CPR))

    def has_party(self, references: frozenset[str], roles: frozenset[str]) -> bool:
        """Whether one of the references stands in one of the roles."""
        return any(role in roles and reference in references for role, reference in self.parties)


def entry_of(key: EntryKey, state: State) -> Entry:
    """Derive everything that is searched, filtered or decided on."""
    groups, layered = state.groups, bool(state.items)
    properties = _content(state, "properties")
    access = _content(state, "access")
    classification = _content(state, "classification")
    parties = visible_items(state, "parties") if layered else groups.get("parties", (NEVER, ()))[1]
    profile = visible_items(state, "security_profile") if layered else groups.get("security_profile", (NEVER, ()))[1]
    level = access.get("sensitivity")
    return Entry(
        key,
        not state.mandatory_missing and "replaced_by" not in groups,
        classification.get("kle"),
        SENSITIVITY_UNSAID if level is None else SENSITIVITY[level],
        _parties(parties),
        frozenset(item["principal_id"] for item in profile) if profile else None,
        bool(access.get("hidden_from_citizen")),
        properties.get("user_key"),
        properties.get("created_at"),
        current_state(state),
    )


def _parties(items: Sequence[Item]) -> tuple[tuple[str, str], ...]:
    parties = [(item["role"], party_ref(item["id_type"], item["id"])) for item in items]
    if len(parties) > 1:
        parties.sort(key=_primary_first)
    return tuple(parties)


def current_state(state: State) -> str | None:
    """The step of progress that began last; of two that began together, the one listed last."""
    if state.items:
        return newest_step(visible_items(state, "progress"))
    return newest_step(state.groups.get("progress", (NEVER, ()))[1])


def newest_step(steps: Sequence[Item]) -> str | None:
    """The same for steps that are listed."""
    newest: Item | None = None
    for step in steps:
        if newest is None or step["effective_from"] >= newest["effective_from"]:
            newest = step
    return None if newest is None else newest["state"]


def steps_in_order(state: State) -> list[Item]:
    """The course of the case, oldest first."""
    return sorted(visible_items(state, "progress"), key=lambda step: step["effective_from"])


def shape_of(state: State) -> int:
    """Which groups there are, one bit each in the order of GROUPS."""
    shape = 0
    for bit, group in enumerate(GROUPS):
        if group in state.groups:
            shape |= 1 << bit
    return shape


def _content(state: State, group: str) -> dict[str, Any]:
    content: dict[str, Any] = state.groups.get(group, (NEVER, {}))[1]
    return content


def _primary_first(party: tuple[str, str]) -> bool:
    return party[0] != PRIMARY
