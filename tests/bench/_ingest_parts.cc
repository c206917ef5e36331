// The bare parts of remote write, for tests/bench/ingest.py: decoding a body into a warm table of
// series, appending it to the embedded log, and judging its samples by the light tier, each alone.
//
// usage: ingest_parts FOLDER SERIES SAMPLES_A_REQUEST
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "detectors/light_series.h"
#include "schemas/series.h"
#include "schemas/series_table.h"
#include "schemas/topics.h"
#include "streams/rocks/rocks_bus.h"
#include "tests/bench/measure.h"
#include "tests/bench/metric_load.h"

namespace {

using namespace vigie;
using namespace vigie::bench;

constexpr std::size_t kWarm = 16;  // Times four rounds of a minute: past the warm-up of a series
constexpr std::size_t kRounds = 5;
constexpr std::size_t kAtOnce = 4;  // Appends under way, as connections of the sender

using Bodies = std::vector<std::string>;

Bodies bodies_of(const MetricLoad& load, std::size_t round) {
    Bodies out;
    for (const std::size_t request : load.order_of(round)) {
        out.push_back(load.snappy_request(request, round, load.millis_of(round)));
    }
    return out;
}

std::unique_ptr<streams::Bus> open_bus(const std::string& folder, MetricsRegistry& metrics) {
    streams::rocks::RocksBus::Options options;
    options.path = folder;
    auto opened = streams::rocks::RocksBus::open(options, g_clock, metrics);
    VIGIE_ASSERT(opened.has_value());
    const std::vector<streams::TopicOptions> topics{
        {.name = std::string(schemas::topics::kMetrics)}};
    VIGIE_ASSERT((*opened)->ensure_topics(topics).has_value());
    return *std::move(opened);
}

void append_all(streams::Bus& bus, Bodies bodies) {
    std::vector<std::future<void>> waiting;
    waiting.reserve(bodies.size());
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        if (i >= kAtOnce) waiting[i - kAtOnce].wait();
        std::vector<streams::Message> messages(1);
        messages[0].topic = schemas::topics::kMetrics;
        messages[0].key = "127.0.0.1";
        messages[0].value = std::move(bodies[i]);
        messages[0].headers = {{std::string(schemas::topics::kHeaderContentType),
                                std::string(schemas::kContentRemoteWrite)},
                               {std::string(schemas::topics::kHeaderContentEncoding), "snappy"}};
        auto done = std::make_shared<std::promise<void>>();
        waiting.push_back(done->get_future());
        bus.append(std::move(messages), [done](const Status& status) {
            VIGIE_ASSERT(status.has_value());
            done->set_value();
        });
    }
    for (auto& each : waiting) each.wait();
}

struct Judges {
    void judge(std::span<const schemas::Sample> samples) {
        for (const schemas::Sample& sample : samples) {
            if (sample.series >= series.size()) series.resize(sample.series + 1);
            series[sample.series].observe(sample.at, sample.value, 0, options);
        }
    }
    detectors::ModelOptions options;
    std::vector<detectors::LightSeries> series;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    LoadOptions options;
    options.series = static_cast<std::size_t>(std::atol(argv[2]));
    options.samples_a_request = static_cast<std::size_t>(std::atol(argv[3]));
    options.begin_millis = 1'764'000'000'000;
    const MetricLoad load(options);
    MetricsRegistry metrics;
    const auto bus = open_bus(argv[1], metrics);
    schemas::SeriesTable table({});
    schemas::DecodedSamples decoded;
    Judges judges;
    judges.series.reserve(options.series);
    std::vector<double> decode;
    std::vector<double> append;
    std::vector<double> detect;
    constexpr std::size_t kEach = 4;  // Rounds of samples in a measurement
    for (std::size_t round = 0; round < kWarm + kRounds; ++round) {
        Bodies bodies;
        for (std::size_t i = 0; i < kEach; ++i) {
            for (auto& body : bodies_of(load, round * kEach + i)) bodies.push_back(std::move(body));
        }
        std::vector<schemas::Sample> samples;
        const double decode_cpu =
            cost_of([&] {
                for (const auto& body : bodies) {
                    decoded.clear();
                    const auto read = schemas::decode_samples(body, schemas::kContentRemoteWrite,
                                                              "snappy", {}, table, decoded);
                    VIGIE_ASSERT(read.has_value());
                }
            }).cpu;
        for (const auto& body : bodies) {
            decoded.clear();
            VIGIE_ASSERT(schemas::decode_samples(body, schemas::kContentRemoteWrite, "snappy", {},
                                                 table, decoded)
                             .has_value());
            samples.insert(samples.end(), decoded.samples.begin(), decoded.samples.end());
        }
        const double detect_cpu = cost_of([&] { judges.judge(samples); }).cpu;
        const double append_cpu = cost_of([&] { append_all(*bus, std::move(bodies)); }).cpu;
        if (round < kWarm) continue;
        const double scale = 1e9 / static_cast<double>(samples.size());
        decode.push_back(decode_cpu * scale);
        append.push_back(append_cpu * scale);
        detect.push_back(detect_cpu * scale);
    }
    say("part_decode", median(decode), "cpu ns/sample", "");
    say("part_append", median(append), "cpu ns/sample", "");
    say("part_detect", median(detect), "cpu ns/sample", "");
    return 0;
}
