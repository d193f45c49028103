-- name: lock_publishing!
-- Publishing waits for consumers at work and holds the next ones back: after it commits, all decide by the new version.
SELECT pg_advisory_xact_lock(hashtextextended('salur.eligibility.programmes', 0));

-- name: hold_publishing!
SELECT pg_advisory_xact_lock_shared(hashtextextended('salur.eligibility.programmes', 0));

-- name: programme_version^
SELECT number, in_force FROM programme WHERE programme_id = :programme_id AND version = :version;

-- name: retire_programme!
UPDATE programme SET in_force = false WHERE programme_id = :programme_id AND in_force;

-- name: insert_programme!
INSERT INTO programme
    (programme_id, version, rules, name, currency, subject, on_call, in_force, decided, proposed_by, published_by, cause)
VALUES (:programme_id, :version, :rules, :name::jsonb, :currency, :subject, :on_call, true, :on_call, :proposed_by, :actor, :cause);

-- name: revive_programme!
UPDATE programme SET in_force = true, decided = on_call, proposed_by = :proposed_by, published_by = :actor,
    cause = :cause, published_at = now()
WHERE number = :number;

-- name: insert_proposal^
INSERT INTO proposal (programme_id, version, rules, name, proposed_by)
VALUES (:programme_id, :version, :rules, :name::jsonb, :actor) ON CONFLICT DO NOTHING RETURNING version;

-- name: take_proposal^
DELETE FROM proposal WHERE programme_id = :programme_id AND version = :version RETURNING rules, proposed_by;

-- name: proposals
SELECT programme_id, version, name, proposed_by, proposed_at FROM proposal ORDER BY programme_id, proposed_at;

-- name: programmes_in_force
SELECT number, programme_id, version FROM programme WHERE in_force AND NOT on_call ORDER BY programme_id;

-- name: rules_of
SELECT number, rules FROM programme WHERE number = ANY(:numbers::int[]);

-- name: programmes
SELECT programme_id, version, name, currency, decided, proposed_by, published_by, published_at FROM programme
WHERE in_force ORDER BY programme_id;

-- name: programme^
SELECT number, programme_id, version, name, currency, rules, published_by, published_at FROM programme
WHERE programme_id = :programme_id AND in_force;

-- name: lock_undecided_programme^
SELECT number, programme_id, version, subject, cause FROM programme WHERE in_force AND NOT decided ORDER BY number LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: set_decided!
UPDATE programme SET decided = true WHERE number = :number;
