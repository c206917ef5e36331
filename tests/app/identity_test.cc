// Rules of the configuration decide which entity is spoken of, in detectors and in alerts.
#include <catch2/catch.hpp>

#include "app/config.h"
#include "app/pipeline.h"
#include "core/system_clock.h"
#include "schemas/events.h"
#include "schemas/topics.h"
#include "schemas/write_request.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

using namespace vigie;
using vigie::app::parse_config;
namespace topics = schemas::topics;

namespace {

const std::string kConfig = R"(
identity:
  rules:
    - {entity: 'queue:{queue}', when: {job: rabbit*}}
detect:
  evaluate_every: 1s
  rules: [{name: Down, metric: up, aggregation: last, compare: '==', threshold: 0}]
)";

std::vector<std::string> complaints(const std::string& text) {
    const auto config = parse_config(text, "v.yaml", {});
    return config ? std::vector<std::string>{} : config.error().lines;
}

}  // namespace

TEST_CASE("identity: an anomaly is of the entity that the configuration's rule names", "[app]") {
    const auto config = parse_config(kConfig, "v.yaml", {});
    REQUIRE((config ? std::vector<std::string>{} : config.error().lines).empty());
    CHECK(config->ingest.intake.identity == config->detect.identity);
    streams::MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    const SystemClock clock;
    REQUIRE(bus.ensure_topics(app::make_topics(1, 0)));
    app::Pipeline pipeline;
    pipeline.detect = config->detect;
    std::unique_ptr<streams::Worker> worker;
    for (auto& stage : app::make_stages(pipeline, metrics, clock)) {
        if (stage.stage != "detect-metrics") continue;
        auto opened = streams::Worker::open(bus, std::move(stage), metrics, log, clock);
        REQUIRE(opened);
        worker = *std::move(opened);
    }
    REQUIRE(worker);
    for (int second = 0; second < 5; ++second) {
        const EventTime at = event_time_from_micros((1'795'239'540 + second) * 1'000'000LL);
        schemas::WriteRequest request;
        request.add(schemas::encode_series("up", {{"job", "rabbitmq"}, {"queue", "orders"}}), 0,
                    at);
        request.add(schemas::encode_series("up", {{"job", "other"}, {"queue", "orders"}}), 0, at);
        REQUIRE(streams::append_and_wait(
            bus, {{.topic = std::string(topics::kMetrics),
                   .key = "k",
                   .value = request.take(),
                   .headers = {{"content-type", std::string(schemas::kContentRemoteWrite)},
                               {"content-encoding", "snappy"}},
                   .event_time = at}}));
        REQUIRE(worker->step({100, std::chrono::milliseconds{0}}));
    }
    std::set<std::string> entities;
    for (const auto& record : bus.records(topics::kAnomalies)) {
        const auto event = schemas::decode(record.message.value);
        REQUIRE(event);
        entities.insert(std::get<schemas::Anomaly>(event->data).entity.value);
    }
    CHECK(entities == std::set<std::string>{"queue:orders", "service:other"});
}

TEST_CASE("identity: a rule that could not work is named with its place", "[app]") {
    CHECK(complaints("identity: {rules: [{entity: 'a'}]}") ==
          std::vector<std::string>{"v.yaml:1:21: identity.rules[0].entity: 'a': must be KIND:NAME, "
                                   "for example service:{app}"});
    CHECK(complaints("identity: {rules: [{entity: 'a:{b}', when: {c: ''}}]}") ==
          std::vector<std::string>{"v.yaml:1:38: identity.rules[0].when: 'c' is empty"});
    CHECK(complaints("identity: {rules: []}").empty());
}
