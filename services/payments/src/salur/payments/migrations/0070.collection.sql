-- When the bank first said that cash waits to be fetched: the recipient is told once.
ALTER TABLE payment ADD COLUMN ready_at timestamptz;
