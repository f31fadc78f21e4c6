#include <travelchat/transactional_storage.hpp>

#include "core/decision.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace travelchat {

namespace {

// Whether a transaction with this error may have failed for one of its rows; else the storage itself has failed.
bool is_about_a_row(const error_code& error) {
  return error.category() == make_error_code(errc::internal).category() && error != errc::storage_failed &&
         error != errc::storage_full;
}

}  // namespace

error_code TransactionalStorage::commit(std::span<const Write> writes, std::vector<result<Written>>& results) {
  results.clear();
  results.reserve(writes.size());
  while (results.size() < writes.size()) {
    const auto rest = writes.subspan(results.size());
    const auto end = std::find_if(rest.begin(), rest.end(), detail::is_token_removal);
    if (end != rest.begin()) {
      decide(rest.first(static_cast<std::size_t>(end - rest.begin())), false, results);
      continue;
    }
    result<RemovedTokens> removed = remove_tokens(detail::to_token_removal(rest.front()));
    if (removed) {
      results.emplace_back(detail::to_written(std::move(*removed)));
    } else {
      results.emplace_back(removed.error());
    }
  }
  const auto has_failed = [](const result<Written>& answer) {
    return answer.has_error() && !is_about_a_row(answer.error());
  };
  if (results.empty() || !std::all_of(results.begin(), results.end(), has_failed)) return {};
  const error_code error = results.front().error();
  results.clear();
  return error;
}

void TransactionalStorage::decide(std::span<const Write> writes, bool after_trouble,
                                  std::vector<result<Written>>& results) {
  std::vector<const Write*> pointers;
  pointers.reserve(writes.size());
  for (const Write& write : writes) pointers.push_back(&write);
  const Questions questions = detail::questions_of(pointers, after_trouble);
  std::vector<result<Written>> answers;
  error_code failed = transact(questions, [&](Facts facts) {
    detail::Decision decision(std::move(facts), writes.size());
    answers.clear();
    for (const Write& write : writes) answers.push_back(decision.apply(write));
    return decision.take_effects();
  });
  // The storage has not called `decide`.
  if (!failed && answers.size() != writes.size()) failed = errc::storage_failed;
  if (!failed) {
    std::move(answers.begin(), answers.end(), std::back_inserter(results));
  } else if (is_about_a_row(failed) && writes.size() > 1) {
    decide(writes.first(writes.size() / 2), after_trouble, results);
    decide(writes.subspan(writes.size() / 2), after_trouble, results);
  } else if (failed == errc::internal && !after_trouble) {
    decide(writes, true, results);  // again, and read which row has that id
  } else {
    results.insert(results.end(), writes.size(), failed);
  }
}

}  // namespace travelchat
