-- The defaults of the columns that the storage adds (schema.cpp), for rows that come later.

ALTER TABLE @.conversations
  ALTER COLUMN last_seq SET DEFAULT 0,
  ALTER COLUMN rev SET DEFAULT 0,
  ALTER COLUMN unread_count SET DEFAULT 0,
  ALTER COLUMN unseen_count SET DEFAULT 0,
  ALTER COLUMN read_seq SET DEFAULT 0,
  ALTER COLUMN seen_seq SET DEFAULT 0;
