"""Avro's binary form for the plain part of the language: records, arrays, strings, longs, booleans, and null-or.

Written for mypyc: compiled, it reads and writes several times as fast as fastavro; as plain Python it is slower, so
`framing` uses it only where it is compiled. fastavro has the last word on whatever this refuses, and is the oracle in
the tests. Pure.
"""

from typing import Any, Final

from mypy_extensions import i64

COMPILED: Final = not __file__.endswith(".py")

_LONGEST_SHIFT: Final = 63
_SHORT: Final = 1 << 13


class Unreadable(ValueError):  # noqa: N818 - an answer
    """Not of this schema, or beyond what this module knows."""


class Cursor:
    """Where in which bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at: i64 = at
        self.end: i64 = len(data)

    def long(self) -> i64:
        """The next variable-length, zig-zag number."""
        data, at, end = self.data, self.at, self.end
        shift: i64 = 0
        number: i64 = 0
        while True:
            if at >= end or shift > _LONGEST_SHIFT:
                raise Unreadable
            byte: i64 = data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 - the highest bit says that more follows
                break
            shift += 7
        self.at = at
        return ((number >> 1) & 0x7FFF_FFFF_FFFF_FFFF) ^ -(number & 1)

    def take(self) -> bytes:
        """The bytes behind the length that comes next."""
        length = self.long()
        at = self.at
        to = at + length
        if length < 0 or to > self.end:
            raise Unreadable
        self.at = to
        return self.data[at:to]

    def text(self) -> str:
        """The string that comes next. Raises UnicodeDecodeError."""
        return self.take().decode("utf-8")

    def flag(self) -> bool:
        """The boolean that comes next; a byte that is neither 0 nor 1 is refused."""
        at = self.at
        if at >= self.end:
            raise Unreadable
        byte: i64 = self.data[at]
        if byte > 1:
            raise Unreadable
        self.at = at + 1
        return byte == 1

    def some(self) -> bool:
        """Whether a union of null and one other type, null first, has a value next."""
        branch = self.long()
        if branch != 0 and branch != 1:  # noqa: PLR1714 - two comparisons of numbers, no tuple
            raise Unreadable
        return branch == 1


class Node:
    """One type of a schema."""

    def read(self, cursor: Cursor) -> Any:
        """The value at the cursor. Raises Unreadable, or UnicodeDecodeError."""
        raise NotImplementedError

    def write(self, out: list[bytes], value: Any) -> None:
        """Append the value's parts. Raises what a value of another type raises."""
        raise NotImplementedError


class Long(Node):
    """64 bits, signed."""

    def read(self, cursor: Cursor) -> Any:
        """An int."""
        number: int = cursor.long()
        return number

    def write(self, out: list[bytes], value: Any) -> None:
        """Raises OverflowError beyond 64 bits."""
        number: i64 = value
        out.append(_varint(number))


class Boolean(Node):
    """One byte."""

    def read(self, cursor: Cursor) -> Any:
        """A bool."""
        return cursor.flag()

    def write(self, out: list[bytes], value: Any) -> None:
        """Only a bool will do."""
        flag: bool = value
        out.append(b"\x01" if flag else b"\x00")


class String(Node):
    """UTF-8 behind its length."""

    def read(self, cursor: Cursor) -> Any:
        """A str."""
        return cursor.text()

    def write(self, out: list[bytes], value: Any) -> None:
        """Only a str will do."""
        text: str = value
        data = text.encode("utf-8")
        length: i64 = len(data)
        out.append(_LENGTHS[length] if length < _SHORT else _varint(length))
        out.append(data)


class Bytes(Node):
    """Bytes behind their length."""

    def read(self, cursor: Cursor) -> Any:
        """Bytes."""
        return cursor.take()

    def write(self, out: list[bytes], value: Any) -> None:
        """Only bytes will do."""
        data: bytes = value
        out.append(_varint(len(data)))
        out.append(data)


class Nullable(Node):
    """A union of null and one other type, null at place 0 or 1."""

    def __init__(self, of: Node, null: int) -> None:
        self.of = of
        self.null: i64 = null

    def read(self, cursor: Cursor) -> Any:
        """The value, or None."""
        branch = cursor.long()
        if branch == self.null:
            return None
        if branch != 1 - self.null:
            raise Unreadable
        return self.of.read(cursor)

    def write(self, out: list[bytes], value: Any) -> None:
        """The branch, then the value."""
        null = self.null == 0
        if value is None:
            out.append(b"\x00" if null else b"\x02")
        else:
            out.append(b"\x02" if null else b"\x00")
            self.of.write(out, value)


class Array(Node):
    """Blocks of items, an empty one last."""

    def __init__(self, of: Node) -> None:
        self.of = of

    def read(self, cursor: Cursor) -> Any:
        """A list."""
        items: list[Any] = []
        of = self.of
        while True:
            count = cursor.long()
            if count == 0:
                return items
            if count < 0:
                count = -count
                cursor.long()
            # Every item takes a byte at the least.
            if count < 0 or count > cursor.end - cursor.at:
                raise Unreadable
            for _ in range(count):
                items.append(of.read(cursor))  # noqa: PERF401 - a comprehension would be a function of its own

    def write(self, out: list[bytes], value: Any) -> None:
        """One block."""
        items: list[Any] = value
        if items:
            out.append(_varint(len(items)))
            for item in items:
                self.of.write(out, item)
        out.append(b"\x00")


class Record(Node):
    """Fields in their order; `defaults` has those that may be left out."""

    def __init__(self, names: list[str], fields: list[Node], defaults: dict[str, Any]) -> None:
        self.names = names
        self.fields = fields
        self.defaults = defaults

    def read(self, cursor: Cursor) -> Any:
        """A dict with every field."""
        record: dict[str, Any] = {}
        for name, field in zip(self.names, self.fields):  # noqa: B905 - compiled without `strict`, and made together
            record[name] = field.read(cursor)
        return record

    def write(self, out: list[bytes], value: Any) -> None:
        """Of a dict; what is not a field is not looked at."""
        record: dict[str, Any] = value
        for name, field in zip(self.names, self.fields):  # noqa: B905 - as above
            said = record.get(name)
            if said is None and name not in record:
                said = self.defaults[name]
            field.write(out, said)


def read(node: Node, data: bytes, at: int) -> Any:
    """The one value that the bytes from `at` on are, to their end. Raises Unreadable, or UnicodeDecodeError."""
    cursor = Cursor(data, at)
    value = node.read(cursor)
    if cursor.at != cursor.end:
        raise Unreadable
    return value


def write(node: Node, head: bytes, value: Any) -> bytes:
    """The value behind `head`. Raises what a value of another type raises."""
    out = [head]
    node.write(out, value)
    return b"".join(out)


def node_of(schema: Any) -> Node | None:
    """The reader and writer of a schema (its JSON, parsed); None beyond the plain part of the language."""
    try:
        return _node(schema, "", {})
    except (Unreadable, KeyError, TypeError, ValueError):
        return None


def _node(schema: Any, space: str, named: dict[str, Node]) -> Node:
    if isinstance(schema, list):
        if len(schema) != 2 or "null" not in schema:  # noqa: PLR2004 - null and one other
            raise Unreadable
        null = schema.index("null")
        return Nullable(_node(schema[1 - null], space, named), null)
    if isinstance(schema, str):
        return _PRIMITIVES[schema] if schema in _PRIMITIVES else named[_full(schema, space)]
    if "logicalType" in schema:
        raise Unreadable
    kind = schema["type"]
    if kind == "array":
        return Array(_node(schema["items"], space, named))
    if kind != "record":
        return _PRIMITIVES[kind]
    name = _full(schema["name"], schema.get("namespace", space))
    space = name.rpartition(".")[0]
    fields = schema["fields"]
    # One that contains itself is not found by its name, and so refused.
    nodes = [_node(field["type"], space, named) for field in fields]
    defaults = {field["name"]: field["default"] for field in fields if "default" in field}
    record = named[name] = Record([field["name"] for field in fields], nodes, defaults)
    return record


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _varint(number: i64) -> bytes:
    folded: i64 = (number << 1) ^ (number >> 63)
    if 0 <= folded < 128:  # noqa: PLR2004 - one byte
        return _ONES[folded]
    parts: list[int] = []
    rest = folded
    while rest & ~127:
        parts.append((rest & 127) | 128)
        rest = (rest >> 7) & 0x01FF_FFFF_FFFF_FFFF
    parts.append(rest)
    return bytes(parts)


_ONES: Final = [bytes([byte]) for byte in range(128)]
_LENGTHS: Final = [_varint(length) for length in range(_SHORT)]
_PRIMITIVES: Final[dict[str, Node]] = {"string": String(), "long": Long(), "boolean": Boolean(), "bytes": Bytes()}
