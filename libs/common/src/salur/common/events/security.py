"""Where Kafka is and how its clients prove who they are: TLS, SASL, or neither on one person's machine."""

import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from salur.common.settings import Settings

SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """A cluster as its clients reach it."""

    bootstrap: str
    security: BaseSecurity | None = None

    def options(self) -> dict[str, Any]:
        """What an aiokafka client is built with."""
        return {"bootstrap_servers": self.bootstrap, **parse_security(self.security)}


async def why_away(kafka: KafkaAddress, error: Exception) -> str:
    """Why a client could not start, in words. It asks the first broker once more where clients sign on: aiokafka tells
    a refused name like a broker that is away.
    """
    options = kafka.options()
    host, _, port = options.pop("bootstrap_servers").partition(",")[0].rpartition(":")
    if "sasl_mechanism" in options:
        try:
            (await create_conn(host, int(port), **options)).close()
        except SaslAuthenticationFailed:
            return (
                "Kafka refused the name or password this service signs on with: compare SALUR_KAFKA_USERNAME and the "
                "file of SALUR_KAFKA_PASSWORD_FILE with the cluster's users"
            )
        except (KafkaError, OSError, TimeoutError, ValueError):
            pass
    return f"Kafka does not answer: {type(error).__name__}"


def kafka_address(settings: Settings) -> KafkaAddress:
    """The cluster the settings name, with its certificates and the password read. Raises OSError, ssl.SSLError."""
    protocol = settings.kafka_protocol
    if protocol == "PLAINTEXT":
        return KafkaAddress(settings.kafka_bootstrap)
    context = _tls(settings) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return KafkaAddress(settings.kafka_bootstrap, BaseSecurity(ssl_context=context))
    assert settings.kafka_username is not None
    assert settings.kafka_password_file is not None
    password = settings.kafka_password_file.read_text(encoding="utf-8").strip()
    sasl = SASL[settings.kafka_mechanism]
    return KafkaAddress(settings.kafka_bootstrap, sasl(settings.kafka_username, password, ssl_context=context))


def _tls(settings: Settings) -> ssl.SSLContext:
    """The broker must show a certificate of its host's name; we show ours where the cluster asks for one."""
    context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.kafka_certificate_file is not None:
        context.load_cert_chain(settings.kafka_certificate_file, settings.kafka_key_file)
    return context
