-- When each budget last asked each oracle. Kept, so that a list of budgets reads no attempts: there may be millions.
CREATE TABLE budget_oracle (
    budget INTEGER NOT NULL REFERENCES budget (id),
    oracle TEXT NOT NULL,
    used TEXT NOT NULL,
    PRIMARY KEY (budget, oracle)
) STRICT, WITHOUT ROWID;

INSERT INTO budget_oracle (budget, oracle, used)
SELECT budget, oracle, max(opened) FROM attempt GROUP BY budget, oracle;

-- What was sent within a budget is found without reading all the rest, and so is that nothing of it is left.
CREATE INDEX attempt_of_budget ON attempt (budget);
