-- Questions that travel by the file. A batch's attempts are owned by 'batch:' and its name, an owner that is no process
-- and so never dies: what they hold stays held until the batch is collected, or dropped because nothing was submitted.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    budget INTEGER NOT NULL REFERENCES budget (id),
    oracle TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('writing', 'written', 'submitting', 'submitted', 'collected', 'dropped')),
    vendor TEXT CHECK (vendor IS NOT NULL OR state NOT IN ('submitted', 'collected')),
    reason TEXT,
    opened TEXT NOT NULL,
    closed TEXT
) STRICT;
CREATE INDEX batch_unfinished ON batch (budget) WHERE state NOT IN ('collected', 'dropped');

-- What an attempt in a batch asks, beside its key: its answer may be collected by a process that rendered no image.
CREATE TABLE batch_line (
    attempt INTEGER PRIMARY KEY REFERENCES attempt (id),
    batch INTEGER NOT NULL REFERENCES batch (id),
    image BLOB NOT NULL,
    sample INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_line_of ON batch_line (batch);
