#include <fstream>
#include <iostream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "app/commands.h"
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
    command.hold = "soon";
    CHECK(printed(1, [&] { return run_detector_propose(command); }).empty());
    command.hold.clear();
    command.format = Format::kTable;
    CHECK(printed(0, [&] { return run_detector_propose(command); }).find("LATER HALF/DAY") !=
          std::string::npos);
    std::ofstream(path, std::ios::app) << "x,1\n";
    CHECK(printed(1, [&] { return run_detector_propose(command); }).empty());
}
