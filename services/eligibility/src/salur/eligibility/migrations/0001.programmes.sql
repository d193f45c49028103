CREATE TABLE programme (
    programme_id text PRIMARY KEY,
    version      text NOT NULL,
    rules        text NOT NULL,
    name         jsonb NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE programme_version (
    programme_id text NOT NULL,
    version      text NOT NULL,
    rules        text NOT NULL,
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (programme_id, version)
);

-- The newest snapshot of each household, and where its registration stands: before or behind a cut.
CREATE TABLE household (
    household_id text PRIMARY KEY,
    version      integer NOT NULL,
    region       text NOT NULL,
    attributes   jsonb NOT NULL,
    members      jsonb NOT NULL,
    stream       text NOT NULL,
    sequence     bigint NOT NULL
);

CREATE TABLE cut_mark (
    cut_id     text NOT NULL,
    stream     text NOT NULL,
    sequence   bigint NOT NULL,
    households bigint NOT NULL,
    PRIMARY KEY (cut_id, stream)
);

-- The decision in force per programme and household; earlier ones are in the events.
CREATE TABLE decision (
    programme_id      text NOT NULL,
    household_id      text NOT NULL REFERENCES household (household_id),
    decision_id       text NOT NULL,
    programme_version text NOT NULL,
    household_version integer NOT NULL,
    outcome           text NOT NULL CHECK (outcome IN ('enrolled', 'not-enrolled')),
    unmet             text[] NOT NULL,
    criteria          jsonb NOT NULL,
    benefit           jsonb NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    input_hash        text NOT NULL,
    PRIMARY KEY (programme_id, household_id)
);

CREATE TABLE cycle (
    cycle_id          text PRIMARY KEY,
    programme_id      text NOT NULL REFERENCES programme (programme_id),
    programme_version text NOT NULL,
    name              text NOT NULL,
    cut_id            text NOT NULL,
    currency          text NOT NULL,
    state             text NOT NULL CHECK (state IN ('opened', 'granted')),
    decided           bigint NOT NULL,
    enrolled          bigint NOT NULL,
    opened_by         text NOT NULL,
    opened_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (programme_id, name)
);

-- Who is enrolled in a cycle, frozen when it opened; an entitlement is unique per programme, cycle, beneficiary, kind.
CREATE TABLE entitlement (
    entitlement_id text PRIMARY KEY,
    cycle_id       text NOT NULL REFERENCES cycle (cycle_id),
    programme_id   text NOT NULL,
    beneficiary_id text NOT NULL,
    kind           text NOT NULL,
    decision_id    text NOT NULL,
    region         text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor >= 0),
    benefit        jsonb NOT NULL,
    announced      boolean NOT NULL DEFAULT false,
    UNIQUE (programme_id, cycle_id, beneficiary_id, kind)
);
CREATE INDEX entitlement_open ON entitlement (cycle_id, beneficiary_id) WHERE NOT announced;
