-- Answers that were paid for and could not be read are few, and a run says how many it has.
CREATE INDEX attempt_unreadable ON attempt (budget, key)
WHERE state = 'posted' AND substr(reason, 1, 16) = 'MalformedAnswer:';
