// Why the engine refuses an argument with `errc::invalid_argument`, as a sentence.
//
// For each argument that an operation refuses with `errc::invalid_argument`, one of these functions gives the problem.
// `option()` names the member, and `what()` says what it must be and what is wrong with it; neither shows the value.
// Pure functions; any thread.
#pragma once

#include <travelchat/engine.hpp>
#include <travelchat/error.hpp>
#include <travelchat/storage.hpp>
#include <travelchat/types.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace travelchat {

// nullopt: the argument is valid.
using Problem = std::optional<OptionError>;

// For an id that the host owns: 1 to 128 printable ASCII characters. `name`: of the parameter.
Problem find_problem_of_host_id(std::string_view name, std::string_view id);

Problem find_problem(const Participant& who);
// The attachment's members; the content and the `client_message_id` have errors of their own.
Problem find_problem(const Draft& draft);
Problem find_problem(const MessageQuery& query);
Problem find_problem(const ConversationQuery& query);
Problem find_problem(const TokenGrant& grant);
Problem find_problem(const TokenFilter& filter);

}  // namespace travelchat
