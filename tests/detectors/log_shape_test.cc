#include <algorithm>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/logs/logs.h"
#include "support.h"

// Rates, values and sequences of log lines: what needs a while to be learned.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;

// One service whose lines come by chance, with the rhythm of a day, in windows of two seconds: a
// step is twelve.
class Service {
public:
    explicit Service(std::uint64_t seed = 1) : rng(seed) {
        LogOptions options;
        options.window = 2s;
        options.lateness = 1s;
        detector = *make_log_detector(options);
    }

    void write(std::string body, const std::string& trace = "", const std::string& session = "") {
        schemas::LogRecord record = line("shop", at(now), 9, std::move(body));
        record.trace_id = trace;
        if (!session.empty()) {
            record.attributes.emplace_back("request_id", session);
            std::ranges::sort(record.attributes);
        }
        detector->observe(std::vector<schemas::LogRecord>{record}, out);
    }

    // About three lines a second, of four kinds.
    void play(int seconds) {
        for (int s = 0; s < seconds; ++s) {
            const double level = busy * (1 + 0.5 * std::sin(now / 1500));
            for (auto n = poisson(rng, level); n > 0; --n) {
                write(fmt::format("order {} took {} ms", rng.below(9999), 20 + rng.below(50)));
            }
            for (auto n = poisson(rng, mails * level); n > 0; --n) {
                write(fmt::format("mail to customer {} is queued", rng.below(9999)));
            }
            for (auto n = poisson(rng, level / 2); n > 0; --n) {
                write(fmt::format("cart is kept in zone={}", rng.chance(50) ? "north" : "south"));
            }
            for (auto n = poisson(rng, level / 1000); n > 0; --n) write("cleaned the cache");
            now += 1;
            detector->advance(at(now), out);
        }
    }

    std::vector<Anomaly> of(const std::string& name) const { return test::of(name, out); }

    std::unique_ptr<Detector> detector;
    Findings out;
    Rng rng;
    double now = 0;
    double busy = 1;
    double mails = 0.5;
};

constexpr int kLearned = 3600;

}  // namespace

TEST_CASE("log shape: lines that stop are told once, and again when they are back", "[detectors]") {
    Service service;
    service.play(kLearned);
    service.mails = 0;
    service.play(600);
    auto found = service.of("logs.rate");
    REQUIRE(said(found) == "firing");
    CHECK(found.front().key == "logs.rate|service:shop");
    CHECK(found.front().signal == "mail to customer <*> is queued");
    CHECK_THAT(found.front().reason, Catch::Contains(" lines of a kind in 4 min, usually "));
    CHECK(found.front().observed < 0.2 * found.front().expected);
    CHECK(found.front().examples.size() == 1);
    service.mails = 0.5;
    service.play(400);
    CHECK(said(service.out.anomalies) == "firing calm");
}

TEST_CASE("log shape: a common and a rare template that come far more often are told",
          "[detectors]") {
    Service service;
    service.write("cleaned the cache");
    service.play(kLearned);
    SECTION("eight times as often") {
        service.mails = 4;
        service.play(120);
        REQUIRE(said(service.out.anomalies) == "firing");
        CHECK(service.of("logs.rate").front().signal == "mail to customer <*> is queued");
        CHECK(service.of("logs.rate").front().observed >
              3 * service.of("logs.rate").front().expected);
    }
    SECTION("a burst of what comes once in a quarter of an hour") {
        for (int i = 0; i < 20; ++i) {
            service.write("cleaned the cache");
            service.play(2);
        }
        service.play(30);
        REQUIRE(said(service.out.anomalies) == "firing");
        CHECK(service.of("logs.rate").front().signal == "cleaned the cache");
    }
    SECTION("until it is the new normal") {
        service.mails = 4;
        service.play(2400);
        CHECK(said(service.of("logs.rate")) == "firing adapted");
    }
}

TEST_CASE("log shape: more or less of everything is no anomaly of its lines", "[detectors]") {
    Service service;
    service.play(kLearned);
    service.busy = 4;
    service.play(1200);
    service.busy = 0.3;
    service.play(1800);
    CHECK(service.out.anomalies.empty());
}

TEST_CASE("log shape: numbers a decade away are told, those that always wander are not",
          "[detectors]") {
    Service service;
    double wandering = 1;
    const auto write = [&](double factor, int seconds) {
        for (int s = 0; s < seconds; ++s) {
            service.write(fmt::format(
                "free space is {} blocks",
                std::lround(factor * (100.0 + static_cast<double>(service.rng.below(20))))));
            wandering *= service.rng.chance(1) ? 30 : 1;
            if (wandering > 1e9) wandering = 1;
            service.write(fmt::format("sequence is at {}", static_cast<long>(wandering)));
            service.play(1);
        }
    };
    write(1, kLearned);
    CHECK(service.out.anomalies.empty());
    write(0.01, 130);
    const auto found = service.of("logs.values");
    REQUIRE(said(found) == "firing");
    CHECK(found.front().signal == "free space is <*> blocks");
    CHECK(found.front().observed == Approx(1).margin(0.5));
    CHECK(found.front().expected == Approx(110).epsilon(0.2));
    write(1, 130);
    CHECK(said(service.of("logs.values")) == "firing calm");
}

TEST_CASE("log shape: a text that is new where few are known is told", "[detectors]") {
    Service service;
    service.play(kLearned);
    for (int i = 0; i < 10; ++i) {
        service.write("cart is kept in zone=moon");
        service.play(4);
    }
    service.play(130);
    REQUIRE(said(service.out.anomalies) == "firing calm");
    CHECK(service.out.anomalies.front().detector == "logs.values");
    CHECK(service.out.anomalies.front().reason ==
          "'moon' was never seen before in: cart is kept in zone=<*>");
}

TEST_CASE("log shape: traces and sessions that leave the usual order are told", "[detectors]") {
    const bool by_trace = GENERATE(true, false);
    Service service;
    int count = 0;
    const auto request = [&](bool paid) {
        const std::string id = fmt::format("t{}", count++);
        const auto write = [&](const char* body) {
            service.write(body, by_trace ? id : "", by_trace ? "" : id);
        };
        write("request came in");
        if (paid) write("payment was taken");
        write("request was answered");
    };
    for (int i = 0; i < kLearned / 4; ++i) {
        request(true);
        service.play(4);
    }
    CHECK(service.out.anomalies.empty());
    for (int i = 0; i < 6; ++i) {
        request(false);
        service.play(1);
    }
    service.play(30);
    const auto found = service.of("logs.sequence");
    REQUIRE(!found.empty());
    CHECK(found.front().firing);
    CHECK(found.front().signal == "order of lines");
}

TEST_CASE("log shape: a new template below the severity is news when it comes often",
          "[detectors]") {
    Service service;
    service.play(1000);
    service.write("the moon was seen");
    service.play(700);
    CHECK(service.out.anomalies.empty());
    // A service that has just shown all of its templates is not trusted: its first day is quiet.
    for (int i = 0; i < 4; ++i) service.write("the sun was seen");
    service.play(10);
    CHECK(service.out.anomalies.empty());
    service.now += 24 * 3600;
    service.play(30);
    for (int i = 0; i < 4; ++i) service.write("a comet was seen");
    service.play(10);
    REQUIRE(said(service.of("logs.new")) == "firing calm");
    CHECK(service.of("logs.new").front().signal == "a comet was seen");
}

TEST_CASE("log shape: the order in which services are sent changes nothing", "[detectors]") {
    std::vector<std::vector<Anomaly>> all;
    for (const bool swapped : {false, true}) {
        const auto detector = *make_log_detector({});
        Findings out;
        Rng rng(5);
        for (int s = 0; s < 2000; ++s) {
            std::vector<schemas::LogRecord> records;
            for (const auto* name : {"a", "b"}) {
                const bool burst = s > 1500 && *name == 'b';
                for (auto n = poisson(rng, burst ? 20 : 1); n > 0; --n) {
                    records.push_back(line(name, at(s * 10.0), burst ? 17 : 9,
                                           fmt::format("{} of {}", rng.below(9), rng.below(9))));
                }
            }
            const auto first = [&](const schemas::LogRecord& record) {
                return (record.attributes.front().second == "a") != swapped;
            };
            std::ranges::stable_partition(records, first);
            detector->observe(records, out);
            detector->advance(at(s * 10.0 + 10), out);
        }
        all.push_back(out.anomalies);
    }
    CHECK(said(all[0]) == "firing adapted");
    CHECK(all[0] == all[1]);
}
