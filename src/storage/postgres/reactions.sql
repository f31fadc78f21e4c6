-- Of several reactions of one person to one message, which only a race could leave, the newest stays.
DELETE FROM @.message_reactions WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER (
      PARTITION BY message_id, reactor_type, reactor_id ORDER BY created_at DESC NULLS LAST, id COLLATE "C" DESC) AS age
    FROM @.message_reactions
  ) r WHERE age > 1
)
