"""Settings from the environment (`SALUR_…`). Every limit that operations may turn stands here with its unit."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _comma_list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
"""Names with commas between them, as one variable."""


class Settings(BaseSettings):
    """What every service needs. Services add their own fields in a subclass."""

    model_config = SettingsConfigDict(env_prefix="SALUR_", frozen=True)

    database_url: str
    kafka_bootstrap: str
    kafka_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Production: SSL with a certificate of our own, or SASL_SSL; the principal is what Kafka's ACLs name."""
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    """Who signed the brokers' certificates; None: whom the system trusts."""
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    jwks_file: Path
    master_key_file: Path
    state_dir: Path = Path("var/state")
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    unregistered_principals: Literal["trusted", "refused"] = "refused"
    """Whether the roles in a token are enough for somebody the registry holds no rights of. The all-in-one run trusts
    its own issuer."""
    log_format: str = "auto"
    log_level: str = "INFO"
    banks: CommaList = ()
    runtime_role: str = ""
    """For `migrate`, which runs as the owner: the database role the service runs as. Empty: the owner itself."""
    auditor_role: str = ""
    """For `migrate`: the database role of auditors, who read and change nothing."""

    database_pool_size: int = Field(default=12, ge=2, le=100)
    statement_timeout_s: float = 60.0
    consumer_session_timeout_ms: int = Field(default=6_000, ge=1_000)
    relay_window: int = Field(default=2_000, ge=1, le=2_000)
    seal_interval_s: float = 10.0
    instance: str = "0"

    @model_validator(mode="after")
    def _kafka_can_be_entered(self) -> Self:
        if self.kafka_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password_file):
            raise ValueError("SALUR_KAFKA_PROTOCOL with SASL needs SALUR_KAFKA_USERNAME and SALUR_KAFKA_PASSWORD_FILE")
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("SALUR_KAFKA_CERTIFICATE_FILE and SALUR_KAFKA_KEY_FILE come together")
        return self
