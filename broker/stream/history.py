"""The committed schemas against their committed history. No I/O but reading the folder it is given.

`<name>.avsc` is what is in use; `history/<name>/v1.avsc`, `v2.avsc` … are all that ever was, the newest the same.
"""

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from broker.stream.compatibility import InvalidSchemaError, Level, digest_of, disagreements

SUFFIX: Final = ".avsc"


class Flaw(NamedTuple):
    """What is wrong with one schema."""

    schema: str
    why: str


def flaws(folder: Traversable) -> list[Flaw]:
    """Everything that is wrong; nothing when each change is recorded and every version understands all others."""
    used = {one.name.removesuffix(SUFFIX) for one in folder.iterdir() if one.name.endswith(SUFFIX)}
    history = folder.joinpath("history")
    recorded = {one.name for one in history.iterdir() if one.is_dir()} if history.is_dir() else set()
    gone = [Flaw(name, "is in the history and no longer in use") for name in sorted(recorded - used)]
    return gone + [Flaw(name, why) for name in sorted(used) for why in _of(folder, name)]


def _of(folder: Traversable, name: str) -> Iterator[str]:
    current = folder.joinpath(name + SUFFIX).read_text(encoding="utf-8")
    past = folder.joinpath("history", name)
    files = {one.name: one for one in past.iterdir()} if past.is_dir() else {}
    names = [f"v{number}{SUFFIX}" for number in range(1, len(files) + 1)]
    if missing := [expected for expected in names if expected not in files]:
        yield f"the history has a gap or a stranger: no {missing[0]} among {len(files)} files"
        return
    texts = [files[expected].read_text(encoding="utf-8") for expected in names]
    try:
        yield from _judged(current, texts)
    except InvalidSchemaError:
        yield "a file is no Avro schema"


def _judged(current: str, texts: list[str]) -> Iterator[str]:
    if not texts or digest_of(current) != digest_of(texts[-1]):
        yield f"has changed and is not recorded: copy it to history as v{len(texts) + 1}{SUFFIX}"
    versions = texts if texts and digest_of(texts[-1]) == digest_of(current) else [*texts, current]
    for number, text in enumerate(versions):
        for why in disagreements(Level.FULL_TRANSITIVE, text, versions[:number]):
            yield f"v{number + 1}: {why}"
