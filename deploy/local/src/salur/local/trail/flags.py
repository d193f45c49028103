"""How well the rules for red flags find what was planted: a generated population's own faults, and faults of the acts.

The population's files say which families share an account, are registered twice or hold somebody dead. Its families
become the events registry, eligibility and payments would write; acts of operators are planted beside them.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson

from salur.audit import store
from salur.audit.flags.rules import load_rules
from salur.audit.search.indexer import Indexer
from salur.audit.store import Entry
from salur.audit.usecases.flags import check_rules
from salur.common.contracts.trail import FlagRaised
from salur.common.database import Database
from salur.common.values import derived_id
from salur.local.population.generate import DEFAULT_BANKS, households
from salur.local.population.model import Family

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SHARED_BY = 2
LISTS, ONE_DEVICE, TOO_FAST = 40, 5, range(3, 10)
PAUSE_S, FAST_S = 60.0, 4.0
"""Between any two events; between submitting a list and approving it unread."""
LATE_CHANGE_EVERY, EARLY_CHANGE_EVERY = 83, 59
"""One of so many families names another account right before it is paid, or long before."""
BEFORE_PAYMENTS_S = 5 * 86_400.0
PROGRAMMES, BY_PROPOSER, CHANGED_LATE = 20, 3, range(2, 6)
CYCLE_AFTER_S, CYCLE_SOON_S = 2 * 86_400.0, 3_600.0
OPENINGS, WITHOUT_CASE = 60, 6
AMOUNT_MINOR, WRONG_MINOR, WRONG_EVERY = 60_000_000, 61_000_000, 97
VILLAGE, VILLAGE_FAMILIES = "31.71.01.1001", 60
MOST_RATE = 0.9
"""Of an ordinary village are helped; of the planted one every family is."""
TWICE = frozenset({"family-twice", "person-twice", "same-nik"})
DUPLICATES = "duplicate-identity"
AGAIN_EVERY = 150
"""One of so many families registers again under another card; the population's own do so under other numbers."""


@dataclass
class Story:
    """Events as the services would write them, and what each rule should find in them."""

    facts: list[tuple[float, str, str, str, str, dict[str, Any]]] = field(default_factory=list)
    truth: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    planted_twice: set[str] = field(default_factory=set)

    def say(
        self, topic: str, kind: str, key: str, /, actor: str = "service:x", after_s: float = PAUSE_S, **data: Any
    ) -> None:
        """The next event, so long after the one before."""
        self.facts.append((after_s, topic, kind, key, actor, data))

    def entries(self, first: int) -> Iterator[Entry]:
        """As rows of the log."""
        moment = BEGAN
        for index, (after_s, topic, kind, key, actor, data) in enumerate(self.facts, first):
            event_id, moment = derived_id("flag-event", str(index)), moment + timedelta(seconds=after_s)
            time = moment.isoformat().replace("+00:00", "Z")
            stream, sequence = f"{topic}/0", index + 1
            leaf = orjson.dumps(
                {"id": event_id, "type": kind, "subject": key, "time": time, "actor": actor, "data": data}
            )
            yield Entry(index, leaf, topic, 0, index, stream, sequence, event_id, kind, key, time)


def token(*parts: str) -> str:
    """As the registry's keyed hash: equal for equal values."""
    return sha256("/".join(parts).encode()).hexdigest()


def tell(families: Sequence[Family], seed: int) -> Story:
    """What the services would write about these families, and the truth about it."""
    story, chance = Story(), random.Random(seed)  # noqa: S311 - repeatable on purpose
    _intake(story, families)
    _payments(story, families)
    _villages(story, chance)
    _lists(story)
    _programmes(story)
    _openings(story)
    return story


def _intake(story: Story, families: Sequence[Family]) -> None:
    sharing: Counter[str] = Counter()
    for family in families:
        id_ = derived_id("household", family.kk)
        story.say("registry.households", "salur.household.registered.v1", id_, household_id=id_, region=family.region)
        account = token(family.account.bank, family.account.number)
        _payee(story, family, 1, account)
        if _is_dead(family):
            story.truth["payment-after-death"].add(f"household={id_}")
        if any(truth.kind in TWICE for truth in family.truths):
            story.planted_twice.add(id_)
        sharing[f"account={account}"] += 1
        if any(truth.kind in ("shared-account", "ghost") for truth in family.truths):
            story.truth["shared-account"].add(f"account={account}")
    for family in families[::EARLY_CHANGE_EVERY]:
        _payee(story, family, 2, token("early", family.kk))
    # The population ends in the middle of a group: two on one account are no finding yet.
    story.truth["shared-account"] &= {account for account, on_it in sharing.items() if on_it > SHARED_BY}
    for family in families[::AGAIN_EVERY]:
        identity, again = token("nik", family.members[0].nik), derived_id("again", family.kk)
        story.truth[DUPLICATES].add(f"identity={identity}")
        story.say(
            "registry.payees", "salur.payee.registered.v1", again, beneficiary_id=again, version=1, living="alive",
            account_token=token("again", family.kk), identity_token=identity, bank=family.account.bank,
        )  # fmt: skip


def _is_dead(family: Family) -> bool:
    return any(truth.kind == "dead" and truth.nik == family.members[0].nik for truth in family.truths)


def _payee(story: Story, family: Family, version: int, account: str) -> None:
    id_ = derived_id("household", family.kk)
    story.say(
        "registry.payees", "salur.payee.registered.v1", id_, beneficiary_id=id_, account_token=account,
        identity_token=token("nik", family.members[0].nik), bank=family.account.bank, version=version,
        living="deceased" if _is_dead(family) else "alive",
    )  # fmt: skip


def _payments(story: Story, families: Sequence[Family]) -> None:
    cycle = derived_id("cycle", "paid")
    for number, family in enumerate(families):
        id_, entitlement = derived_id("household", family.kk), derived_id("entitlement", family.kk)
        wrong = number % WRONG_EVERY == 0
        if wrong:
            story.truth["amount-outside-bounds"].add(entitlement)
        story.say(
            "eligibility.entitlements", "salur.entitlement.granted.v1", id_, entitlement_id=entitlement,
            beneficiary_id=id_, cycle_id=cycle, programme_id="sembako", region="99.99",
            amount_minor=WRONG_MINOR if wrong else AMOUNT_MINOR, currency="IDR",
            after_s=PAUSE_S if number else BEFORE_PAYMENTS_S,
        )  # fmt: skip
        if number % LATE_CHANGE_EVERY == 0:
            story.truth["account-changed-before-payment"].add(f"household={id_}")
            _payee(story, family, 3, token("late", family.kk))
        story.say(
            f"payments.instructions.{family.account.bank}", "salur.payment.instructed.v1", id_,
            payment_id=derived_id("payment", family.kk)[:30], entitlement_id=entitlement, bank=family.account.bank,
        )  # fmt: skip


def _villages(story: Story, chance: random.Random) -> None:
    """Beside the population's: one village in which every family is helped, and one like others."""
    cycle = derived_id("cycle", "villages")
    story.truth["village-rate-impossible"].add(f"region={VILLAGE}")
    for village, rate in ((VILLAGE, 1.0), ("31.71.01.1002", MOST_RATE)):
        ids = [derived_id("villager", village, str(number)) for number in range(VILLAGE_FAMILIES)]
        for id_ in ids:
            story.say("registry.households", "salur.household.registered.v1", id_, household_id=id_, region=village)
        for id_ in chance.sample(ids, round(rate * len(ids))):
            story.say(
                "eligibility.entitlements", "salur.entitlement.granted.v1", id_, beneficiary_id=id_, region=village,
                entitlement_id=derived_id("entitlement", id_), cycle_id=cycle, programme_id="sembako",
                amount_minor=AMOUNT_MINOR, currency="IDR",
            )  # fmt: skip


def _lists(story: Story) -> None:
    for number in range(LISTS):
        list_id = derived_id("list", str(number))
        devices = [derived_id("device", "one")] * 2 if number < ONE_DEVICE else ["maker", "checker"]
        if number < ONE_DEVICE:
            story.truth["submitted-and-approved-on-one-device"].add(f"list={list_id}")
        if number in TOO_FAST:
            story.truth["approved-too-fast"].add(f"list={list_id}")
        for act, device in zip(("submitted", "approved"), devices, strict=True):
            story.say(
                "payments.lists", f"salur.payment-list.{act}.v1", list_id, actor=f"person:{act}", list_id=list_id,
                device=device, after_s=FAST_S if act == "approved" and number in TOO_FAST else PAUSE_S,
            )  # fmt: skip


def _programmes(story: Story) -> None:
    """Rules published by one or two people, a cycle opened soon after or later."""
    for number in range(PROGRAMMES):
        programme_id, cycle_id = f"programme-{number}", derived_id("cycle", "of", str(number))
        alone, soon = number < BY_PROPOSER, number in CHANGED_LATE
        if alone:
            story.truth["programme-approved-by-its-proposer"].add(programme_id)
        if soon:
            story.truth["rules-changed-before-cycle"].add(f"programme={programme_id}")
        story.say(
            "eligibility.programmes", "salur.programme.published.v1", programme_id, programme_id=programme_id,
            proposed_by="person:one", actor="person:one" if alone else "person:two",
        )  # fmt: skip
        story.say(
            "eligibility.cycles", "salur.cycle.opened.v1", cycle_id, cycle_id=cycle_id, programme_id=programme_id,
            after_s=CYCLE_SOON_S if soon else CYCLE_AFTER_S,
        )  # fmt: skip


def _openings(story: Story) -> None:
    for number in range(OPENINGS):
        subject = derived_id("opened", str(number))
        case: dict[str, Any] = {} if number < WITHOUT_CASE else {"case_id": derived_id("case", str(number))}
        if not case:
            story.truth["value-opened-without-a-case"].add(subject)
        story.say(
            "payments.activity", "salur.personal-value.read.v1", subject, subject=subject, kind="event-field",
            reason="suspicion", **case,
        )  # fmt: skip


async def measure(db: Database, families: int, seed: int) -> dict[str, dict[str, Any]]:
    """Precision and recall of every rule, in an empty audit database."""
    story = tell(list(households(families, seed, DEFAULT_BANKS)), seed)
    entries = list(story.entries(0))
    async with db.transaction() as conn:
        await store.lock_size(conn)
        await store.insert_entries(conn, entries)
    await Indexer(db).catch_up()
    found: defaultdict[str, set[str]] = defaultdict(set)
    rules = load_rules()
    async with db.transaction() as conn:
        await store.queries.declare_rules(conn, rules=[rule.rule for rule in rules])
        more = True
        while more:
            more, drafts = await check_rules(conn, rules)
            for draft in drafts:
                assert isinstance(draft.data, FlagRaised)
                found[draft.data.rule].add(_subject(draft.data, entries))
    assert set(story.truth) == {rule.rule for rule in rules}, "each rule has something planted"
    figures = {name: _figures(found[name], truth) for name, truth in sorted(story.truth.items())}
    # What the payee's identity alone cannot show: records of one person under another number, or as another member.
    figures[DUPLICATES]["planted_records"] = len(story.planted_twice)
    return figures


def _subject(fact: FlagRaised, entries: Sequence[Entry]) -> str:
    """What a flag is about; of a single event, whose it is."""
    if not fact.subject.startswith("event="):
        return fact.subject
    data = orjson.loads(entries[fact.evidence[0]].leaf)["data"]
    return str(data.get("entitlement_id") or data.get("subject") or data["programme_id"])


def _figures(found: set[str], truth: set[str]) -> dict[str, Any]:
    right = len(found & truth)
    return {
        "planted": len(truth),
        "found": len(found),
        "precision": round(right / len(found), 3) if found else 1.0,
        "recall": round(right / len(truth), 3) if truth else 1.0,
    }
