-- Every attempt moved twice through an index that only unknowns need: they are looked for by budget.
DROP INDEX attempt_by_budget;
CREATE INDEX attempt_unknown_by_budget ON attempt (budget) WHERE state = 'unknown';
