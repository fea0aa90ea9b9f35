"""Which cases must be in the index once the stream has been taken in, and who they are about. Pure."""

from collections import Counter

from broker.domain.identity import is_cpr
from ops.demo.sample import Sender, Sending


class Expected:
    """The cases that were indexed and not removed since."""

    def __init__(self) -> None:
        """None yet."""
        self._live: dict[tuple[Sender, str], str] = {}

    def note(self, sending: Sending) -> None:
        """One more piece of the stream."""
        for case, citizen in sending.cases:
            if citizen is None:
                self._live.pop((sending.sender, case), None)
            else:
                self._live[sending.sender, case] = citizen

    @property
    def cases(self) -> int:
        """How many there are."""
        return len(self._live)

    def citizens(self, most: int) -> list[str]:
        """Those with cases in the most systems, and of them those with the most cases, in up to `most` of them."""
        cases = Counter(self._live.values())
        systems = Counter(citizen for citizen, _ in {(citizen, key[0].system) for key, citizen in self._live.items()})
        named = sorted(filter(is_cpr, cases), key=lambda citizen: (-systems[citizen], -cases[citizen], citizen))
        return named[:most]
