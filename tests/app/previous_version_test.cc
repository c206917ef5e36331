// A data folder that an earlier version of Vigie wrote is opened and continued by today's code.
// tests/app/data/format1/ is such a folder, in the middle of an incident; manifest.json beside it
// says what is in it. See docs/adr/0010-formats-of-stored-state.md.
//
//   app_test "format folder: write it" writes one, for a NEW format only and never over one that
//   is there: that it was written by the version before is what makes it worth testing.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include "http/signature.h"
#include "schemas/topics.h"
#include "tests/app/site.h"
#include "tests/support/temp_folder.h"

namespace vigie::app {

namespace {

namespace fs = std::filesystem;
namespace topics = schemas::topics;
using std::chrono::milliseconds;
using Json = nlohmann::json;

constexpr EventTime kStart = event_time_from_micros(1'790'000'000'000'000);
constexpr int kDeployAt = 20;
constexpr int kReopenAt = 34;  // What is older lies in tables then, what is newer in the log file.
constexpr int kEnd = 37;
constexpr int kVerified = 60;  // Seconds in which the rest of the story is over

std::string data_folder() {
    return std::string(VIGIE_SOURCE_DIR) + "/tests/app/data/format1";
}
std::string manifest_file() {
    return std::string(VIGIE_SOURCE_DIR) + "/tests/app/data/format1.json";
}

class Nobody final : public streams::AssignmentListener {
public:
    Status on_assigned(std::span<const streams::Partition>) override { return {}; }
    void on_revoked(std::span<const streams::Partition>) override {}
};

// Everything that the bus holds, in a form that does not depend on how it is stored.
Json manifest_of(streams::Bus& bus, const std::vector<streams::Worker::Options>& stages) {
    Json manifest;
    for (const auto& topic : make_topics(1, 0)) {
        const auto partitions = bus.partition_count(topic.name);
        if (!partitions) continue;  // Newer than the folder.
        for (std::int32_t index = 0; index < *partitions; ++index) {
            const streams::Partition partition{topic.name, index};
            const auto records = bus.read(partition, 0, {1'000'000, milliseconds{0}});
            REQUIRE(records.has_value());
            std::string all;
            for (const auto& record : *records) {
                const auto& message = record.message;
                all += fmt::format("{} {} {} {}", record.offset, micros_of(message.event_time),
                                   message.key, message.value);
                for (const auto& [name, value] : message.headers) all += name + value;
            }
            manifest["topics"][to_string(partition)] = {{"records", records->size()},
                                                        {"sha256", http::sha256_hex(all)}};
        }
    }
    for (const auto& stage : stages) {
        Nobody nobody;
        const auto consumer = bus.subscribe(stage.subscription, nobody);
        if (!consumer) continue;  // It reads a newer topic.
        REQUIRE((*consumer)->poll({1, milliseconds{0}}).has_value());
        for (const auto& topic : stage.subscription.topics) {
            const auto partitions = bus.partition_count(topic);
            for (std::int32_t index = 0; index < *partitions; ++index) {
                const streams::Partition partition{topic, index};
                Json& place = manifest["groups"][stage.stage][to_string(partition)];
                place["position"] = *(*consumer)->position(partition);
                place["rows"] = Json::object();
                REQUIRE((*consumer)
                            ->store(partition)
                            .scan("",
                                  [&](std::string_view key, std::string_view value) {
                                      place["rows"][std::string(key)] =
                                          http::sha256_hex(value).substr(0, 16);
                                      return true;
                                  })
                            .has_value());
            }
        }
    }
    return manifest;
}

// A bus alone, without the stages, which would work on.
std::unique_ptr<streams::rocks::RocksBus> open_bus(const std::string& folder, const Clock& clock,
                                                   MetricsRegistry& metrics) {
    streams::rocks::RocksBus::Options options;
    options.path = folder;
    options.disk_free_bytes_min = 0;
    auto bus = streams::rocks::RocksBus::open(options, clock, metrics);
    if (!bus) FAIL(bus.error().message);
    return *std::move(bus);
}

class StillClock final : public Clock {
public:
    WallTime wall() const override { return WallTime{milliseconds{micros_of(kStart) / 1000}}; }
    SteadyTime steady() const override { return {}; }
};

std::vector<streams::Worker::Options> todays_stages(MetricsRegistry& metrics, const Clock& clock) {
    return make_stages({}, metrics, clock);
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// Where the story of the folder has come to.
const schemas::Incident& only(const std::map<std::string, schemas::Incident>& incidents) {
    REQUIRE(incidents.size() == 1);
    return incidents.begin()->second;
}

void check_log(const Site& site) {
    for (const auto& line : site.log().lines()) {
        INFO(line);
        CHECK(line.find("snapshot is of no use") == std::string::npos);
        CHECK(line.find("refused") == std::string::npos);
    }
    CHECK(site.records(topics::kDeadLetter).empty());
}

}  // namespace

TEST_CASE("format folder: write it", "[.]") {
    const std::string folder = data_folder();
    if (fs::exists(folder)) FAIL(folder + " is there: a new format has a new name");
    const auto live = [](Site& site, int from, int to) {
        for (int t = from; t < to; ++t) {
            if (t == kDeployAt) site.deploy("1.5.0");
            site.second();
        }
    };
    {
        Site site(folder, kStart, "1.4.2");
        site.set_policy(schemas::Mode::kApprove);
        live(site, 0, kReopenAt);
    }
    {
        Site site(folder, kStart + std::chrono::seconds{kReopenAt}, "1.5.0");
        live(site, kReopenAt, kEnd);
        CHECK(only(site.incidents()).state == schemas::IncidentState::kAwaitingApproval);
        check_log(site);
    }
    // What RocksDB does without: its own log, the lock, and options, which we give it.
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("LOG") || name.starts_with("OPTIONS") || name == "LOCK") {
            fs::remove(entry.path());
        }
    }
    TempFolder copy;
    fs::copy(folder, copy.path() + "/data", fs::copy_options::recursive);
    const StillClock clock;
    MetricsRegistry metrics;
    const auto bus = open_bus(copy.path() + "/data", clock, metrics);
    std::ofstream(manifest_file())
        << manifest_of(*bus, todays_stages(metrics, clock)).dump(1) << '\n';
}

TEST_CASE("previous version: every record, position and row of its folder is found", "[app]") {
    TempFolder copy;
    fs::copy(data_folder(), copy.path() + "/data", fs::copy_options::recursive);
    const StillClock clock;
    MetricsRegistry metrics;
    const Json wanted = Json::parse(read_file(manifest_file()));
    // Twice: what opening changed must be as good.
    for (int i = 0; i < 2; ++i) {
        const auto bus = open_bus(copy.path() + "/data", clock, metrics);
        const Json there = manifest_of(*bus, todays_stages(metrics, clock));
        for (const auto* part : {"topics", "groups"}) {
            for (const auto& [name, value] : wanted.at(part).items()) {
                INFO(name);
                CHECK(there.at(part).at(name) == value);
            }
        }
    }
    // It holds all that an installation has: states of every stage, timers, snapshots, watermarks.
    std::set<char> kinds;
    for (const auto& [stage, partitions] : wanted.at("groups").items()) {
        std::size_t rows = 0;
        for (const auto& [partition, place] : partitions.items()) {
            rows += place.at("rows").size();
            for (const auto& [key, hash] : place.at("rows").items()) kinds.insert(key.front());
        }
        INFO(stage);
        CHECK(rows > 0);
    }
    CHECK(kinds == std::set<char>{'b', 't', 'u', 'w'});
}

TEST_CASE("previous version: the incident in its folder is carried on to its end", "[app]") {
    TempFolder copy;
    fs::copy(data_folder(), copy.path() + "/data", fs::copy_options::recursive);
    Site site(copy.path() + "/data", kStart + std::chrono::seconds{kEnd}, "1.5.0");
    const schemas::Incident found = only(site.incidents());
    REQUIRE(found.state == schemas::IncidentState::kAwaitingApproval);
    site.approve(found);
    for (int t = 0; t < kVerified; ++t) site.second();

    const auto incidents = site.incidents();
    const schemas::Incident& ended = only(incidents);
    CHECK(ended.id == found.id);
    CHECK(ended.state == schemas::IncidentState::kResolved);
    CHECK(site.version() == "1.4.2");
    CHECK(site.postmortems().contains(ended.id.value));
    check_log(site);
}

}  // namespace vigie::app
