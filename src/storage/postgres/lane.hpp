// One committing connection: the writes of some conversations, in order, as transactions of two round trips.
//
// The first one begins, makes new conversations, locks those that are written to and reads what the writes depend on;
// then Decision decides; the second one writes and commits. The thread that commits drives several lanes at once by
// their sockets: `start`, then `proceed` whenever the socket is ready, until it is no longer busy. Nothing here throws.
//
// Rows that others keep locked delay only the writes that need them. A transaction that has waited
// `lock_timeout_of_lanes` for a lock is begun anew and takes the conversations that are free, waiting for none. What
// then still cannot get its locks (a message, a row that a foreign key points to, a table) is halved until it is known
// which conversation it is for. Those writes are answered with `postponed()`.
#pragma once

#include "core/decision.hpp"
#include "storage/postgres/connection.hpp"

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace travelchat::postgres {

// A time limit for the retries of one commit. It begins at the first failure on any lane, which calls `end` first.
class Patience {
 public:
  explicit Patience(std::chrono::milliseconds length) noexcept : length_(length) {}

  Clock::time_point end() noexcept {
    if (!end_) end_ = Clock::now() + length_;
    return *end_;
  }
  bool is_over() noexcept { return Clock::now() >= end(); }

 private:
  std::chrono::milliseconds length_;
  std::optional<Clock::time_point> end_;
};

bool is_lock_trouble(const Failure& failure) noexcept;

struct LaneWrite {
  const Write* write = nullptr;
  result<Written>* answer = nullptr;
};

// Writes that a lane carries out one after the other, where possible in one transaction.
struct LaneBatch {
  std::vector<LaneWrite> writes;
  // Whether to queue up for locks for a moment; else the writes of what is locked are postponed at once.
  bool waits = true;
};

class Lane {
 public:
  // `target` outlives the lane.
  explicit Lane(const Target& target) : target_(target) {}

  // Begins to carry out the writes, batch after batch. They, `patience` (for a database that went away) and `locks`
  // (for finding out what is locked; then whatever meets a lock is postponed) must live until the lane is no longer
  // busy.
  void start(std::vector<LaneBatch> batches, Patience& patience, Patience& locks) noexcept;
  bool is_busy() const noexcept { return phase_ != Phase::idle; }

  // Busy only: what to wait for, and until when.
  int socket() const noexcept { return connection_->socket(); }
  bool wants_to_write() const noexcept { return connection_->wants_to_write(); }
  Clock::time_point answer_due() const noexcept { return answer_due_; }
  void proceed() noexcept;

  // For each (org_id, client_id) the conversation that is there; answered at once. Throws Failure.
  std::vector<std::optional<Uuid>> find_conversations(const std::vector<const OpenConversation*>& openings,
                                                      Patience& patience);

 private:
  enum class Phase { idle, asking, committing };
  struct Part {
    std::vector<LaneWrite> writes;
    bool waits = true;
    bool after_trouble = false;  // an earlier attempt failed with an unknown outcome
  };

  void next_part() noexcept;
  void answer_postponed();
  void ask();
  void decide(std::vector<Result> answers);
  void write(const Effects& effects);
  void update(const std::vector<ConversationRow>& rows);
  void write_marks(const std::vector<Effects::Mark>& marks);
  void write_message_changes(const Effects& effects);
  void write_changes(const Effects& effects);
  void write_tokens(const Effects& effects);
  void publish();
  void recover(const Failure& failure) noexcept;
  // Whether the transaction whose COMMIT was sent is there. Throws Failure when that cannot be found out.
  bool was_committed();
  // A row that only this transaction makes. When the answer to COMMIT was lost, its presence shows that the transaction
  // was committed. The transaction's id would not do: PostgreSQL may give it again when it was not yet on disk at a
  // crash.
  struct CommitProof {
    const Query* query = nullptr;
    Parameters parameters;
    Uuid conversation_id;  // locked by the transaction
  };
  std::optional<CommitProof> proof_of(const Effects& effects) const;
  void fail_part(error_code error) noexcept;
  // After a lock was not granted in time: tries again without waiting, postpones the writes, or halves the part.
  void make_way();
  void connect(Patience& patience);

  const Target& target_;
  std::unique_ptr<Connection> connection_;
  bool was_connected_ = false;
  Patience* patience_ = nullptr;
  Patience* locks_ = nullptr;
  // Still to be carried out, from the back. A part that fails because of a row is halved until that row's write is
  // alone.
  std::vector<Part> parts_;
  Phase phase_ = Phase::idle;
  // The detail::order_key of each write that was postponed since `start`; later writes with the same key are postponed,
  // too.
  std::set<std::string> postponed_;
  Clock::time_point answer_due_;
  std::optional<Uuid> made_;          // a conversation that the transaction makes
  std::optional<CommitProof> proof_;  // none: the transaction changes nothing
  Questions questions_;
  std::vector<result<Written>> decided_;
};

}  // namespace travelchat::postgres
