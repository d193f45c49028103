-- Records that are no events of the stream they stand in, each taken once: by place and content, because a topic made
-- anew counts its offsets from zero again.
CREATE TABLE foreign_record (
    consumer     text NOT NULL,
    stream       text NOT NULL,
    kafka_offset bigint NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (consumer, stream, kafka_offset, content_hash)
);

-- An event is taken once by its stream and sequence; its offset says nothing after the topic was made anew.
ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_consumer_topic_partition_kafka_offset_key;
CREATE UNIQUE INDEX dead_letter_event ON dead_letter (consumer, stream, sequence) WHERE sequence > 0;
