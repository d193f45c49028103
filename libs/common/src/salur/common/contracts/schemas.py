"""JSON Schemas of the contracts: in clear, and as they stand on the wire with commitments for personal values."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from salur.common.contracts.base import CONTRACTS, Fact

COMMITMENT = {
    "type": "string",
    "pattern": "^sha256:[0-9a-f]{64}$",
    "description": "commitment to a personal value: SHA-256(salt ‖ path ‖ 0x00 ‖ canonical JSON of the value), "
    "salt = HMAC-SHA-256(seed, path); the seed (`salt`, base64) and the value travel in the header `personal`",
}
ENVELOPE_REQUIRED = (
    "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "actor", "cause", "data", "stream",
    "sequence",
)  # fmt: skip
_KEY = re.compile(r"\bKey: (?:the )?([a-z_]+)")


def key_of(model: type[BaseModel]) -> str:
    """What the Kafka key of a contract is, as its docstring says. Raises ValueError when it does not."""
    found = _KEY.search(model.__doc__ or "")
    if found is None:
        raise ValueError(f"{model.__name__} does not say what its key is: write 'Key: <field>.' in its docstring")
    return found.group(1)


def contracts_of(topic: str) -> list[type[Fact]]:
    """The contracts published on a topic; `payments.instructions.*` stands for the topic of every bank."""
    return [model for model in CONTRACTS.values() if topic in model.topics]


def clear_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The data of a contract with its personal values in clear, as handlers see it."""
    schema: dict[str, Any] = _without_titles(model.model_json_schema())
    return schema


def wire_schemas(models: Iterable[type[BaseModel]], ref_template: str) -> dict[str, dict[str, Any]]:
    """Schemas of the data as it stands in the body, by model name, with every model they refer to."""
    chosen = list(models)
    _, generated = models_json_schema([(model, "validation") for model in chosen], ref_template=ref_template)
    schemas: dict[str, dict[str, Any]] = _without_titles(generated.get("$defs", {}))
    for model in chosen:
        for name in getattr(model, "personal_fields", ()):
            schemas[model.__name__]["properties"][name] = _committed(model, name)
    return _reachable(schemas, [model.__name__ for model in chosen], ref_template)


def personal_schema(model: type[Fact]) -> dict[str, Any]:
    """The JSON document in the header `personal` of a contract."""
    clear = clear_schema(model)
    paths: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    for name in sorted(model.personal_fields):
        field = clear["properties"][name]
        if field.get("type") == "object":
            patterns[f"^{name}[.]"] = _inlined(field["additionalProperties"], clear)
        else:
            paths[name] = _inlined(field, clear)
    values: dict[str, Any] = {"type": "object", "required": sorted(paths), "properties": paths}
    if patterns:
        values["patternProperties"] = patterns
    return {
        "type": "object",
        "required": ["salt", "values"],
        "properties": {
            "salt": {"type": "string", "contentEncoding": "base64", "description": "the event's 32-byte seed"},
            "values": values,
        },
    }


def envelope_schema() -> dict[str, Any]:
    """What every event of a stream has: CloudEvents 1.0 JSON, structured mode, with our extension attributes."""
    text = {"type": "string", "maxLength": 200}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, JSON format, structured mode; at most 32 KiB. Unknown attributes are ignored.",
        "required": list(ENVELOPE_REQUIRED),
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "UUIDv7, unique for ever"},
            "source": {"type": "string", "pattern": "^/salur/[a-z]+$", "description": "the writing service"},
            "type": text,
            "subject": {**text, "description": "the aggregate; equal to the Kafka key"},
            "time": {"type": "string", "format": "date-time", "description": "UTC, microseconds"},
            "datacontenttype": {"type": "string", "const": "application/json"},
            "actor": {**text, "description": "who acted: a pseudonym of a person, or a service"},
            "cause": {**text, "description": "id of the event or request that led here"},
            "stream": {**text, "description": "topic and partition, for example payments.payments/3"},
            "sequence": {"type": "integer", "minimum": 1, "description": "place in the stream: 1, 2, 3 … no gap"},
            "data": {"type": "object"},
        },
    }


def _committed(model: type[BaseModel], name: str) -> dict[str, Any]:
    field = model.model_json_schema()["properties"][name]
    reference = {"$ref": "#/components/schemas/Commitment"}
    if field.get("type") == "object":
        return {"type": "object", "additionalProperties": reference, "description": "one commitment per key"}
    return reference


def _reachable(schemas: dict[str, dict[str, Any]], roots: list[str], ref_template: str) -> dict[str, dict[str, Any]]:
    """Drop what only personal values referred to: they are commitments now."""
    prefix = ref_template.format(model="")
    kept: dict[str, dict[str, Any]] = {}
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in kept or name not in schemas:
            continue
        kept[name] = schemas[name]
        todo += [reference.removeprefix(prefix) for reference in _references(schemas[name])]
    return {name: kept[name] for name in sorted(kept)}


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


def _inlined(node: Any, root: dict[str, Any]) -> Any:
    """The schema without references into `root`."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
        return {name: _inlined(value, root) for name, value in node.items()}
    return [_inlined(value, root) for value in node] if isinstance(node, list) else node


def _without_titles(node: Any, names: bool = False) -> Any:
    """Without the titles pydantic makes from field names. `names`: the keys of `node` are names, not keywords."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split())
            if not names and key == "description"
            else _without_titles(value, not names and key in ("properties", "$defs", "patternProperties"))
            for key, value in node.items()
            if names or key != "title" or not isinstance(value, str)
        }
    return [_without_titles(value) for value in node] if isinstance(node, list) else node
