"""The relay's send: after any failure only the contiguous acknowledged prefix of a stream counts."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from salur.common.events.relay import Outgoing, send_in_order


class FlakyProducer:
    """Kafka as it misbehaves: a send may raise, a delivery may fail while later ones succeed."""

    def __init__(self, fates: list[str]) -> None:
        self._fates = fates
        self.log: list[tuple[str, int]] = []

    async def send(self, record: Outgoing) -> "asyncio.Future[object]":
        fate = self._fates.pop(0) if self._fates else "acknowledged"
        if fate == "send fails":
            raise ConnectionError("broker away")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if fate == "delivery fails":
            future.set_exception(ConnectionError("refused"))
        else:
            self.log.append((record.stream, record.sequence))
            future.set_result(None)
        return future

    async def close(self) -> None:
        pass


fates = st.lists(st.sampled_from(["acknowledged", "acknowledged", "delivery fails", "send fails"]), max_size=30)


@given(st.integers(1, 8), st.integers(1, 8), fates)
async def test_published_is_the_contiguous_prefix_and_resending_fills_every_hole(
    first: int, second: int, fate: list[str]
) -> None:
    """Resume from `published` until all is acknowledged: Kafka then holds every sequence, in order, maybe repeated."""
    heads = {"a/0": first, "b/0": second}
    published = dict.fromkeys(heads, 0)
    producer = FlakyProducer(fate)
    while published != heads:
        outgoing = [
            Outgoing(stream, sequence, stream[0], 0, b"k", b"v", [])
            for stream, head in heads.items()
            for sequence in range(published[stream] + 1, head + 1)
        ]
        acknowledged, failure = await send_in_order(producer, outgoing)
        assert failure is not None or acknowledged == {s: h for s, h in heads.items() if published[s] < h}
        for stream, sequence in acknowledged.items():
            in_kafka = [s for name, s in producer.log if name == stream]
            assert set(range(published[stream] + 1, sequence + 1)) <= set(in_kafka)
            published[stream] = sequence
    for stream, head in heads.items():
        expected = 1
        for sequence in (s for name, s in producer.log if name == stream):
            expected += sequence == expected
        assert expected == head + 1
