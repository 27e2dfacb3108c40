-- Which model version or fingerprint answered, as the vendor named it: a change marks a result as drifted.
ALTER TABLE answer ADD COLUMN served TEXT;
