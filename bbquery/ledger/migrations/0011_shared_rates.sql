-- The rate of each provider that several processes ask: see rates.py. Times are seconds since 1970, by this database.
CREATE TABLE rate (
    provider TEXT PRIMARY KEY,
    leased_until REAL NOT NULL,
    paused_until REAL NOT NULL,
    seen REAL NOT NULL,
    requests INTEGER,
    tokens INTEGER,
    said REAL
) STRICT;
