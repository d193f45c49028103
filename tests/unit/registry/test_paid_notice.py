"""What people are told about money that has come: by method, in both languages, with what was kept back of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from salur.common.contracts.base import Fact
from salur.common.contracts.payments import MoneyCaseEnded, PaymentSettled
from salur.common.events import Received
from salur.common.values import derived_id
from salur.registry import main
from salur.registry.domain.notices import LANGUAGES, render
from salur.registry.usecases.notices import _occasions, load_templates

TEMPLATES = load_templates(Path(main.__file__).parent / "notices.toml")


def told(fact: Fact, key: str) -> dict[str, str]:
    """The text of the one message by language."""
    event = Received(
        derived_id(key), fact.event_type, "/salur/payments", key, datetime(2026, 3, 1, tzinfo=UTC), "s/0", 1, "a", "c",
        "payments.payments", 0, 0, fact,
    )  # fmt: skip
    (occasion,) = _occasions(event, TEMPLATES)
    return {language: render(TEMPLATES, occasion.kind, language, occasion.values[language]) for language in LANGUAGES}


def paid(**more: Any) -> dict[str, str]:
    names = ("payment_id", "entitlement_id", "beneficiary_id", "cycle_id")
    fact = PaymentSettled(
        **{name: derived_id(name) for name in names}, instruction_id=f"{derived_id('p')[:30]}-001", bank="bank-a",
        amount_minor=60_000_000, currency="IDR", fund_id="central", bank_reference="r", bank_message_id="m", **more,
    )  # fmt: skip
    return told(fact, fact.payment_id)


@pytest.mark.parametrize(
    ("method", "indonesian", "english"),
    [
        (None, "ke rekening Anda", "into your account"),
        ("account", "ke rekening Anda", "into your account"),
        ("card", "ke kartu Anda", "onto your card"),
        ("cash", "diambil tunai", "collected in cash"),
        ("group-account", "rekening kelompok", "group's account"),
        ("contribution", "kepada penjamin", "to the insurer"),
        ("of-tomorrow", "ke rekening Anda", "into your account"),
    ],
)
def test_it_says_where_the_money_is(method: str | None, indonesian: str, english: str) -> None:
    texts = paid(method=method)
    assert indonesian in texts["id"] and "Tidak ada potongan." in texts["id"]
    assert english in texts["en"] and "Nothing is deducted." in texts["en"]


def test_it_says_what_was_kept_back_and_never_that_nothing_was() -> None:
    texts = paid(method="account", offset_minor=5_000_000)
    assert "IDR 50,000.00 was kept back for an earlier overpayment." in texts["en"]
    assert "IDR 50,000.00 ditahan" in texts["id"]
    assert "Nothing is deducted" not in texts["en"] and "Tidak ada potongan" not in texts["id"]


def test_who_is_to_be_paid_less_is_told_how_much_at_most_and_from_when() -> None:
    fact = MoneyCaseEnded(
        case_id=derived_id("case"), kind="overpayment", payment_id=derived_id("p"), resolution="offset", ended_by="x",
        fund_id="central", amount_minor=5_000_000, currency="IDR", beneficiary_id=derived_id("b"), offset_percent=20,
        offset_from=datetime(2026, 3, 15, tzinfo=UTC),
    )  # fmt: skip
    texts = told(fact, fact.case_id)
    assert all(part in texts["en"] for part in ("IDR 50,000.00", "2026-03-15", "20%", "object"))
    assert "20%" in texts["id"] and "Keberatan" in texts["id"]
