#include "detectors/logs/logs.h"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/logs/service.h"
#include "support.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Anomaly;

constexpr std::uint8_t kInfo = 9;
constexpr std::uint8_t kError = 17;

LogOptions quick() {
    LogOptions options;
    options.window = 2s;
    options.lateness = 1s;
    options.warmup_lines = 100;
    options.warmup_span = 10s;
    return options;
}

// Ordinary lines of one service, second by second, with the time.
class Writer {
public:
    explicit Writer(const LogOptions& options) : detector(*make_log_detector(options)) {}

    void write(std::uint8_t severity, std::string body) {
        const std::vector<schemas::LogRecord> records{
            line("shop", at(now), severity, std::move(body))};
        detector->observe(records, out);
    }
    void play(int seconds, int errors_per_second = 0) {
        for (int s = 0; s < seconds; ++s) {
            for (int i = 0; i < 20; ++i) {
                write(kInfo,
                      fmt::format("GET /orders/{} took {} ms", rng.below(10'000), rng.below(50)));
            }
            for (int i = 0; i < errors_per_second; ++i) {
                write(kError, fmt::format("order {} could not be stored", rng.below(10'000)));
            }
            now += 1;
            detector->advance(at(now), out);
        }
    }
    std::vector<Anomaly> of(const std::string& name) const { return test::of(name, out); }

    std::unique_ptr<Detector> detector;
    Findings out;
    Rng rng{41};
    double now = 0;
};

}  // namespace

TEST_CASE("logs: a new kind of error line is reported once, with examples", "[detectors]") {
    Writer writer(quick());
    writer.play(30);
    CHECK(writer.out.anomalies.empty());
    for (int s = 0; s < 20; ++s) {
        for (int i = 0; i < 4; ++i) {
            writer.write(kError, fmt::format("payment {} timed out after 5000 ms", s * 4 + i));
        }
        writer.play(1);
    }
    auto found = writer.of("logs.new");
    REQUIRE(found.size() == 1);
    CHECK(found.front().firing);
    CHECK(found.front().key == "logs.new|service:shop");
    CHECK(found.front().symptom == schemas::Symptom::kLogPattern);
    CHECK(found.front().severity == schemas::Severity::kInfo);
    CHECK(found.front().entity.value == "service:shop");
    CHECK(found.front().signal == "payment <*> timed out after <*> ms");
    CHECK(found.front().examples.size() == 5);
    CHECK(found.front().examples.front() == "payment 0 timed out after 5000 ms");
    writer.play(12);
    found = writer.of("logs.new");
    CHECK(said(found) == "firing calm");
    writer.write(kError, "payment 7 timed out after 5000 ms");  // Known by now.
    writer.play(10);
    CHECK(writer.of("logs.new").size() == 2);
}

TEST_CASE("logs: several new kinds in one window are one anomaly", "[detectors]") {
    Writer writer(quick());
    writer.play(30);
    writer.write(kError, "disk sda is failing now");
    writer.write(kError, "cannot reach the payment gateway");
    writer.write(kError, "stack trace follows here below it");
    writer.play(5);
    CHECK(writer.of("logs.new").size() == 1);
    CHECK(writer.of("logs.new").front().examples.size() == 3);
}

TEST_CASE("logs: new lines are no news in warm-up or below the severity", "[detectors]") {
    Writer writer(quick());
    writer.play(3);
    writer.write(kError, "starting without a cache file");
    writer.play(30);
    writer.write(kInfo, "cache file was written to disk");
    writer.play(5);
    CHECK(writer.out.anomalies.empty());
}

TEST_CASE("logs: a burst of error lines is reported once, until it is over", "[detectors]") {
    LogOptions options = quick();
    options.severity_burst = schemas::Severity::kWarning;
    Writer writer(options);
    writer.play(60, 1);
    CHECK(writer.out.anomalies.empty());
    writer.play(20, 30);
    auto found = writer.of("logs.errors");
    REQUIRE(found.size() == 1);
    CHECK(found.front().firing);
    CHECK(found.front().severity == schemas::Severity::kWarning);
    CHECK(found.front().observed == Approx(30));
    CHECK(found.front().expected == Approx(1));
    CHECK(found.front().examples.size() == 5);
    CHECK(found.front().reason == "30 /s error lines, usually 1 /s");
    writer.play(20, 1);
    CHECK(said(writer.of("logs.errors")) == "firing calm");
}

TEST_CASE("logs: a service that logs nothing at all is not calm", "[detectors]") {
    Writer writer(quick());
    const bool others = GENERATE(false, true);
    const auto nobody = [&writer, others](int seconds) {
        for (int s = 0; s < seconds; ++s) {
            const std::vector<schemas::LogRecord> records{
                line("web", at(writer.now), kInfo, "all is well here")};
            if (others) writer.detector->observe(records, writer.out);
            writer.detector->advance(at(++writer.now), writer.out);
        }
    };
    writer.play(60, 1);
    writer.play(20, 30);
    writer.write(kError, "payment 1 timed out after 5000 ms");
    writer.play(4, 30);
    REQUIRE(said(writer.of("logs.errors")) == "firing");
    REQUIRE(said(writer.of("logs.new")) == "firing");
    nobody(295);
    CHECK(said(writer.of("logs.errors")) == "firing");
    nobody(10);
    CHECK(said(writer.of("logs.errors")) == "firing silent");
    CHECK(said(writer.of("logs.new")) == "firing silent");
    CHECK(writer.of("logs.new").back().reason == "no log lines for 5 min: no longer judged");
    nobody(4000);
    SECTION("until it logs again, and is") {
        writer.play(20, 1);
        CHECK(said(writer.of("logs.errors")) == "firing silent calm");
        CHECK(said(writer.of("logs.new")) == "firing silent calm");
        writer.write(kError, "payment 1 timed out after 5000 ms");  // Known by now.
        writer.play(10, 1);
        CHECK(said(writer.of("logs.new")) == "firing silent calm");
    }
    SECTION("and what comes again fires again") {
        writer.write(kError, "payment 1 timed out after 5000 ms");
        writer.play(10, 30);
        CHECK(said(writer.of("logs.errors")) == "firing silent firing");
        CHECK(said(writer.of("logs.new")).starts_with("firing silent firing"));
    }
    SECTION("after a restart, too") {
        const std::string saved = writer.detector->save();
        writer.detector = *make_log_detector(quick());
        REQUIRE(writer.detector->load(saved));
        writer.play(20, 1);
        CHECK(said(writer.of("logs.errors")) == "firing silent calm");
    }
}

TEST_CASE("logs: windows without a line end nothing, those with calm lines do", "[detectors]") {
    Writer writer(quick());
    writer.play(30);
    writer.write(kError, "payment 1 timed out after 5000 ms");
    writer.play(4);
    REQUIRE(said(writer.out.anomalies) == "firing");
    for (int i = 0; i < 2; ++i) {  // A line each minute; three windows are needed.
        for (int s = 0; s < 60; ++s) writer.detector->advance(at(++writer.now), writer.out);
        CHECK(said(writer.out.anomalies) == "firing");
        writer.play(1);
    }
    for (int s = 0; s < 10; ++s) writer.detector->advance(at(++writer.now), writer.out);
    CHECK(said(writer.out.anomalies) == "firing calm");
}

TEST_CASE("logs: time nobody watched is no silence", "[detectors]") {
    Writer writer(quick());
    writer.play(30);
    writer.write(kError, "payment 1 timed out after 5000 ms");
    writer.play(4);
    writer.detector->advance(at(10'000), writer.out);
    writer.detector->advance(at(10'100), writer.out);
    CHECK(said(writer.out.anomalies) == "firing");
}

TEST_CASE("logs: a kind of line that keeps coming is the new normal", "[detectors]") {
    LogOptions options = quick();
    options.adapt_after = 60s;
    Writer writer(options);
    writer.play(30);
    for (int s = 0; s < 100; ++s) {
        writer.write(kError, "payment 1 timed out after 5000 ms");
        writer.play(1);
    }
    CHECK(said(writer.of("logs.new")) == "firing adapted");
}

TEST_CASE("logs: a line without a severity is judged by the word it begins with", "[detectors]") {
    const auto severity = [](std::string text) {
        return severity_of(line("shop", at(0), 0, std::move(text)));
    };
    CHECK(severity("2026-11-21 10:28:00 ERROR lost connection") == 17);
    CHECK(severity("[warn] slow query") == 13);
    CHECK(severity("level=fatal msg=bye") == 21);
    CHECK(severity("GET /orders 200") == 9);
    CHECK(severity("a b c d e f g h i j then an error much later") == 9);
    CHECK(severity_of(line("shop", at(0), 5, "error")) == 5);
}

TEST_CASE("logs: a day of a chatty service is calm with default options", "[detectors]") {
    const auto detector = *make_log_detector({});
    Findings out;
    Rng rng(51);
    for (int tick = 0; tick < 8640; ++tick) {
        std::vector<schemas::LogRecord> records;
        for (std::uint64_t i = poisson(rng, 8); i > 0; --i) {
            records.push_back(line("shop", at(tick * 10.0 + 10 * rng.uniform()), kInfo,
                                   fmt::format("order {} took {} ms", rng.next(), rng.below(99))));
        }
        for (std::uint64_t i = poisson(rng, 2); i > 0; --i) {
            records.push_back(line("shop", at(tick * 10.0 + 10 * rng.uniform()), kError,
                                   fmt::format("retry {} of order {}", rng.below(3), rng.next())));
        }
        detector->observe(records, out);
        detector->advance(at(tick * 10.0 + 10), out);
    }
    CHECK(out.anomalies.empty());
}

TEST_CASE("logs: late, homeless and endless lines are counted or cut", "[detectors]") {
    Writer writer(quick());
    writer.play(20);
    schemas::LogRecord homeless = line("shop", at(20), kError, "x");
    homeless.attributes.clear();
    const std::string endless = "ERROR " + std::string(1'000'000, 'x');
    const std::vector<schemas::LogRecord> records{homeless,
                                                  line("shop", at(1), kError, "late"),
                                                  line("shop", at(1e6), kError, "ahead"),
                                                  line("shop", EventTime::max(), kError, "never"),
                                                  line("shop", at(20), kError, endless),
                                                  line("shop", at(20), kError, "\xff\xfe\0bad")};
    writer.detector->observe(records, writer.out);
    writer.play(4);
    const auto dropped = writer.detector->counts().dropped;
    CHECK(dropped.at("no_entity") == 1);
    CHECK(dropped.at("late") == 1);
    CHECK(dropped.at("bad_time") == 2);
    const auto found = writer.of("logs.new");
    REQUIRE(found.size() == 1);
    CHECK(found.front().examples.size() == 2);
    for (const auto& example : found.front().examples) CHECK(example.size() < 600);
    CHECK(writer.detector->save().size() < 100'000);
}

TEST_CASE("logs: services are bounded; idle ones make room", "[detectors]") {
    LogOptions options = quick();
    options.services_max = 5;
    const auto detector = *make_log_detector(options);
    Findings out;
    const auto write = [&](const std::string& service, double seconds) {
        const std::vector<schemas::LogRecord> records{line(service, at(seconds), kInfo, "hello")};
        detector->observe(records, out);
    };
    for (int i = 0; i < 100; ++i) write("s" + std::to_string(i), 0);
    CHECK(detector->counts().dropped.at("services_max") == 95);
    detector->advance(at(4000), out);
    write("new", 4000);
    CHECK(detector->counts().dropped.at("services_max") == 95);
    CHECK(detector->counts().tracked == 1);
}

TEST_CASE("logs: options out of range are refused by name", "[detectors]") {
    LogOptions options;
    options.tokens_max = 0;
    const auto made = make_log_detector(options);
    REQUIRE(!made);
    CHECK_THAT(made.error().message, Catch::Contains("tokens_max"));
}
