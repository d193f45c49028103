-- Where a cycle must choose: `selected` counts who has a place, `qualified` those the rules enrol (`enrolled`).
-- A cycle goes deciding (a disaster) or selecting, announcing, checking, perhaps held, granting, granted; one that chooses
-- nothing begins at granting.
ALTER TABLE cycle
    ADD COLUMN selected bigint,
    ADD COLUMN chooses boolean NOT NULL DEFAULT false,
    ADD COLUMN regions text[] NOT NULL DEFAULT '{}',
    ADD COLUMN indicators jsonb,
    ADD COLUMN alarms jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN released_by text,
    DROP CONSTRAINT cycle_state_check,
    ADD CONSTRAINT cycle_state_check
        CHECK (state IN ('deciding', 'selecting', 'announcing', 'checking', 'held', 'granting', 'granted'));
UPDATE cycle SET selected = enrolled;
ALTER TABLE cycle ALTER COLUMN selected SET NOT NULL;
DROP INDEX cycle_granting;
CREATE INDEX cycle_at_work ON cycle (opened_at) WHERE state NOT IN ('held', 'granted');

-- When a household's facts were taken: a programme may ask for newer ones.
ALTER TABLE household ADD COLUMN taken_at timestamptz NOT NULL DEFAULT now();

-- Who qualified for a cycle and what became of it. `rank` of `candidates` for `places` in `area`; `draw` breaks ties.
CREATE TABLE place (
    cycle_id       text NOT NULL,
    beneficiary_id text COLLATE "C" NOT NULL,
    household_id   text COLLATE "C" NOT NULL,
    decision_id    text NOT NULL,
    outcome        text NOT NULL,
    area           text NOT NULL,
    rank           bigint,
    candidates     bigint,
    places         integer,
    score          double precision,
    vulnerability  integer,
    waiting_since  timestamptz,
    draw           text NOT NULL,
    PRIMARY KEY (cycle_id, beneficiary_id)
);
CREATE INDEX place_of_household ON place (cycle_id, household_id);

-- Where each beneficiary of a programme that chooses stands since its latest cycle.
CREATE TABLE enrolment (
    programme_id   text NOT NULL,
    beneficiary_id text COLLATE "C" NOT NULL,
    household_id   text COLLATE "C" NOT NULL,
    state          text NOT NULL,
    cycle_id       text NOT NULL,
    since          timestamptz NOT NULL DEFAULT now(),
    waiting_since  timestamptz,
    PRIMARY KEY (programme_id, beneficiary_id)
);

-- What was reported of a condition for a period. `subject_id`: the household or the member it is asked of.
CREATE TABLE condition_report (
    programme_id text NOT NULL,
    code         text NOT NULL,
    period       text COLLATE "C" NOT NULL,
    subject_id   text COLLATE "C" NOT NULL,
    household_id text COLLATE "C" NOT NULL,
    value        integer NOT NULL,
    reported_by  text NOT NULL,
    reported_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (programme_id, code, subject_id, period)
);
CREATE INDEX condition_report_of_household ON condition_report (programme_id, household_id);
