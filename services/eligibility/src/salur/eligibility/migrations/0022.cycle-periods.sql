-- The months a cycle pays for: those of one programme do not overlap. `ends_on`: the first day after them. `early_reason`:
-- why it was opened before they began. Cycles of appeals, supplements and disasters have none, nor those opened before this.
ALTER TABLE cycle
    ADD COLUMN starts_on date,
    ADD COLUMN ends_on date,
    ADD COLUMN early_reason text,
    ADD CONSTRAINT cycle_period_check CHECK ((starts_on IS NULL) = (ends_on IS NULL) AND ends_on > starts_on);
CREATE INDEX cycle_period ON cycle (programme_id, ends_on) WHERE ends_on IS NOT NULL;
