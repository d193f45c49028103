"""The cases, one rule of docs/partners/README.md each: what is sent, and what must come back."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from salur.common.contracts.registry import Method
from salur.local.bank_check.answers import FINAL, Answer, Mailbox, mismatch
from salur.local.bank_check.letters import Asked, Desk, Record

BURST = 200
METHODS: tuple[Method, ...] = ("card", "group-account", "contribution")
GIVE_BACK = "give-back"
OFFERS = (*METHODS, "cash", GIVE_BACK)
"""What not every bank does: tried where it is declared."""
AMOUNT_MINOR = 60_000_000


class Failed(AssertionError):
    """A rule the bank does not keep; the message says what was awaited and what came."""


class Line(Protocol):
    """The way to the bank and back."""

    async def send(self, records: Sequence[Record]) -> None: ...

    async def until(self, holds: Callable[[Mailbox], bool], /) -> Mailbox:
        """What the bank has said once `holds`, or when the time is over."""
        ...

    async def crash(self) -> bool:
        """Kill the bank's process and start it again; False when the kit does not run it."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """A rule and how it is tried. `check` raises Failed; False = it could not be tried.

    `needs`: only a bank that offers this is tried.
    """

    name: str
    rule: str
    check: Callable[[Desk, Line], Awaitable[bool]]
    needs: str = ""


async def _answered(line: Line, asked: Asked, beyond: int = 0) -> Answer:
    """The first final answer about an instruction after `beyond` known ones. Raises Failed."""

    def final(mailbox: Mailbox) -> list[Answer]:
        return [answer for answer in mailbox.about(asked.instruction_id)[beyond:] if answer.result.status in FINAL]

    answers = final(await line.until(lambda mailbox: bool(final(mailbox))))
    if not answers:
        raise Failed("no final answer (ACCC or RJCT) came in time")
    if wrong := mismatch(asked, answers[0]):
        raise Failed(wrong)
    return answers[0]


async def _more(line: Line, asked: Asked, known: int) -> list[Answer]:
    mailbox = await line.until(lambda mailbox: len(mailbox.about(asked.instruction_id)) > known)
    return mailbox.about(asked.instruction_id)


async def _count(line: Line, asked: Asked) -> int:
    return len((await line.until(lambda _: True)).about(asked.instruction_id))


async def _credited(desk: Desk, line: Line, name: str, *, later_field: bool = False) -> tuple[Asked, Answer]:
    asked = desk.instruct(name, AMOUNT_MINOR, later_field=later_field)
    await line.send([asked.record])
    answer = await _answered(line, asked)
    if answer.result.status != "ACCC":
        raise Failed(f"awaited ACCC, came RJCT {answer.result.reason or 'without a reason'}")
    return asked, answer


def _refused(answer: Answer, *reasons: str) -> None:
    result = answer.result
    if result.status != "RJCT" or result.reason not in reasons:
        raise Failed(f"awaited RJCT {' or '.join(reasons)}, came {result.status} {result.reason or ''}".rstrip())


async def pays(desk: Desk, line: Line) -> bool:
    await _credited(desk, line, "pays")
    return True


async def ignores_later_fields(desk: Desk, line: Line) -> bool:
    await _credited(desk, line, "later", later_field=True)
    return True


async def answers_again(desk: Desk, line: Line) -> bool:
    asked, first = await _credited(desk, line, "again")
    for known in (1, 2):
        await line.send([asked.record])
        answers = await _more(line, asked, known)
        if len(answers) <= known:
            raise Failed("the instruction came again and no answer did: the first answer must be sent again")
        if any(answer.message_id != first.message_id for answer in answers):
            raise Failed("the instruction came again and was answered under a new id: it is the first answer's id")
    return True


async def refuses_other_content(desk: Desk, line: Line) -> bool:
    asked, _ = await _credited(desk, line, "content")
    known = await _count(line, asked)
    other = desk.instruct("content", AMOUNT_MINOR + 1)
    await line.send([other.record])
    _refused(await _answered(line, other, known), "AM05")
    return True


async def refuses_unproven_accounts(desk: Desk, line: Line) -> bool:
    for name, spoil in (
        ("other-account", desk.with_other_account),
        ("other-salt", desk.with_other_salt),
        ("no-header", desk.without_header),
    ):
        asked = spoil(desk.instruct(name, AMOUNT_MINOR))
        await line.send([asked.record])
        _refused(await _answered(line, asked), "FF01")
    return True


async def refuses_too_late(desk: Desk, line: Line) -> bool:
    asked = desk.instruct("late", AMOUNT_MINOR, valid_for=-timedelta(minutes=5))
    await line.send([asked.record])
    _refused(await _answered(line, asked), "TM01")
    return True


async def says_what_became_of_it(desk: Desk, line: Line) -> bool:
    asked, _ = await _credited(desk, line, "asked")
    known = await _count(line, asked)
    question = desk.inquire("asked", AMOUNT_MINOR, 1)
    await line.send([question.record])
    answer = await _answered(line, question, known)
    if (answer.result.status, answer.result.inquiry) != ("ACCC", 1):
        raise Failed("awaited ACCC with inquiry 1: an inquiry is answered with the present state and its number")
    return True


async def answers_recalls(desk: Desk, line: Line) -> bool:
    asked, first = await _credited(desk, line, "recalled")
    known = await _count(line, asked)
    await line.send([desk.recall("recalled", AMOUNT_MINOR, 1).record])
    answers = (await _more(line, asked, known))[known:]
    if not answers:
        raise Failed("the recall was not answered in time")
    result = answers[0].result
    kept = (result.status, result.recall) == ("ACCC", 1) and result.bank_reference == first.result.bank_reference
    if not (kept or result.status == "RTRN") or result.reason is None:
        raise Failed("awaited RTRN, or ACCC with recall 1 and the first bank_reference; either with a reason")
    return True


async def gives_back(desk: Desk, line: Line) -> bool:
    asked, _ = await _credited(desk, line, "given-back")
    known = await _count(line, asked)
    await line.send([desk.recall("given-back", AMOUNT_MINOR, 1).record])
    answers = (await _more(line, asked, known))[known:]
    if not answers or answers[0].result.status != "RTRN" or answers[0].result.reason is None:
        raise Failed(f"awaited RTRN with a reason, came {answers[0].result.status if answers else 'nothing'}")
    if wrong := mismatch(asked, answers[0]):
        raise Failed(wrong)
    await line.send([desk.recall("given-back", AMOUNT_MINOR, 2).record])
    again = await _more(line, asked, known + 1)
    if len(again) <= known + 1 or again[-1].message_id != answers[0].message_id:
        raise Failed("the recall came again: the return must be told again, under its first id")
    await line.send([asked.record])
    said = {answer.message_id for answer in again}
    if any(answer.message_id not in said for answer in await _more(line, asked, len(again))):
        raise Failed("money that was given back was answered anew when its instruction came again")
    return True


def pays_by(method: Method) -> Callable[[Desk, Line], Awaitable[bool]]:
    async def check(desk: Desk, line: Line) -> bool:
        asked = desk.instruct(f"by-{method}", AMOUNT_MINOR, method=method)
        await line.send([asked.record])
        answer = await _answered(line, asked)
        if answer.result.status != "ACCC":
            raise Failed(f"awaited ACCC, came RJCT {answer.result.reason or 'without a reason'}")
        return True

    return check


async def hands_out_cash(desk: Desk, line: Line) -> bool:
    """Nobody goes to a counter here: that it is ready counts, and that it is never paid after its term."""
    asked = desk.instruct("cash", AMOUNT_MINOR, method="cash")
    await line.send([asked.record])
    answers = (await line.until(lambda mailbox: bool(mailbox.about(asked.instruction_id)))).about(asked.instruction_id)
    if not answers or answers[0].result.status != "ACSP":
        raise Failed(
            f"awaited ACSP (ready at the counter) first, came {answers[0].result.status if answers else 'nothing'}"
        )
    if wrong := mismatch(asked, answers[0]):
        raise Failed(wrong)
    late = desk.instruct("cash-late", AMOUNT_MINOR, method="cash", valid_for=-timedelta(minutes=5))
    await line.send([late.record])
    _refused(await _answered(line, late), "NOAS", "TM01")
    return True


async def closes_what_it_does_not_know(desk: Desk, line: Line) -> bool:
    question = desk.inquire("closed", AMOUNT_MINOR, 1)
    await line.send([question.record])
    answer = await _answered(line, question)
    _refused(answer, "NOOR")
    if answer.result.inquiry != 1:
        raise Failed("the answer does not name inquiry 1")
    known = await _count(line, question)
    late = desk.instruct("closed", AMOUNT_MINOR)
    await line.send([late.record])
    after = await _answered(line, late, known)
    if after.result.status != "RJCT":
        raise Failed("an id answered 'not executed' was paid when its instruction came later: it is closed for ever")
    return True


async def checks_accounts(desk: Desk, line: Line) -> bool:
    record, check_id, commitment = desk.check_account("known", 1)
    await line.send([record])
    findings = (await line.until(lambda mailbox: bool(mailbox.found(check_id)))).found(check_id)
    if not findings:
        raise Failed("the question about an account was not answered in time")
    first = findings[0]
    if (first.result.result, first.key) != ("matches", check_id):
        raise Failed(f"awaited matches under the key check_id, came {first.result.result}")
    if first.result.account_commitment != commitment:
        raise Failed("account_commitment is not the question's account_number as it stands in the body")
    again, _, _ = desk.check_account("known", 2)
    await line.send([again])
    later = (await line.until(lambda mailbox: len(mailbox.found(check_id)) > 1)).found(check_id)
    if len(later) < 2 or any(finding.message_id != first.message_id for finding in later):
        raise Failed("the question came again: the first answer must be sent again, under its first id")
    return True


async def passes_rubbish(desk: Desk, line: Line) -> bool:
    asked = desk.instruct("beside-rubbish", AMOUNT_MINOR)
    await line.send([*desk.rubbish(asked), asked.record])
    answer = await _answered(line, asked)
    if answer.result.status != "ACCC":
        raise Failed("a good instruction behind unreadable records was not credited")
    return True


async def keeps_up(desk: Desk, line: Line) -> bool:
    await _all_credited(line, await _burst(desk, line, "burst"))
    return True


async def survives_a_crash(desk: Desk, line: Line) -> bool:
    asked = await _burst(desk, line, "crash")
    await line.until(lambda mailbox: any(mailbox.about(one.instruction_id) for one in asked))
    if not await line.crash():
        return False
    await _all_credited(line, asked)
    return True


async def _burst(desk: Desk, line: Line, name: str) -> list[Asked]:
    asked = [desk.instruct(f"{name}-{number}", AMOUNT_MINOR + number) for number in range(BURST)]
    await line.send([one.record for one in asked])
    return asked


async def _all_credited(line: Line, asked: Sequence[Asked]) -> None:
    def missing(mailbox: Mailbox) -> list[Asked]:
        return [one for one in asked if not any(a.result.status in FINAL for a in mailbox.about(one.instruction_id))]

    mailbox = await line.until(lambda mailbox: not missing(mailbox))
    if left := missing(mailbox):
        raise Failed(f"{len(left)} of {len(asked)} instructions were not answered in time")
    for one in asked:
        for answer in mailbox.about(one.instruction_id):
            if wrong := mismatch(one, answer):
                raise Failed(wrong)


CASES = (
    Case("pays", "an instruction is credited and answered ACCC, naming the account", pays),
    Case("later fields", "fields it does not know are ignored", ignores_later_fields),
    Case("again", "rule 2: the same instruction again gives the first answer again", answers_again),
    Case("other content", "rule 3: the same id with other content is refused AM05", refuses_other_content),
    Case("unproven account", "an account the body does not commit to is refused FF01", refuses_unproven_accounts),
    Case("too late", "rule 4: after execute_until it is refused TM01", refuses_too_late),
    Case("inquiry", "rule 5: an inquiry is answered with state and number", says_what_became_of_it),
    Case("not executed", "rule 5: an unknown id is answered NOOR and never paid", closes_what_it_does_not_know),
    Case("account check", "rule 8: whether an account stands and is theirs is answered, always alike", checks_accounts),
    Case("recall", "rule 9: a recall is answered RTRN, or ACCC with its number, with a reason", answers_recalls),
    Case("give back", "rule 9: money nobody took goes back once, and is never paid again", gives_back, GIVE_BACK),
    *(
        Case(method, f"an instruction by {method} is credited and answered ACCC", pays_by(method), method)
        for method in METHODS
    ),
    Case("cash", "cash is ready (ACSP) until somebody tells its code, and over after its term", hands_out_cash, "cash"),
    Case("unreadable", "rule 7: what it cannot read stops nothing", passes_rubbish),
    Case("burst", f"{BURST} instructions at once are all answered", keeps_up),
    Case("crash", "killed and started again it answers everything", survives_a_crash),
)
