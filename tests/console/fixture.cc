#include "tests/console/fixture.h"

#include <chrono>

#include <catch2/catch.hpp>

#include "schemas/topics.h"
#include "tests/console/samples.h"

namespace vigie::console {

namespace topics = schemas::topics;

WallTime FixedClock::wall() const {
    const auto since = samples::at("2026-11-21T10:32:00Z").time_since_epoch();
    return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(since)};
}

Fixture::Fixture(Api::Options options, Views::Options view_options)
    : views(view_options, bus, metrics, log),
      api(std::move(options), views, bus, clock, metrics, log) {
    const std::vector<streams::TopicOptions> all{
        {.name = std::string(topics::kIncidents), .partitions = 3},
        {.name = std::string(topics::kAudit)},
        {.name = std::string(topics::kDecisions)}};
    REQUIRE(bus.ensure_topics(all).has_value());
    api.add_routes(router);
}

void Fixture::append(std::vector<streams::Message> messages) {
    REQUIRE(streams::append_and_wait(bus, std::move(messages)).has_value());
}

void Fixture::follow(Views& which) {
    while (true) {
        const auto records =
            which.step({.records_max = 7, .wait_max = std::chrono::milliseconds{0}});
        REQUIRE(records.has_value());
        if (*records == 0) return;
    }
}

http::Response Fixture::call(std::string method, std::string path, std::string body,
                             Headers headers, Headers query) {
    http::Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.remote = "127.0.0.1:5000";
    http::Response answer{0, {}, ""};
    router.dispatch(std::move(request),
                    [&answer](http::Response response) { answer = std::move(response); });
    return answer;
}

http::Response Fixture::decide(std::string json, Headers more) {
    more.emplace_back("content-type", "application/json");
    return call("POST", "/api/v1/decisions", std::move(json), std::move(more));
}

std::vector<streams::Record> Fixture::decisions() const {
    return bus.records(topics::kDecisions);
}

}  // namespace vigie::console
