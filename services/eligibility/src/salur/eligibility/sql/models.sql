-- name: insert_model^
INSERT INTO score_model (model_id, version, rules, name, proposed_by)
VALUES (:model_id, :version, :rules, :name::jsonb, :actor) ON CONFLICT DO NOTHING RETURNING version;

-- name: lock_model^
SELECT rules, name, proposed_by, published_by FROM score_model
WHERE model_id = :model_id AND version = :version FOR UPDATE;

-- name: publish_model!
UPDATE score_model SET published_by = :actor, published_at = now() WHERE model_id = :model_id AND version = :version;

-- name: published_model$
SELECT rules FROM score_model WHERE model_id = :model_id AND version = :version AND published_by IS NOT NULL;

-- name: models
SELECT model_id, version, name, proposed_by, proposed_at, published_by, published_at FROM score_model
ORDER BY model_id, proposed_at;
