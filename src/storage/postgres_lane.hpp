// One committing connection: the writes of some conversations, in order, as transactions of two round trips.
//
// The first one begins, makes new conversations, locks those that are written to and reads what the writes depend on;
// then Batch decides; the second one writes and commits. The thread that commits drives several lanes at once by their
// sockets: `start`, then `proceed` whenever the socket is ready, until it is no longer busy. Nothing here throws.
#pragma once

#include "storage/postgres_batch.hpp"
#include "storage/postgres_connection.hpp"

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::postgres {

// How long a commit goes on trying, counted from its first trouble, whichever lane met it.
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

struct LaneWrite {
  const Write* write = nullptr;
  result<Written>* answer = nullptr;
};

class Lane {
 public:
  // `target` outlives the lane.
  explicit Lane(const Target& target) : target_(target) {}

  // Begins to carry out the writes; both they and `patience` must live until the lane is no longer busy.
  void start(std::vector<LaneWrite> writes, Patience& patience) noexcept;
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
  using Part = std::vector<LaneWrite>;

  void next_part() noexcept;
  void ask();
  void decide(std::vector<Result> answers);
  void write(const Effects& effects);
  void publish();
  void recover(const Failure& failure) noexcept;
  // Whether the transaction whose COMMIT was sent is there. Throws Failure when that cannot be found out.
  bool was_committed();
  // A row that only this transaction makes, by which it is recognized when its end was not told. Its id would not do:
  // one that was given and not yet on disk when the server crashed is given again.
  struct Witness {
    const Query* query = nullptr;
    Parameters parameters;
    Uuid conversation_id;  // locked by the transaction
  };
  std::optional<Witness> witness_of(const Effects& effects) const;
  void fail_part(error_code error) noexcept;
  void connect(Patience& patience);

  const Target& target_;
  std::unique_ptr<Connection> connection_;
  Patience* patience_ = nullptr;
  // Still to be carried out; the next one is the last. A part that a row spoils is halved until the row stands alone.
  std::vector<Part> parts_;
  Phase phase_ = Phase::idle;
  bool after_trouble_ = false;  // this part has been tried before
  Clock::time_point answer_due_;
  std::optional<Uuid> made_;        // a conversation that the transaction makes
  std::optional<Witness> witness_;  // none: the transaction changes nothing
  Questions questions_;
  std::vector<result<Written>> decided_;
};

}  // namespace travelchat::postgres
