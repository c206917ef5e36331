#include "http/lookup.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

// Outlives the lookup, as an abandoned one must not write into a stack that is gone.
struct Answer {
    std::mutex mutex;
    std::optional<Result<Lookup::Addresses>> result;

    Lookup::Done done() {
        return [this](Result<Lookup::Addresses> found) {
            const std::scoped_lock lock(mutex);
            result = std::move(found);
        };
    }
    bool wait() {
        return eventually([&] {
            const std::scoped_lock lock(mutex);
            return result.has_value();
        });
    }
};

}  // namespace

TEST_CASE("lookup: finds the addresses of a name", "[http]") {
    Answer answer;
    const auto lookup = Lookup::start("localhost", answer.done());
    REQUIRE(lookup.has_value());
    REQUIRE(answer.wait());
    REQUIRE(answer.result->has_value());
    CHECK(std::ranges::any_of(**answer.result, [](const auto& address) {
        return address == "127.0.0.1" || address == "::1";
    }));
}

TEST_CASE("lookup: what is not a name is unavailable", "[http]") {
    Answer answer;
    const auto lookup = Lookup::start("not a name", answer.done());
    REQUIRE(lookup.has_value());
    REQUIRE(answer.wait());
    REQUIRE_FALSE(answer.result->has_value());
    CHECK(answer.result->error().kind == ErrorKind::kUnavailable);
    CHECK(answer.result->error().message.find("not a name") != std::string::npos);
}

TEST_CASE("lookup: an abandoned one does not answer any more, and ends by itself", "[http]") {
    std::vector<std::weak_ptr<Lookup>> abandoned;
    for (int i = 0; i < 100; ++i) {
        auto answer = std::make_unique<Answer>();
        const auto lookup = Lookup::start("localhost", answer->done());
        REQUIRE(lookup.has_value());
        (*lookup)->abandon();
        abandoned.emplace_back(*lookup);
        // A late answer would write here after it is gone; the sanitizers would see it.
        answer.reset();
    }
    CHECK(eventually([&] {
        return std::ranges::all_of(abandoned, [](const auto& lookup) { return lookup.expired(); });
    }));
}

}  // namespace vigie::http::test
