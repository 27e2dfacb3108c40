-- Where the next lease would begin if all who wait for theirs took it: see rates.py.
ALTER TABLE rate ADD COLUMN queued_until DOUBLE PRECISION NOT NULL DEFAULT 0;
