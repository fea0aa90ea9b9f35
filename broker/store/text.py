"""What a text may hold to be kept and looked for, and many of them as one. Pure."""

from collections.abc import Iterable

from broker.domain.unfit import UnfitError


def is_storable(text: str) -> bool:
    """Whether Avro and PostgreSQL can hold it: no zero character, no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text))


def storable(text: str) -> str:
    """Raises ValueError, which does not repeat it."""
    if not is_storable(text):
        raise UnfitError("text without zero characters and halves of surrogate pairs: they cannot be stored")
    return text


def array(texts: Iterable[str]) -> str:
    """A text[] as PostgreSQL writes it. psycopg's own dumping of a long list takes ten times as long."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"
