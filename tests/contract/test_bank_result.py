"""The published forms of a bank's answers, the example bank that writes them, and the reader of payments agree."""

import contextlib
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from partner_bank.wire import AccountCheck, finding
from salur.common.contracts.banks import OUTSIDE, AccountCheckResult, BankResult
from salur.payments.domain.results import CheckResult, Unusable, read_answer, read_result
from support.golden import read_golden

GOLDEN = read_golden(f"{BankResult.event_type}.2")
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, 0, 1, -1, 2**31, 2**63, 1.5, "", "ACCC", "RJCT", "RTRN", "AC04", "ac04", "AC04\n", "IDR", "idr",
        "a" * 32, "a" * 64, "a" * 65, "a b", "matches", "closed", "\u0663" * 4,
        "0" * 30 + "-001", "0" * 30 + "-\u0660\u0660\u0661",
        "sha256:" + "0" * 64, [], {},
    ]
)  # fmt: skip


def test_the_answer_of_the_example_bank_is_read_by_payments_and_keeps_the_published_form() -> None:
    data = GOLDEN.document["data"]
    read = read_result(GOLDEN.value, "bank-a")
    published = BankResult.model_validate(data, strict=True)
    assert published.model_dump() == data
    for name in (
        "instruction_id",
        "status",
        "reason",
        "amount_minor",
        "currency",
        "bank_reference",
        "inquiry",
        "recall",
    ):
        assert getattr(read, name) == data[name]
    assert published.model_fields_set == set(BankResult.model_fields), "the golden answer shows every field"


def test_what_the_example_bank_finds_is_read_by_payments_and_keeps_the_published_form() -> None:
    golden = read_golden(AccountCheckResult.event_type)
    data = golden.document["data"]
    assert AccountCheckResult.model_validate(data, strict=True).model_dump() == data
    read = read_answer(golden.value, "bank-a")
    assert isinstance(read, CheckResult)
    assert [getattr(read, name) for name in ("check_id", "result", "account_commitment")] == [*data.values()]
    check = AccountCheck(data["check_id"], data["account_commitment"], True)
    written = read_answer(finding("bank-a", "other-id", 0.0, check, data["result"]), "bank-a")
    assert written.content_hash == read.content_hash


FIELDS = {model: sorted(model.model_fields) for model in OUTSIDE}


@given(st.sampled_from(OUTSIDE), st.data())
def test_payments_reads_exactly_what_the_published_forms_allow(model: Any, drawn: st.DataObject) -> None:
    changes = drawn.draw(st.dictionaries(st.sampled_from(FIELDS[model]), ODD, max_size=3))
    absent = drawn.draw(st.sets(st.sampled_from(FIELDS[model]), max_size=2))
    document = read_golden(model.event_type).document
    data = {name: value for name, value in (document["data"] | changes).items() if name not in absent}
    assert readable(orjson.dumps(document | {"data": data})) == allowed(model, data)


def readable(value: bytes) -> bool:
    with contextlib.suppress(Unusable):
        read_answer(value, "bank-a")
        return True
    return False


def allowed(model: Any, data: dict[str, Any]) -> bool:
    with contextlib.suppress(ValidationError):
        model.model_validate(data, strict=True)
        return True
    return False
