"""Settings of payments."""

from pathlib import Path

from pydantic import Field, model_validator

from salur.common.settings import CommaList, Settings
from salur.payments.domain.lists import Banks


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
    reissue_interval_s: float = Field(default=60.0, gt=0)
    """How often failed payments under a standing order are looked at: may they be issued again?"""
    instruct_batch: int = Field(default=1_000, ge=1, le=5_000)
    worker_interval_s: float = Field(default=0.1, gt=0)

    checked_banks: CommaList = ()
    """Banks that are asked about every account before its first use; the gate holds what they have not found good."""
    unchecking_banks: CommaList = ()
    """Banks that cannot check accounts: the gate holds the first payment to an account there for a person."""
    cash_banks: CommaList = ()
    """Banks, post offices and agents that pay cash against a one-time code."""
    cash_within_s: float = Field(default=30 * 24 * 3600.0, gt=0)
    """Cash that nobody has fetched after this long is not paid out any more."""
    signed_banks: CommaList = ()
    """Banks whose messages must be signed; what is not, is put aside."""
    signature_window_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    """A signed message older than this is put aside: a recording is worth nothing. Results are kept 7 days."""
    bank_files_dir: Path | None = None
    """Below it each bank has its folder with outbox, inbox, archive and refused; None: no files."""
    file_banks: CommaList = ()
    """Banks whose instructions are put into files; a bank of `banks` that is not named here reads Kafka."""
    file_debtor_name: str = Field(default="Salur", min_length=1, max_length=140)
    file_debtor_accounts: dict[str, str] = Field(default_factory=dict)
    """Per file bank the account that pays, as a JSON object."""
    file_transactions: int = Field(default=20_000, ge=1, le=100_000)
    file_wait_s: float = Field(default=60.0, ge=0)
    """A file is cut at so many instructions, or when the oldest has waited so long."""
    file_quiet_s: float = Field(default=5.0, ge=0)
    """A bank's file is read only when it has not changed for so long."""

    @property
    def partner_banks(self) -> Banks:
        """What lists are built for."""
        return Banks(
            frozenset(self.banks), frozenset(self.checked_banks), frozenset(self.cash_banks),
            frozenset(self.unchecking_banks),
        )  # fmt: skip

    @model_validator(mode="after")
    def _files_have_their_place(self) -> "PaymentsSettings":
        if both := set(self.checked_banks) & set(self.unchecking_banks):
            raise ValueError(f"{', '.join(sorted(both))}: in SALUR_CHECKED_BANKS and in SALUR_UNCHECKING_BANKS")
        if self.file_banks and self.bank_files_dir is None:
            raise ValueError("SALUR_FILE_BANKS needs SALUR_BANK_FILES_DIR")
        if without := set(self.file_banks) - set(self.file_debtor_accounts):
            raise ValueError(f"SALUR_FILE_DEBTOR_ACCOUNTS names no account for {', '.join(sorted(without))}")
        for name, named in (
            ("FILE", self.file_banks), ("CHECKED", self.checked_banks), ("UNCHECKING", self.unchecking_banks),
            ("CASH", self.cash_banks),
        ):  # fmt: skip
            if unknown := set(named) - set(self.banks):
                raise ValueError(f"SALUR_{name}_BANKS names {', '.join(sorted(unknown))}, which SALUR_BANKS does not")
        return self
