"""A programme as data: the document, in the terms of its authors. Compiled by `compiling`. Pure."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from salur.common.values import CURRENCY_PATTERN
from salur.eligibility.domain.rules import Kind

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,59}$")]
InputName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}(\.[0-9]{2}){0,2}(\.[0-9]{4})?$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
MAX_UNIT_MINOR = 10**12
UnitMinor = Annotated[int, Field(ge=0, le=MAX_UNIT_MINOR)]
Percent = Annotated[int, Field(ge=0, le=100)]
Months = Annotated[int, Field(ge=1, le=120)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Words(Strict):
    """A text for people in English and Indonesian."""

    en: Text
    id: Text


class Reasons(Strict):
    """Why something is not due, in English (stands in events) and Indonesian."""

    en: Reason
    id: Reason


class Inputs(Strict):
    """What the rules may read, with types: of the household (`region` is always known), and of each member."""

    household: dict[InputName, Kind] = Field(default_factory=dict, max_length=100)
    member: dict[InputName, Kind] = Field(default_factory=dict, max_length=100)


class Criterion(Strict):
    """A condition every beneficiary meets; `when` reads household inputs and counts and gives true or false.

    In a programme for persons it may read member inputs too. `regions`: it holds only there.
    """

    code: Code
    text: Words
    legal: Text
    when: Expression
    regions: list[Region] = Field(default_factory=list, max_length=600)


class Component(Strict):
    """A line of the benefit. `unit_minor`: minor units of the programme's currency, or an expression giving them.

    `per: member` counts the members for whom `when` holds; its expressions may read member inputs too. `regions`: it is
    due only there (a regional top-up); `fund`: the one that pays this line instead of the programme's shares.
    """

    code: Code
    text: Words
    legal: Text | None = None
    per: Literal["household", "member"]
    when: Expression = "true"
    unit_minor: UnitMinor | Expression
    regions: list[Region] = Field(default_factory=list, max_length=600)
    fund: Code | None = None
    not_reported: Reasons = Reasons(en="a value it depends on is not reported", id="nilai yang diperlukan belum ada")
    not_met: Reasons = Reasons(en="its condition is not met", id="syarat tidak terpenuhi")


class Share(Strict):
    """How much of the benefit a fund pays."""

    fund: Code
    percent: Annotated[int, Field(ge=1, le=100)]


class Ranking(Strict):
    """Who comes first when more qualify than there are places: the lowest score, then the highest vulnerability.

    Both are expressions over household inputs and counts; then who waits longest, then a draw nobody can influence.
    """

    score: Expression
    vulnerability: Expression = "0"


class Quota(Strict):
    """Places per region of a level; `places` names regions, `others` holds for those not named (absent: no limit)."""

    level: Literal["country", "province", "regency"]
    places: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict, max_length=600)
    others: Annotated[int, Field(ge=0)] | None = None


class Condition(Strict):
    """What is asked of people between cycles, for example to go to school.

    Whoever `applies` to has `value` reported per cycle (`per`: of the household or of each member); it is kept when at
    least `at_least`. Not reported is not broken. Broken in `suspend_after` cycles in a row: nothing is paid; in
    `exit_after`: the family leaves the programme.
    """

    code: Code
    text: Words
    legal: Text
    per: Literal["household", "member"]
    value: InputName
    at_least: int
    suspend_after: Annotated[int, Field(ge=1, le=24)]
    exit_after: Annotated[int, Field(ge=1, le=24)] | None = None


class Graduation(Strict):
    """An enrolled family that no longer meets one of these criteria has graduated; otherwise it is merely out."""

    criteria: list[Code] = Field(min_length=1)
    text: Words


class Exclusion(Strict):
    """Who has a place in the latest cycle of `programme` has none in this one."""

    programme: Code
    text: Words


class Fairness(Strict):
    """What holds a cycle back until another person has looked, in percent and percentage points.

    `reference` is an expression over household inputs that says who ought to be reached.
    """

    reference: Expression
    most_exclusion_percent: Percent = 100
    most_inclusion_percent: Percent = 100
    most_change_points: Percent = 100


class ModelName(Strict):
    """A published version of a scoring model."""

    id: Code
    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Messages(Strict):
    """Sentences for the people concerned."""

    enrolled: Words
    not_enrolled: Words
    waiting: Words | None = None


class Programme(Strict):
    """The document. `function` and `approach` use the terms of Indonesia's social welfare law (UU 11/2009).

    `kind` group, community or institution: household inputs are theirs; members have a `role`. `accredited`: nothing is
    due without an accreditation that has not expired when a cycle chooses.

    `counts`: household inputs worked out from the members: for how many the expression holds. `score_model`: the
    published scoring model that gives the inputs `score` and `decile`.
    """

    id: Code
    name: Words
    kind: Literal["household", "person", "group", "community", "institution"]
    function: Literal["prevention", "rehabilitation", "empowerment", "protection", "assistance", "guarantee"]
    approach: Literal["targeted", "categorical", "universal", "emergency"]
    legal: Text
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
    cycle_months: int = Field(ge=1, le=12)
    note: Text | None = None
    score_model: ModelName | None = None
    inputs: Inputs
    counts: dict[InputName, Expression] = Field(default_factory=dict, max_length=20)
    criteria: list[Criterion] = Field(min_length=1, max_length=50)
    benefit: list[Component] = Field(min_length=1, max_length=20)
    most_members: Annotated[int, Field(ge=1, le=50)] | None = None
    cap_minor: Annotated[int, Field(ge=1, le=MAX_UNIT_MINOR)] | None = None
    once: bool = False
    accredited: bool = False
    funding: list[Share] = Field(default_factory=list, max_length=10)
    ranking: Ranking | None = None
    quota: Quota | None = None
    conditions: list[Condition] = Field(default_factory=list, max_length=10)
    graduation: Graduation | None = None
    exclusions: list[Exclusion] = Field(default_factory=list, max_length=20)
    recertify_months: Months | None = None
    fairness: Fairness | None = None
    appeal_days: Annotated[int, Field(ge=1, le=3650)] = 90
    messages: Messages | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Programme":
        if self.funding and sum(share.percent for share in self.funding) != 100:
            raise ValueError("the shares of funding must add up to 100")
        if self.kind == "person" and any(item.per == "household" for item in self.benefit):
            raise ValueError("a programme for persons has components per member only")
        if self.kind == "person" and self.most_members is not None:
            raise ValueError("most_members belongs to programmes for households")
        if self.accredited and self.kind in ("household", "person"):
            raise ValueError("only groups, communities and institutions are accredited")
        if self.quota is not None and self.ranking is None:
            raise ValueError("a quota needs a ranking: say who comes first")
        unknown = set(self.graduation.criteria if self.graduation else ()) - {item.code for item in self.criteria}
        if unknown:
            raise ValueError(f"graduation names {sorted(unknown)[0]!r}, which is no criterion")
        return self

    @property
    def selects(self) -> bool:
        """Whether a cycle must choose among those who qualify; otherwise everyone who does is paid."""
        return bool(self.quota or self.conditions or self.graduation or self.exclusions or self.recertify_months) or (
            self.once or self.accredited
        )

    @property
    def subject(self) -> Literal["family", "group", "community", "institution"]:
        """Of whom the registry tells that this programme decides."""
        match self.kind:
            case "household" | "person":
                return "family"
            case kind:
                return kind
