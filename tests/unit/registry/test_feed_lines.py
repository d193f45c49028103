"""Lists from outside, line by line: good lines are taken however the bytes arrive, bad ones are told by their place."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.common.errors import Invalid
from salur.registry.feed_lines import LINES_PER_BATCH, MAX_LINE_SIZE, Batch, batches

MIB = 1024 * 1024


async def arriving(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _read(chunks: Iterable[bytes]) -> list[Batch]:
    return [batch async for batch in batches(arriving(chunks))]


def read(chunks: Iterable[bytes]) -> tuple[list[str], list[tuple[int, str, str]]]:
    found = asyncio.run(_read(chunks))
    problems = [(p.row, p.field, p.reason) for batch in found for p in batch.problems]
    return [record.value for batch in found for record in batch.records], problems


LIST = b'\xef\xbb\xbfvalue,on_date,note\r\n1,2026-01-01,\r\n\r\n2,30 Feb,\n\xff,,\n3\n4,,"a\n5,,"b, c"\n6,,'


@given(st.lists(st.integers(0, len(LIST)), max_size=6))
def test_lines_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(LIST)]
    values, problems = read([LIST[a:b] for a, b in pairwise(places)])
    assert values == ["1", "5", "6"]
    assert problems == [
        (4, "on_date", "date_from_datetime_parsing"), (5, "", "not-utf-8"), (6, "", "wrong-number-of-fields"),
        (7, "", "not-csv"),
    ]  # fmt: skip


@pytest.mark.parametrize("header", [b"", b"\n", b"nik\n1\n", b"value,value\n1,2\n", b"value,salary\n1,2\n", b"\xff\n"])
def test_a_header_that_cannot_be_used_refuses_the_list(header: bytes) -> None:
    with pytest.raises(Invalid, match="nothing was taken"):
        read([header])


def test_a_line_without_end_is_refused_and_what_follows_is_taken() -> None:
    values, problems = read([b"value\n1\n", b"9" * MAX_LINE_SIZE, b"9" * MAX_LINE_SIZE, b"\n2\n"])
    assert (values, problems) == (["1", "2"], [(3, "", "line-too-long")])


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    values, problems = read([b"value\n", body])
    assert len(values) + len(problems) <= body.count(b"\n") + 1


def test_what_is_held_does_not_grow_with_the_list() -> None:
    async def held(lines: int) -> int:
        line, seen = b"0123456789012345\n" * 1_000, 0
        tracemalloc.start()
        async for batch in batches(arriving([b"value\n", *[line] * (lines // 1_000)])):
            assert len(batch) <= LINES_PER_BATCH
            seen += len(batch)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == lines
        return peak

    assert asyncio.run(held(20_000)) < asyncio.run(held(4_000)) + MIB
