-- An answer may also come from a published store: then it was paid for elsewhere, and by no attempt of this ledger.
CREATE TABLE answer_of_any_origin (
    key BLOB PRIMARY KEY,
    oracle TEXT NOT NULL REFERENCES oracle (fingerprint),
    image BLOB NOT NULL,
    sample INTEGER NOT NULL,
    answer BLOB NOT NULL,
    served TEXT,
    attempt INTEGER REFERENCES attempt (id),
    created TEXT NOT NULL
) STRICT;

INSERT INTO answer_of_any_origin (key, oracle, image, sample, answer, served, attempt, created)
SELECT key, oracle, image, sample, answer, served, attempt, created FROM answer;

DROP TABLE answer;
ALTER TABLE answer_of_any_origin RENAME TO answer;
