"""Expressions of rules: CEL, compiled and type-checked once, evaluated without ever raising. Pure.

CEL is the Common Expression Language (cel.dev), run by its authors' C++ library; evaluation ends in bounded time.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cel_expr_python import cel

Kind = Literal["int", "float", "bool", "string"]
Scalar = bool | int | float | str | None
Present = Mapping[str, bool | int | float | str]
"""Inputs by name; what is not reported has no key."""

CEL_TYPES = {"int": cel.Type.INT, "float": cel.Type.DOUBLE, "bool": cel.Type.BOOL, "string": cel.Type.STRING}
ANSWERS: dict[str, type] = {"int": int, "float": float, "bool": bool, "string": str}
INT64_MAX = 2**63 - 1
FLOAT_MAX = sys.float_info.max
UNKNOWN = object()
MEMO_MAX = 10_000
"""Answers a rule remembers. Families share most of what rules read (a decile, an age, a level of school)."""

_SPOKEN = {"int": "a whole number", "double": "a decimal number", "string": "text", "bool": "true/false"}
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '(.+?)' applied to '\((.*)\)'")
_UNDECLARED = re.compile(r"undeclared reference to '(\w+)'")
# In the checked expression (cel/expr/checked.proto) a type that is known only at run time is Type{dyn: Empty}.
_DYNAMIC = re.compile(rb"[\x0a\x12]\x02\x0a\x00")


class ExpressionInvalid(ValueError):
    """The expression cannot be used; `line` counts from its own first line (1)."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled expression, the inputs it reads (sorted), and the type of its answer."""

    source: str
    reads: tuple[str, ...]
    answer: type
    compiled: Any
    memo: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def value(self, facts: Present) -> Any:
        """The answer, or None when the facts do not allow one (an input it needs is missing, a division by zero).

        CEL's own rule holds: `a || b` is true when `b` is, even if `a` is not reported. Each input has its declared
        type, so equal inputs are the same inputs and the answer is remembered by them.
        """
        key = tuple(map(facts.get, self.reads))
        answer = self.memo.get(key, UNKNOWN)
        if answer is not UNKNOWN:
            return answer
        if len(self.memo) >= MEMO_MAX:
            self.memo.clear()
        self.memo[key] = answer = self._evaluated(facts)
        return answer

    def _evaluated(self, facts: Present) -> Any:
        try:
            answer = self.compiled.eval(data=facts).plain_value()
        except Exception:  # whatever the C++ side refuses about these values, a decision never fails on data
            return None
        return answer if type(answer) is self.answer else None


def compile_rule(source: str, inputs: Mapping[str, Kind], answer: Literal["bool", "int", "float", "string"]) -> Rule:
    """Compile and type-check against the declared inputs. Raises ExpressionInvalid."""
    try:
        compiled = _environment(inputs).compile(source)
    except RuntimeError as error:
        raise _explained(str(error)) from None
    if compiled.return_type() != CEL_TYPES[answer]:
        is_type = _spoken(compiled.return_type().name().lower())
        wanted = _SPOKEN["double" if answer == "float" else answer]
        raise ExpressionInvalid(f"must give {wanted}, but gives {is_type}")
    if _DYNAMIC.search(compiled.serialize()):
        raise ExpressionInvalid("mixes types so that they cannot be checked (dyn(), or a list or map of several types)")
    return Rule(source, _reads(source, inputs), ANSWERS[answer], compiled)


def check_names(inputs: Mapping[str, Kind]) -> None:
    """Raises ExpressionInvalid for a name CEL keeps for itself."""
    for name, kind in inputs.items():
        try:
            usable = _environment({name: kind}).compile(name).return_type() == CEL_TYPES[kind]
        except RuntimeError:
            usable = False
        if not usable:
            raise ExpressionInvalid(f"{name!r} is a word of the expression language: choose another name")


def as_declared(value: Scalar, kind: Kind) -> Scalar:
    """The value in its declared type; None when it is missing or of another type."""
    match kind:
        case "bool":
            return value if isinstance(value, bool) else None
        case "string":
            return value if isinstance(value, str) else None
        case _ if value is None or isinstance(value, bool | str):
            return None
        case "float":
            # Minus zero and zero are one input.
            return float(value) + 0.0 if abs(value) <= FLOAT_MAX else None
        case "int":
            return int(value) if -INT64_MAX <= value <= INT64_MAX and float(value).is_integer() else None


def _environment(inputs: Mapping[str, Kind]) -> Any:
    return cel.NewEnv(variables={name: CEL_TYPES[kind] for name, kind in inputs.items()})


def _reads(source: str, inputs: Mapping[str, Kind]) -> tuple[str, ...]:
    """An input is read when the expression does not compile without it: exact, whatever strings or macros it holds."""
    return tuple(name for name in sorted(inputs) if name in source and not _compiles_without(source, inputs, name))


def _compiles_without(source: str, inputs: Mapping[str, Kind], name: str) -> bool:
    try:
        _environment({other: kind for other, kind in inputs.items() if other != name}).compile(source)
    except RuntimeError:
        return False
    return True


def _explained(error: str) -> ExpressionInvalid:
    found = _PLACE.search(error)
    if found is None:
        return ExpressionInvalid(f"does not compile: {' '.join(error.split())[:300]}")
    line, column, reason = int(found[1]), int(found[2]), found[3][:300]
    if overload := _OVERLOAD.search(reason):
        operands = " and ".join(_spoken(kind) for kind in overload[2].split(", "))
        operator = overload[1].strip("_@").replace("_", " ").strip() or overload[1]
        hint = ""
        if set(overload[2].split(", ")) == {"int", "double"}:
            hint = ": write 5.0 rather than 5, or double(x)"
        elif "string" in overload[2]:
            hint = ": text is not compared or combined with another type"
        return ExpressionInvalid(f"cannot apply `{operator}` to {operands} (column {column}){hint}", line)
    if unknown := _UNDECLARED.search(reason):
        return ExpressionInvalid(f"reads {unknown[1]!r}, which is not among the inputs it may read", line)
    return ExpressionInvalid(f"does not compile: {reason} (column {column})", line)


def _spoken(kind: str) -> str:
    return _SPOKEN.get(kind, kind)
