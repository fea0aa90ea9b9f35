"""Which cases must be in the index once the stream has been taken in, and who they are about. Pure."""

from collections import Counter

from ops.demo.payloads import Sample


class Expected:
    """The cases that were indexed and not removed since."""

    def __init__(self) -> None:
        """None yet."""
        self._live: dict[tuple[str, str], str] = {}

    def note(self, sample: Sample) -> None:
        """One more payload of the stream."""
        if sample.expect != "indexed":
            return
        key = sample.authority, sample.payload["SagIdentity"]
        if sample.payload.get("Slettet"):
            self._live.pop(key, None)
        else:
            self._live[key] = sample.payload["PrimaryPart"]["CPRnummer"].replace("-", "")

    @property
    def cases(self) -> int:
        """How many there are."""
        return len(self._live)

    def citizens(self, most: int) -> list[str]:
        """Those with the most cases, in up to `most` of them."""
        return [citizen for citizen, _ in Counter(self._live.values()).most_common(most)]
