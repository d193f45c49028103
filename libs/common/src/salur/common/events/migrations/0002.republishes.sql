-- Grows with every republish, so that a window on its way cannot undo one at its end.
ALTER TABLE relay ADD COLUMN republishes integer NOT NULL DEFAULT 0;
