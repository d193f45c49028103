"""The shape every contract has promised: committed JSON Schemas, and the rule that changes only add.

`cd tests && ../.venv/bin/python -m support.shapes` writes the shapes of new and grown contracts; it refuses a change
that takes something away.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from salur.common.contracts import CONTRACTS
from salur.common.contracts.banks import OUTSIDE
from salur.common.contracts.schemas import clear_schema, key_of

FOLDER = Path(__file__).parents[1] / "contract" / "shapes"
ALL_CONTRACTS: dict[str, type[BaseModel]] = {**CONTRACTS, **{model.event_type: model for model in OUTSIDE}}
PROSE = frozenset({"description", "title", "examples"})


def shape_of(model: type[BaseModel]) -> dict[str, Any]:
    """What readers may rely on: topics, key, personal fields, and the schema of the data in clear."""
    return {
        "topics": sorted(getattr(model, "topics", ())),
        "key": key_of(model),
        "personal": sorted(getattr(model, "personal_fields", ())),
        "schema": inlined(clear_schema(model)),
    }


def inlined(node: Any, definitions: dict[str, Any] | None = None, names: bool = False) -> Any:
    """A schema without references and without prose. `names`: the keys of `node` are names, not keywords."""
    if isinstance(node, dict):
        known = {**(definitions or {}), **node.get("$defs", {})}
        if "$ref" in node and not names:
            return inlined(known[node["$ref"].rsplit("/", 1)[1]], known)
        return {
            key: inlined(value, known, not names and key == "properties")
            for key, value in node.items()
            if names or (key != "$defs" and key not in PROSE)
        }
    return [inlined(item, definitions) for item in node] if isinstance(node, list) else node


def read_shapes() -> dict[str, dict[str, Any]]:
    """The committed shapes by event type."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def taken_away(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """How `new` breaks what `old` promised; empty when it only adds."""
    broken = [f"topic {topic} is gone" for topic in old["topics"] if topic not in new["topics"]]
    broken += [f"{name} is another" for name in ("key", "personal") if old[name] != new[name]]
    return broken + _schema_breaks(old["schema"], new["schema"], "data")


def _schema_breaks(old: Any, new: Any, at: str) -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            return [found for pair in zip(old, new, strict=True) for found in _schema_breaks(*pair, at)]
        return [] if old == new else [f"{at} is of another type: {old} before, {new} now"]
    broken: list[str] = []
    properties, grown = old.get("properties", {}), new.get("properties", {})
    for name, schema in properties.items():
        if name in grown:
            broken += _schema_breaks(schema, grown[name], f"{at}.{name}")
        else:
            broken.append(f"{at}.{name} is gone")
    required, now_required = set(old.get("required", [])), set(new.get("required", []))
    broken += [f"{at}.{name} may be absent now" for name in sorted(required - now_required) if name in grown]
    broken += [f"{at}.{name} is new and not optional" for name in sorted(now_required - required)]
    for keyword in sorted((old.keys() | new.keys()) - {"properties", "required"}):
        broken += _schema_breaks(old.get(keyword), new.get(keyword), f"{at} ({keyword})")
    return broken


def text_of(document: Any) -> str:
    """As the files hold it."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write what is new; refuse what takes away."""
    known = read_shapes()
    for event_type, model in ALL_CONTRACTS.items():
        shape = shape_of(model)
        if event_type in known and (broken := taken_away(known[event_type], shape)):
            sys.exit(f"{event_type} would break its readers: {'; '.join(broken)}. Declare a new version instead.")
        (FOLDER / f"{event_type}.json").write_text(text_of(shape), encoding="utf-8")
    for event_type in known.keys() - ALL_CONTRACTS.keys():
        sys.exit(f"{event_type} is no contract any more: old events still need it")


if __name__ == "__main__":
    main()
