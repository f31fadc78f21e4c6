-- What the storage adds to the tables. No column has a default while rows get it, so no table is rewritten and each
-- statement holds its lock for a moment only.
--
-- - `last_seq` is null until a conversation's messages have been numbered (numbering.sql); later rows start at 0.
-- - `read_seq` and `seen_seq`: every message up to there is marked, so marking looks at the newer ones only.
-- - `content_rev`: the newest revision that changed more of a message than its reactions and marks; null: none has.
-- - A reaction's `rev` is its place in the message's list; null, for one that was there before, comes first.
-- - A token's row without `conversation_id` still holds the token itself (tokens.sql).

ALTER TABLE @.conversations
  ADD COLUMN IF NOT EXISTS last_message_at timestamp,
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS last_seq bigint,
  ADD COLUMN IF NOT EXISTS rev bigint,
  ADD COLUMN IF NOT EXISTS unread_count bigint,
  ADD COLUMN IF NOT EXISTS unseen_count bigint,
  ADD COLUMN IF NOT EXISTS read_seq bigint,
  ADD COLUMN IF NOT EXISTS seen_seq bigint;
ALTER TABLE @.conversations
  ALTER COLUMN last_seq SET DEFAULT 0,
  ALTER COLUMN rev SET DEFAULT 0,
  ALTER COLUMN unread_count SET DEFAULT 0,
  ALTER COLUMN unseen_count SET DEFAULT 0,
  ALTER COLUMN read_seq SET DEFAULT 0,
  ALTER COLUMN seen_seq SET DEFAULT 0;

ALTER TABLE @.messages
  ADD COLUMN IF NOT EXISTS is_read boolean,
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS seen_at timestamp,
  ADD COLUMN IF NOT EXISTS attachment_url text,
  ADD COLUMN IF NOT EXISTS attachment_type text,
  ADD COLUMN IF NOT EXISTS attachment_name text,
  ADD COLUMN IF NOT EXISTS client_message_id varchar,
  ADD COLUMN IF NOT EXISTS seq bigint,
  ADD COLUMN IF NOT EXISTS rev bigint,
  ADD COLUMN IF NOT EXISTS created_rev bigint,
  ADD COLUMN IF NOT EXISTS content_rev bigint;

ALTER TABLE @.message_reactions
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS rev bigint;

ALTER TABLE @.client_chat_tokens
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS conversation_id varchar REFERENCES @.conversations (id) ON DELETE CASCADE;
