"""AsyncAPI 3 documents: what a service, or a partner bank, sends and receives on Kafka.

Built from the contracts and the declared topics. FastStream's generator sees only what its subscribers are typed with,
and ours take raw batches: it would list byte arrays without keys, headers or senders.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import yaml
from pydantic import BaseModel

from salur.common.contracts.banks import OUTSIDE
from salur.common.contracts.base import Fact
from salur.common.contracts.schemas import (
    COMMITMENT,
    contracts_of,
    envelope_schema,
    key_of,
    personal_schema,
    wire_schemas,
)
from salur.common.contracts.topics import (
    CHECKPOINTS_TOPIC,
    INSTRUCTIONS_PREFIX,
    RESULTS_PREFIX,
    Topic,
    topic_named,
    topics_written_by,
)

VERSION = "1.0.0"
BANK = "{bank}"
SCHEMAS = "#/components/schemas/"
CONTENT_TYPE = "application/cloudevents+json"
BANK_PARAMETER = {"description": "the bank's code: lower-case letters, digits and dashes, for example bank-a"}
CHECKPOINT = "audit.checkpoint"
DAY_MS = 24 * 3600 * 1000


@dataclass
class _Document:
    """An AsyncAPI document that grows channel by channel."""

    title: str
    description: str
    channels: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)
    models: dict[str, type[BaseModel]] = field(default_factory=dict)
    checkpoints: bool = False

    def add(self, action: str, topic: Topic, *, group: str | None = None) -> None:
        """The application sends on, or receives from, a topic; `{bank}` in its name stands for every bank."""
        messages = self._messages(topic)
        channel_id = topic.name.replace(BANK, "bank")
        self.channels[channel_id] = _channel(topic, messages)
        if not messages:
            return
        name = f"{action}-{channel_id}" if group is None else f"{action}-{channel_id}-by-{group}"
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel_id}"},
            "messages": [{"$ref": f"#/channels/{channel_id}/messages/{message}"} for message in messages],
        }
        if group is not None:
            binding = {"groupId": {"type": "string", "enum": [group]}, "bindingVersion": "0.5.0"}
            self.operations[name]["bindings"] = {"kafka": binding}

    def _messages(self, topic: Topic) -> list[str]:
        if topic.name == CHECKPOINTS_TOPIC.name:
            self.checkpoints = True
            return [CHECKPOINT]
        models: list[Any] = [*contracts_of(topic.name.replace(BANK, "*"))]
        if topic.name.startswith(RESULTS_PREFIX):
            models = [*OUTSIDE]
        self.models |= {model.event_type: model for model in models}
        return [model.event_type for model in models]

    def finished(self) -> dict[str, Any]:
        """The document as plain data."""
        messages = {name: _message(model) for name, model in sorted(self.models.items())}
        schemas = wire_schemas(self.models.values(), SCHEMAS + "{model}")
        committed = [model for model in self.models.values() if getattr(model, "personal_fields", None)]
        for model in committed:
            assert issubclass(model, Fact)
            schemas[f"{model.__name__}Personal"] = personal_schema(model)
        if committed:
            schemas["Commitment"] = dict(COMMITMENT)
        if any(issubclass(model, Fact) for model in self.models.values()):
            schemas["Envelope"] = envelope_schema()
        if self.checkpoints:
            messages[CHECKPOINT] = _checkpoint_message()
        return {
            "asyncapi": "3.0.0",
            "info": {"title": self.title, "version": VERSION, "description": self.description},
            "defaultContentType": CONTENT_TYPE,
            "channels": self.channels,
            "operations": self.operations,
            "components": {"messages": messages, "schemas": schemas},
        }


def _channel(topic: Topic, messages: Sequence[str]) -> dict[str, Any]:
    retention = "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} days"
    access = (
        "Restricted: personal values may travel here; only named readers may consume it."
        if topic.restricted
        else "Unrestricted: no personal value stands here."
    )
    writer = f"the bank {BANK}" if topic.writer.startswith("bank:") else topic.writer
    channel: dict[str, Any] = {
        "address": topic.name,
        "description": f"Written by {writer} alone. {access} Kept {retention}. "
        + ("Partition = CRC-32(key) modulo the partitions." if topic.partitions > 1 else "One partition.")
        + ("" if messages else " No message is declared yet."),
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms},
                "bindingVersion": "0.5.0",
            }
        },
        "x-writer": topic.writer,
        "x-restricted": topic.restricted,
    }
    if BANK in topic.name:
        channel["parameters"] = {"bank": dict(BANK_PARAMETER)}
    return channel


def _message(model: type[BaseModel]) -> dict[str, Any]:
    event_type = str(getattr(model, "event_type", ""))
    headers: dict[str, Any] = {"content-type": {"type": "string", "const": CONTENT_TYPE}}
    if getattr(model, "personal_fields", None):
        headers["personal"] = {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "The values the body commits to. Check each commitment before you use its value. "
            "Absent once the person's values were erased.",
            "x-schema": {"$ref": f"{SCHEMAS}{model.__name__}Personal"},
        }
    payload = _fact_payload(model, event_type) if issubclass(model, Fact) else _outside_payload(model, event_type)
    return {
        "name": event_type,
        "title": model.__name__,
        "description": " ".join((model.__doc__ or "").split()),
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "required": ["content-type"], "properties": headers},
        "bindings": {"kafka": {"key": {"type": "string", "description": key_of(model)}, "bindingVersion": "0.5.0"}},
        "payload": payload,
    }


def _fact_payload(model: type[BaseModel], event_type: str) -> dict[str, Any]:
    own = {"type": {"type": "string", "const": event_type}, "data": {"$ref": SCHEMAS + model.__name__}}
    return {"allOf": [{"$ref": f"{SCHEMAS}Envelope"}, {"type": "object", "properties": own}]}


def _outside_payload(model: type[BaseModel], event_type: str) -> dict[str, Any]:
    """A message of somebody else: CloudEvents without a stream and a sequence."""
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {
                "type": "string",
                "pattern": "^[A-Za-z0-9._:/-]{1,64}$",
                "description": "unique per bank; the same id always comes with the same content",
            },
            "source": {"type": "string", "pattern": "^/bank/[a-z0-9-]+$"},
            "type": {"type": "string", "const": event_type},
            "time": {"type": "string", "format": "date-time"},
            "data": {"$ref": SCHEMAS + model.__name__},
        },
    }


def _checkpoint_message() -> dict[str, Any]:
    return {
        "name": CHECKPOINT,
        "title": "Checkpoint",
        "description": "A signed tree head of the audit log: a C2SP tlog-checkpoint, the bytes of its signed note. "
        "Keep each one and check that the log stays consistent with it. A size is never signed with two roots.",
        "contentType": "text/plain",
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "the log's origin"}, "bindingVersion": "0.5.0"}
        },
        "payload": {"type": "string", "pattern": "^[^\\n]+\\n[0-9]+\\n[A-Za-z0-9+/]{43}=\\n"},
    }


def service_document(service: str, description: str, consumed: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """What one service sends and receives. `consumed`: topics by consumer name (its Kafka group)."""
    document = _Document(f"Salur {service}", description)
    for topic in topics_written_by(service, (BANK,)):
        document.add("send", topic)
    if CHECKPOINTS_TOPIC.writer == service:
        document.add("send", CHECKPOINTS_TOPIC)
    for group, topics in consumed.items():
        for name in sorted({_of_every_bank(topic) for topic in topics}):
            document.add("receive", topic_named(name), group=group)
    return document.finished()


@cache
def partner_text() -> str:
    """What a partner bank receives and sends, as YAML, told from the bank's side."""
    document = _Document(
        "A partner bank of Salur",
        "What a bank connected to Salur reads and writes, told from the bank's side: it receives instructions, sends "
        "results, and may keep the audit log's checkpoints as a witness. The rules for ids, repeats and statuses stand "
        "in docs/partners/README.md.",
    )
    document.add("receive", topic_named(INSTRUCTIONS_PREFIX + BANK))
    document.add("send", topic_named(RESULTS_PREFIX + BANK))
    document.add("receive", CHECKPOINTS_TOPIC)
    return text_of(document.finished())


def text_of(document: Mapping[str, Any]) -> str:
    """A document as YAML; the same document gives the same text."""
    plain = orjson.loads(orjson.dumps(document))  # shared parts would become YAML aliases
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


def _of_every_bank(topic: str) -> str:
    for prefix in (INSTRUCTIONS_PREFIX, RESULTS_PREFIX):
        if topic.startswith(prefix):
            return prefix + BANK
    return topic
