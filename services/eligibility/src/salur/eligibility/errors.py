"""Refusals of eligibility, as sentences that say who must act."""

from datetime import date, timedelta

from salur.common.errors import Conflict, Forbidden, Invalid, NotFound

RETRY_AFTER_S = 1.0


def programme_invalid(reason: str) -> Invalid:
    return Invalid(
        f"the programme cannot be published: {reason}", code="programme-invalid", who="author of the programme"
    )


def programme_unknown(programme_id: str) -> NotFound:
    return NotFound(
        f"no programme {programme_id} is in force: publish it first", code="programme-unknown", who="programme-officer"
    )


def proposal_unknown() -> NotFound:
    return NotFound(
        "no such version waits for approval: read the programme's id and version again",
        code="proposal-unknown",
        who="caller",
    )


def place_invalid() -> Invalid:
    return Invalid(
        "`after` is no place this service gave: give back `next` as it was", code="place-invalid", who="caller"
    )


def same_person(what: str) -> Forbidden:
    """Whoever made something does not approve it."""
    return Forbidden(f"you {what}: another person must approve it", code="same-person", who="another approver")


def needs_declaration() -> Conflict:
    return Conflict(
        "an emergency programme pays after a declared disaster: declare one, and have another person approve it",
        code="needs-declaration",
        who="programme-officer",
    )


def cycle_not_held() -> Conflict:
    return Conflict("the cycle is not held back: nothing is to be released", code="cycle-not-held", who="caller")


def place_unknown() -> NotFound:
    return NotFound(
        "nobody of that id whom you may see was considered in that cycle: check both ids",
        code="place-unknown",
        who="caller",
    )


def simulation_unknown() -> NotFound:
    return NotFound("no simulation of that id: read the id again", code="simulation-unknown", who="caller")


def declaration_exists(name: str) -> Conflict:
    return Conflict(
        f"a disaster named {name!r} is declared for this programme already: approve that one or choose another name",
        code="declaration-exists",
        who="programme-officer",
    )


def declaration_unknown() -> NotFound:
    return NotFound("no declaration of that id: read the id again", code="declaration-unknown", who="caller")


def no_emergency_programme() -> Conflict:
    return Conflict(
        "the programme is not for emergencies: name one whose approach is emergency",
        code="no-emergency-programme",
        who="programme-officer",
    )


def appeal_too_late(days: int) -> Conflict:
    return Conflict(
        f"the {days} days to object to this decision are over: register a complaint instead",
        code="appeal-too-late",
        who="caller",
    )


def appeal_open() -> Conflict:
    return Conflict(
        "somebody has objected to this decision already and waits for the answer: follow that appeal",
        code="appeal-open",
        who="caller",
    )


def appeal_unknown() -> NotFound:
    return NotFound("no appeal of that id that you may see: read the id again", code="appeal-unknown", who="caller")


def appeal_closed() -> Conflict:
    return Conflict(
        "the appeal is closed or its decision was overturned meanwhile: open another one",
        code="appeal-closed",
        who="caller",
    )


def correction_unknown(count: int) -> Invalid:
    return Invalid(
        f"{count} of the members put right do not belong to the household: check their ids",
        code="correction-unknown",
        who="caller",
    )


def correction_changes_nothing() -> Conflict:
    return Conflict(
        "with the facts put right the decision comes out the same: dismiss the appeal or put right what was wrong",
        code="correction-changes-nothing",
        who="reviewer",
    )


def cycle_at_work() -> Conflict:
    """Who has a place is counted already: a decision that changes meanwhile would be paid twice or never."""
    return Conflict(
        "a cycle of this programme is being granted or is held: decide the appeal when it is granted",
        code="cycle-at-work",
        who="reviewer",
        retry_after_s=RETRY_AFTER_S,
    )


def condition_unknown(code: str) -> Invalid:
    return Invalid(
        f"the programme has no condition {code!r}: read its conditions again", code="condition-unknown", who="caller"
    )


def subject_unknown(place: int) -> Invalid:
    """Also a household outside the caller's regions: whether it exists is not told."""
    return Invalid(
        f"report {place} names a household or member you may not report for: check its ids",
        code="subject-unknown",
        who="caller",
    )


def report_file_invalid(reason: str) -> Invalid:
    return Invalid(f"the file cannot be taken: {reason}", code="report-file-invalid", who="caller")


def reported_otherwise(place: int) -> Conflict:
    return Conflict(
        f"report {place} was reported with another value for that period: it was not taken",
        code="reported-otherwise",
        who="caller",
    )


def cycle_unknown(cycle_id: str) -> NotFound:
    return NotFound(f"no cycle {cycle_id}: read the id again", code="cycle-unknown", who="caller")


def decision_unknown() -> NotFound:
    return NotFound(
        "no decision of that programme for a household you may see: check both ids",
        code="decision-unknown",
        who="caller",
    )


def cycle_exists(name: str) -> Conflict:
    return Conflict(
        f"the programme already has a cycle named {name!r}: work with that one or choose another name",
        code="cycle-exists",
        who="programme-officer",
    )


def cut_paid(name: str) -> Conflict:
    """What stood at a cut is granted once: another name for the same period would pay everybody again."""
    return Conflict(
        f"the programme has granted this cut in its cycle {name!r}: close the registry's intake with a new cut for the "
        "next cycle",
        code="cut-paid",
        who="programme-officer",
    )


def cycle_overlaps(name: str, starts_on: date, ends_on: date) -> Conflict:
    """Two cycles for the same months would pay them twice."""
    last = ends_on - timedelta(days=1)
    return Conflict(
        f"the cycle {name!r} covers {starts_on} to {last} already: the next may begin on {ends_on}; to open it before "
        "that day, give `starts_on` and say why as `early_reason`",
        code="cycle-overlaps",
        who="programme-officer",
    )


def cycle_early(starts_on: date) -> Conflict:
    return Conflict(
        f"the months the cycle is for begin on {starts_on}: open it on that day, or say why now as `early_reason`",
        code="cycle-early",
        who="programme-officer",
    )


def period_invalid() -> Invalid:
    return Invalid("`starts_on` lies too far ahead: give the first day the cycle pays for", code="period-invalid",
                   who="caller")  # fmt: skip


def cut_not_passed(passed: int, partitions: int) -> Conflict:
    """The consumer has not come to the cut everywhere; it will by itself."""
    return Conflict(
        f"the cut has passed {passed} of {partitions} partitions here: ask again; if it stays so, check the cut's id",
        code="cut-not-passed",
        who="caller",
        retry_after_s=RETRY_AFTER_S,
    )


def input_blocked() -> Conflict:
    return Conflict(
        "households wait behind a dead letter: operations must replay it, then open the cycle",
        code="input-blocked",
        who="operations",
    )


def cut_incomplete(known: int, households: int) -> Conflict:
    """Everything passed, nothing waits, and still some are not here: never to be waited out."""
    return Conflict(
        f"{known} households stand before the cut here but the registry counted {households}: operations must find why",
        code="cut-incomplete",
        who="operations",
    )


def decisions_pending(decided: int, known: int) -> Conflict:
    return Conflict(
        f"{decided} of {known} households at the cut are decided: ask again",
        code="decisions-pending",
        who="caller",
        retry_after_s=RETRY_AFTER_S,
    )


def cut_superseded(decided: int, known: int) -> Conflict:
    """The programme is younger than changes made after this cut; only the latest cut is decided afterwards."""
    return Conflict(
        f"{known - decided} households changed between the cut and this programme: name the latest cut",
        code="cut-superseded",
        who="programme-officer",
    )
