-- Subjects whose key was destroyed: none is ever made for them again, so nothing of them can be sealed or opened.
CREATE TABLE erased_subject (
    subject    text COLLATE "C" PRIMARY KEY,
    erasure_id text NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT now()
);
