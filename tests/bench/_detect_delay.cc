// From a request to the moment at which its samples are detected, for tests/bench/ingest.py: a
// server, the receiver of remote write, the embedded log and the stage of the metric detectors as
// `vigie serve` runs them, in one process with the sender, so that one clock sees both ends.
//
// usage: detect_delay FOLDER SERIES SAMPLES_A_REQUEST SAMPLES_A_SECOND SECONDS
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/pipeline.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/server.h"
#include "ingest/receivers.h"
#include "schemas/topics.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/runtime.h"
#include "tests/bench/http_post.h"
#include "tests/bench/measure.h"
#include "tests/bench/metric_load.h"

namespace {

using namespace vigie;
using namespace vigie::bench;

// When each request was sent, by the event time of its record, and when it was answered and
// detected.
class Times {
public:
    void sent(std::int64_t millis) {
        const std::scoped_lock lock(mutex_);
        sent_[millis] = g_clock.steady();
    }
    void answered(std::int64_t millis) { note(millis, durable_); }
    void detected(std::int64_t millis) { note(millis, detected_); }
    std::size_t count() const {
        const std::scoped_lock lock(mutex_);
        return detected_.size();
    }
    std::vector<double> durable() const { return durable_; }
    std::vector<double> detected() const { return detected_; }

private:
    void note(std::int64_t millis, std::vector<double>& into) {
        const SteadyTime now = g_clock.steady();
        const std::scoped_lock lock(mutex_);
        const auto found = sent_.find(millis);
        if (found == sent_.end()) return;
        into.push_back(std::chrono::duration<double>(now - found->second).count() * 1e3);
    }

    mutable std::mutex mutex_;  // Protects everything below.
    std::map<std::int64_t, SteadyTime> sent_;
    std::vector<double> durable_;
    std::vector<double> detected_;
};

// The product's own processor, and a look at the clock when a record's step is committed.
class Watched final : public streams::Processor {
public:
    Watched(std::unique_ptr<streams::Processor> inner, Times& times)
        : inner_(std::move(inner)), times_(times) {}

    Status on_record(const streams::Record& record, streams::Context& context) override {
        const Status status = inner_->on_record(record, context);
        times_.detected(micros_of(record.message.event_time) / 1000);
        return status;
    }
    Status on_timer(std::string_view name, EventTime at, streams::Context& context) override {
        return inner_->on_timer(name, at, context);
    }
    void on_committed() override { inner_->on_committed(); }
    bool has_bulk_state() const override { return inner_->has_bulk_state(); }
    std::string snapshot() const override { return inner_->snapshot(); }
    Status restore(std::string_view snapshot) override { return inner_->restore(snapshot); }

private:
    const std::unique_ptr<streams::Processor> inner_;
    Times& times_;
};

std::int64_t wall_millis() {
    return micros_of(to_event_time(g_clock.wall())) / 1000;
}

struct Site {
    explicit Site(const std::string& folder, Times& times) {
        streams::rocks::RocksBus::Options options;
        options.path = folder;
        auto opened = streams::rocks::RocksBus::open(options, g_clock, metrics);
        VIGIE_ASSERT(opened.has_value());
        bus = *std::move(opened);
        const auto topics = app::make_topics(1, std::int64_t{1} << 33U);
        VIGIE_ASSERT(bus->ensure_topics(topics).has_value());
        runtime = std::make_unique<streams::Runtime>(*bus, metrics, log, g_clock);
        app::Pipeline pipeline;
        pipeline.domain = DomainId{"default"};
        for (auto& stage : app::make_stages(pipeline, metrics, g_clock)) {
            if (stage.stage != "detect-metrics") continue;
            stage.make_processor = [make = stage.make_processor, &times](const auto& partition) {
                return std::make_unique<Watched>(make(partition), times);
            };
            runtime->start(std::move(stage));
        }
        receivers = std::make_unique<ingest::Receivers>(ingest::Receivers::Options{}, *bus, g_clock,
                                                        metrics, log);
        receivers->add_remote_write(router);
        http::Server::Options serving;
        serving.name = "bench";
        auto started = http::Server::start(std::move(serving), router, metrics, log);
        VIGIE_ASSERT(started.has_value());
        server = *std::move(started);
    }

    MetricsRegistry metrics;
    MemoryLog log;
    std::unique_ptr<streams::Bus> bus;
    std::unique_ptr<streams::Runtime> runtime;
    std::unique_ptr<ingest::Receivers> receivers;
    http::Router router;
    std::unique_ptr<http::Server> server;
};

struct Rate {
    std::chrono::nanoseconds every{};
    std::size_t requests = 0;
};

// Bodies are made while the time of each comes near: one request of so many samples, all of one
// millisecond, at its time whatever became of those before.
void send(std::uint16_t port, const MetricLoad& load, Rate rate, bool watched, Times& times,
          std::size_t first) {
    constexpr std::size_t kSenders = 4;
    const auto begin = std::chrono::steady_clock::now() + std::chrono::milliseconds{10};
    std::vector<std::jthread> threads;
    threads.reserve(kSenders);
    for (std::size_t sender = 0; sender < kSenders; ++sender) {
        threads.emplace_back([&, sender] {
            Connection connection(port);
            for (std::size_t i = sender; i < rate.requests; i += kSenders) {
                const std::size_t number = first + i;
                const auto due = begin + rate.every * static_cast<std::int64_t>(i);
                std::this_thread::sleep_until(due - std::chrono::milliseconds{8});
                const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
                    due - std::chrono::steady_clock::now());
                const std::int64_t millis = wall_millis() + wait.count();
                const std::string body = load.snappy_request(
                    number % load.requests_of_round(), number / load.requests_of_round(), millis);
                const std::string head = fmt::format(
                    "POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
                    "Content-Length: {}\r\n\r\n",
                    body.size());
                std::this_thread::sleep_until(due);
                while (wall_millis() < millis) std::this_thread::yield();
                if (watched) times.sent(millis);
                const int status = connection.post(head, body);
                VIGIE_ASSERT(status / 100 == 2);
                if (watched) times.answered(millis);
            }
        });
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) return 2;
    LoadOptions options;
    options.series = static_cast<std::size_t>(std::atol(argv[2]));
    options.samples_a_request = static_cast<std::size_t>(std::atol(argv[3]));
    const MetricLoad load(options);
    const double each = static_cast<double>(options.samples_a_request) / std::atof(argv[4]);
    Rate rate;
    rate.every = std::chrono::nanoseconds{static_cast<std::int64_t>(each * 1e9)};
    rate.requests = static_cast<std::size_t>(std::atof(argv[5]) / each);
    Times times;
    Site site(argv[1], times);
    // All series are known before it counts.
    send(site.server->port(), load, {rate.every, load.requests_of_round()}, false, times, 0);
    std::this_thread::sleep_for(std::chrono::seconds{2});
    const double cpu = cpu_seconds();
    send(site.server->port(), load, rate, true, times, load.requests_of_round());
    for (int i = 0; i < 600 && times.count() < rate.requests; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    auto durable = times.durable();
    auto detected = times.detected();
    VIGIE_ASSERT(detected.size() == rate.requests);
    say("delay_durable_p50", at_percent(durable, 50), "ms", "");
    say("delay_durable_p99", at_percent(durable, 99), "ms", "");
    say("delay_detected_p50", at_percent(detected, 50), "ms", "");
    say("delay_detected_p99", at_percent(detected, 99), "ms", "<= 15");
    say("delay_cpu_with_sender", (cpu_seconds() - cpu) / std::atof(argv[5]), "cores", "");
    return 0;
}
