// What the embedded log and a worker can do on this machine: see tools/bench.py.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "core/log.h"
#include "core/metrics.h"
#include "core/system_clock.h"
#include "streams/memory/memory_bus.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/runtime.h"
#include "streams/worker.h"

namespace {

using namespace vigie;
using namespace vigie::streams;

constexpr int kRecords = 200'000;
constexpr std::size_t kValueBytes = 1024;
constexpr PollLimits kAll{.records_max = 5000, .wait_max = std::chrono::milliseconds{0}};
const SystemClock g_clock;

double seconds_of(const std::function<void()>& work) {
    const SteadyTime start = g_clock.steady();
    work();
    return std::chrono::duration<double>(g_clock.steady() - start).count();
}

void say(std::string_view measure, double value, std::string_view unit, std::string_view goal) {
    fmt::print(R"({{"measure": "{}", "value": {:.4g}, "unit": "{}", "goal": {}}})"
               "\n",
               measure, value, unit, goal.empty() ? "null" : fmt::format("\"{}\"", goal));
}

Message message(std::string topic, int number) {
    // Like JSON: compresses, but not to nothing.
    std::string value = fmt::format("{{\"n\":{},\"id\":\"{:x}\"", number, number * 2654435761U);
    while (value.size() < kValueBytes)
        value += fmt::format(",\"f\":{}", value.size() * 7 + static_cast<std::size_t>(number));
    value.resize(kValueBytes);
    return {std::move(topic),
            std::to_string(number % 1000),
            std::move(value),
            {},
            EventTime{std::chrono::milliseconds{number}}};
}

// Counts records of a key in state and passes them on.
class Counting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        VIGIE_TRY_ASSIGN(const auto before, context.get(record.message.key));
        context.put(record.message.key, std::to_string(before ? std::stoll(*before) + 1 : 1));
        Message out = record.message;
        out.topic = "out";
        context.emit(std::move(out));
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
};

Worker::Options counting() {
    Worker::Options options;
    options.stage = "bench";
    options.subscription = {"bench", {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<Counting>(); };
    return options;
}

void make_topics(Bus& bus) {
    const std::vector<TopicOptions> topics{
        {.name = "in"}, {.name = "out"}, {.name = "hop"}, {.name = "vigie.deadletter"}};
    VIGIE_ASSERT(bus.ensure_topics(topics).has_value());
}

void measure_appends(Bus& bus) {
    std::vector<double> alone;
    for (int i = 0; i < 300; ++i) {
        alone.push_back(1000 * seconds_of([&] {
                            VIGIE_ASSERT(append_and_wait(bus, {message("hop", i)}).has_value());
                        }));
    }
    std::sort(alone.begin(), alone.end());
    say("append_alone_p50", alone[150], "ms", "");
    say("append_alone_p99", alone[297], "ms", "");

    std::atomic<int> acknowledged{0};
    std::atomic<int> refused{0};
    std::vector<Message> messages;
    for (int i = 0; i < kRecords; ++i) messages.push_back(message("in", i));
    const double seconds = seconds_of([&] {
        for (int i = 0; i < kRecords;) {
            // Fifty records for each append, as a remote-write request has; a full queue is
            // waited out, as a sender does after 503.
            std::vector<Message> batch;
            for (const int end = std::min(i + 50, kRecords); i < end; ++i)
                batch.push_back(messages[static_cast<std::size_t>(i)]);
            const auto count = static_cast<int>(batch.size());
            // Refusals come at once, on this thread.
            const int before = refused;
            bus.append(std::move(batch), [&acknowledged, &refused, count](Status status) {
                status ? acknowledged += count : refused += 1;
            });
            if (refused != before) {
                i -= count;
                sleep_for(std::chrono::milliseconds{1});
            }
        }
        while (acknowledged < kRecords) sleep_for(std::chrono::milliseconds{1});
    });
    say("append_rate", kRecords / seconds, "records/s", ">= 20000");
    say("append_megabytes", kRecords / seconds * kValueBytes / 1e6, "MB/s", "");
}

void measure_reads(const Bus& bus) {
    std::size_t count = 0;
    const double seconds = seconds_of([&] {
        for (Offset next = 0;;) {
            const auto records = bus.read({"in", 0}, next, kAll);
            VIGIE_ASSERT(records.has_value());
            if (records->empty()) break;
            next = records->back().offset + 1;
            count += records->size();
        }
    });
    say("read_rate", static_cast<double>(count) / seconds, "records/s", ">= 200000");
}

double worker_rate(Bus& bus, Log& log) {
    MetricsRegistry metrics;
    auto worker = Worker::open(bus, counting(), metrics, log, g_clock);
    VIGIE_ASSERT(worker.has_value());
    std::size_t count = 0;
    const double seconds = seconds_of([&] {
        while (true) {
            const auto done = (*worker)->step({.records_max = 500, .wait_max = kAll.wait_max});
            VIGIE_ASSERT(done.has_value());
            if (*done == 0) break;
            count += *done;
        }
    });
    return static_cast<double>(count) / seconds;
}

// From the append to the record in another thread's hands.
void measure_hop(Bus& bus) {
    std::vector<double> waits;
    Offset next = bus.range({"hop", 0})->end;
    std::atomic<bool> reading{false};
    for (int i = 0; i < 300; ++i, ++next) {
        reading = false;
        std::atomic<double> seen{0};
        const SteadyTime start = g_clock.steady();
        {
            const Thread reader("reader", [&](const std::stop_token&) {
                reading = true;
                const auto records = bus.read(
                    {"hop", 0}, next, {.records_max = 1, .wait_max = std::chrono::seconds{10}});
                VIGIE_ASSERT(records && records->size() == 1);
                seen = std::chrono::duration<double>(g_clock.steady() - start).count();
            });
            while (!reading) sleep_for(std::chrono::milliseconds{0});
            VIGIE_ASSERT(append_and_wait(bus, {message("hop", i)}).has_value());
            const double acknowledged =
                std::chrono::duration<double>(g_clock.steady() - start).count();
            while (seen == 0) sleep_for(std::chrono::milliseconds{0});
            waits.push_back(1000 * std::max(seen - acknowledged, 0.0));
        }
    }
    std::sort(waits.begin(), waits.end());
    say("hop_after_durable_p99", waits[297], "ms", "< 10");
}

}  // namespace

int main() {
    std::string folder = (std::filesystem::temp_directory_path() / "vigie-bench-XXXXXX").string();
    VIGIE_ASSERT(mkdtemp(folder.data()) != nullptr);
    const auto log = make_stderr_log(LogLevel::kError);
    {
        MetricsRegistry metrics;
        rocks::RocksBus::Options options;
        options.path = folder;
        auto bus = rocks::RocksBus::open(options, g_clock, metrics);
        VIGIE_ASSERT(bus.has_value());
        make_topics(**bus);
        measure_appends(**bus);
        measure_reads(**bus);
        say("worker_rate_embedded", worker_rate(**bus, *log), "records/s", ">= 20000");
        measure_hop(**bus);
    }
    std::filesystem::remove_all(folder);
    MemoryBus memory;
    make_topics(memory);
    for (int i = 0; i < kRecords; ++i) memory.append({message("in", i)}, [](Status) {});
    say("worker_rate_memory", worker_rate(memory, *log), "records/s", ">= 100000");
    return 0;
}
