-- The rate of each provider that several processes ask: see rates.py. Times are seconds since 1970, by this database.
CREATE TABLE rate (
    provider TEXT COLLATE "C" PRIMARY KEY,
    leased_until DOUBLE PRECISION NOT NULL,
    paused_until DOUBLE PRECISION NOT NULL,
    seen DOUBLE PRECISION NOT NULL,
    requests BIGINT,
    tokens BIGINT,
    said DOUBLE PRECISION
) WITH (fillfactor = 50);
