"""Settings of payments."""

from pydantic import Field

from salur.common.settings import Settings


class PaymentsSettings(Settings):
    """What operations may turn, beyond what every service has."""

    answer_timeout_s: float = Field(default=60.0, gt=0)
    """A bank that has given no final answer this long after the instruction is asked."""
    inquiry_interval_s: float = Field(default=60.0, gt=0)
    """Wait after the first inquiry; doubles with every further one."""
    inquiry_interval_max_s: float = Field(default=3_600.0, gt=0)
    execute_within_s: float = Field(default=3 * 24 * 3600.0, gt=0)
    """After this long the bank must refuse an instruction it has not executed."""
    approve_within_s: float = Field(default=14 * 24 * 3600.0, gt=0)
    """A submitted list that nobody has checked after this long expires: its reserved funds are free again."""
    instruct_batch: int = Field(default=1_000, ge=1, le=5_000)
    worker_interval_s: float = Field(default=0.1, gt=0)
