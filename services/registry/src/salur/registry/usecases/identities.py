"""Names, birth dates and contacts of one household in one sealed value, bound to the household."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from salur.common.secrets import Secrets
from salur.registry.domain.identity import Contact, Person


@dataclass(slots=True)
class Identities:
    """A household's sealed side, opened. `people` by member id; who has no entry has no name here."""

    contact: Contact | None = None
    people: dict[str, Person] = field(default_factory=dict)

    def seal(self, household_id: str, secrets: Secrets) -> bytes | None:
        """None when there is nothing to seal."""
        if self.contact is None and not self.people:
            return None
        contact = self.contact and [self.contact.phone, self.contact.language]
        people = {key: [person.name, person.birth_date, person.sex] for key, person in self.people.items()}
        return secrets.seal(orjson.dumps([contact, people]), household_id.encode())

    @classmethod
    def open(cls, sealed: bytes | None, household_id: str, secrets: Secrets) -> "Identities":
        """The inverse of `seal`. Raises SealBroken."""
        if sealed is None:
            return cls()
        contact, people = orjson.loads(secrets.open(sealed, household_id.encode()))
        return cls(contact and Contact(*contact), {key: Person(*person) for key, person in people.items()})

    def keep(self, member_ids: Iterable[str]) -> None:
        """Forget everybody else."""
        self.people = {key: self.people[key] for key in member_ids if key in self.people}
