"""Check a document of rules: its form, its names, its expressions, each refusal with its line. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from salur.eligibility.domain.document import DocumentInvalid, Lines, Path, read_document
from salur.eligibility.domain.programme import Inputs
from salur.eligibility.domain.rules import ExpressionInvalid, Kind, Rule, check_names, compile_rule

Answer = Literal["bool", "int", "float", "string"]
M = TypeVar("M", bound=BaseModel)


class ProgrammeInvalid(ValueError):
    """The rules cannot be published; the message names line, place and expression for their author."""


def parse(text: str, model: type[M], most_size: int) -> tuple[M, Lines]:
    """A YAML text as a checked document, and the line of each of its values. Raises ProgrammeInvalid."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > most_size:
        raise ProgrammeInvalid(f"the rules take more than {most_size} bytes: shorten texts or split the programme")
    try:
        plain, lines = read_document(text)
        return model.model_validate(plain), lines
    except DocumentInvalid as error:
        raise ProgrammeInvalid(str(error)) from None
    except ValidationError as error:
        raise ProgrammeInvalid("; ".join(_form_error(item, lines) for item in error.errors()[:5])) from None


@dataclass(frozen=True, slots=True)
class Checker:
    """Compiles what the document says and knows on which line it says it."""

    lines: Lines

    def names(self, inputs: Inputs, counts: Mapping[str, str]) -> None:
        taken = {*inputs.household, *counts}
        if clash := sorted(taken & inputs.member.keys()):
            self.refuse(("inputs", "member", clash[0]), f"input {clash[0]!r} is a household input too: rename one")
        if clash := sorted(inputs.household.keys() & counts.keys()):
            self.refuse(("counts", clash[0]), f"count {clash[0]!r} is a household input too: rename one")
        kinds: dict[Path, Kind] = {("counts", name): "int" for name in counts}
        for group, names in (("household", inputs.household), ("member", inputs.member)):
            kinds |= {("inputs", group, name): kind for name, kind in names.items()}
        for path, kind in kinds.items():
            try:
                check_names({str(path[-1]): kind})
            except ExpressionInvalid as error:
                self.refuse(path, f"input {error}")

    def rule(self, path: Path, code: str, source: str, inputs: Mapping[str, Kind], answer: Answer = "bool") -> Rule:
        try:
            return compile_rule(source, inputs, answer)
        except ExpressionInvalid as error:
            line = _line_of(path, self.lines) + error.line - 1
            shown = " ".join(source.split())
            raise ProgrammeInvalid(f"line {line}, {code}, {path[-1]}: `{shown[:200]}` {error}") from None

    def refuse(self, path: Path, message: str) -> None:
        raise ProgrammeInvalid(f"line {_line_of(path, self.lines)}: {message}")


def _line_of(path: Path, lines: Lines) -> int:
    """The line of the value at `path`, or of the nearest thing around it (a missing key has no line of its own)."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _form_error(item: Any, lines: Lines) -> str:
    path: Path = tuple(item["loc"])
    place = ".".join(str(part) for part in path) or "document"
    return f"line {_line_of(path, lines)}, {place}: {item['msg'].removeprefix('Value error, ')}"
