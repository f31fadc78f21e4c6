-- Tokens from before the storage, 5,000 at a time: those that nobody can use any more go, of the others the SHA-256 stays.
WITH raw AS (
  SELECT t.id, t.token, t.expires_at, c.id AS conversation_id
  FROM client_chat_tokens t LEFT JOIN conversations c ON c.org_id = t.org_id AND c.client_id = t.client_id
  WHERE t.conversation_id IS NULL LIMIT 5000
), useless AS (
  DELETE FROM client_chat_tokens t USING raw
  WHERE t.id = raw.id AND (raw.conversation_id IS NULL OR raw.expires_at <= now() AT TIME ZONE 'UTC')
)
UPDATE client_chat_tokens t SET
  token = encode(sha256(convert_to(raw.token, 'UTF8')), 'hex'),
  conversation_id = raw.conversation_id
  FROM raw
  WHERE t.id = raw.id AND raw.conversation_id IS NOT NULL AND raw.expires_at > now() AT TIME ZONE 'UTC'
