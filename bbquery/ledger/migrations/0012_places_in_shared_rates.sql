-- Where the next lease would begin if all who wait for theirs took it: see rates.py.
ALTER TABLE rate ADD COLUMN queued_until REAL NOT NULL DEFAULT 0;
