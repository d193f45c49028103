-- Proposals to register a family, by itself, by somebody else or by an organisation. What was written rests sealed.
CREATE TABLE nomination (
    nomination_id text PRIMARY KEY,
    version       integer NOT NULL DEFAULT 1,
    nominated_by  text NOT NULL CHECK (nominated_by IN ('self', 'other', 'organisation')),
    region        text NOT NULL,
    state         text NOT NULL DEFAULT 'proposed'
                  CHECK (state IN ('proposed', 'supported', 'not-supported', 'registered', 'refused')),
    sealed        bytea NOT NULL,
    content_token text NOT NULL,
    proposed_by   text NOT NULL,
    proposed_at   timestamptz NOT NULL DEFAULT now(),
    meeting_id    text,
    household_id  text COLLATE "C",
    reason        text,
    decided_by    text,
    CONSTRAINT nomination_decided CHECK ((state IN ('registered', 'refused')) = (decided_by IS NOT NULL)),
    CONSTRAINT nomination_two_people CHECK (decided_by IS NULL OR decided_by <> proposed_by),
    CONSTRAINT nomination_registered CHECK ((state = 'registered') = (household_id IS NOT NULL))
);
CREATE INDEX nomination_standing ON nomination (state, nomination_id);

-- A community's meeting. `sealed`: the names of those who took part; `participants`: their number by role.
CREATE TABLE meeting (
    meeting_id    text PRIMARY KEY,
    region        text NOT NULL,
    held_on       date NOT NULL,
    participants  jsonb NOT NULL,
    sealed        bytea NOT NULL,
    content_token text NOT NULL,
    recorded_by   text NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now()
);
