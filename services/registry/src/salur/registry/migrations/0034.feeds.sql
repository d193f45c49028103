-- Lists from outside: deaths, civil registry, exclusion, wages, tax. Whom nobody knows here is counted and not kept.
CREATE TABLE feed (
    feed_id text PRIMARY KEY,
    kind    text NOT NULL CHECK (kind IN ('deaths', 'civil-registry', 'exclusion', 'wages', 'tax')),
    name    text NOT NULL,
    source  text NOT NULL,
    as_of   date NOT NULL,
    sent_by text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    records bigint NOT NULL DEFAULT 0,
    matches bigint NOT NULL DEFAULT 0,
    UNIQUE (kind, source, name)
);

-- Evidence. `sealed`: what the list says of the member. `region`: where the family lived then, for scopes.
CREATE TABLE feed_match (
    match_id     text PRIMARY KEY,
    feed_id      text NOT NULL REFERENCES feed,
    household_id text COLLATE "C" NOT NULL,
    member_id    text NOT NULL,
    region       text NOT NULL,
    sealed       bytea NOT NULL,
    sent_by      text NOT NULL,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'dismissed')),
    reason       text,
    decided_by   text,
    decided_at   timestamptz,
    CONSTRAINT feed_match_decided CHECK ((state = 'open') = (decided_by IS NULL)),
    CONSTRAINT feed_match_two_people CHECK (decided_by IS NULL OR decided_by <> sent_by)
);
CREATE INDEX feed_match_open ON feed_match (match_id) WHERE state = 'open';
CREATE INDEX feed_match_household ON feed_match (household_id);

-- Numbers of people who have died: nobody can be registered under one again.
CREATE TABLE deceased_identifier (
    scheme text COLLATE "C" NOT NULL,
    token  text COLLATE "C" NOT NULL,
    PRIMARY KEY (token, scheme)
);
