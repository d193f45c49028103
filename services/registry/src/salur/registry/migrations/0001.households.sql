-- `content_token`: keyed hash of the registration as first stated; the same statement again is the same registration.
-- `import_id`: the bulk import that registered it, so that a torn family of one file can be put together.
CREATE TABLE household (
    household_id  text COLLATE "C" PRIMARY KEY,
    version       integer NOT NULL CHECK (version >= 1),
    region        text NOT NULL,
    attributes    jsonb NOT NULL,
    members       jsonb NOT NULL,
    content_token text NOT NULL,
    import_id     text,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- Identifiers of any scheme: found by keyed hash, sealed at rest. Written with their household in one transaction.
CREATE TABLE identifier (
    scheme       text COLLATE "C" NOT NULL,
    token        text COLLATE "C" NOT NULL,
    household_id text COLLATE "C" NOT NULL,
    member_id    text,
    sealed       bytea NOT NULL,
    PRIMARY KEY (token, scheme)
);
CREATE INDEX identifier_household ON identifier (household_id);

CREATE TABLE payee (
    household_id  text COLLATE "C" PRIMARY KEY,
    version       integer NOT NULL CHECK (version >= 1),
    status        text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    bank          text NOT NULL,
    account_token text NOT NULL,
    sealed        bytea NOT NULL
);

CREATE TABLE registry_cut (
    cut_id     text PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    households bigint NOT NULL,
    made_by    text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now()
);

-- One import per file content. `next_row` and `next_offset`: everything before is committed or reported.
-- `regions`: the scope of who sent it; empty = every region.
CREATE TABLE bulk_import (
    import_id    text PRIMARY KEY,
    sha256       text NOT NULL UNIQUE,
    name         text NOT NULL,
    size         bigint NOT NULL,
    mapping      jsonb NOT NULL,
    state        text NOT NULL CHECK (state IN ('awaiting-content', 'queued', 'running', 'done', 'failed')),
    reason       text,
    actor        text NOT NULL,
    regions      text[] NOT NULL DEFAULT '{}',
    next_row     bigint NOT NULL DEFAULT 2,
    next_offset  bigint NOT NULL DEFAULT 0,
    households   bigint NOT NULL DEFAULT 0,
    refused_rows bigint NOT NULL DEFAULT 0,
    warnings     bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bulk_import_waiting ON bulk_import (created_at) WHERE state IN ('queued', 'running');

CREATE TABLE bulk_import_issue (
    import_id text NOT NULL REFERENCES bulk_import (import_id),
    row       bigint NOT NULL,
    "column"  text NOT NULL,
    severity  text NOT NULL CHECK (severity IN ('error', 'warning')),
    reason    text NOT NULL,
    PRIMARY KEY (import_id, row, "column", reason)
);
