#include "app/detect_stage.h"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "app/metrics.h"
#include "app/pipeline.h"
#include "core/system_clock.h"
#include "schemas/topics.h"
#include "streams/memory/memory_bus.h"
#include "streams/worker.h"

namespace {

namespace schemas = vigie::schemas;
namespace streams = vigie::streams;
namespace topics = vigie::schemas::topics;
using vigie::app::DetectStage;
using vigie::detectors::Findings;
using vigie::detectors::SampleBatch;

// What a detector is given, as text: "load{host="a"}=1".
struct Heard {
    std::vector<std::string> samples;
    std::size_t forgotten = 0;
};

class Listener final : public vigie::detectors::Detector {
public:
    explicit Listener(Heard& heard) : heard_(heard) {}
    using Detector::observe;
    void observe(const SampleBatch& batch, Findings& /*out*/) override {
        for (const auto& sample : batch.samples) {
            heard_.samples.push_back(
                fmt::format("{}={}",
                            schemas::to_string(batch.series.metric(sample.series),
                                               batch.series.labels(sample.series)),
                            sample.value));
        }
    }
    void forget(std::span<const schemas::SeriesHandle> series) override {
        heard_.forgotten += series.size();
    }
    void advance(vigie::EventTime /*now*/, Findings& /*out*/) override {}
    std::string save() const override { return {}; }
    vigie::Status load(std::string_view /*saved*/) override { return {}; }

private:
    Heard& heard_;
};

class Fixture {
public:
    Fixture() {
        REQUIRE(bus.ensure_topics(vigie::app::make_topics(1, 0)));
        streams::Worker::Options worker;
        worker.stage = "detect";
        worker.subscription = {"detect", {std::string(topics::kMetrics)}};
        worker.dead_letter_topic = topics::kDeadLetter;
        worker.make_processor = [this](const streams::Partition&) {
            std::vector<vigie::app::NamedDetector> detectors;
            detectors.push_back({"test", std::make_unique<Listener>(heard)});
            return std::make_unique<DetectStage>(vigie::app::Telemetry::kMetrics,
                                                 vigie::DomainId{"default"}, 0,
                                                 std::move(detectors), metrics, nullptr,
                                                 schemas::SeriesTable::Options{.series_max = 2});
        };
        auto opened = streams::Worker::open(bus, worker, metrics, log, clock);
        REQUIRE(opened);
        worker_ = *std::move(opened);
    }

    void send(std::string body, std::chrono::seconds at) {
        streams::Message message;
        message.topic = topics::kMetrics;
        message.value = std::move(body);
        message.headers = {
            {std::string(topics::kHeaderContentType), std::string(schemas::kContentOtlpJson)}};
        message.event_time = vigie::EventTime{at};
        REQUIRE(streams::append_and_wait(bus, {message}));
        REQUIRE(worker_->step({100, std::chrono::milliseconds{0}}));
    }
    void load(const std::string& host, std::chrono::seconds at, int value) {
        send(fmt::format(R"({{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"host",)"
                         R"("value":{{"stringValue":"{}"}}}}]}},"scopeMetrics":[{{"metrics":[)"
                         R"({{"name":"load","gauge":{{"dataPoints":[{{"timeUnixNano":"{}","asInt":)"
                         R"("{}"}}]}}}}]}}]}}]}})",
                         host, std::chrono::nanoseconds{at}.count(), value),
             at);
    }
    std::uint64_t overflowed() { return metrics.counter(vigie::app::kDetectOverflowed).value(); }

    Heard heard;
    streams::MemoryBus bus;
    vigie::MetricsRegistry metrics;
    vigie::MemoryLog log;
    vigie::SystemClock clock;

private:
    std::unique_ptr<streams::Worker> worker_;
};

}  // namespace

TEST_CASE("detect: a sample comes with its series, the second time as the first", "[app]") {
    Fixture fixture;
    fixture.load("a", std::chrono::seconds{1000}, 1);
    fixture.load("b", std::chrono::seconds{1001}, 2);
    fixture.load("a", std::chrono::seconds{1010}, 3);
    CHECK(fixture.heard.samples == std::vector<std::string>{"load{host=\"a\"}=1",
                                                            "load{host=\"b\"}=2",
                                                            "load{host=\"a\"}=3"});
    CHECK(fixture.overflowed() == 0);
}

TEST_CASE("detect: beyond the table samples overflow and count, until idle series make room",
          "[app]") {
    Fixture fixture;
    fixture.load("a", std::chrono::seconds{1000}, 1);
    fixture.load("b", std::chrono::seconds{1000}, 2);
    fixture.load("c", std::chrono::seconds{1001}, 3);
    CHECK(fixture.heard.samples.back() == "load{otel_metric_overflow=\"true\"}=3");
    CHECK(fixture.overflowed() == 1);
    CHECK(fixture.heard.forgotten == 0);
    fixture.load("b", std::chrono::seconds{4000}, 4);
    fixture.load("c", std::chrono::seconds{4601}, 5);  // "a" is idle for an hour and a second.
    CHECK(fixture.heard.forgotten == 1);
    CHECK(fixture.overflowed() == 2);
    fixture.load("c", std::chrono::seconds{4602}, 6);
    CHECK(fixture.heard.samples.back() == "load{host=\"c\"}=6");
    fixture.load("b", std::chrono::seconds{4603}, 7);
    CHECK(fixture.heard.samples.back() == "load{host=\"b\"}=7");
    CHECK(fixture.overflowed() == 2);
}

TEST_CASE("detect: a body that cannot be read is a dead letter", "[app]") {
    Fixture fixture;
    fixture.send("{", std::chrono::seconds{1000});
    CHECK(fixture.heard.samples.empty());
    CHECK(fixture.bus.records(topics::kDeadLetter).size() == 1);
}
