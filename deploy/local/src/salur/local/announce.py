"""What the registry is told of a file before it is sent."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from salur.eligibility.domain.document import DocumentInvalid, read_document

CHUNK_SIZE = 1024 * 1024


class FileUnusable(RuntimeError):
    """The list or its mapping cannot be sent; the message says which and what to do."""


def announcement(file: Path, mapping: Path, *, update: bool = False) -> dict[str, Any]:
    """Name, SHA-256 (hex), size in bytes, and the mapping as data. `update`: known households are stated anew.

    Raises FileUnusable.
    """
    size, digest = 0, hashlib.sha256()
    try:
        with file.open("rb") as content:
            while chunk := content.read(CHUNK_SIZE):
                size += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise FileUnusable(f"{file} cannot be read ({error.strerror}): make it readable for you") from None
    if size == 0:
        raise FileUnusable(f"{file} is empty: give a CSV file with a header and rows")
    columns = read_mapping(mapping) | ({"known": "update"} if update else {})
    return {"name": file.name, "sha256": digest.hexdigest(), "size": size, "mapping": columns}


def read_mapping(file: Path) -> dict[str, Any]:
    """The mapping as plain JSON data; what it says is checked by the registry. Raises FileUnusable."""
    try:
        document, _ = read_document(file.read_text(encoding="utf-8"))
        plain = orjson.loads(orjson.dumps(document))  # dates of YAML become text
    except OSError as error:
        raise FileUnusable(f"the mapping {file} cannot be read ({error.strerror}): make it readable for you") from None
    except UnicodeDecodeError:
        raise FileUnusable(f"the mapping {file} is not UTF-8: save it as UTF-8") from None
    except DocumentInvalid as error:
        raise FileUnusable(f"the mapping {file}, {error}: its author must mend it") from None
    except TypeError:
        raise FileUnusable(f"the mapping {file} holds a number over 64 bits: its author must mend it") from None
    if not isinstance(plain, dict):
        raise FileUnusable(f"the mapping {file} holds no names with values: its author must mend it")
    return plain
