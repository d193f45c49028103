-- Records that repeat a stream's sequence with other bytes: each once, with the entry that keeps its commitment.
CREATE TABLE equivocation (
    topic        text NOT NULL,
    partition    integer NOT NULL,
    kafka_offset bigint NOT NULL,
    stream       text NOT NULL,
    sequence     bigint NOT NULL,
    leaf_index   bigint NOT NULL REFERENCES entry (leaf_index),
    seen_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, kafka_offset)
);

CREATE TRIGGER equivocation_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON equivocation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
