-- Texts now say their tokens and missing answers their kind: what was stored before had none, and was refused.
-- The unescaped quotes in the marks that are looked for cannot stand inside a JSON string.
UPDATE answer SET answer = CAST(substr(answer, 1, length(answer) - 1) || ',"tokens":[]}' AS BLOB)
WHERE substr(answer, 1, 8) = CAST('{"text":' AS BLOB) AND instr(answer, CAST('","tokens":' AS BLOB)) = 0;

UPDATE answer SET answer = CAST(substr(answer, 1, length(answer) - 1) || ',"kind":"refused"}' AS BLOB)
WHERE substr(answer, 1, 8) = CAST('{"none":' AS BLOB) AND instr(answer, CAST('","kind":' AS BLOB)) = 0;
