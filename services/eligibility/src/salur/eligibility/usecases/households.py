"""Take what the registry says: families, groups and cuts. Each is decided in the transaction that brings it."""

from collections.abc import Sequence

from salur.common.contracts.erasures import PersonErased, SubjectErased
from salur.common.contracts.feeds import PersonDeceased, PersonRestored
from salur.common.contracts.registry import (
    GroupChanged,
    GroupRegistered,
    GuardianChanged,
    HouseholdChanged,
    HouseholdConfirmed,
    HouseholdMerged,
    HouseholdRegistered,
    HouseholdRestored,
    HouseholdSplit,
    PersonMerged,
    RegistryCut,
)
from salur.common.database import Connection
from salur.common.errors import Refused
from salur.common.events import Draft, Received, erase_subjects, forget_values
from salur.common.secrets import Secrets
from salur.eligibility.domain.decide import HouseholdFacts
from salur.eligibility.store import HouseholdRow, copy_households, queries
from salur.eligibility.usecases.decide import Case, decide_cases, facts_of
from salur.eligibility.usecases.late import keep_late_changes
from salur.eligibility.usecases.programmes import Rules

NO_FACTS = (
    HouseholdSplit, PersonDeceased, PersonErased, PersonMerged, PersonRestored, GuardianChanged, HouseholdConfirmed,
)  # fmt: skip
"""Snapshots of the families follow these as events of their own; a confirmation has the same facts as before."""
ERASED = "erased"
"""In place of the family it was merged into: nothing of an erased household is decided, granted or replayed."""


async def take_households(conn: Connection, batch: Sequence[Received], rules: Rules, secrets: Secrets) -> list[Draft]:
    """Keep each version of each household, decide it by every programme in force, record the cuts that passed.

    Raises Refused for an event that contradicts what is known.
    """
    await queries.hold_publishing(conn)
    rows: list[HouseholdRow] = []
    cases: list[Case] = []
    groups: list[tuple[str, Case]] = []
    cuts: list[tuple[str, int, int, int]] = []
    for event in batch:
        match event.data:
            case HouseholdRegistered() | HouseholdChanged() | HouseholdRestored() as household:
                row = _row(event, household)
                rows.append(row)
                members = [member.attributes for member in household.members]
                member_ids = [member.member_id for member in household.members]
                facts = HouseholdFacts(
                    row.household_id, row.version, household.attributes, members, household.region, member_ids
                )
                cases.append(Case(facts, event.id))
            case HouseholdMerged() | SubjectErased() as ended:
                rows.append(_end(event, ended))
            case fact if isinstance(fact, NO_FACTS):
                pass
            case GroupRegistered() | GroupChanged() as group:
                rows.append(row := _group(event, group))
                groups.append((group.kind, Case(facts_of(row._asdict()), event.id)))
            case RegistryCut() as cut:
                cuts.append((cut.cut_id, event.partition, event.sequence, cut.households))
            case _:
                raise Refused(f"eligibility does not know {event.type} on {event.topic}: deploy the version that does")
    if rows:
        await _keep(conn, rows)
        await _erase(conn, batch)
    await _erase_people(conn, batch, secrets)
    await _confirm(conn, batch)
    await keep_late_changes(conn, batch)
    if cuts:
        ids, partitions, sequences, households = zip(*cuts, strict=True)
        await queries.save_cut_marks(
            conn, cut_ids=ids, partitions=partitions, sequences=sequences, households=households
        )
    drafts: list[Draft] = []
    gone = {row.household_id for row in rows if row.merged_into == ERASED}
    cases = [case for case in cases if case.household.household_id not in gone]
    if cases or groups:
        for ruling in await rules.in_force(conn):
            subject = ruling.compiled.document.subject
            mine = cases if subject == "family" else [case for kind, case in groups if kind == subject]
            if mine:
                drafts += await decide_cases(conn, ruling, mine)
    return drafts


def _row(event: Received, household: HouseholdRegistered | HouseholdChanged | HouseholdRestored) -> HouseholdRow:
    _check_key(event, household.household_id)
    members = [{"member_id": member.member_id, "attributes": member.attributes} for member in household.members]
    return HouseholdRow(
        household.household_id, household.version, event.partition, event.sequence, None, household.region,
        household.attributes, members,
    )  # fmt: skip


def _group(event: Received, group: GroupRegistered | GroupChanged) -> HouseholdRow:
    """A group as its rules see it: its attributes, until when it is accredited, and its members with their roles."""
    _check_key(event, group.group_id)
    attributes = {**group.attributes, "accredited_until": group.accredited_until}
    members = [{"member_id": member.member_id, "attributes": {"role": member.role}} for member in group.members]
    return HouseholdRow(
        group.group_id, group.version, event.partition, event.sequence, None, group.region, attributes, members,
        kind=group.kind,
    )  # fmt: skip


def _end(event: Received, ended: HouseholdMerged | SubjectErased) -> HouseholdRow:
    """The last version of a household that was erased or turned out to be another: nothing in it may be decided."""
    _check_key(event, ended.household_id)
    into = ended.into if isinstance(ended, HouseholdMerged) else ERASED
    return HouseholdRow(ended.household_id, ended.version, event.partition, event.sequence, None, "", {}, [], into)


async def _confirm(conn: Connection, batch: Sequence[Received]) -> None:
    """The facts of a household that was stated again are as new as that statement."""
    known = [(event, event.data) for event in batch if isinstance(event.data, HouseholdConfirmed)]
    for event, fact in known:
        _check_key(event, fact.household_id)
    if known:
        await queries.confirm_households(
            conn, ids=[fact.household_id for _, fact in known], versions=[fact.version for _, fact in known],
            moments=[event.time for event, _ in known],
        )  # fmt: skip


async def _erase(conn: Connection, batch: Sequence[Received]) -> None:
    """Destroy what was kept of erased households, in the batch or before it: facts, criteria, reports, appeals."""
    erased = [
        (event.data.household_id, event.data.erasure_id) for event in batch if isinstance(event.data, SubjectErased)
    ]
    if erased:
        await queries.erase_households(conn, ids=[household_id for household_id, _ in erased])
        await erase_subjects(conn, erased)


async def _erase_people(conn: Connection, batch: Sequence[Received], secrets: Secrets) -> None:
    """Destroy what was kept of single people: them among earlier facts, and the reasons that facts with them gave.

    What was decided stands, and grants of it do; only it cannot be made again. The family's snapshot without them is
    decided when it comes.
    """
    for event in batch:
        if not isinstance(person := event.data, PersonErased):
            continue
        _check_key(event, person.household_id)
        await queries.erase_person(conn, id=person.household_id, member_id=person.member_id, version=person.version)
        await forget_values(conn, secrets, person.household_id, lambda _, values: list(values))


def _check_key(event: Received, household_id: str) -> None:
    if household_id != event.key:
        raise Refused(f"{event.type} speaks of another household than its key: the registry must act")


async def _keep(conn: Connection, rows: list[HouseholdRow]) -> None:
    """Write the new versions; the one before each, in the batch or in the table, is replaced at its sequence."""
    known = await queries.current_versions(conn, ids=sorted({row.household_id for row in rows}))
    newest: dict[str, int] = {row["household_id"]: row["version"] for row in known}
    stored = frozenset(newest)
    place: dict[str, int] = {}
    replaced: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row.version <= newest.get(row.household_id, 0):
            raise Refused(f"household {row.household_id} came again as version {row.version}: the registry must act")
        newest[row.household_id] = row.version
        if (before := place.get(row.household_id)) is not None:
            rows[before] = rows[before]._replace(replaced_by=row.sequence)
        elif row.household_id in stored:
            replaced[row.household_id] = row.sequence
        place[row.household_id] = index
    if replaced:
        await queries.replace_households(conn, ids=list(replaced), sequences=list(replaced.values()))
    await copy_households(conn, rows)
