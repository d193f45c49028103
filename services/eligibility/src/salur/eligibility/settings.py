"""Settings of eligibility."""

from pydantic import Field

from salur.common.settings import Settings


class EligibilitySettings(Settings):
    """What operations may turn, beyond what every service has."""

    household_records: int = Field(default=1_000, ge=1, le=5_000)
    """Events the consumer takes in one transaction."""
    decide_batch: int = Field(default=1_000, ge=1, le=5_000)
    """Households decided in one transaction when a programme comes in force."""
    grant_batch: int = Field(default=1_000, ge=1, le=5_000)
    """Entitlements granted in one transaction."""
    late_batch: int = Field(default=200, ge=1, le=2_000)
    """Changes of families looked at in one transaction, against every cycle they may still change."""
    late_change_days: int = Field(default=180, ge=1, le=3_650)
    """How long after its opening what happens to families still changes what a cycle has granted."""
    simulation_processes: int = Field(default=2, ge=1, le=64)
    """Processes a simulation runs in; each takes a core while it lasts."""
    worker_interval_s: float = Field(default=0.1, gt=0)
