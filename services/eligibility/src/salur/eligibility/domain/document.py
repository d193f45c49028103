"""A YAML text as plain values, with the line each value stands on. Pure.

Stricter than YAML itself, because money hangs on the text: no repeated key, no alias, no key that is not text.
"""

from typing import Any

import yaml

Path = tuple[str | int, ...]
Lines = dict[Path, int]
"""Where each value begins: path from the root to line (1 = first). A block scalar counts from its first text line."""


class DocumentInvalid(ValueError):
    """The text is no plain document; the message names the line."""


def read_document(text: str) -> tuple[Any, Lines]:
    """(plain values, their lines). Raises DocumentInvalid."""
    reader = _Reader()
    try:
        return reader.read(text), reader.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else "the document"
        raise DocumentInvalid(f"{where}: this is not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentInvalid(f"line {line}: a character that YAML does not allow") from None
    except RecursionError:
        raise DocumentInvalid("the document is nested too deeply") from None


class _Reader:
    """One reading of one text."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self._nodes: set[int] = set()

    def read(self, text: str) -> Any:
        self._loader = yaml.SafeLoader(text)
        try:
            node = self._loader.get_single_node()
            if node is None:
                raise DocumentInvalid("line 1: the document is empty")
            return self._plain(node, ())
        finally:
            self._loader.dispose()

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        # An alias gives the same node a second time: what is said once must be read once.
        if id(node) in self._nodes:
            raise DocumentInvalid(f"line {line}: aliases (&, *) are not allowed: write the value out")
        if path in self.lines:
            raise DocumentInvalid(f"line {line}: {path[-1]!r} stands twice (first on line {self.lines[path]})")
        self._nodes.add(id(node))
        self.lines[path] = line + 1 if getattr(node, "style", None) in ("|", ">") else line
        if isinstance(node, yaml.MappingNode):
            return {(name := self._key(key)): self._plain(value, (*path, name)) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        line = node.start_mark.line + 1
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:
            raise DocumentInvalid(f"line {line}: a value that cannot be read ({type(error).__name__})") from None
        # An escape may write it. Text with it passes every other check and then fails in the database for ever.
        if isinstance(value, str) and "\x00" in value:
            raise DocumentInvalid(f"line {line}: a text holds a NUL character: write it without")
        return value

    def _key(self, node: yaml.Node) -> str:
        name = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(name, str):
            raise DocumentInvalid(f"line {node.start_mark.line + 1}: a key must be text: put it in quotes")
        return name
