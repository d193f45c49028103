-- Beneficiaries the registry has erased. Their payments are financial records: the accounts they went to are destroyed
-- when the law lets them be.
CREATE TABLE erasure_due (
    beneficiary_id text PRIMARY KEY,
    erasure_id     text NOT NULL,
    told_at        timestamptz NOT NULL DEFAULT now(),
    erased_at      timestamptz
);
CREATE INDEX erasure_due_open ON erasure_due (beneficiary_id) WHERE erased_at IS NULL;
