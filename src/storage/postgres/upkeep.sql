-- Which history the tables hold; see Revisions. One row.
CREATE TABLE IF NOT EXISTS @.travelchat_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch varchar NOT NULL
);

-- The newest of the changes of a conversation that were deleted. A table of its own, so that pruning locks no
-- conversation that somebody writes to.
CREATE TABLE IF NOT EXISTS @.travelchat_pruned (
  conversation_id varchar PRIMARY KEY REFERENCES @.conversations (id) ON DELETE CASCADE,
  rev bigint NOT NULL
);
