"""The audit's own settings."""

from pathlib import Path

from salur.common.settings import Settings


class AuditSettings(Settings):
    """`audit_log_dir`: tiles, checkpoint and `log.pub`. `log_origin`: the log's name in checkpoints and keys.

    `witness_policy`: a C2SP tlog-policy file; witnesses with an address in it are asked to cosign every head.
    `search_interval_s`: between two pieces of the search index while the log grows; each takes some 0.05 s.
    """

    audit_log_dir: Path = Path("var/audit-log")
    log_origin: str = "audit.salur.local"
    integrate_interval_s: float = 1.0
    publish_interval_s: float = 10.0
    search_interval_s: float = 0.5
    witness_policy: Path | None = None
