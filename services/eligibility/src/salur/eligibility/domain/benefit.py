"""What is due to who qualifies: components, at most so many members, at most so much. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from salur.common.values import in_scope
from salur.eligibility.domain.compiling import BenefitRule, Compiled
from salur.eligibility.domain.programme import MAX_UNIT_MINOR, Reasons
from salur.eligibility.domain.rules import MEMO_MAX, Present

Region = str
Numbered = tuple[int, BenefitRule]
"""A component and its place in the rules."""
Members = Sequence[tuple[str | None, Present]]
"""Members with their ids (None: not told); each one's facts hold the household's too."""

BEYOND_MEMBERS = Reasons(
    en="the programme counts no more members of a family", id="jumlah anggota yang dihitung sudah terpenuhi"
)
BEYOND_CAP = Reasons(en="the programme pays no more to one beneficiary", id="batas bantuan per penerima sudah tercapai")
COMMON_REASONS = (BEYOND_MEMBERS, BEYOND_CAP)


@dataclass(frozen=True, slots=True)
class DueComponent:
    """quantity x unit_minor = amount_minor, in minor units. `member_id`: whose it is, in a programme for persons."""

    code: str
    quantity: int
    unit_minor: int
    amount_minor: int
    member_id: str | None = None


@dataclass(frozen=True, slots=True)
class NotDueComponent:
    """A component not granted, why (in English, as the programme words it), and for how many."""

    code: str
    reason: str
    count: int
    member_id: str | None = None


Lines = tuple[tuple[DueComponent, ...], tuple[NotDueComponent, ...]]
Units = tuple[int | str, ...]
"""What each component gives one member (minor units), or the reason why nothing."""


def in_regions(region: Region, regions: Sequence[Region]) -> bool:
    """Whether a part of the rules that names regions (none: everywhere) holds in this one."""
    return in_scope(region, regions)


def benefit_of(
    programme: Compiled, region: Region, facts: Present, members: Members
) -> tuple[list[DueComponent], list[NotDueComponent]]:
    """What is due per cycle and what is not, with its reason, in the order of the rules."""
    rules = [(n, rule) for n, rule in enumerate(programme.benefit) if in_regions(region, rule.spec.regions)]
    if programme.document.kind != "person":
        due, refused = _lines(programme, rules, facts, members)
        return list(due), list(refused)
    components: list[DueComponent] = []
    not_due: list[NotDueComponent] = []
    for member in members:
        due, refused = _lines(programme, rules, facts, [member])
        components += [DueComponent(c.code, c.quantity, c.unit_minor, c.amount_minor, member[0]) for c in due]
        not_due += [NotDueComponent(n.code, n.reason, n.count, member[0]) for n in refused]
    return components, not_due


def _lines(programme: Compiled, rules: Sequence[Numbered], facts: Present, members: Members) -> Lines:
    """The lines of one beneficiary. They follow from what each component gives, so they are remembered by that."""
    own = [_member_units(programme, member) for _, member in members]
    dues = [
        (number, _unit(rule, facts) if rule.spec.per == "household" else None) for number, rule in rules
    ]  # None: each member's own
    key = (*dues, *own)
    known = programme.lines.get(key)
    if known is None:
        if len(programme.lines) >= MEMO_MAX:
            programme.lines.clear()
        known = programme.lines[key] = _worked_out(programme, rules, dict(dues), own)
    return known


def _worked_out(
    programme: Compiled, rules: Sequence[Numbered], dues: Mapping[int, int | str | None], own: Sequence[Units]
) -> Lines:
    counted = _counted(programme, rules, own)
    components: list[DueComponent] = []
    not_due: list[NotDueComponent] = []
    for number, rule in rules:
        units: dict[int, int] = {}
        reasons: dict[str, int] = {}
        once = dues[number]
        for place, unit in enumerate([given[number] for given in own] if once is None else [once]):
            if isinstance(unit, str):
                reasons[unit] = reasons.get(unit, 0) + 1
            elif once is None and counted is not None and place not in counted:
                reasons[BEYOND_MEMBERS.en] = reasons.get(BEYOND_MEMBERS.en, 0) + 1
            else:
                units[unit] = units.get(unit, 0) + 1
        code = rule.spec.code
        components += [DueComponent(code, n, unit, n * unit) for unit, n in sorted(units.items())]
        not_due += [NotDueComponent(code, reason, n) for reason, n in sorted(reasons.items())]
    if programme.document.cap_minor is not None:
        components, not_due = _capped(components, not_due, programme.document.cap_minor)
    return tuple(components), tuple(not_due)


def _unit(rule: BenefitRule, subject: Present) -> int | str:
    """Minor units due to one subject, or the reason why nothing is."""
    due = rule.when.value(subject)
    if due:
        unit = rule.unit if isinstance(rule.unit, int) else rule.unit.value(subject)
        if unit is not None and 0 <= unit <= MAX_UNIT_MINOR:
            return int(unit)
    return rule.spec.not_met.en if due is False else rule.spec.not_reported.en


def _member_units(programme: Compiled, member: Present) -> Units:
    """What each component gives a member, in the order of the rules; those per household have no say here."""
    key = tuple(map(member.get, programme.unit_reads))
    known = programme.units.get(key)
    if known is None:
        if len(programme.units) >= MEMO_MAX:
            programme.units.clear()
        known = tuple(_unit(rule, member) if rule.spec.per == "member" else "" for rule in programme.benefit)
        programme.units[key] = known
    return known


def _counted(programme: Compiled, rules: Sequence[Numbered], own: Sequence[Units]) -> frozenset[int] | None:
    """Places of the members that count: those to whom most is due; of equals the first. None = all."""
    most = programme.document.most_members
    if most is None or len(own) <= most:
        return None
    numbers = [number for number, rule in rules if rule.spec.per == "member"]
    sums = [sum(unit for number in numbers if isinstance(unit := given[number], int)) for given in own]
    order = sorted(range(len(sums)), key=lambda place: (-sums[place], place))
    return frozenset(order[:most])


def _capped(
    components: list[DueComponent], not_due: list[NotDueComponent], cap_minor: int
) -> tuple[list[DueComponent], list[NotDueComponent]]:
    """Lines up to the cap; the one that passes it is cut, those behind it are not due."""
    kept: list[DueComponent] = []
    left = cap_minor
    for line in components:
        if line.amount_minor <= left:
            kept.append(line)
        else:
            if left > 0:
                kept.append(DueComponent(line.code, 1, left, left))
            not_due = [*not_due, NotDueComponent(line.code, BEYOND_CAP.en, line.quantity)]
        left = max(0, left - line.amount_minor)
    return kept, not_due
