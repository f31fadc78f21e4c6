-- Numbers what was there before the storage: at most about `max_messages` rows in one call, which is one transaction, so
-- that a writer waits for a moment only. The conversations come by id, beginning after `after_id`; the answer is the
-- last one that is done, or null when none is left. A long conversation takes several calls.
--
-- Locks messages before their conversation, as a host does whose marks travelchat_follow_marks follows.
CREATE OR REPLACE FUNCTION @.travelchat_number(after_id text, max_messages integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  conversation record;
  base bigint;
  numbered bigint;
  budget bigint := max_messages;
  done text := after_id;
BEGIN
  FOR conversation IN
    SELECT id FROM @.conversations WHERE last_seq IS NULL AND id > after_id ORDER BY id LIMIT max_messages
  LOOP
    PERFORM FROM @.messages WHERE conversation_id = conversation.id AND seq IS NULL
      ORDER BY created_at NULLS FIRST, id COLLATE "C" LIMIT budget FOR UPDATE;
    -- From here on nobody writes to it; the statements below see what was written before.
    PERFORM FROM @.conversations WHERE id = conversation.id AND last_seq IS NULL FOR NO KEY UPDATE;
    IF FOUND THEN
      SELECT coalesce(max(seq), 0) INTO base FROM @.messages WHERE conversation_id = conversation.id;
      UPDATE @.messages m SET
        seq = base + n.place,
        rev = base + n.place,
        created_rev = base + n.place
        FROM (
          SELECT id, row_number() OVER (ORDER BY created_at NULLS FIRST, id COLLATE "C") AS place
          FROM @.messages WHERE conversation_id = conversation.id AND seq IS NULL
          ORDER BY created_at NULLS FIRST, id COLLATE "C" LIMIT budget
        ) n
        WHERE m.id = n.id;
      GET DIAGNOSTICS numbered = ROW_COUNT;
      IF numbered = budget AND EXISTS (SELECT FROM @.messages WHERE conversation_id = conversation.id AND seq IS NULL) THEN
        RETURN done;
      END IF;
      UPDATE @.conversations c SET
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
          FROM @.messages WHERE conversation_id = conversation.id
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
