-- These triggers follow the writes of other programs to the tables (the host's older servers during an upgrade, or its
-- own code at any time): each write gets its seq and rev, and the changes that others read. The storage's own
-- connections set travelchat.engine and are left alone.
--
-- Every writer locks the conversation's row first, so seqs are dense and revs are in the order of commits. A
-- conversation that has not been numbered yet is skipped: the numbering locks the same row and finds what was written
-- before.
--
-- A writer needs no right to what these functions write besides its own row, so those that write are SECURITY DEFINER,
-- with the rights of the tables' owner. That is safe as long as
-- - nobody but the owner may execute them, which is what making a trigger of them asks for: a trigger on a table of a
--   stranger's, with types and casts of the stranger's, would run the stranger's code as the owner. What the storage
--   takes from everybody else at each start (postgres_schema.cpp) is every SECURITY DEFINER function that is here;
-- - every name is qualified or PostgreSQL's own. The schema may be one in which others make operators and functions,
--   which would come before PostgreSQL's where their arguments' types fit better, so it is on no search_path.

-- A binary search: seqs and created_revs grow together.
CREATE OR REPLACE FUNCTION @.travelchat_first_created_after(conversation text, after_rev bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  low bigint := 1;
  high bigint;
  middle bigint;
  found_rev bigint;
BEGIN
  SELECT last_seq + 1 INTO high FROM @.conversations WHERE id = conversation;
  WHILE low < high LOOP
    middle := low + (high - low) / 2;
    SELECT m.created_rev INTO found_rev FROM @.messages m
      WHERE m.conversation_id = conversation AND m.seq >= middle ORDER BY m.seq LIMIT 1;
    IF found_rev <= after_rev THEN
      low := middle + 1;
    ELSE
      high := middle;
    END IF;
  END LOOP;
  RETURN low;
END $$;

CREATE OR REPLACE FUNCTION @.travelchat_check_id(id text, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
    RAISE EXCEPTION '%.id must be a lower-case UUID', what USING ERRCODE = 'check_violation';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION @.travelchat_follow_conversation() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @.travelchat_check_id(NEW.id, 'conversations');
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION @.travelchat_follow_message() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  c record;
BEGIN
  PERFORM @.travelchat_check_id(NEW.id, 'messages');
  IF NEW.sender_type NOT IN ('advisor', 'client') THEN
    RAISE EXCEPTION 'messages.sender_type must be advisor or client' USING ERRCODE = 'check_violation';
  END IF;
  NEW.created_at := coalesce(NEW.created_at, now());
  SELECT last_seq, rev INTO c FROM @.conversations WHERE id = NEW.conversation_id FOR NO KEY UPDATE;
  -- A row that will not be inserted (ON CONFLICT DO NOTHING) must not take a seq.
  IF c.last_seq IS NULL OR EXISTS (SELECT FROM @.messages WHERE id = NEW.id) THEN
    RETURN NEW;
  END IF;
  NEW.seq := c.last_seq + 1;
  NEW.rev := c.rev + 1;
  NEW.created_rev := NEW.rev;
  UPDATE @.conversations SET
    last_seq = NEW.seq,
    rev = NEW.rev,
    last_message_at = NEW.created_at,
    unread_count = unread_count + (NEW.sender_type = 'client' AND NEW.is_read IS NOT TRUE)::int,
    unseen_count = unseen_count + (NEW.sender_type = 'advisor' AND NEW.seen_at IS NULL)::int
    WHERE id = NEW.conversation_id;
  RETURN NEW;
END $$;

-- One statement is one revision for each mark that it makes, whatever the number of messages. What is marked unread
-- again is counted and raises none: there is no event that would tell.
CREATE OR REPLACE FUNCTION @.travelchat_follow_marks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  writer text := current_setting('travelchat.engine', true);
  marked record;
  c record;
BEGIN
  -- What is written here has no triggers to follow it. Not by SET of the function, which only a superuser may give it.
  PERFORM set_config('travelchat.engine', 'on', true);
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
    SELECT last_seq, rev INTO c FROM @.conversations WHERE id = marked.id FOR NO KEY UPDATE;
    CONTINUE WHEN c.last_seq IS NULL;
    IF marked.read_ids IS NOT NULL THEN
      c.rev := c.rev + 1;
      UPDATE @.messages SET rev = c.rev WHERE id = ANY (marked.read_ids);
      INSERT INTO @.travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
        VALUES (marked.id, c.rev, 3, marked.first_read, marked.last_read, now());
    END IF;
    IF marked.seen_ids IS NOT NULL THEN
      c.rev := c.rev + 1;
      UPDATE @.messages SET rev = c.rev WHERE id = ANY (marked.seen_ids);
      INSERT INTO @.travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
        VALUES (marked.id, c.rev, 2, marked.first_seen, marked.last_seen, marked.seen_at);
    END IF;
    UPDATE @.conversations SET
      rev = c.rev,
      unread_count = greatest(unread_count + marked.unread, 0),
      unseen_count = greatest(unseen_count + marked.unseen, 0),
      read_seq = least(read_seq, marked.first_unread - 1),
      seen_seq = least(seen_seq, marked.first_unseen - 1)
      WHERE id = marked.id;
  END LOOP;
  PERFORM set_config('travelchat.engine', coalesce(writer, ''), true);
  RETURN NULL;
END $$;

-- No event is sent for a deleted message; only the counts are corrected. When the conversation itself is deleted, its
-- row is gone already.
CREATE OR REPLACE FUNCTION @.travelchat_follow_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE @.conversations c SET
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

-- Raises the conversation's revision for a change of a message's reactions. Null, and nothing happens, when it has not
-- been numbered or has gone.
CREATE OR REPLACE FUNCTION @.travelchat_touch_message(conversation text, message text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
  touched_seq bigint;
BEGIN
  SELECT last_seq, rev + 1 AS rev INTO c FROM @.conversations WHERE id = conversation FOR NO KEY UPDATE;
  IF c.last_seq IS NULL THEN
    RETURN NULL;
  END IF;
  UPDATE @.messages SET rev = c.rev WHERE id = message AND conversation_id = conversation RETURNING seq INTO touched_seq;
  IF touched_seq IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO @.travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)
    VALUES (conversation, c.rev, 1, touched_seq, touched_seq, now());
  UPDATE @.conversations SET rev = c.rev WHERE id = conversation;
  RETURN c.rev;
END $$;

-- A further reaction of one person replaces the first, also when the writer did not delete that.
CREATE OR REPLACE FUNCTION @.travelchat_follow_reaction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  writer text := current_setting('travelchat.engine', true);
BEGIN
  PERFORM set_config('travelchat.engine', 'on', true);
  IF TG_OP = 'DELETE' THEN
    PERFORM @.travelchat_touch_message(OLD.conversation_id, OLD.message_id);
    PERFORM set_config('travelchat.engine', coalesce(writer, ''), true);
    RETURN NULL;
  END IF;
  PERFORM @.travelchat_check_id(NEW.id, 'message_reactions');
  IF NEW.reactor_type NOT IN ('advisor', 'client') THEN
    RAISE EXCEPTION 'message_reactions.reactor_type must be advisor or client' USING ERRCODE = 'check_violation';
  END IF;
  NEW.rev := coalesce(@.travelchat_touch_message(NEW.conversation_id, NEW.message_id), NEW.rev);
  IF TG_OP = 'INSERT' THEN
    DELETE FROM @.message_reactions
      WHERE message_id = NEW.message_id AND reactor_type = NEW.reactor_type AND reactor_id = NEW.reactor_id
      AND id <> NEW.id;
  END IF;
  PERFORM set_config('travelchat.engine', coalesce(writer, ''), true);
  RETURN NEW;
END $$;

-- No token is kept, only its SHA-256.
CREATE OR REPLACE FUNCTION @.travelchat_follow_token() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.token := encode(sha256(convert_to(NEW.token, 'UTF8')), 'hex');
  NEW.conversation_id := (SELECT id FROM @.conversations WHERE org_id = NEW.org_id AND client_id = NEW.client_id);
  RETURN NEW;
END $$;

-- These two run with their caller's rights, and are called by whoever makes or reads a conversation.
GRANT EXECUTE ON FUNCTION @.travelchat_check_id(text, text), @.travelchat_first_created_after(text, bigint) TO PUBLIC;
