-- People are indexed in a line: `number` is the place in it, and everybody up to `compared` was compared with all before
-- them. A place never moves; who changes gets a new one at the end. What is here is made of the registry's own events,
-- so it is made again from the first one.
DROP TABLE match_key, match_person;
TRUNCATE match_name;
UPDATE match_mark SET sequence = 0;

CREATE TABLE match_line (
    indexed  bigint NOT NULL CHECK (indexed >= 0),
    compared bigint NOT NULL CHECK (compared BETWEEN 0 AND indexed),
    people   bigint NOT NULL CHECK (people >= 0)
);
INSERT INTO match_line (indexed, compared, people) VALUES (0, 0, 0);

CREATE TABLE match_person (
    number       bigint PRIMARY KEY,
    person_id    text COLLATE "C" NOT NULL UNIQUE,
    household_id text COLLATE "C" NOT NULL,
    keys         bigint[] NOT NULL,
    name_token   bigint NOT NULL
);
CREATE INDEX match_person_household ON match_person (household_id);

CREATE TABLE match_key (
    token  bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (token, number)
);
