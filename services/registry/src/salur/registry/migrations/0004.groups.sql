-- Groups, communities and institutions. Every version is proposed by one person and accepted by another; the newest
-- accepted one holds. `content`: name, attributes, members with roles, accreditation. `sealed`: the account.
CREATE TABLE group_version (
    group_id    text COLLATE "C" NOT NULL,
    version     integer NOT NULL CHECK (version >= 1),
    kind        text NOT NULL CHECK (kind IN ('group', 'community', 'institution')),
    region      text NOT NULL,
    content     jsonb NOT NULL,
    sealed      bytea,
    account     text,
    state       text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'accepted', 'refused')),
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    decided_by  text,
    decided_at  timestamptz,
    note        text,
    PRIMARY KEY (group_id, version),
    CHECK (decided_by <> proposed_by),
    CHECK ((state = 'proposed') = (decided_by IS NULL))
);
CREATE UNIQUE INDEX group_version_proposed ON group_version (group_id) WHERE state = 'proposed';
