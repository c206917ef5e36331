#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "http/client.h"
#include "http/server.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;

namespace {

int status_of(const http::ClientRequest& request) {
    const auto response = http::send(request, {});
    return response ? response->status : 0;
}

}  // namespace

TEST_CASE("ingest: over a real connection data is accepted and nonsense refused", "[ingest]") {
    Fixture fixture;
    auto server =
        http::Server::start({.name = "ingest"}, fixture.router, fixture.metrics, fixture.log);
    REQUIRE(server.has_value());
    const std::string base = fmt::format("http://127.0.0.1:{}", (*server)->port());

    CHECK(status_of({"POST",
                     base + "/api/v1/write",
                     {{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", "snappy"}},
                     payload("remote_write")}) == 204);
    CHECK(status_of({"POST",
                     base + "/v1/traces",
                     {{"Content-Type", "application/json"}},
                     payload("otlp_json_traces")}) == 200);
    CHECK(status_of({"POST",
                     base + "/api/v2/alerts",
                     {{"Content-Type", "application/json"}},
                     payload("alerts_target_down")}) == 200);
    CHECK(status_of({"POST", base + "/v1/logs", {{"Content-Type", "application/json"}}, "{"}) ==
          400);
    CHECK(status_of({"GET", base + "/v1/logs", {}, ""}) == 405);
    CHECK(status_of({"POST", base + "/v2/logs", {}, "x"}) == 404);
    (*server)->drain(std::chrono::seconds{5});
    CHECK(fixture.on(topics::kMetrics).size() == 1);
    CHECK(fixture.on(topics::kSpans).size() == 1);
    CHECK(fixture.on(topics::kAlerts).size() == 1);
    CHECK(fixture.on(topics::kDeadLetter).size() == 1);
}
