-- What two people let be paid beyond a settled payment: another part of the same entitlement, never the same one twice.
CREATE TABLE supplement (
    payment_id     text PRIMARY KEY,
    entitlement_id text NOT NULL,
    part           integer NOT NULL CHECK (part >= 2),
    cycle_id       text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    case_id        text NOT NULL UNIQUE,
    granted_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (entitlement_id, part)
);
CREATE INDEX supplement_of_cycle ON supplement (cycle_id);

-- What one part of an entitlement is worth now: the first bears every later change, less what other parts pay.
CREATE FUNCTION part_due(entitlement text, number integer) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN number > 1 THEN (
        SELECT s.amount_minor FROM supplement s WHERE s.entitlement_id = entitlement AND s.part = number
    ) ELSE greatest(0, (
        SELECT coalesce(e.due_minor, e.amount_minor) FROM entitlement e WHERE e.entitlement_id = entitlement
    ) - coalesce((SELECT sum(s.amount_minor) FROM supplement s WHERE s.entitlement_id = entitlement), 0)::bigint) END
$$;

-- Whether it counts for money that was paid before it was known.
ALTER TABLE entitlement_change ADD COLUMN retroactive boolean NOT NULL DEFAULT true;
CREATE INDEX entitlement_change_of ON entitlement_change (entitlement_id);
