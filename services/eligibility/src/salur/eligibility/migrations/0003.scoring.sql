-- Scoring models: data like programmes, versioned by the hash of their text; a programme names the version it uses.
CREATE TABLE score_model (
    model_id     text NOT NULL,
    version      text NOT NULL,
    rules        text NOT NULL,
    name         jsonb NOT NULL,
    proposed_by  text NOT NULL,
    published_by text,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    PRIMARY KEY (model_id, version)
);
ALTER TABLE decision DROP COLUMN given;
