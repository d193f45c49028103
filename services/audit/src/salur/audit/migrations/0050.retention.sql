-- depends: 0040.roles
-- Since when the days of a retention run. The sealed bytes of banks' records had no time of their own; they begin now.
ALTER TABLE outside_record ADD COLUMN taken_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX outside_record_held ON outside_record (taken_at) WHERE sealed <> '';
ALTER TABLE flag ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX flag_closed ON flag (changed_at) WHERE state = 'closed';
