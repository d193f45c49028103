-- name: insert_feed^
INSERT INTO feed (feed_id, kind, name, source, as_of, sent_by)
VALUES (:feed_id, :kind, :name, :source, :as_of, :by) ON CONFLICT DO NOTHING RETURNING feed_id;

-- name: lock_feed^
SELECT feed_id, kind, name, source, as_of, sent_by, records, matches FROM feed WHERE feed_id = :feed_id FOR UPDATE;

-- name: feeds_after
SELECT feed_id, kind, name, source, as_of, sent_by, sent_at, records, matches FROM feed WHERE feed_id > :after
ORDER BY feed_id LIMIT :most;

-- name: known_members
SELECT g.place, m.household_id, m.member_id, m.region FROM unnest(:schemes::text[], :tokens::text[])
    WITH ORDINALITY AS g (scheme, token, place)
CROSS JOIN LATERAL (
    SELECT i.household_id, i.member_id, h.region
    FROM identifier i JOIN household h ON h.household_id = i.household_id AND h.status = 'active'
    WHERE i.token = g.token AND i.scheme = g.scheme AND i.member_id IS NOT NULL OFFSET 0
) m
ORDER BY g.place;

-- name: insert_matches
INSERT INTO feed_match (match_id, feed_id, household_id, member_id, region, sealed, sent_by)
SELECT id, :feed_id, household_id, member_id, region, sealed, :by
FROM unnest(:ids::text[], :households::text[], :members::text[], :regions::text[], :sealed::bytea[])
    AS g (id, household_id, member_id, region, sealed)
ON CONFLICT DO NOTHING RETURNING match_id, household_id;

-- name: count_feed!
UPDATE feed SET records = records + :records, matches = matches + :matches WHERE feed_id = :feed_id;

-- name: matches_after
SELECT m.match_id, m.feed_id, f.kind, f.source, f.as_of, m.household_id, m.member_id, m.state, m.reason
FROM feed_match m JOIN feed f USING (feed_id)
WHERE m.match_id > :after AND (:every OR m.region LIKE ANY(:patterns::text[]))
  AND (:state::text IS NULL OR m.state = :state) AND (:kind::text IS NULL OR f.kind = :kind)
ORDER BY m.match_id LIMIT :most;

-- name: match_by_id^
SELECT m.match_id, m.feed_id, f.kind, f.source, f.as_of, m.household_id, m.member_id, m.region, m.sealed, m.state,
       m.reason, m.sent_by, m.decided_by
FROM feed_match m JOIN feed f USING (feed_id) WHERE m.match_id = :match_id;

-- name: lock_match^
SELECT match_id FROM feed_match WHERE match_id = :match_id FOR UPDATE;

-- name: decide_match!
UPDATE feed_match SET state = :state, reason = :reason, decided_by = :by, decided_at = now()
WHERE match_id = :match_id;

-- name: keep_deceased_identifiers!
INSERT INTO deceased_identifier (scheme, token, match_id, sealed)
SELECT scheme, token, :match_id, sealed FROM identifier WHERE household_id = :household_id AND member_id = :member_id
ON CONFLICT DO NOTHING;

-- name: insert_death!
INSERT INTO person_death (match_id, household_id, member_id, version, suspended)
VALUES (:match_id, :household_id, :member_id, :version, :suspended);

-- name: lock_death^
-- `suspended_since`: the account was open again since and rests because of a later death, which stands.
SELECT d.member_id, d.version, d.suspended, d.undone_at, EXISTS (
    SELECT 1 FROM person_death o WHERE o.household_id = d.household_id AND o.version > d.version AND o.suspended
        AND o.undone_at IS NULL) AS suspended_since
FROM person_death d WHERE d.match_id = :match_id AND d.household_id = :household_id FOR UPDATE OF d;

-- name: dead_among
SELECT member_id FROM person_death WHERE member_id = ANY(:people::text[]) AND undone_at IS NULL;

-- name: give_identifiers_back!
WITH back AS (DELETE FROM deceased_identifier WHERE match_id = :match_id RETURNING scheme, token, sealed)
INSERT INTO identifier (scheme, token, household_id, member_id, sealed)
SELECT scheme, token, :household_id, :member_id, sealed FROM back;

-- name: undo_death!
UPDATE person_death SET undone_by = :actor, undone_at = now() WHERE match_id = :match_id;
