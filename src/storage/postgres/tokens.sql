-- Tokens from before the storage, 5,000 at a time: those that have expired or have no conversation are deleted; of the
-- others only the SHA-256 is kept.
WITH raw AS (
  SELECT t.id, t.token, c.id AS conversation_id,
    t.token IS NOT NULL AND c.id IS NOT NULL AND coalesce(t.expires_at > now() AT TIME ZONE 'UTC', false) AS is_live
  FROM @.client_chat_tokens t LEFT JOIN @.conversations c ON c.org_id = t.org_id AND c.client_id = t.client_id
  WHERE t.conversation_id IS NULL LIMIT 5000
), useless AS (
  DELETE FROM @.client_chat_tokens t USING raw WHERE t.id = raw.id AND NOT raw.is_live
)
UPDATE @.client_chat_tokens t SET
  token = encode(sha256(convert_to(raw.token, 'UTF8')), 'hex'),
  conversation_id = raw.conversation_id
  FROM raw WHERE t.id = raw.id AND raw.is_live
