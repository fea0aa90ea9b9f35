"""What a municipality says in a connector's configuration. Written by people, so read tolerantly. Pure."""

from collections.abc import Mapping
from typing import Any

from broker.domain.case import STATES


def table(config: Mapping[str, Any], name: str) -> Mapping[Any, Any]:
    """A table of that name; what is no table is an empty one."""
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def state_of(said: str, config: Mapping[str, Any], known: Mapping[str, str]) -> str | None:
    """The state that a vendor's word means: by the table `states`, else by the connector's own (in lower case)."""
    word = said.strip().lower()
    own = table(config, "states")
    # Their capitals are not held against them.
    found = next((to for key, to in own.items() if str(key).strip().lower() == word), None) or known.get(word)
    return found if isinstance(found, str) and found in STATES else None


def words(config: Mapping[str, Any], name: str, known: frozenset[str]) -> frozenset[str]:
    """The connector's own words and those of the list of that name, in lower case."""
    added = config.get(name)
    return known.union(str(word).strip().lower() for word in added) if isinstance(added, list | tuple) else known
