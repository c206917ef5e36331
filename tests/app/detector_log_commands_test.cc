#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/pipeline.h"
#include "core/system_clock.h"
#include "schemas/topics.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/worker.h"
#include "tests/app/site.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace vigie;
using namespace vigie::app;

// What a command prints to stdout.
template <class Run>
std::string printed(int code, Run run) {
    std::ostringstream out;
    std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
    const int got = run();
    std::cout.rdbuf(before);
    CHECK(got == code);
    return out.str();
}

// What it prints to stderr.
template <class Run>
std::string warned(const std::string& folder, Run run) {
    const std::string path = folder + "/stderr";
    std::fflush(stderr);
    const int before = ::dup(STDERR_FILENO);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(before >= 0);
    REQUIRE(file >= 0);
    ::dup2(file, STDERR_FILENO);
    printed(0, run);
    std::fflush(stderr);
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(file);
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("detector: the recorded log tells who calls whom, and proposes thresholds", "[app]") {
    const TempFolder folder;
    std::string metric;
    {
        Site site(folder.path() + "/bus", event_time_from_micros(1'790'000'000'000'000), "1.4.0");
        for (int i = 0; i < 60; ++i) site.second();
    }
    LogPlace place;
    place.data = folder.path();
    DetectorMapCommand map;
    map.place = place;
    map.format = Format::kJson;
    const auto edges =
        nlohmann::json::parse(printed(0, [&] { return run_detector_service_map(map); }));
    REQUIRE(edges.size() == 1);
    CHECK(edges[0]["caller"] == "service:frontend");
    CHECK(edges[0]["callee"] == "service:checkout");
    CHECK(edges[0]["calls"].get<int>() > 50);
    map.to = "1999-01-01T00:00:00Z";
    CHECK(nlohmann::json::parse(printed(0, [&] { return run_detector_service_map(map); })).empty());
    map.to = "yesterday";
    printed(1, [&] { return run_detector_service_map(map); });

    DetectorProposeCommand propose;
    propose.place = place;
    propose.metric = "*";
    propose.format = Format::kJson;
    const auto proposals =
        nlohmann::json::parse(printed(0, [&] { return run_detector_propose(propose); }));
    REQUIRE(!proposals.empty());
    CHECK(proposals[0]["alarms"] == 0);
    propose.metric = "nothing_of_that_name";
    CHECK(printed(1, [&] { return run_detector_propose(propose); }).empty());
    propose.metric.clear();
    CHECK(printed(1, [&] { return run_detector_propose(propose); }).empty());
}

TEST_CASE("detector: of a counter on the log the rate is what a threshold is proposed for",
          "[app]") {
    const TempFolder folder;
    const EventTime begin = event_time_from_micros(1'790'000'000'000'000);
    {
        const SystemClock clock;
        MetricsRegistry metrics;
        auto bus = *streams::rocks::RocksBus::open({.path = folder.path() + "/bus", .sync = false},
                                                   clock, metrics);
        REQUIRE(bus->ensure_topics(make_topics(1, std::int64_t{1} << 30)));
        std::vector<streams::Message> messages;
        double sum = 0;
        for (int i = 0; i < 200; ++i) {
            const EventTime at = begin + std::chrono::seconds{10 * i};
            sum += i == 150 ? 500 : 20 + i % 3;  // Per 10 s: 2 a second, and once 50.
            messages.push_back(
                {std::string(schemas::topics::kMetrics),
                 "shop",
                 fmt::format(
                     R"({{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"hits","sum":{{)"
                     R"("aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{{)"
                     R"("timeUnixNano":"{}000","asDouble":{}}}]}}}}]}}]}}]}})",
                     micros_of(at), sum),
                 {{std::string(schemas::topics::kHeaderContentType),
                   std::string(schemas::kContentOtlpJson)}},
                 at});
        }
        REQUIRE(streams::append_and_wait(*bus, messages));
    }
    DetectorProposeCommand command;
    command.place.data = folder.path();
    command.metric = "hits";
    command.alarms_per_day = {0, 100};
    command.format = Format::kJson;
    std::string text;
    const auto said = warned(folder.path(), [&] {
        std::ostringstream out;
        std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
        const int code = run_detector_propose(command);
        std::cout.rdbuf(before);
        text = out.str();
        return code;
    });
    CHECK_THAT(said, Catch::Contains("1 of 1 series are counters"));
    const auto found = nlohmann::json::parse(text);
    REQUIRE(found.size() == 2);
    CHECK(found[0]["threshold"] == 50);
    CHECK(found[1]["threshold"] == Approx(2.2));

    BacktestCommand backtest;
    backtest.place.data = folder.path();
    backtest.from = to_rfc3339(begin + std::chrono::minutes{1});
    backtest.to = to_rfc3339(begin + std::chrono::minutes{30});
    const auto run = [&] { return run_detector_backtest(backtest); };
    CHECK_THAT(warned(folder.path(), run), Catch::Contains("defaults judge, without any rule"));
    backtest.detectors = folder.path() + "/detect.yaml";
    std::ofstream(backtest.detectors) << "detect: {}\n";
    CHECK_THAT(warned(folder.path(), run), !Catch::Contains("defaults judge"));
}

TEST_CASE("detector: proposes thresholds from files", "[app]") {
    const TempFolder folder;
    const std::string path = folder.path() + "/a.csv";
    {
        std::ofstream file(path);
        file << "timestamp,value\n";
        for (int i = 0; i < 2000; ++i) {
            file << 1'700'000'000 + 60 * i << ',' << (i % 500 == 7 ? 90 : 10 + i % 7) << '\n';
        }
    }
    DetectorProposeCommand command;
    command.files = {path};
    command.alarms_per_day = {0, 4};
    command.format = Format::kJson;
    const auto found =
        nlohmann::json::parse(printed(0, [&] { return run_detector_propose(command); }));
    REQUIRE(found.size() == 2);
    CHECK(found[0]["threshold"] == 90);
    CHECK(found[1]["threshold"] == 16);
    CHECK(found[1]["alarms"] == 4);
    command.hold = "5m";
    CHECK(nlohmann::json::parse(
              printed(0, [&] { return run_detector_propose(command); }))[0]["alarms"] == 0);
    using Catch::Contains;
    command.hold = "2d";
    CHECK_THAT(warned(folder.path(), [&] { return run_detector_propose(command); }),
               Contains("the longest series has 33 h: nothing in it can hold --for 2d"));
    command.hold.clear();
    command.alarms_per_day = {0, 4};
    CHECK(warned(folder.path(), [&] { return run_detector_propose(command); }).empty());
    command.alarms_per_day = {0, 0.1, 0.2};
    CHECK_THAT(warned(folder.path(), [&] { return run_detector_propose(command); }),
               Contains("no row for a budget of 0.1, 0.2 a day: the threshold is that of a smaller "
                        "one (the data has 1.39 days of series)"));
    command.hold = "soon";
    CHECK(printed(1, [&] { return run_detector_propose(command); }).empty());
    command.hold.clear();
    command.format = Format::kTable;
    CHECK(printed(0, [&] { return run_detector_propose(command); }).find("LATER HALF/DAY") !=
          std::string::npos);
    std::ofstream(path, std::ios::app) << "x,1\n";
    CHECK(printed(1, [&] { return run_detector_propose(command); }).empty());
}
