-- The triggers that call the functions of functions.sql.

DROP TRIGGER IF EXISTS travelchat_follow_conversation ON @.conversations;
CREATE TRIGGER travelchat_follow_conversation BEFORE INSERT ON @.conversations
  FOR EACH ROW WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_conversation();

DROP TRIGGER IF EXISTS travelchat_follow_message ON @.messages;
CREATE TRIGGER travelchat_follow_message BEFORE INSERT ON @.messages
  FOR EACH ROW WHEN (NEW.seq IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_message();

DROP TRIGGER IF EXISTS travelchat_follow_marks ON @.messages;
CREATE TRIGGER travelchat_follow_marks AFTER UPDATE ON @.messages
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_marks();

DROP TRIGGER IF EXISTS travelchat_follow_message_deletion ON @.messages;
CREATE TRIGGER travelchat_follow_message_deletion AFTER DELETE ON @.messages
  REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_deletion();

DROP TRIGGER IF EXISTS travelchat_follow_reaction ON @.message_reactions;
CREATE TRIGGER travelchat_follow_reaction BEFORE INSERT ON @.message_reactions
  FOR EACH ROW WHEN (NEW.rev IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_reaction_change ON @.message_reactions;
CREATE TRIGGER travelchat_follow_reaction_change BEFORE UPDATE ON @.message_reactions
  FOR EACH ROW WHEN (NEW.emoji IS DISTINCT FROM OLD.emoji
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_reaction_removal ON @.message_reactions;
CREATE TRIGGER travelchat_follow_reaction_removal AFTER DELETE ON @.message_reactions
  FOR EACH ROW WHEN (current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_reaction();

DROP TRIGGER IF EXISTS travelchat_follow_token ON @.client_chat_tokens;
CREATE TRIGGER travelchat_follow_token BEFORE INSERT ON @.client_chat_tokens
  FOR EACH ROW WHEN (NEW.conversation_id IS NULL
    AND current_setting('travelchat.engine', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION @.travelchat_follow_token();
