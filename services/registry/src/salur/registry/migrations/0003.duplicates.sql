-- Matching follows the registry's own events: how far each stream has been taken.
CREATE TABLE match_mark (
    stream   text PRIMARY KEY,
    sequence bigint NOT NULL
);

-- Who can be matched. `keys`: keyed hashes of blocking keys; `name_token`: of the name's sounds. Nothing in clear.
-- `compared_at` NULL = waits to be compared.
CREATE TABLE match_person (
    person_id    text COLLATE "C" PRIMARY KEY,
    household_id text COLLATE "C" NOT NULL,
    keys         bigint[] NOT NULL,
    name_token   bigint NOT NULL,
    indexed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    compared_at  timestamptz
);
CREATE INDEX match_person_waiting ON match_person (person_id) WHERE compared_at IS NULL;
CREATE INDEX match_person_household ON match_person (household_id);

CREATE TABLE match_key (
    token     bigint NOT NULL,
    person_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (token, person_id)
);

-- How many people share a name: a rare name says more.
CREATE TABLE match_name (
    token  bigint PRIMARY KEY,
    people bigint NOT NULL
);

-- Two records that may be one person. `evidence`: [field, finding, bits]. The smaller id first: a pair stands once.
CREATE TABLE match_pair (
    pair_id    text COLLATE "C" PRIMARY KEY,
    first_id   text COLLATE "C" NOT NULL,
    second_id  text COLLATE "C" NOT NULL,
    score      real NOT NULL,
    verdict    text NOT NULL CHECK (verdict IN ('probable', 'possible')),
    evidence   jsonb NOT NULL,
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'merged', 'dismissed')),
    found_at   timestamptz NOT NULL DEFAULT now(),
    decided_by text,
    reason     text,
    decided_at timestamptz,
    UNIQUE (first_id, second_id),
    CHECK (first_id < second_id),
    CHECK ((state = 'open') = (decided_by IS NULL))
);
CREATE INDEX match_pair_second ON match_pair (second_id);
CREATE INDEX match_pair_open ON match_pair (score DESC, pair_id) WHERE state = 'open';

-- A merge may concern single members: `whole` false, then `people` are those who were absorbed.
ALTER TABLE household_merge ADD COLUMN whole boolean NOT NULL DEFAULT true;
DROP INDEX household_merge_standing;
CREATE UNIQUE INDEX household_merge_standing ON household_merge (absorbed_id) WHERE undone_at IS NULL AND whole;
