-- name: insert_simulation!
INSERT INTO simulation (simulation_id, programme_id, proposed, current, proposed_rules, current_rules, reference, state,
                        asked_by, cause)
VALUES (:simulation_id, :programme_id, :proposed, :current, :proposed_rules, :current_rules, :reference, 'waiting',
        :actor, :cause);

-- name: next_simulation^
SELECT simulation_id, programme_id, proposed, current, proposed_rules, current_rules, reference, asked_by, cause
FROM simulation WHERE state = 'waiting' ORDER BY asked_at LIMIT 1;

-- name: end_simulation!
UPDATE simulation SET state = :state, result = :result::jsonb, done_at = now()
WHERE simulation_id = :simulation_id AND state = 'waiting';

-- name: simulation^
SELECT simulation_id, programme_id, proposed, current, reference, state, result, asked_by, asked_at, done_at
FROM simulation WHERE simulation_id = :simulation_id;
