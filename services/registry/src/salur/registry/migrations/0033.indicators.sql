-- Counts of who is registered, taken page by page over the households. `after` = how far a run is.
CREATE TABLE indicator_run (
    run_id      text PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    level       text NOT NULL CHECK (level IN ('province', 'regency', 'district')),
    state       text NOT NULL DEFAULT 'counting' CHECK (state IN ('counting', 'done')),
    after       text COLLATE "C" NOT NULL DEFAULT '',
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX indicator_run_counting ON indicator_run (made_at) WHERE state = 'counting';

-- `with_number`: persons known by a NIK. `with_account`: persons of a family that can be paid.
CREATE TABLE indicator_count (
    run_id       text NOT NULL REFERENCES indicator_run,
    dimension    text NOT NULL,
    region       text NOT NULL,
    band         text NOT NULL,
    persons      bigint NOT NULL,
    with_number  bigint NOT NULL,
    with_account bigint NOT NULL,
    PRIMARY KEY (run_id, dimension, region, band)
);

-- How many persons there are by another source, for example a census: what coverage is measured against.
CREATE TABLE indicator_reference (
    dimension text NOT NULL,
    region    text NOT NULL,
    band      text NOT NULL,
    persons   bigint NOT NULL CHECK (persons >= 0),
    source    text NOT NULL,
    PRIMARY KEY (dimension, region, band)
);
