"""The relay on the real Kafka and PostgreSQL: two at once, killed, refused, cut off; nothing lost, no hole left."""

import signal
from collections import Counter
from collections.abc import AsyncIterator

import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from salur.common.events.kafka import ConsumerWatch, read_stream, read_tails
from salur.common.events.relay import LOCK_NAME
from salur.common.events.security import KafkaAddress
from support.mechanism import TOPIC
from support.pair import Addresses
from support.stage import Stage, stage_on
from support.waiting import eventually

pytestmark = pytest.mark.integration
PLACES = [(TOPIC, partition) for partition in range(8)]


@pytest.fixture
async def stage(pair: Addresses) -> AsyncIterator[Stage]:
    async with stage_on(pair.postgres, pair.kafka) as made:
        yield made


async def in_kafka(stage: Stage) -> dict[str, list[int]]:
    """Per stream the sequences of the log, in its order."""
    found: dict[str, list[int]] = {}
    for topic, partition in PLACES:
        async for _, event in read_stream(KafkaAddress(stage.kafka), topic, partition):
            found.setdefault(event.stream, []).append(event.sequence)
    return found


def owner_pid(stage: Stage) -> int | None:
    """The server process of the connection that holds the relay's lock."""
    with psycopg.connect(stage.registry_url) as conn:
        row = conn.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = (hashtext(%s)::bigint &"
            " 4294967295)::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (LOCK_NAME,),
        ).fetchone()
    return row[0] if row else None


def end_connection(stage: Stage, pid: int) -> None:
    with psycopg.connect(stage.registry_url, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


async def test_of_two_relays_one_works_and_the_other_takes_over_when_it_dies(stage: Stage) -> None:
    """Processes; the owner's connection is ended, then the owner is killed; both times the other goes on."""
    relays = [stage.process("relay"), stage.process("relay")]
    async with stage.consuming():
        for _ in range(2):
            await stage.append(200)
            await eventually(stage.published, 60, "the owner publishes")
            before = owner_pid(stage)
            assert before is not None
            end_connection(stage, before)
            await stage.append(200)
            await eventually(stage.published, 60, "somebody publishes")
            assert owner_pid(stage) not in (None, before)
        relays[0].kill()
        await stage.append(200)
        await stage.check()
    log = await in_kafka(stage)
    assert all(sequences == list(range(1, len(sequences) + 1)) for sequences in log.values()), "they sent both"


async def test_a_paused_relay_whose_lock_is_gone_moves_nothing_when_it_wakes(stage: Stage) -> None:
    """A zombie: SIGSTOP, its connection ends, another publishes on; SIGCONT. What it still sends are repeats."""
    zombie = stage.process("relay")
    await stage.append(500)
    await eventually(stage.published, 60, "the first relay publishes")
    pid = owner_pid(stage)
    assert pid is not None
    zombie.send_signal(signal.SIGSTOP)
    end_connection(stage, pid)
    async with stage.relaying(), stage.consuming():
        await stage.append(500)
        await eventually(stage.published, 60, "the second relay publishes")
        zombie.send_signal(signal.SIGCONT)
        await stage.append(500)
        await stage.check()
    assert zombie.poll() is None, "the zombie must live on as the standby"


async def test_killed_between_acknowledgement_and_record_it_sends_again_and_repeats_are_dropped(stage: Stage) -> None:
    """SIGKILL after Kafka has acknowledged a window and before `published` says so."""
    await stage.append(300)
    dying = stage.process("relay", die="before-save")
    assert dying.wait(60) == -signal.SIGKILL
    async with stage.registry.connection() as conn:
        assert await conn.fetchval("SELECT sum(published) FROM relay") == 0
    async with stage.relaying(), stage.consuming():
        await stage.append(10)
        await stage.check()
    log = await in_kafka(stage)
    counts = Counter((stream, sequence) for stream, sequences in log.items() for sequence in sequences)
    assert sum(1 for count in counts.values() if count == 2) == 300, "the window was not sent twice: nothing is shown"


async def _limit_topic(kafka: str, most_bytes: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    config = {"max.message.bytes": str(most_bytes), "retention.ms": str(7 * 24 * 3600 * 1000)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs=config)])
    await admin.close()


async def test_a_first_batch_the_broker_refuses_leaves_no_hole(stage: Stage) -> None:
    """A new producer's first batch is over the topic's limit; the broker refuses it and takes the ones behind it.

    The relay stops, builds a new producer and begins again before the hole; consumers take nothing behind it.
    """
    await stage.append(1, households=1, personal_size=100_000)
    # One stream; each batch of the producer (256 KiB) holds a part of these.
    for _ in range(12):
        await stage.append(100, households=1)
    await _limit_topic(stage.kafka, 90_000)
    stream = f"{TOPIC}/{(await in_kafka_partition(stage))}"
    async with stage.relaying(), stage.consuming() as watch:

        async def holds_later_ones() -> bool:
            return bool((await in_kafka(stage)).get(stream))

        await eventually(holds_later_ones, 60, "later batches taken by the broker")
        first = (await in_kafka(stage))[stream][0]
        assert first > 1, "the broker took the first batch: nothing is shown"
        await eventually(lambda: _sees_hole(watch), 30, "the consumer sees the hole")
        assert await stage.effects() == []
        async with stage.registry.connection() as conn:
            assert await conn.fetchval("SELECT published FROM relay WHERE stream = $1", stream) == 0
        await _limit_topic(stage.kafka, 1024 * 1024)
        await stage.check()


async def in_kafka_partition(stage: Stage) -> int:
    async with stage.registry.connection() as conn:
        return int(await conn.fetchval("SELECT partition FROM stream WHERE sequence > 0"))


async def _sees_hole(watch: ConsumerWatch) -> bool:
    return bool(watch.holes.waiting())


async def test_the_tail_is_the_highest_event_whatever_stands_behind_it(stage: Stage) -> None:
    """Repeats of a relay that lost its turn, bytes of others, a forged number: none hides or fakes the past."""
    await stage.append(400, households=1)
    async with stage.relaying():
        await eventually(stage.published, 60, "published")
    partition = await in_kafka_partition(stage)
    stream = f"{TOPIC}/{partition}"
    before = await read_tails(KafkaAddress(stage.kafka), PLACES)
    assert before[stream].sequence == 400
    records = [record async for record, _ in read_stream(KafkaAddress(stage.kafka), TOPIC, partition)]
    async with AIOKafkaProducer(bootstrap_servers=stage.kafka) as producer:
        for record in records[:150]:
            await producer.send(TOPIC, record.value, partition=partition, headers=list(record.headers))
        for rubbish in (
            b"{rubbish",
            None,
            b'{"sequence": 1000000}',
            records[0].value.replace(b"/salur/registry", b"x"),
        ):
            await producer.send(TOPIC, rubbish, key=b"somebody", partition=partition)
    assert await read_tails(KafkaAddress(stage.kafka), PLACES) == before
