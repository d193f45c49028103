CREATE TABLE household (
    household_id  text PRIMARY KEY,
    version       integer NOT NULL CHECK (version >= 1),
    region        text NOT NULL,
    attributes    jsonb NOT NULL,
    members       jsonb NOT NULL,
    content_hash  text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- Identifiers of any scheme: found by keyed hash, sealed at rest.
CREATE TABLE identifier (
    scheme       text NOT NULL,
    token        text NOT NULL,
    household_id text NOT NULL REFERENCES household (household_id),
    member_id    text,
    sealed       bytea NOT NULL,
    PRIMARY KEY (scheme, token)
);
CREATE INDEX identifier_household ON identifier (household_id);

CREATE TABLE payee (
    household_id  text PRIMARY KEY REFERENCES household (household_id),
    version       integer NOT NULL,
    status        text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    bank          text NOT NULL,
    account_token text NOT NULL,
    sealed        bytea NOT NULL
);
CREATE INDEX payee_account ON payee (account_token);

CREATE TABLE registry_cut (
    cut_id     text PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    households bigint NOT NULL,
    made_by    text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now()
);

-- One import per file content. `next_row` and `next_offset`: everything before is committed or reported.
CREATE TABLE bulk_import (
    import_id    text PRIMARY KEY,
    sha256       text NOT NULL UNIQUE,
    name         text NOT NULL,
    size         bigint NOT NULL,
    mapping      jsonb NOT NULL,
    state        text NOT NULL CHECK (state IN ('awaiting-content', 'queued', 'running', 'done', 'failed')),
    reason       text,
    actor        text NOT NULL,
    next_row     bigint NOT NULL DEFAULT 2,
    next_offset  bigint NOT NULL DEFAULT 0,
    households   bigint NOT NULL DEFAULT 0,
    refused_rows bigint NOT NULL DEFAULT 0,
    warnings     bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE bulk_import_issue (
    import_id text NOT NULL REFERENCES bulk_import (import_id),
    row       bigint NOT NULL,
    "column"  text NOT NULL,
    severity  text NOT NULL CHECK (severity IN ('error', 'warning')),
    reason    text NOT NULL,
    PRIMARY KEY (import_id, row, "column", reason)
);
