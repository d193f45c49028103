-- A version somebody has proposed and nobody has approved yet.
CREATE TABLE proposal (
    programme_id text NOT NULL,
    version      text NOT NULL,
    rules        text NOT NULL,
    name         jsonb NOT NULL,
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (programme_id, version)
);
-- `on_call`: an emergency programme decides when a disaster is declared, not as households arrive.
ALTER TABLE programme ADD COLUMN proposed_by text, ADD COLUMN on_call boolean NOT NULL DEFAULT false;

-- `given`: what a scoring model said. `enrolled_members`: who qualifies in a programme for persons. `score` and
-- `vulnerability` rank those who qualify where places are few.
ALTER TABLE decision
    ADD COLUMN given jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN enrolled_members text[] NOT NULL DEFAULT '{}',
    ADD COLUMN score double precision,
    ADD COLUMN vulnerability integer;

-- `occasion`: '' for the decision every household version gets; else what asked for another (an appeal, a disaster).
-- `overturned_by`: the decision that took this one's place; the only thing about a decision that ever changes.
ALTER TABLE decision
    ADD COLUMN occasion text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN overturned_by text,
    DROP CONSTRAINT decision_pkey,
    ADD PRIMARY KEY (programme, household_id, household_version, occasion);

-- A household that turned out to be another one ends with a last version that says which.
ALTER TABLE household ADD COLUMN merged_into text;
