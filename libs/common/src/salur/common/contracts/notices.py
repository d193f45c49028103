"""What people were told. Words and telephone numbers never stand here."""

from typing import Literal

from salur.common.contracts.base import Code, Fact, Id, contract


@contract("salur.notice.sent.v1", "registry.notices")
class NoticeSent(Fact):
    """A message went out to a family. Key: household_id. `cause` is the event it speaks of."""

    notice_id: Id
    household_id: Id
    kind: Code
    recipient: Literal["contact", "former-contact"]
    language: Literal["id", "en"]
    cause: Id
