-- The tables as a Travel Lab host's Drizzle schema has them; each is made only where there is none. The columns that
-- the storage adds to a host's own tables (schema.cpp) are added to these as well.

CREATE TABLE IF NOT EXISTS @.conversations (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  org_id varchar NOT NULL,
  client_id varchar NOT NULL,
  last_message_at timestamp DEFAULT now(),
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS @.messages (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id varchar NOT NULL REFERENCES @.conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL,
  sender_type text NOT NULL,
  sender_id varchar NOT NULL,
  sender_name text NOT NULL,
  content text NOT NULL,
  is_read boolean DEFAULT false,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS @.message_reactions (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id varchar NOT NULL REFERENCES @.messages (id) ON DELETE CASCADE,
  conversation_id varchar NOT NULL REFERENCES @.conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL,
  reactor_type text NOT NULL,
  reactor_id varchar NOT NULL,
  reactor_name text NOT NULL,
  emoji text NOT NULL,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS @.client_chat_tokens (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id varchar NOT NULL,
  org_id varchar NOT NULL,
  trip_id varchar NOT NULL,
  token varchar NOT NULL UNIQUE,
  expires_at timestamp NOT NULL,
  created_at timestamp DEFAULT now()
);

-- What raised a revision without bringing a message: `kind` is a storage::LoggedKind, the seqs are what it touched.
CREATE TABLE IF NOT EXISTS @.travelchat_changes (
  conversation_id varchar NOT NULL REFERENCES @.conversations (id) ON DELETE CASCADE,
  rev bigint NOT NULL,
  kind smallint NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  at timestamp NOT NULL,
  PRIMARY KEY (conversation_id, rev)
);

-- A conversation's client is a member also without a row; rows come with the first mark.
CREATE TABLE IF NOT EXISTS @.travelchat_members (
  conversation_id varchar NOT NULL REFERENCES @.conversations (id) ON DELETE CASCADE,
  type text NOT NULL CHECK (type IN ('advisor', 'client')),
  id varchar NOT NULL,
  name text NOT NULL,
  delivered_seq bigint NOT NULL,
  seen_seq bigint NOT NULL,
  PRIMARY KEY (conversation_id, type, id)
);

-- The newest row is the version that has been reached; none while the first migration is under way.
CREATE TABLE IF NOT EXISTS @.travelchat_schema (
  version integer PRIMARY KEY
);
