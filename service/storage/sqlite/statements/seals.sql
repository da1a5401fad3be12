-- name: enter_seal
-- Enter a table's seal. Primary key.
INSERT INTO seals (name, count, total)
VALUES (:name, :count, :total)
ON CONFLICT (name) DO UPDATE SET count = excluded.count, total = excluded.total;
