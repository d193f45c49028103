-- Complaints. Texts and contacts are sealed. `reference` is the sender's own: the same one again is the same case.
-- `about`: somebody who works here and is complained about; they never see it.
CREATE TABLE case_file (
    case_id       text PRIMARY KEY,
    version       integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    category      text NOT NULL CHECK (category IN ('data', 'service', 'payment', 'misconduct', 'exclusion')),
    priority      text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    sensitive     boolean NOT NULL,
    region        text NOT NULL,
    household_id  text COLLATE "C",
    channel       text NOT NULL,
    about         text,
    state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'in-progress', 'resolved', 'closed')),
    owner         text,
    outcome       text CHECK (outcome IN ('upheld', 'partly-upheld', 'not-upheld', 'withdrawn', 'referred')),
    resolved_by   text,
    due_at        timestamptz NOT NULL,
    overdue       boolean NOT NULL DEFAULT false,
    content_token text NOT NULL,
    opened_by     text NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    closed_by     text,
    CONSTRAINT case_owned CHECK (state = 'open' OR owner IS NOT NULL),
    CONSTRAINT case_resolved CHECK ((state IN ('resolved', 'closed')) = (outcome IS NOT NULL AND resolved_by IS NOT NULL)),
    CONSTRAINT case_sensitive CHECK (sensitive OR category <> 'misconduct'),
    CONSTRAINT case_two_people CHECK (closed_by IS NULL OR NOT sensitive OR closed_by <> resolved_by),
    CONSTRAINT case_not_by_the_accused CHECK (about IS NULL OR (owner IS DISTINCT FROM about))
);
CREATE INDEX case_file_due ON case_file (due_at) WHERE state IN ('open', 'in-progress') AND NOT overdue;
CREATE INDEX case_file_standing ON case_file (state, case_id);
CREATE INDEX case_file_household ON case_file (household_id) WHERE household_id IS NOT NULL;

-- The moves of a case, in the database too: no way of changing one can step outside the machine.
CREATE FUNCTION check_case_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (old.state, new.state) NOT IN (('open', 'in-progress'), ('in-progress', 'resolved'), ('resolved', 'closed'),
                                      ('resolved', 'in-progress')) THEN
        RAISE EXCEPTION 'a case does not move from % to %', old.state, new.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER check_case_move BEFORE UPDATE OF state ON case_file
    FOR EACH ROW WHEN (old.state <> new.state) EXECUTE FUNCTION check_case_move();

-- What was written about a case, oldest first; sealed.
CREATE TABLE case_text (
    text_id    text PRIMARY KEY,
    case_id    text NOT NULL REFERENCES case_file,
    kind       text NOT NULL CHECK (kind IN ('complaint', 'contact', 'note', 'resolution', 'reopening')),
    sealed     bytea NOT NULL,
    written_by text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX case_text_case ON case_text (case_id, text_id);
