"""What a value is told that is not of its form. Pure."""

from typing import Final

CVR: Final = "a CVR number: eight digits"
CPR: Final = "a civil registration number: ten digits that begin with a date"
PATTERN: Final = "a KLE pattern: N*, NN.*, NN.N*, NN.NN.*, NN.NN.N* or NN.NN.NN"
SYSTEM: Final = "a sending system's identifier, such as sbsys, or sbsys:INSTANCE"
UUID: Final = "a UUID"


class UnfitError(ValueError):
    """Says what would be valid in fixed words, so that whoever sent it may be told. `at`: the field meant, from here.

    Never made of what was sent.
    """

    def __init__(self, valid: str, *at: str) -> None:
        """`at` is for what was seen between several fields."""
        super().__init__(valid)
        self.at = at
