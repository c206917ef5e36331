#include "core/result.h"

#include <set>
#include <string>

#include <catch2/catch.hpp>

namespace vigie {

namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return fail(ErrorKind::kInvalid, "odd");
    return number / 2;
}

Result<int> quarter(int number) {
    VIGIE_TRY_ASSIGN(const int once, half(number));
    VIGIE_TRY(half(once));
    return once / 2;
}

}  // namespace

TEST_CASE("result: an error leaves the function, a value goes on", "[core]") {
    CHECK(*quarter(8) == 2);
    CHECK(quarter(6).error().message == "odd");
    CHECK(quarter(7).error().kind == ErrorKind::kInvalid);
}

TEST_CASE("result: an error says what was being done, outermost first", "[core]") {
    Error error{ErrorKind::kCorrupt, "bad byte"};
    error = std::move(error).in("read chunk");
    error = std::move(error).in("open log");
    CHECK(error.message == "open log: read chunk: bad byte");
    CHECK(error.kind == ErrorKind::kCorrupt);
}

TEST_CASE("result: only unavailable and overloaded are retried, and each kind has a name",
          "[core]") {
    std::set<std::string_view> names;
    for (int i = 0; i < 8; ++i) {
        const auto kind = static_cast<ErrorKind>(i);
        names.insert(to_string(kind));
        CHECK(is_retryable(kind) ==
              (kind == ErrorKind::kUnavailable || kind == ErrorKind::kOverloaded));
    }
    CHECK(names.size() == 8);
    CHECK_FALSE(names.contains("unknown"));
}

}  // namespace vigie
