-- Budgets nest: a hold counts in a budget and in every budget above it. A missing cap is no cap.
-- There is no CHECK of posted + held <= cap: where an answer cost more than was held, the truth is recorded.
CREATE TABLE budget (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES budget (id),
    cap_queries INTEGER, cap_tokens INTEGER, cap_picodollars INTEGER,
    posted_queries INTEGER NOT NULL DEFAULT 0 CHECK (posted_queries >= 0),
    posted_tokens INTEGER NOT NULL DEFAULT 0 CHECK (posted_tokens >= 0),
    posted_picodollars INTEGER NOT NULL DEFAULT 0 CHECK (posted_picodollars >= 0),
    held_queries INTEGER NOT NULL DEFAULT 0 CHECK (held_queries >= 0),
    held_tokens INTEGER NOT NULL DEFAULT 0 CHECK (held_tokens >= 0),
    held_picodollars INTEGER NOT NULL DEFAULT 0 CHECK (held_picodollars >= 0)
) STRICT;

-- One row per send: a retry is another attempt with its own hold.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    budget INTEGER NOT NULL REFERENCES budget (id),
    owner TEXT NOT NULL,
    oracle TEXT NOT NULL,
    free INTEGER NOT NULL CHECK (free IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('open', 'posted', 'voided', 'unknown')),
    reason TEXT,
    hold_queries INTEGER NOT NULL, hold_tokens INTEGER NOT NULL, hold_picodollars INTEGER NOT NULL,
    cost_queries INTEGER, cost_tokens INTEGER, cost_picodollars INTEGER,
    opened TEXT NOT NULL,
    closed TEXT
) STRICT;

-- One flight per distinct query, across all processes on this file.
CREATE UNIQUE INDEX attempt_in_flight ON attempt (key) WHERE state = 'open';
CREATE INDEX attempt_by_budget ON attempt (budget, state);

-- Who asked what: the identity behind a fingerprint, so that an answer can be audited years later.
CREATE TABLE oracle (fingerprint TEXT PRIMARY KEY, identity TEXT NOT NULL) STRICT;

-- Answers are never evicted. The key is a hash of fingerprint, image and sample.
CREATE TABLE answer (
    key BLOB PRIMARY KEY,
    oracle TEXT NOT NULL REFERENCES oracle (fingerprint),
    image BLOB NOT NULL,
    sample INTEGER NOT NULL,
    answer BLOB NOT NULL,
    attempt INTEGER NOT NULL REFERENCES attempt (id),
    created TEXT NOT NULL
) STRICT;
