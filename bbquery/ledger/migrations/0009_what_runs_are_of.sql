-- What a run is of, for people: its image. And when a budget was made, since one that asked nothing has no other date.
ALTER TABLE budget ADD COLUMN about TEXT;
ALTER TABLE budget ADD COLUMN opened TEXT;
