"""The consumer on the real Kafka and PostgreSQL: rebalances, older databases, truncated and new topics."""

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial

import psycopg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from salur.common.contracts.topics import topics_written_by
from salur.common.events import kafka as events_kafka
from salur.common.events.stream import queries
from support.mechanism import TOPIC
from support.pair import Addresses
from support.stage import Stage, fresh_topics, stage_on
from support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def stage(pair: Addresses) -> AsyncIterator[Stage]:
    async with stage_on(pair.postgres, pair.kafka) as made:
        yield made


async def republish(stage: Stage, sequence: int = 1) -> None:
    """What `python -m salur.registry republish` does, for every stream of the topic."""
    async with stage.registry.transaction() as conn:
        for partition in range(8):
            await queries.republish_from(conn, stream=f"{TOPIC}/{partition}", sequence=sequence)


async def test_members_join_leave_die_and_pause_in_mid_batch(stage: Stage) -> None:
    """Processes of one consumer under load: one is killed, one paused past its session; late ones change nothing."""
    async with stage.relaying():
        first = stage.process("member", instance="1")
        await stage.append(200)
        second = stage.process("member", instance="2")
        await stage.append(300)
        await eventually(stage.arrived, 60, "both work")
        first.send_signal(signal.SIGSTOP)
        await stage.append(300)
        await eventually(stage.arrived, 60, "the other takes the partitions of the paused one")
        first.send_signal(signal.SIGCONT)
        await stage.append(300)
        second.kill()
        await stage.append(300)
        await eventually(stage.arrived, 60, "the one that woke takes all")
        third = stage.process("member", instance="3")
        for _ in range(5):
            await stage.append(100)
        first.terminate()
        await stage.append(100)
        await stage.check()
        assert first.wait(20) == 0
        assert third.poll() is None


def _copy_database(stage: Stage, source: str, target: str) -> None:
    """A backup or its return: a copy of the whole database. Connections to the source are ended."""
    admin_url = stage.consumer_url.rsplit("/", 1)[0] + "/postgres"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for name in (source, target):
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
        admin.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
        admin.execute(f"ALTER DATABASE {source} ALLOW_CONNECTIONS false")
        try:
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (source,))
            admin.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
        finally:
            admin.execute(f"ALTER DATABASE {source} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_consumers_database_restored_to_an_older_state_takes_everything_once(
    stage: Stage, restarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks go back with the effects. A restarted member seeks to them; one that runs on meets holes, reads again."""
    monkeypatch.setattr(events_kafka, "REREAD_AFTER_S", (0.5, 60.0))
    name = stage.consumer_url.rpartition("/")[2]
    backup = f"{name}_backup"
    async with stage.relaying():
        async with stage.consuming():
            await stage.append(200)
            await eventually(stage.arrived, 60, "the state of the backup")
        _copy_database(stage, name, backup)
        try:
            async with stage.consuming():
                await stage.append(300)
                await eventually(stage.arrived, 60, "the state that is lost")
                if not restarted:
                    _copy_database(stage, backup, name)
                    assert len(await stage.effects()) == 200
                    # Every stream shows its hole by its next event.
                    await stage.append(100)
                    await stage.check()
            if restarted:
                _copy_database(stage, backup, name)
                assert len(await stage.effects()) == 200
                async with stage.consuming():
                    await stage.check()
        finally:
            with psycopg.connect(stage.registry_url, autocommit=True) as admin:
                admin.execute(f"DROP DATABASE IF EXISTS {backup} WITH (FORCE)")


async def test_what_retention_took_before_it_was_consumed_is_published_again(stage: Stage) -> None:
    """A hole at the start of each stream: nothing behind it is taken; `republish` fills it."""
    async with stage.relaying():
        await stage.append(200)
        await eventually(stage.published, what="published")
        admin = AIOKafkaAdminClient(bootstrap_servers=stage.kafka)
        await admin.start()
        places = [TopicPartition(TOPIC, partition) for partition in range(8)]
        await admin.delete_records(
            {place: RecordsToDelete(before_offset=5) for place in places if await _holds(stage, place, 6)}
        )
        await admin.close()
        async with stage.consuming() as watch:

            async def sees_holes() -> bool:
                return bool(watch.holes.waiting())

            await eventually(sees_holes, 30, "the consumer sees the holes")
            holed = watch.holes.waiting()
            assert not [effect for effect in await stage.effects() if effect["stream"] in holed]
            await republish(stage)
            await stage.append(50)
            await stage.check()
            assert watch.holes.waiting() == []


async def _holds(stage: Stage, place: TopicPartition, records: int) -> bool:
    async with stage.registry.connection() as conn:
        stream = f"{place.topic}/{place.partition}"
        return bool(await conn.fetchval("SELECT sequence >= $2 FROM stream WHERE name = $1", stream, records))


async def test_a_topic_made_anew_is_filled_by_republish_and_what_was_taken_is_dropped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets begin at zero again, sequences do not. Half of it was taken; members old and new agree."""
    monkeypatch.setattr(events_kafka, "REREAD_AFTER_S", (0.5, 1.0))
    async with stage.consuming(), stage.relaying():
        await stage.append(200)
        await eventually(stage.arrived, 60, "the first half")
    await stage.append(200)
    async with stage.relaying():
        await eventually(stage.published, what="the second half published")
    await fresh_topics(stage.kafka, [topic.name for topic in topics_written_by("registry")])
    await republish(stage)
    async with stage.relaying():
        await stage.append(50)
        async with stage.consuming():
            await stage.check()
        async with stage.consuming():
            await stage.append(50)
            await stage.check()


async def test_records_of_others_become_letters_and_hold_nothing_up(stage: Stage) -> None:
    """Tombstones, rubbish, oversized values between events on the real topic: one letter each, every event is taken."""
    async with stage.relaying(), stage.consuming():
        await stage.append(50)
        await eventually(stage.arrived, what="the first events")
        async with AIOKafkaProducer(bootstrap_servers=stage.kafka) as producer:
            for value in (None, b"{rubbish", b"x" * 500_000, b'{"specversion":"1.0","source":"/salur/registry"}'):
                await asyncio.gather(
                    *[await producer.send(TOPIC, value, key=b"k", partition=partition) for partition in range(8)]
                )
        await stage.append(50)
        await stage.check()

        async def letters() -> bool:
            async with stage.consumer.connection() as conn:
                found = await conn.fetchval("SELECT count(*) FROM dead_letter WHERE state = 'foreign'")
                told = await conn.fetchval("SELECT count(*) FROM event WHERE type = 'salur.dead-letter.raised.v1'")
            return (found, told) == (32, 32)

        await eventually(letters, what="a letter and an event for each of 32 records")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_writer_may_compress_as_it_likes(stage: Stage, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Banks use clients that compress by default: whatever they choose, the records are read."""
    monkeypatch.setattr(events_kafka, "AIOKafkaProducer", partial(AIOKafkaProducer, compression_type=codec))
    async with stage.relaying(), stage.consuming():
        await stage.append(100)
        await stage.check()


async def test_a_client_whose_commits_hang_holds_no_event_up_and_its_process_ends(stage: Stage) -> None:
    """As aiokafka may after a broker was away: its search for the coordinator waits for itself for ever."""
    ended = asyncio.Event()
    async with stage.relaying(), stage.consuming() as watch:
        await stage.append(20)
        await eventually(stage.arrived, 60, "all is well")
        watch.acks._timeout_s, watch.acks._stuck_s, watch.acks._end = 0.2, 1.0, ended.set
        consumer = watch.holes._consumer_of()
        assert consumer is not None
        coordinator = consumer._coordinator
        await coordinator._coordinator_lookup_lock.acquire()
        coordinator.coordinator_dead()
        try:
            await stage.append(200)
            await eventually(stage.arrived, 30, "events are taken although no commit succeeds")
            await asyncio.wait_for(ended.wait(), 30)
        finally:
            coordinator._coordinator_lookup_lock.release()
        await stage.check()
