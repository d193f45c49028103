-- Messages to people. `sealed`: [telephone, text], bound to the notice's id. Its id is made of the event that caused it
-- and of whom it goes to, so that no event tells anybody twice.
CREATE TABLE notice (
    notice_id    text PRIMARY KEY,
    household_id text COLLATE "C" NOT NULL,
    kind         text NOT NULL,
    recipient    text NOT NULL CHECK (recipient IN ('contact', 'former-contact')),
    language     text NOT NULL,
    cause        text NOT NULL,
    sealed       bytea NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent')),
    made_at      timestamptz NOT NULL DEFAULT now(),
    sent_at      timestamptz,
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);
CREATE INDEX notice_waiting ON notice (notice_id) WHERE state = 'waiting';
CREATE INDEX notice_household ON notice (household_id, notice_id);

-- Names and criteria of programmes in force, by language.
CREATE TABLE noticed_programme (
    programme_id text PRIMARY KEY,
    name         jsonb NOT NULL,
    criteria     jsonb NOT NULL
);

-- The last outcome each family had in each programme: people are told when it changes.
CREATE TABLE noticed_outcome (
    household_id text COLLATE "C" NOT NULL,
    programme_id text NOT NULL,
    outcome      text NOT NULL,
    PRIMARY KEY (household_id, programme_id)
);
