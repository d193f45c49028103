"""XML from outside: streamed, checked against its schema, without any DTD or entity."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

from lxml import etree

SCHEMAS = Path(__file__).parent / "schemas"
HEAD_SIZE = 4_096
ROOT = "Document"
_ENCODING = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})""")
PREFIX = "urn:iso:std:iso:20022:tech:xsd:"


class DocumentRefused(ValueError):
    """The document has no effect at all. `code` is for machines, the text for the bank; it repeats no content."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def namespace(kind: str) -> str:
    """The target namespace of a message kind, for example `camt.053.001.08`."""
    return f"{PREFIX}{kind}"


def kinds() -> frozenset[str]:
    """Every kind there is a schema of."""
    return frozenset(path.stem for path in SCHEMAS.glob("*.xsd"))


@cache
def schema(kind: str) -> "etree.XMLSchema":
    """The compiled schema of a message kind."""
    return etree.XMLSchema(etree.parse(SCHEMAS / f"{kind}.xsd"))


def kind_of(file: IO[bytes]) -> str:
    """The message kind, from the root's namespace; the file is at its start again. Raises DocumentRefused."""
    file.seek(0)
    head = file.read(HEAD_SIZE)
    declared = _ENCODING.match(head)
    if b"\x00" in head or (declared and declared[1].upper() not in (b"UTF-8", b"US-ASCII")):
        raise DocumentRefused("not-utf8", "the document must be UTF-8")
    file.seek(0)
    try:
        events = etree.iterparse(file, events=("start",), **_SAFE)
        _, root = next(iter(events))
    except (etree.XMLSyntaxError, StopIteration):
        raise DocumentRefused("not-xml", "the document is not well-formed XML") from None
    finally:
        file.seek(0)
    _refuse_dtd(root)
    # By its text: a namespace may hold a brace, and lxml takes no such name apart.
    kind = next((kind for kind in kinds() if root.tag == f"{{{namespace(kind)}}}{ROOT}"), None)
    if kind is None:
        raise DocumentRefused("unknown-kind", "the document is of no kind that is read here")
    return kind


def events_of(file: IO[bytes], kind: str, tags: tuple[str, ...]) -> Iterator["etree._Element"]:
    """The elements of these names at their end, in document order; the schema is checked on the way.

    The caller empties what it has read. Raises DocumentRefused at the first place that breaks XML or the schema.
    """
    file.seek(0)
    prefix = f"{{{namespace(kind)}}}"
    parser = etree.iterparse(
        file, events=("end",), tag=[f"{prefix}{tag}" for tag in (*tags, ROOT)], schema=schema(kind), **_SAFE
    )
    whole = False
    try:
        for _, element in parser:
            whole = element.tag == f"{prefix}{ROOT}"
            if not whole:
                yield element
    except etree.XMLSyntaxError:
        last = parser.error_log.last_error
        line = last.line if last else 0
        if last is not None and last.domain_name == "SCHEMASV":
            raise DocumentRefused("schema", f"line {line} breaks the schema of {kind}") from None
        raise DocumentRefused("not-xml", f"the document is not well-formed XML at line {line}") from None
    # libxml2 reports no error for a document that ends early while it checks a schema.
    if not whole:
        raise DocumentRefused("cut-off", "the document ends before its end: send it again, whole")


def _refuse_dtd(root: "etree._Element") -> None:
    info: Any = root.getroottree().docinfo  # the stubs know no document without a DTD
    if info.internalDTD is not None or info.externalDTD is not None or info.doctype:
        raise DocumentRefused("dtd", "the document declares a document type; none is allowed")


_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
