-- What version 1 of the storage made, as it made it: by a superuser, with the search_path "<schema>, pg_temp". Tests bring
-- such a schema up to date. Nothing here changes any more.

CREATE TABLE IF NOT EXISTS conversations (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  org_id varchar NOT NULL,
  client_id varchar NOT NULL,
  last_message_at timestamp DEFAULT now(),
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS messages (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL,
  sender_type text NOT NULL,
  sender_id varchar NOT NULL,
  sender_name text NOT NULL,
  content text NOT NULL,
  is_read boolean DEFAULT false,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS message_reactions (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id varchar NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL,
  reactor_type text NOT NULL,
  reactor_id varchar NOT NULL,
  reactor_name text NOT NULL,
  emoji text NOT NULL,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS client_chat_tokens (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id varchar NOT NULL,
  org_id varchar NOT NULL,
  trip_id varchar NOT NULL,
  token varchar NOT NULL UNIQUE,
  expires_at timestamp NOT NULL,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS travelchat_changes (
  conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  rev bigint NOT NULL,
  kind smallint NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  at timestamp NOT NULL,
  PRIMARY KEY (conversation_id, rev)
);

CREATE TABLE IF NOT EXISTS travelchat_schema (
  version integer PRIMARY KEY
);

ALTER TABLE conversations
  ADD COLUMN IF NOT EXISTS last_message_at timestamp,
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS last_seq bigint,
  ADD COLUMN IF NOT EXISTS rev bigint,
  ADD COLUMN IF NOT EXISTS unread_count bigint,
  ADD COLUMN IF NOT EXISTS unseen_count bigint,
  ADD COLUMN IF NOT EXISTS read_seq bigint,
  ADD COLUMN IF NOT EXISTS seen_seq bigint;
ALTER TABLE conversations
  ALTER COLUMN last_seq SET DEFAULT 0,
  ALTER COLUMN rev SET DEFAULT 0,
  ALTER COLUMN unread_count SET DEFAULT 0,
  ALTER COLUMN unseen_count SET DEFAULT 0,
  ALTER COLUMN read_seq SET DEFAULT 0,
  ALTER COLUMN seen_seq SET DEFAULT 0;

ALTER TABLE messages
  ADD COLUMN IF NOT EXISTS is_read boolean,
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS seen_at timestamp,
  ADD COLUMN IF NOT EXISTS attachment_url text,
  ADD COLUMN IF NOT EXISTS attachment_type text,
  ADD COLUMN IF NOT EXISTS attachment_name text,
  ADD COLUMN IF NOT EXISTS client_message_id varchar,
  ADD COLUMN IF NOT EXISTS seq bigint,
  ADD COLUMN IF NOT EXISTS rev bigint,
  ADD COLUMN IF NOT EXISTS created_rev bigint;

ALTER TABLE message_reactions
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS rev bigint;

ALTER TABLE client_chat_tokens
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS conversation_id varchar REFERENCES conversations (id) ON DELETE CASCADE;

CREATE OR REPLACE FUNCTION travelchat_first_created_after(conversation text, after_rev bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := 1;
  high bigint;
  middle bigint;
  found_rev bigint;
BEGIN
  SELECT last_seq + 1 INTO high FROM conversations WHERE id = conversation;
  WHILE low < high LOOP
    middle := low + (high - low) / 2;
    SELECT m.created_rev INTO found_rev FROM messages m
      WHERE m.conversation_id = conversation AND m.seq >= middle ORDER BY m.seq LIMIT 1;
    IF found_rev <= after_rev THEN
      low := middle + 1;
    ELSE
      high := middle;
    END IF;
  END LOOP;
  RETURN low;
END $$;

CREATE OR REPLACE FUNCTION travelchat_check_id(id text, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
    RAISE EXCEPTION '%.id must be a lower-case UUID', what USING ERRCODE = 'check_violation';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_conversation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM travelchat_check_id(NEW.id, 'conversations');
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_message() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
  c record;
BEGIN
  PERFORM travelchat_check_id(NEW.id, 'messages');
  IF NEW.sender_type NOT IN ('advisor', 'client') THEN
    RAISE EXCEPTION 'messages.sender_type must be advisor or client' USING ERRCODE = 'check_violation';
  END IF;
  NEW.created_at := coalesce(NEW.created_at, now());
  SELECT last_seq, rev INTO c FROM conversations WHERE id = NEW.conversation_id FOR NO KEY UPDATE;
  IF c.last_seq IS NULL OR EXISTS (SELECT FROM messages WHERE id = NEW.id) THEN
    RETURN NEW;
  END IF;
  NEW.seq := c.last_seq + 1;
  NEW.rev := c.rev + 1;
  NEW.created_rev := NEW.rev;
  UPDATE conversations SET
    last_seq = NEW.seq,
    rev = NEW.rev,
    last_message_at = NEW.created_at,
    unread_count = unread_count + (NEW.sender_type = 'client' AND NEW.is_read IS NOT TRUE)::int,
    unseen_count = unseen_count + (NEW.sender_type = 'advisor' AND NEW.seen_at IS NULL)::int
    WHERE id = NEW.conversation_id;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_marks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' SET travelchat.engine = 'on' AS $$
DECLARE
  marked record;
  c record;
BEGIN
  FOR marked IN
    SELECT n.conversation_id AS id,
      array_agg(n.id) FILTER (WHERE n.newly_read) AS read_ids,
      min(n.seq) FILTER (WHERE n.newly_read) AS first_read,
      max(n.seq) FILTER (WHERE n.newly_read) AS last_read,
      array_agg(n.id) FILTER (WHERE n.newly_seen) AS seen_ids,
      min(n.seq) FILTER (WHERE n.newly_seen) AS first_seen,
      max(n.seq) FILTER (WHERE n.newly_seen) AS last_seen,
      max(n.seen_at) FILTER (WHERE n.newly_seen) AS seen_at,
      sum(n.newly_unread::int - n.newly_read::int) AS unread,
      sum(n.newly_unseen::int - n.newly_seen::int) AS unseen,
      min(n.seq) FILTER (WHERE n.newly_unread) AS first_unread,
      min(n.seq) FILTER (WHERE n.newly_unseen) AS first_unseen
    FROM (
      SELECT new_row.*,
        new_row.sender_type = 'client' AND new_row.is_read IS TRUE AND old_row.is_read IS NOT TRUE AS newly_read,
        new_row.sender_type = 'client' AND new_row.is_read IS NOT TRUE AND old_row.is_read IS TRUE AS newly_unread,
        new_row.sender_type = 'advisor' AND new_row.seen_at IS NOT NULL AND old_row.seen_at IS NULL AS newly_seen,
        new_row.sender_type = 'advisor' AND new_row.seen_at IS NULL AND old_row.seen_at IS NOT NULL AS newly_unseen
      FROM new_rows new_row JOIN old_rows old_row ON old_row.id = new_row.id
    ) n
    WHERE n.newly_read OR n.newly_unread OR n.newly_seen OR n.newly_unseen
    GROUP BY n.conversation_id ORDER BY n.conversation_id
  LOOP
    SELECT last_seq, rev INTO c FROM conversations WHERE id = marked.id FOR NO KEY UPDATE;
    CONTINUE WHEN c.last_seq IS NULL;
    IF marked.read_ids IS NOT NULL THEN
      c.rev := c.rev + 1;
      UPDATE messages SET rev = c.rev WHERE id = ANY (marked.read_ids);
      INSERT INTO travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
        VALUES (marked.id, c.rev, 3, marked.first_read, marked.last_read, now());
    END IF;
    IF marked.seen_ids IS NOT NULL THEN
      c.rev := c.rev + 1;
      UPDATE messages SET rev = c.rev WHERE id = ANY (marked.seen_ids);
      INSERT INTO travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
        VALUES (marked.id, c.rev, 2, marked.first_seen, marked.last_seen, marked.seen_at);
    END IF;
    UPDATE conversations SET
      rev = c.rev,
      unread_count = greatest(unread_count + marked.unread, 0),
      unseen_count = greatest(unseen_count + marked.unseen, 0),
      read_seq = least(read_seq, marked.first_unread - 1),
      seen_seq = least(seen_seq, marked.first_unseen - 1)
      WHERE id = marked.id;
  END LOOP;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE conversations c SET
    unread_count = greatest(c.unread_count - gone.unread, 0),
    unseen_count = greatest(c.unseen_count - gone.unseen, 0)
    FROM (
      SELECT conversation_id,
        count(*) FILTER (WHERE sender_type = 'client' AND is_read IS NOT TRUE) AS unread,
        count(*) FILTER (WHERE sender_type = 'advisor' AND seen_at IS NULL) AS unseen
      FROM old_rows WHERE seq IS NOT NULL GROUP BY conversation_id
    ) gone
    WHERE c.id = gone.conversation_id AND c.last_seq IS NOT NULL AND gone.unread + gone.unseen > 0;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION travelchat_touch_message(conversation text, message text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  c record;
  touched_seq bigint;
BEGIN
  SELECT last_seq, rev + 1 AS rev INTO c FROM conversations WHERE id = conversation FOR NO KEY UPDATE;
  IF c.last_seq IS NULL THEN
    RETURN NULL;
  END IF;
  UPDATE messages SET rev = c.rev WHERE id = message AND conversation_id = conversation RETURNING seq INTO touched_seq;
  IF touched_seq IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
    VALUES (conversation, c.rev, 1, touched_seq, touched_seq, now());
  UPDATE conversations SET rev = c.rev WHERE id = conversation;
  RETURN c.rev;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_reaction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' SET travelchat.engine = 'on' AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM travelchat_touch_message(OLD.conversation_id, OLD.message_id);
    RETURN NULL;
  END IF;
  PERFORM travelchat_check_id(NEW.id, 'message_reactions');
  IF NEW.reactor_type NOT IN ('advisor', 'client') THEN
    RAISE EXCEPTION 'message_reactions.reactor_type must be advisor or client' USING ERRCODE = 'check_violation';
  END IF;
  NEW.rev := coalesce(travelchat_touch_message(NEW.conversation_id, NEW.message_id), NEW.rev);
  IF TG_OP = 'INSERT' THEN
    DELETE FROM message_reactions
      WHERE message_id = NEW.message_id AND reactor_type = NEW.reactor_type AND reactor_id = NEW.reactor_id
      AND id <> NEW.id;
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION travelchat_follow_token() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  NEW.token := encode(sha256(convert_to(NEW.token, 'UTF8')), 'hex');
  NEW.conversation_id := (SELECT id FROM conversations WHERE org_id = NEW.org_id AND client_id = NEW.client_id);
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION travelchat_number(after_id text, max_messages integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  conversation record;
  base bigint;
  numbered bigint;
  budget bigint := max_messages;
  done text := after_id;
BEGIN
  FOR conversation IN
    SELECT id FROM conversations WHERE last_seq IS NULL AND id > after_id ORDER BY id LIMIT max_messages
  LOOP
    PERFORM FROM messages WHERE conversation_id = conversation.id AND seq IS NULL
      ORDER BY created_at NULLS FIRST, id COLLATE "C" LIMIT budget FOR UPDATE;
    PERFORM FROM conversations WHERE id = conversation.id AND last_seq IS NULL FOR NO KEY UPDATE;
    IF FOUND THEN
      SELECT coalesce(max(seq), 0) INTO base FROM messages WHERE conversation_id = conversation.id;
      UPDATE messages m SET
        seq = base + n.place,
        rev = base + n.place,
        created_rev = base + n.place
        FROM (
          SELECT id, row_number() OVER (ORDER BY created_at NULLS FIRST, id COLLATE "C") AS place
          FROM messages WHERE conversation_id = conversation.id AND seq IS NULL
          ORDER BY created_at NULLS FIRST, id COLLATE "C" LIMIT budget
        ) n
        WHERE m.id = n.id;
      GET DIAGNOSTICS numbered = ROW_COUNT;
      IF numbered = budget AND EXISTS (SELECT FROM messages WHERE conversation_id = conversation.id AND seq IS NULL) THEN
        RETURN done;
      END IF;
      UPDATE conversations c SET
        last_seq = base + numbered,
        rev = base + numbered,
        last_message_at = coalesce(c.last_message_at, m.newest),
        unread_count = m.unread,
        unseen_count = m.unseen,
        read_seq = 0,
        seen_seq = 0
        FROM (
          SELECT max(created_at) AS newest,
            count(*) FILTER (WHERE sender_type = 'client' AND is_read IS NOT TRUE) AS unread,
            count(*) FILTER (WHERE sender_type = 'advisor' AND seen_at IS NULL) AS unseen
          FROM messages WHERE conversation_id = conversation.id
        ) m
        WHERE c.id = conversation.id;
      budget := budget - numbered - 1;
    END IF;
    done := conversation.id;
    IF budget <= 0 THEN
      RETURN done;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS travelchat_follow_conversation ON conversations;
CREATE TRIGGER travelchat_follow_conversation BEFORE INSERT ON conversations
  FOR EACH ROW WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_conversation();

DROP TRIGGER IF EXISTS travelchat_follow_message ON messages;
CREATE TRIGGER travelchat_follow_message BEFORE INSERT ON messages
  FOR EACH ROW WHEN (NEW.seq IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_message();

DROP TRIGGER IF EXISTS travelchat_follow_marks ON messages;
CREATE TRIGGER travelchat_follow_marks AFTER UPDATE ON messages
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_marks();

DROP TRIGGER IF EXISTS travelchat_follow_message_deletion ON messages;
CREATE TRIGGER travelchat_follow_message_deletion AFTER DELETE ON messages
  REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_deletion();

DROP TRIGGER IF EXISTS travelchat_follow_reaction ON message_reactions;
CREATE TRIGGER travelchat_follow_reaction BEFORE INSERT ON message_reactions
  FOR EACH ROW WHEN (NEW.rev IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_reaction_change ON message_reactions;
CREATE TRIGGER travelchat_follow_reaction_change BEFORE UPDATE ON message_reactions
  FOR EACH ROW WHEN (NEW.emoji IS DISTINCT FROM OLD.emoji
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_reaction_removal ON message_reactions;
CREATE TRIGGER travelchat_follow_reaction_removal AFTER DELETE ON message_reactions
  FOR EACH ROW WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_token ON client_chat_tokens;
CREATE TRIGGER travelchat_follow_token BEFORE INSERT ON client_chat_tokens
  FOR EACH ROW WHEN (NEW.conversation_id IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION travelchat_follow_token();

CREATE UNIQUE INDEX travelchat_messages_by_seq ON messages (conversation_id, seq);
CREATE UNIQUE INDEX travelchat_conversations_by_client ON conversations (org_id, client_id);
CREATE UNIQUE INDEX travelchat_messages_by_client_message_id ON messages (conversation_id, client_message_id, sender_type, sender_id)
  WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX travelchat_reactions_by_reactor ON message_reactions (message_id, reactor_type, reactor_id);
CREATE INDEX travelchat_reactions_by_conversation ON message_reactions (conversation_id);
CREATE UNIQUE INDEX travelchat_tokens_by_token ON client_chat_tokens (token);
CREATE INDEX travelchat_tokens_by_trip ON client_chat_tokens (conversation_id, trip_id);
CREATE INDEX travelchat_tokens_by_expiry ON client_chat_tokens (expires_at);

INSERT INTO travelchat_schema (version) VALUES (1);
