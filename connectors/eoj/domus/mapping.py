"""What Domus is taken to say where KL Gateway's profiles leave it open. Data only; a municipality's own comes first.

Nothing of Domus is published, so every row is [-]: our assumption, to be settled with the supplier.
"""

from collections.abc import Mapping
from typing import Any, Final

DEFAULTS: Final[Mapping[str, Any]] = {
    # [-] the name of our own making for its local codes (level 3), where it has no address for them.
    "local_codes": ["urn:sagsbro:local-codes:domus"],
    # [-] citizens come by the national registers' numbers only; a number system of Domus's own goes here.
    "identifiers": {},
    # [-] no row for KLE: what is granted is classified by the municipality, or by the rules on the broker's side.
    "kle": {},
    # [-] CarePlan.status is used as R4 defines it; `unknown` is refused until a municipality says what it means.
    "states": {},
}
