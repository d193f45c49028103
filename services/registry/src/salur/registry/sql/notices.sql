-- name: present_contacts
SELECT household_id, identity FROM household WHERE household_id = ANY(:ids::text[]) AND identity IS NOT NULL;

-- name: former_contacts
SELECT household_id, version, identity FROM household_version
WHERE household_id = ANY(:ids::text[]) AND identity IS NOT NULL AND valid_until > now() - :within::interval
ORDER BY household_id, version DESC;

-- name: save_noticed_programmes!
INSERT INTO noticed_programme (programme_id, name, criteria)
SELECT id, name::jsonb, criteria::jsonb FROM unnest(:ids::text[], :names::text[], :criteria::text[])
    AS g (id, name, criteria)
ON CONFLICT (programme_id) DO UPDATE SET name = excluded.name, criteria = excluded.criteria;

-- name: noticed_programmes
SELECT programme_id, name, criteria FROM noticed_programme WHERE programme_id = ANY(:ids::text[]);

-- name: noticed_outcomes
SELECT o.household_id, o.programme_id, o.outcome FROM unnest(:households::text[], :programmes::text[])
    AS g (household_id, programme_id)
JOIN noticed_outcome o USING (household_id, programme_id);

-- name: save_noticed_outcomes!
INSERT INTO noticed_outcome (household_id, programme_id, outcome)
SELECT * FROM unnest(:households::text[], :programmes::text[], :outcomes::text[])
ON CONFLICT (household_id, programme_id) DO UPDATE SET outcome = excluded.outcome
WHERE noticed_outcome.outcome <> excluded.outcome;

-- name: insert_notices!
INSERT INTO notice (notice_id, household_id, kind, recipient, language, cause, sealed)
SELECT * FROM unnest(:ids::text[], :households::text[], :kinds::text[], :recipients::text[], :languages::text[],
                     :causes::text[], :sealed::bytea[])
ON CONFLICT DO NOTHING;

-- name: claim_notices
SELECT notice_id, household_id, kind, recipient, language, cause, sealed FROM notice WHERE state = 'waiting'
ORDER BY notice_id LIMIT :most FOR UPDATE SKIP LOCKED;

-- name: mark_notices_sent!
UPDATE notice SET state = 'sent', sent_at = now() WHERE notice_id = ANY(:ids::text[]);

-- name: notices_of
SELECT notice_id, kind, recipient, language, state, made_at, sent_at FROM notice
WHERE household_id = :household_id AND notice_id > :after ORDER BY notice_id LIMIT :most;

-- name: notice_counts
SELECT kind, recipient, state, count(*) AS notices FROM notice GROUP BY kind, recipient, state ORDER BY 1, 2, 3;

-- name: notices_gone
SELECT asked.id FROM unnest(:ids::text[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM notice n WHERE n.notice_id = asked.id);
