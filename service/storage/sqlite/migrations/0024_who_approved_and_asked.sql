-- An approval stands with its time and note, as the log of changes has them; it was the approver's name alone.
UPDATE activations SET approved_by = (
    SELECT json_group_array(json_array(caller, changed_us, reason)) FROM (
        SELECT caller, changed_us, reason FROM activation_changes
        WHERE activation_changes.number = activations.number AND action = 'approve' ORDER BY sequence
    )
);

-- A baseline that a person asks for is learned once for a key, with the reason. Guards' own have neither.
ALTER TABLE baselines ADD COLUMN key TEXT NOT NULL DEFAULT '';
ALTER TABLE baselines ADD COLUMN fingerprint BLOB NOT NULL DEFAULT x'';
ALTER TABLE baselines ADD COLUMN reason TEXT NOT NULL DEFAULT '';

CREATE UNIQUE INDEX baselines_key ON baselines (key) WHERE key <> '';
