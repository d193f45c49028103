-- Those who work here, their rights, and the devices they act from. Ids are pseudonyms of the identity provider.
-- `device_bound`: a device was registered once; from then on they act from registered devices only.
CREATE TABLE principal (
    principal_id  text COLLATE "C" PRIMARY KEY,
    version       integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    suspended_by  text,
    device_bound  boolean NOT NULL DEFAULT false,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- `regions` empty = every region. `delegated_from`: the grant whose holder lends it; it ends with that grant.
CREATE TABLE right_grant (
    grant_id       text PRIMARY KEY,
    principal_id   text COLLATE "C" NOT NULL REFERENCES principal,
    role           text NOT NULL,
    regions        text[] NOT NULL,
    expires_at     timestamptz,
    delegated_from text REFERENCES right_grant,
    delegated_by   text,
    state          text NOT NULL CHECK (state IN ('proposed', 'active', 'refused', 'revoked')),
    proposed_by    text NOT NULL,
    proposed_at    timestamptz NOT NULL DEFAULT now(),
    decided_by     text,
    decided_at     timestamptz,
    CHECK (state = 'proposed' OR decided_by IS NOT NULL),
    CHECK (delegated_from IS NOT NULL OR state <> 'active' OR decided_by <> proposed_by),
    CHECK (delegated_from IS NULL OR expires_at IS NOT NULL)
);
CREATE UNIQUE INDEX right_grant_asked_once ON right_grant (principal_id, role, regions) WHERE state = 'proposed';
CREATE INDEX right_grant_principal ON right_grant (principal_id);
CREATE INDEX right_grant_delegations ON right_grant (delegated_from) WHERE state = 'active';
CREATE INDEX right_grant_delegator ON right_grant (delegated_by) WHERE state = 'active';

CREATE TABLE device (
    device_id     text PRIMARY KEY,
    principal_id  text COLLATE "C" NOT NULL REFERENCES principal,
    revoked_by    text,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX device_principal ON device (principal_id);
