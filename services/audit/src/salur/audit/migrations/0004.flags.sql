-- Red flags: what a rule found in the trail, as a case with an owner and an outcome. The evidence is entries of the log.
CREATE TABLE flag (
    flag_id   text PRIMARY KEY,
    rule      text NOT NULL,
    severity  text NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
    subject   text NOT NULL,
    evidence  bigint[] NOT NULL CHECK (cardinality(evidence) BETWEEN 1 AND 100),
    state     text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken', 'closed')),
    owner     text,
    outcome   text CHECK (outcome IN ('confirmed', 'explained', 'mistaken')),
    raised_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'open') = (owner IS NULL)),
    CHECK ((state = 'closed') = (outcome IS NOT NULL))
);
CREATE INDEX flag_by_state ON flag (state, flag_id);

-- How far each rule has read the trail.
CREATE TABLE flag_rule (
    rule    text PRIMARY KEY,
    checked bigint NOT NULL DEFAULT 0
);
