"""The published form of a bank's answer, the example bank that writes it, and the reader of payments agree."""

import contextlib
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from salur.common.contracts.banks import BankResult
from salur.payments.domain.results import Unusable, read_result
from support.golden import read_golden

GOLDEN = read_golden(BankResult.event_type)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, 0, 1, -1, 2**31, 2**63, 1.5, "", "ACCC", "RJCT", "RTRN", "AC04", "ac04", "AC04\n", "IDR", "idr",
        "a" * 64, "a" * 65, "a b", "\u0663" * 4, "0" * 30 + "-001", "0" * 30 + "-\u0660\u0660\u0661",
        "sha256:" + "0" * 64, [], {},
    ]
)  # fmt: skip


def test_the_answer_of_the_example_bank_is_read_by_payments_and_keeps_the_published_form() -> None:
    data = GOLDEN.document["data"]
    read = read_result(GOLDEN.value, "bank-a")
    published = BankResult.model_validate(data, strict=True)
    assert published.model_dump() == data
    for name in ("instruction_id", "status", "reason", "amount_minor", "currency", "bank_reference", "inquiry"):
        assert getattr(read, name) == data[name]
    assert published.model_fields_set == set(BankResult.model_fields), "the golden answer shows every field"


@given(st.dictionaries(st.sampled_from(sorted(BankResult.model_fields)), ODD, max_size=3), st.sets(
    st.sampled_from(sorted(BankResult.model_fields)), max_size=2))  # fmt: skip
def test_payments_reads_exactly_what_the_published_form_allows(changes: dict[str, Any], absent: set[str]) -> None:
    document = GOLDEN.document
    data = {name: value for name, value in (document["data"] | changes).items() if name not in absent}
    assert readable(orjson.dumps(document | {"data": data})) == allowed(data)


def readable(value: bytes) -> bool:
    with contextlib.suppress(Unusable):
        read_result(value, "bank-a")
        return True
    return False


def allowed(data: dict[str, Any]) -> bool:
    with contextlib.suppress(ValidationError):
        BankResult.model_validate(data, strict=True)
        return True
    return False
