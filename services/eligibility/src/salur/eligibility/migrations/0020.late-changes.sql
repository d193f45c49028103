-- What happened to families after a cut that may change what a cycle has granted: read by a worker, apart from decisions.
-- `other_id`: the family merged into, or split off. `request`: what the registry was asked; it links the families one
-- request touched. `done`: looked at against every granted cycle; a cycle that is granted later asks again.
CREATE TABLE late_change (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    household_id text COLLATE "C" NOT NULL,
    partition    integer NOT NULL,
    sequence     bigint NOT NULL,
    reason       text NOT NULL,
    member_id    text,
    other_id     text COLLATE "C",
    died_on      text,
    request      text NOT NULL,
    cause        text NOT NULL,
    done         boolean NOT NULL DEFAULT false,
    UNIQUE (partition, sequence)
);
CREATE INDEX late_change_due ON late_change (number) WHERE NOT done;
CREATE INDEX late_change_household ON late_change (household_id);
CREATE INDEX late_change_other ON late_change (other_id) WHERE other_id IS NOT NULL;
CREATE INDEX late_change_request ON late_change (request);

-- What an entitlement is worth since its n-th change; without a row, what was granted.
CREATE TABLE amendment (
    entitlement_id text NOT NULL,
    number         integer NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor >= 0),
    payee_id       text,
    reason         text NOT NULL,
    cause          text NOT NULL,
    retroactive    boolean NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entitlement_id, number)
);

-- A cycle of its own carries what goes to another family than the one it was granted to: the cycle it adds to.
ALTER TABLE cycle ADD COLUMN supplements text;
CREATE INDEX cycle_supplements ON cycle (supplements) WHERE supplements IS NOT NULL;
