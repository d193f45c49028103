"""Every Kafka client of a service is built with what the settings say: TLS, SASL, or neither."""

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from faststream.kafka.security import parse_security
from pydantic import ValidationError

from salur.common.events import kafka, plain
from salur.common.events.security import KafkaAddress, kafka_address
from salur.common.service import Process, Runtime, Service
from salur.common.settings import Settings

HOST = "kafka.example:9093"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A self-signed certificate with its key, a password, a master key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "payments")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    plain_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    content = {
        "certificate": certificate.public_bytes(pem), "key": plain_key, "password": b"open sesame\n",
        "master": bytes(range(32)).hex().encode(),
    }  # fmt: skip
    paths = {name: tmp_path / name for name in content}
    for name_, path in paths.items():
        path.write_bytes(content[name_])
    return paths


def settings(files: dict[str, Path], **more: Any) -> Settings:
    return Settings(
        database_url="postgresql://nobody@127.0.0.1:1/x", kafka_bootstrap=HOST, jwks_file=files["master"],
        master_key_file=files["master"], **more,
    )  # fmt: skip


def sasl(files: dict[str, Path], **more: Any) -> Settings:
    return settings(
        files, kafka_protocol="SASL_SSL", kafka_username="payments", kafka_password_file=files["password"],
        kafka_ca_file=files["certificate"], **more,
    )  # fmt: skip


def test_without_settings_it_is_a_plain_client(files: dict[str, Path]) -> None:
    assert kafka_address(settings(files)).options() == {"bootstrap_servers": HOST}


def test_mutual_tls_shows_our_certificate_and_asks_for_the_brokers(files: dict[str, Path]) -> None:
    told = settings(
        files, kafka_protocol="SSL", kafka_ca_file=files["certificate"], kafka_certificate_file=files["certificate"],
        kafka_key_file=files["key"],
    )  # fmt: skip
    options = kafka_address(told).options()
    context = options["ssl_context"]
    assert options["security_protocol"] == "SSL"
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs()[0]["subject"][0][0] == ("commonName", "payments")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_names_the_principal_and_reads_the_password_from_its_file(files: dict[str, Path], mechanism: str) -> None:
    told = sasl(files, kafka_mechanism=mechanism)
    options = kafka_address(told).options()
    named = [options[name] for name in ("security_protocol", "sasl_mechanism", "sasl_plain_username")]
    assert named == ["SASL_SSL", mechanism, "payments"]
    assert options["sasl_plain_password"] == "open sesame"
    assert options["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert "open sesame" not in repr(told), "a password in the environment would show in every dump"


@pytest.mark.parametrize(
    "broken",
    [
        {"kafka_protocol": "SASL_SSL"}, {"kafka_protocol": "SASL_PLAINTEXT", "kafka_username": "payments"},
        {"kafka_protocol": "SSL", "kafka_certificate_file": "one.pem"}, {"kafka_protocol": "SSL3"},
    ],
    ids=str,
)  # fmt: skip
def test_half_a_sign_on_is_refused_at_the_start(files: dict[str, Path], broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(files, **broken)


class Built(Exception):
    """A client was built with these options."""


async def test_producer_readers_and_subscribers_are_all_built_with_it(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = kafka_address(sasl(files))
    seen: list[dict[str, Any]] = []

    def build(*_: Any, **options: Any) -> None:
        seen.append(options)
        raise Built

    for module, name in ((kafka, "AIOKafkaProducer"), (kafka, "AIOKafkaConsumer"), (plain, "AIOKafkaConsumer")):
        monkeypatch.setattr(module, name, build)
    with pytest.raises(Built):
        await kafka.KafkaProducer.start(address)
    with pytest.raises(Built):
        await kafka.read_tails(address, [("a", 0)])
    with pytest.raises(Built):
        async with plain.read_back(address, "a"):
            pass
    assert len(seen) == 3
    for options in seen:
        assert options.items() >= address.options().items()
    runtime = Runtime("payments", sasl(files))
    process = Process(runtime, Service("x", tmp_path), frozenset({"consumers"}))
    security = process._broker.specification.security
    assert parse_security(security)["sasl_plain_username"] == "payments"
    assert runtime.kafka.options().keys() == address.options().keys()


def test_an_address_is_plain_unless_it_says_more() -> None:
    assert KafkaAddress("a:1").options() == {"bootstrap_servers": "a:1"}
