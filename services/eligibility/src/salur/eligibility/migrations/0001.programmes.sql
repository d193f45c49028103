-- Every version ever published. `number` is short for (programme_id, version) in the rows of decisions.
-- `decided`: every household known when it came in force has its decision; later ones get theirs as they arrive.
CREATE TABLE programme (
    number       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    programme_id text NOT NULL,
    version      text NOT NULL,
    rules        text NOT NULL,
    name         jsonb NOT NULL,
    currency     text NOT NULL,
    in_force     boolean NOT NULL,
    decided      boolean NOT NULL,
    published_by text NOT NULL,
    cause        text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (programme_id, version)
);
CREATE UNIQUE INDEX programme_in_force ON programme (programme_id) WHERE in_force;

-- Every version of each household's facts: no names, identifiers or accounts. `partition` and `sequence` place the
-- event that brought it, `replaced_by` the one that brought the next (of the same stream): what stood at a cut is
-- sequence < cut < replaced_by, however much later it is asked.
CREATE TABLE household (
    household_id text COLLATE "C" NOT NULL,
    version      integer NOT NULL CHECK (version >= 1),
    partition    integer NOT NULL,
    sequence     bigint NOT NULL,
    replaced_by  bigint CHECK (replaced_by > sequence),
    region       text NOT NULL,
    attributes   jsonb NOT NULL,
    members      jsonb NOT NULL,
    PRIMARY KEY (household_id, version)
);
CREATE UNIQUE INDEX household_current ON household (household_id) WHERE replaced_by IS NULL;

-- Where a registry cut stands in each partition, written when the consumer passes it.
CREATE TABLE cut_mark (
    cut_id     text NOT NULL,
    partition  integer NOT NULL,
    sequence   bigint NOT NULL,
    households bigint NOT NULL,
    PRIMARY KEY (cut_id, partition)
);
CREATE INDEX cut_mark_latest ON cut_mark (partition, sequence);

-- One decision per programme version and household version; none is ever changed.
CREATE TABLE decision (
    programme         integer NOT NULL,
    household_id      text COLLATE "C" NOT NULL,
    household_version integer NOT NULL,
    decision_id       text NOT NULL,
    enrolled          boolean NOT NULL,
    unmet             text[] NOT NULL,
    criteria          jsonb NOT NULL,
    components        jsonb NOT NULL,
    not_due           jsonb NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    input_hash        text NOT NULL,
    decided_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (programme, household_id, household_version),
    CHECK (enrolled = (unmet = '{}')),
    CHECK (enrolled OR amount_minor = 0)
);

-- `entitlements`, `not_due` and `amount_minor` grow with every batch granted.
CREATE TABLE cycle (
    cycle_id     text PRIMARY KEY,
    programme_id text NOT NULL,
    programme    integer NOT NULL REFERENCES programme (number),
    name         text NOT NULL,
    cut_id       text NOT NULL,
    currency     text NOT NULL,
    state        text NOT NULL CHECK (state IN ('granting', 'granted')),
    decided      bigint NOT NULL,
    enrolled     bigint NOT NULL,
    entitlements bigint NOT NULL DEFAULT 0,
    not_due      bigint NOT NULL DEFAULT 0,
    amount_minor bigint NOT NULL DEFAULT 0,
    opened_by    text NOT NULL,
    cause        text NOT NULL,
    opened_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (programme_id, name)
);
CREATE INDEX cycle_granting ON cycle (opened_at) WHERE state = 'granting';

-- What was granted, and for whom nothing is due (amount 0, no entitlement_id).
CREATE TABLE entitlement (
    programme_id   text NOT NULL,
    cycle_id       text NOT NULL,
    beneficiary_id text COLLATE "C" NOT NULL,
    kind           text NOT NULL,
    entitlement_id text,
    decision_id    text NOT NULL,
    amount_minor   bigint NOT NULL,
    PRIMARY KEY (cycle_id, beneficiary_id, kind, programme_id),
    CHECK ((entitlement_id IS NULL) = (amount_minor = 0)),
    CHECK (amount_minor >= 0)
);
