#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace vigie {

// What the caller may do about a failure. Where it happened goes in the message.
enum class ErrorKind : std::uint8_t {
    kInvalid,      // The input is wrong: the same bytes will fail again.
    kNotFound,     // A named thing that should exist does not.
    kConflict,     // Someone else changed it first: read again, then decide.
    kUnavailable,  // A peer or device did not answer: retry with backoff.
    kOverloaded,   // One of our limits was reached: slow down, then retry.
    kRefused,      // A policy or a permission said no: do not retry.
    kCancelled,    // Shutdown or a deadline ended the work before it finished.
    kCorrupt,      // Stored data fails its check: stop using it and raise an alarm.
};

constexpr bool is_retryable(ErrorKind kind) {
    return kind == ErrorKind::kUnavailable || kind == ErrorKind::kOverloaded;
}

// "invalid", "not_found", …: the value of metric labels and API answers.
std::string_view to_string(ErrorKind kind);

struct Error {
    ErrorKind kind = ErrorKind::kInvalid;
    std::string message;  // One sentence for an operator: what, which object, what to change.

    // Adds what this layer was doing: "open state store: <message>".
    Error in(std::string_view doing) && {
        message.insert(0, std::string(doing) + ": ");
        return std::move(*this);
    }
};

// A value, or the reason there is none.
template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
    return std::unexpected(Error{kind, std::move(message)});
}
inline std::unexpected<Error> fail(Error error) {
    return std::unexpected(std::move(error));
}

namespace detail {
[[noreturn]] void die(const char* what, const char* file, int line);
}  // namespace detail

// Always on, in release builds too. For our own mistakes only; never for input.
#define VIGIE_ASSERT(condition)                                                            \
    do {                                                                                   \
        if (!(condition)) ::vigie::detail::die("assert: " #condition, __FILE__, __LINE__); \
    } while (false)

// Returns from the enclosing function when `expression` is an error.
#define VIGIE_TRY(expression)                                          \
    do {                                                               \
        if (auto vigie_try_result = (expression); !vigie_try_result)   \
            return ::vigie::fail(std::move(vigie_try_result).error()); \
    } while (false)

#define VIGIE_CONCAT_IMPL(a, b) a##b
#define VIGIE_CONCAT(a, b) VIGIE_CONCAT_IMPL(a, b)
#define VIGIE_TRY_ASSIGN_IMPL(holder, declaration, expression)    \
    auto holder = (expression);                                   \
    if (!holder) return ::vigie::fail(std::move(holder).error()); \
    declaration = *std::move(holder)

// VIGIE_TRY_ASSIGN(auto page, read_page(7)); -- declares `page`, or returns the error.
#define VIGIE_TRY_ASSIGN(declaration, expression) \
    VIGIE_TRY_ASSIGN_IMPL(VIGIE_CONCAT(vigie_try_, __LINE__), declaration, expression)

}  // namespace vigie
