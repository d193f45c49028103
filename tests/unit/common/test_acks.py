"""Commits hold nobody up; a client that has stopped working while the broker answers ends its process."""

import asyncio

import pytest

from salur.common.events.acks import Acks, answers


class Client:
    """Commits as its turn says: at once or never."""

    def __init__(self) -> None:
        self.hangs = True
        self.committed = 0

    async def commit(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self.committed += 1


class Broker:
    def __init__(self) -> None:
        self.there = True

    async def reachable(self) -> bool:
        return self.there


def acks_for(broker: Broker, ended: list[str]) -> Acks:
    return Acks("test", broker.reachable, end=lambda: ended.append("ended"), timeout_s=0.01, stuck_s=0.05)


async def tend_for(acks: Acks, seconds: float) -> None:
    async with asyncio.timeout(5):
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await acks.tend()
            await asyncio.sleep(0)


async def test_a_commit_that_hangs_is_left_and_tried_again() -> None:
    client, ended = Client(), list[str]()
    acks = acks_for(Broker(), ended)
    await acks.commit(client)
    assert client.committed == 0
    client.hangs = False
    await acks.tend()
    await tend_for(acks, 0.1)
    assert (client.committed, ended) == (1, [])


async def test_the_process_ends_when_commits_hang_on_and_the_broker_answers() -> None:
    client, ended = Client(), list[str]()
    acks = acks_for(Broker(), ended)
    await acks.commit(client)
    await tend_for(acks, 0.15)
    assert ended


async def test_a_broker_that_is_away_ends_nothing_however_long() -> None:
    client, broker, ended = Client(), Broker(), list[str]()
    broker.there = False
    acks = acks_for(broker, ended)
    await acks.commit(client)
    await tend_for(acks, 0.2)
    assert ended == []
    broker.there, client.hangs = True, False
    await tend_for(acks, 0.1)
    assert (client.committed, ended) == (1, [])


async def test_without_a_hanging_commit_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    client, broker = Client(), Broker()
    client.hangs = False
    acks = acks_for(broker, [])
    await acks.commit(client)
    monkeypatch.setattr(broker, "reachable", None)
    await acks.tend()
    assert client.committed == 1


async def test_an_address_answers_when_somebody_listens() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await answers(f"127.0.0.1:1,127.0.0.1:{port}")
    await server.wait_closed()
    assert not await answers(f"127.0.0.1:{port}", timeout_s=0.5)
    assert not await answers("nonsense")
