-- Unknowns are few among millions of attempts, and a vendor's report may name them by key.
CREATE INDEX attempt_unknown ON attempt (key) WHERE state = 'unknown';
