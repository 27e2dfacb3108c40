-- What each process committed last: the server forgets numbers of transactions in a crash, and gives them to others.
CREATE TABLE last_commit (
    process TEXT COLLATE "C" PRIMARY KEY,
    number BIGINT NOT NULL,
    seen TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
