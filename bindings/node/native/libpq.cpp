#include "libpq.hpp"

#include <libpq-fe.h>

#include <dlfcn.h>

#include <cstddef>
#include <string>

namespace travelchat::node {
namespace {

// The sanitizers replace functions of libc, and their versions must be found first.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int own_symbols_first = 0;
#else
// Node exports the symbols of the OpenSSL inside it; libpq must find those of the one that it was built with.
constexpr int own_symbols_first = RTLD_DEEPBIND;
#endif

struct Library {
  void* handle = nullptr;
  std::string problem;

  Library() {
    handle = ::dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL | own_symbols_first);
    if (handle == nullptr) {
      problem = "PostgreSQL needs libpq (Debian: libpq5): " + std::string(::dlerror());
    } else if (::dlsym(handle, "PQenterPipelineMode") == nullptr) {
      problem = "PostgreSQL needs libpq 14 or newer";
    }
  }
};

const Library& library() {
  static const Library once;
  return once;
}

}  // namespace

const char* load_libpq() {
  return library().problem.empty() ? nullptr : library().problem.c_str();
}

}  // namespace travelchat::node

// Defines a function that calls libpq's; it must not be called before `load_libpq` has succeeded.
#define TRAVELCHAT_PASS_ON(result, name, parameters, arguments)                                \
  extern "C" result name parameters {                                                          \
    static const auto function =                                                               \
        reinterpret_cast<decltype(&name)>(::dlsym(travelchat::node::library().handle, #name)); \
    return function arguments;                                                                 \
  }

// clang-format off
TRAVELCHAT_PASS_ON(void, PQclear, (PGresult* result), (result))
TRAVELCHAT_PASS_ON(char*, PQcmdTuples, (PGresult* result), (result))
TRAVELCHAT_PASS_ON(PostgresPollingStatusType, PQconnectPoll, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(PGconn*, PQconnectStartParams, (const char* const* keywords, const char* const* values, int expand),
                   (keywords, values, expand))
TRAVELCHAT_PASS_ON(void, PQconninfoFree, (PQconninfoOption* options), (options))
TRAVELCHAT_PASS_ON(PQconninfoOption*, PQconninfoParse, (const char* text, char** error), (text, error))
TRAVELCHAT_PASS_ON(int, PQconsumeInput, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(int, PQenterPipelineMode, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(char*, PQerrorMessage, (const PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(char*, PQescapeIdentifier, (PGconn* conn, const char* text, std::size_t size), (conn, text, size))
TRAVELCHAT_PASS_ON(PGresult*, PQexec, (PGconn* conn, const char* query), (conn, query))
TRAVELCHAT_PASS_ON(int, PQexitPipelineMode, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(void, PQfinish, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(int, PQflush, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(void, PQfreemem, (void* memory), (memory))
TRAVELCHAT_PASS_ON(PGresult*, PQgetResult, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(int, PQgetisnull, (const PGresult* result, int row, int column), (result, row, column))
TRAVELCHAT_PASS_ON(int, PQgetlength, (const PGresult* result, int row, int column), (result, row, column))
TRAVELCHAT_PASS_ON(char*, PQgetvalue, (const PGresult* result, int row, int column), (result, row, column))
TRAVELCHAT_PASS_ON(int, PQisBusy, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(int, PQntuples, (const PGresult* result), (result))
TRAVELCHAT_PASS_ON(PGPing, PQpingParams, (const char* const* keywords, const char* const* values, int expand),
                   (keywords, values, expand))
TRAVELCHAT_PASS_ON(int, PQpipelineSync, (PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(char*, PQresultErrorField, (const PGresult* result, int field), (result, field))
TRAVELCHAT_PASS_ON(char*, PQresultErrorMessage, (const PGresult* result), (result))
TRAVELCHAT_PASS_ON(ExecStatusType, PQresultStatus, (const PGresult* result), (result))
TRAVELCHAT_PASS_ON(int, PQsendPrepare, (PGconn* conn, const char* name, const char* query, int count, const Oid* types),
                   (conn, name, query, count, types))
TRAVELCHAT_PASS_ON(int, PQsendQueryParams,
                   (PGconn* conn, const char* command, int count, const Oid* types, const char* const* values,
                    const int* lengths, const int* formats, int result_format),
                   (conn, command, count, types, values, lengths, formats, result_format))
TRAVELCHAT_PASS_ON(int, PQsendQueryPrepared,
                   (PGconn* conn, const char* name, int count, const char* const* values, const int* lengths,
                    const int* formats, int result_format),
                   (conn, name, count, values, lengths, formats, result_format))
TRAVELCHAT_PASS_ON(int, PQserverVersion, (const PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(PQnoticeProcessor, PQsetNoticeProcessor, (PGconn* conn, PQnoticeProcessor processor, void* context),
                   (conn, processor, context))
TRAVELCHAT_PASS_ON(int, PQsetnonblocking, (PGconn* conn, int on), (conn, on))
TRAVELCHAT_PASS_ON(int, PQsocket, (const PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(ConnStatusType, PQstatus, (const PGconn* conn), (conn))
TRAVELCHAT_PASS_ON(PGTransactionStatusType, PQtransactionStatus, (const PGconn* conn), (conn))
// clang-format on
