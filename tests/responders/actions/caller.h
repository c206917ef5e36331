#pragma once

#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "core/system_clock.h"
#include "http/client.h"
#include "responders/actions/action.h"
#include "tests/support/process.h"

namespace vigie::actions::test {

// Calls actions on real servers.
struct Caller {
    SystemClock clock;
    InstantWaiter waiter;
    std::stop_source stop;
    Status permission;

    CallBudget budget(std::chrono::milliseconds time_max = std::chrono::seconds{30}) {
        return {{.stop = stop.get_token(),
                 .time_max = time_max,
                 .may_change = [this] { return permission; }},
                clock,
                waiter};
    }

    Inspection inspect(const Action& action, const ActionRequest& request) {
        auto limits = budget();
        auto found = action.inspect(request, limits);
        INFO((found ? std::string{} : found.error().message));
        REQUIRE(found.has_value());
        return *std::move(found);
    }
    Error inspect_error(const Action& action, const ActionRequest& request) {
        auto limits = budget();
        const auto found = action.inspect(request, limits);
        REQUIRE_FALSE(found.has_value());
        return found.error();
    }
    Outcome execute(const Action& action, const ActionRequest& request) {
        auto limits = budget();
        return action.execute(request, limits);
    }
    Look look(const Action& action, const ActionRequest& request) {
        auto limits = budget();
        return action.look(request, limits);
    }
    // As the protocol does: the execute request carries the facts of the inspection.
    ActionRequest inspected(const Action& action, ActionRequest request) {
        request.facts = inspect(action, request).facts;
        return request;
    }
};

// The stand-in's answer to a control request.
inline std::string ask(const vigie::test::Standin& server, const std::string& method,
                       const std::string& target, const std::string& body = {}) {
    const auto response = http::send(
        {.method = method, .url = server.url() + target, .headers = {}, .body = body}, {});
    REQUIRE(response.has_value());
    REQUIRE(response->status == 200);
    return response->body;
}
inline void control(const vigie::test::Standin& server, const std::string& order) {
    ask(server, "POST", "/_control", order);
}
// Nothing that was sent broke the contract of the real API, as far as its schema is at hand.
inline void check_no_violations(const vigie::test::Standin& server) {
    const auto answer = ask(server, "GET", "/_violations");
    INFO(answer);
    CHECK(answer.find("\"count\": 0") != std::string::npos);
}
// How many requests with this method were received.
inline std::size_t count_requests(const vigie::test::Standin& server, const std::string& method) {
    const auto answer = ask(server, "GET", "/_requests");
    const auto mark = "\"method\": \"" + method + "\"";
    std::size_t count = 0;
    for (auto at = answer.find(mark); at != std::string::npos; at = answer.find(mark, at + 1)) {
        ++count;
    }
    return count;
}

}  // namespace vigie::actions::test
