"""What of an import needs no database: rows become families, and families registrations with events, ready to write."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from salur.common.events import AnyDraft, PreparedEvent
from salur.common.regions import known_prefixes
from salur.common.secrets import Secrets
from salur.common.values import in_scope
from salur.registry.domain.household import Household, HouseholdInvalid
from salur.registry.domain.identity import UNKNOWN_PREFIX, doubtful
from salur.registry.domain.mapping import Mapping, MappingInvalid, parse_mapping
from salur.registry.domain.rows import MAX_LINE_SIZE, Family, HeaderInvalid, Issue, read_families, read_header
from salur.registry.usecases.prepare import Prepared, prepare

FAMILIES_PER_BATCH = 1_000
ROWS_PER_BATCH = 5_000

GONE = "the spooled content is gone: send the file again"

Encode = Callable[[Sequence[AnyDraft]], list[PreparedEvent]]


class ImportBroken(Exception):
    """The import cannot go on; its message says why and who must act."""


class Piece(NamedTuple):
    """What is read next: a batch of the file at `path` from this row and byte on."""

    path: Path
    import_id: str
    mapping: Any
    regions: Sequence[str]
    actor: str
    row: int
    offset: int


class Item(NamedTuple):
    """A family as read. `prepared` is None when nothing of it could be taken."""

    family: Family
    prepared: Prepared | None


class Reading:
    """Reads pieces of imports. `encode` makes the events, which take a third of the work."""

    def __init__(self, secrets: Secrets, banks: Collection[str], encode: Encode) -> None:
        self._secrets = secrets
        self._banks = banks
        self._encode = encode
        self._prefixes = known_prefixes()

    def batch(self, piece: Piece) -> Iterator[Item]:
        """The families of a piece, one by one; none at the end of the file. Raises ImportBroken."""
        families = rows = 0
        try:
            mapping = parse_mapping(piece.mapping, self._banks)
            with closing(_families(piece, mapping)) as found:
                for family in found:
                    yield self._item(family, piece, mapping)
                    families += 1
                    rows += len(family.rows) + len(family.refused)
                    if families >= FAMILIES_PER_BATCH or rows >= ROWS_PER_BATCH:
                        return
        except (HeaderInvalid, MappingInvalid) as error:
            raise ImportBroken(str(error)) from None
        except FileNotFoundError:
            raise ImportBroken(GONE) from None

    def registration(self, family: Family, household: Household, actor: str, import_id: str) -> Prepared | None:
        """The family made ready to be written; None when it cannot be registered and its rows are refused."""
        try:
            prepared = prepare(
                household,
                self._secrets,
                actor=actor,
                cause=f"import:{import_id}",
                banks=self._banks,
                import_id=import_id,
            )
        except HouseholdInvalid as error:
            refuse(family, "", str(error))
            return None
        return prepared._replace(drafts=self._encode(prepared.drafts))

    def _item(self, family: Family, piece: Piece, mapping: Mapping) -> Item:
        household = family.household
        if household is None:
            return Item(family, None)
        if not in_scope(household.region, piece.regions):
            refuse(family, mapping.region_column, "lies outside the regions of who sent the file")
            return Item(family, None)
        self._doubt(family, household, mapping)
        return Item(family, self.registration(family, household, piece.actor, piece.import_id))

    def _doubt(self, family: Family, household: Household, mapping: Mapping) -> None:
        """A number that begins with no region's code is a warning: it may be old, or mistyped."""
        for identifier in household.identifiers:
            if doubtful(identifier.scheme, identifier.value, self._prefixes):
                family.warnings.append(Issue(family.rows[0], mapping.household.column, "warning", UNKNOWN_PREFIX))
        for row, member in zip(family.rows, household.members, strict=bool(household.members)):
            for identifier in member.identifiers:
                if doubtful(identifier.scheme, identifier.value, self._prefixes):
                    family.warnings.append(Issue(row, member_column(mapping), "warning", UNKNOWN_PREFIX))


def _families(piece: Piece, mapping: Mapping) -> Generator[Family, None, None]:
    with piece.path.open("rb") as file:
        first = file.readline(MAX_LINE_SIZE + 1)
        header = read_header(first, mapping)
        offset = piece.offset or len(first)
        file.seek(offset)
        yield from read_families(file.readline, header, mapping, piece.row, offset, datetime.now(UTC).date())


def member_column(mapping: Mapping) -> str:
    """The column that tells members apart; empty when there is none."""
    identifier = mapping.member.identifier if mapping.member else None
    return identifier.column if identifier else ""


def refuse(family: Family, column: str, reason: str) -> None:
    """Refuse every row that was still good."""
    family.refused += [Issue(row, column, "error", reason) for row in family.rows]
    family.rows = []
