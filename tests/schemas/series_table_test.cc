#include <algorithm>
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "schemas/otlp_json_usual.h"
#include "schemas/series_table.h"
#include "tests/schemas/wire.h"

namespace {

using namespace vigie::schemas;
using namespace vigie::schemas::wire;

const DecodeLimits kLimits;

std::string name_of(const SeriesTable& table, SeriesHandle series) {
    return to_string(table.metric(series), table.labels(series));
}

// The samples of a body as text, through the table.
std::vector<std::string> read_through(SeriesTable& table, const std::string& body,
                                      std::string_view content_type) {
    DecodedSamples out;
    const auto read = decode_samples(body, content_type, "", kLimits, table, out);
    if (!read) FAIL(read.error().message);
    std::vector<std::string> lines;
    for (const Sample& sample : out.samples) {
        lines.push_back(name_of(table, sample.series) + " " + std::to_string(sample.value) + " " +
                        std::to_string(vigie::micros_of(sample.at)) +
                        (sample.stale ? " stale" : "") + " " +
                        std::to_string(static_cast<int>(sample.kind)));
    }
    return lines;
}

}  // namespace

TEST_CASE("series table: a series has one number, under however many hashes", "[schemas]") {
    SeriesTable table({});
    CHECK(!table.find(1));
    const auto first = table.add(1, MetricKind::kGauge, "up", {{"job", "a"}});
    const auto second = table.add(2, MetricKind::kCounter, "up", {{"job", "b"}});
    CHECK(first == 0);
    CHECK(second == 1);
    CHECK(table.add(3, MetricKind::kGauge, "up", {{"job", "a"}}) == first);
    CHECK(table.find(3)->series == first);
    CHECK(table.find(2)->kind == MetricKind::kCounter);
    CHECK(name_of(table, second) == "up{job=\"b\"}");
    CHECK(table.label(first, "job") == "a");
    CHECK(table.label(first, "instance").empty());
    CHECK(table.size() == 2);
    // The same words in other places are another series.
    CHECK(table.add(4, MetricKind::kGauge, "job", {{"up", "a"}}) == 2);
}

TEST_CASE("series table: what is read the second time is what was read the first time",
          "[schemas]") {
    SeriesTable table({});
    const auto remote = unsnappy(read_payload("remote_write-0001.body"), 1 << 24);
    REQUIRE(remote);
    for (const auto& [body, type] : std::map<std::string, std::string_view>{
             {*remote, kContentRemoteWrite},
             {read_payload("otlp_http_proto-0003.body"), kContentOtlpProtobuf},
             {read_payload("otlp_http_json-0003.body"), kContentOtlpJson}}) {
        const auto first = read_through(table, body, type);
        const auto size = table.size();
        CHECK(first.size() > 20);
        CHECK(read_through(table, body, type) == first);
        CHECK(table.size() == size);
        // And what a decoder without memory reads.
        auto series = decode_metrics(body, type, "", kLimits);
        REQUIRE(series);
        std::size_t points = 0;
        for (const auto& one : *series) points += one.points.size();
        CHECK(points == first.size());
        const auto known = [&](const TimeSeries& one) {
            return std::ranges::any_of(first, [&](const std::string& line) {
                return line.starts_with(to_string(one.metric, one.labels) + " ");
            });
        };
        CHECK(std::ranges::all_of(*series, known));
    }
}

TEST_CASE("series table: both encodings of OTLP lead to the same numbers", "[schemas]") {
    SeriesTable table({});
    read_through(table, read_payload("otlp_http_proto-0003.body"), kContentOtlpProtobuf);
    const auto size = table.size();
    read_through(table, read_payload("otlp_http_json-0003.body"), kContentOtlpJson);
    // Two processes sent them: only what names the process differs.
    CHECK(table.size() <= 2 * size);
}

TEST_CASE("series table: when it is full a new series goes to the overflow of its metric",
          "[schemas]") {
    SeriesTable table({.series_max = 2, .overflow_series_max = 2});
    auto add = [&, hash = std::uint64_t{0}](std::string metric, std::string user) mutable {
        return name_of(table, table.add(++hash, MetricKind::kGauge, metric, {{"user", user}}));
    };
    CHECK(add("m", "1") == "m{user=\"1\"}");
    CHECK(add("m", "2") == "m{user=\"2\"}");
    CHECK(add("m", "3") == "m{otel_metric_overflow=\"true\"}");
    CHECK(add("m", "4") == "m{otel_metric_overflow=\"true\"}");
    CHECK(add("m", "1") == "m{user=\"1\"}");
    CHECK(add("n", "1") == "n{otel_metric_overflow=\"true\"}");
    CHECK(add("o", "1") == "vigie_overflow{otel_metric_overflow=\"true\"}");
    CHECK(add("n", "2") == "n{otel_metric_overflow=\"true\"}");
    CHECK(table.overflowed() == 5);
    CHECK(table.widest_label() == "user");
    CHECK(table.is_overflow(2));
    CHECK(!table.is_overflow(0));
    // What overflowed is not remembered: there may be room later.
    table.forget(std::vector<SeriesHandle>{0});
    CHECK(add("m", "3") == "m{user=\"3\"}");
}

TEST_CASE("series table: too much text overflows too", "[schemas]") {
    SeriesTable table({.text_bytes_max = 1000});
    for (std::uint64_t i = 0; i < 100; ++i) {
        table.add(i, MetricKind::kGauge, "m",
                  {{"path", std::string(100, 'a') + std::to_string(i)}});
    }
    CHECK(table.size() < 12);
    CHECK(table.overflowed() > 88);
}

TEST_CASE("series table: a forgotten number is given again, and no hash leads to it", "[schemas]") {
    SeriesTable table({});
    std::mt19937 random(7);
    std::map<std::uint64_t, std::string> alive;  // By hash
    std::uint64_t next = 0;
    for (int round = 0; round < 200; ++round) {
        for (int i = 0; i < 20; ++i) {
            const auto value = std::to_string(next);
            table.add(next, MetricKind::kGauge, "m" + std::to_string(next % 7), {{"id", value}});
            alive[next] = "m" + std::to_string(next % 7) + "{id=\"" + value + "\"}";
            ++next;
        }
        std::vector<SeriesHandle> gone;
        for (auto at = alive.begin(); at != alive.end();) {
            if (random() % 3 != 0) {
                ++at;
                continue;
            }
            gone.push_back(table.find(at->first)->series);
            at = alive.erase(at);
        }
        table.forget(gone);
        for (const SeriesHandle series : gone) CHECK(!table.contains(series));
        for (const auto& [hash, name] : alive) {
            REQUIRE(table.find(hash));
            REQUIRE(name_of(table, table.find(hash)->series) == name);
        }
    }
    CHECK(table.size() == alive.size());
    CHECK(table.end() < 200);
}

TEST_CASE("series table: a series of ten labels costs less than 250 bytes", "[schemas]") {
    SeriesTable table({});
    constexpr std::uint64_t kSeries = 50'000;
    for (std::uint64_t i = 0; i < kSeries; ++i) {
        Labels labels{{"instance", "host-" + std::to_string(i / 500) + ":9100"}, {"job", "node"}};
        for (int n = 0; n < 7; ++n) labels.emplace_back("label_" + std::to_string(n), "value");
        labels.emplace_back("zone", std::to_string(i % 500));
        table.add(i * 0x9e3779b97f4a7c15U, MetricKind::kGauge, "metric", labels);
    }
    CHECK(table.size() == kSeries);
    CHECK(table.memory_bytes() / kSeries < 250);
}

TEST_CASE("decode samples: a point that is wrong is left out and counted, the rest is taken",
          "[schemas]") {
    SeriesTable table({});
    DecodedSamples out;
    const auto good = message(1, fixed64(3, 2'000'000'000) + real(4, 1.5));
    const auto bad = message(1, message(6, std::string(8, '\0')) + real(7, 1) + real(7, 1));
    const auto body = request("", message(2, message(1, "m") + message(5, good)) +
                                      message(2, message(1, "h") + message(9, bad)) +
                                      message(2, message(5, good)));
    REQUIRE(decode_samples(body, kContentOtlpProtobuf, "", kLimits, table, out));
    CHECK(out.samples.size() == 1);
    CHECK(out.refused == 2);
    CHECK_THAT(out.refused_why, Catch::Contains("histogram h: 1 buckets for 2 bounds"));

    const auto json = R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"x"}]}},{"gauge":{}}]}]}]})";
    REQUIRE(decode_samples(json, kContentOtlpJson, "", kLimits, table, out));
    CHECK(out.samples.size() == 1);
    CHECK(out.refused == 2);

    const auto up = wire::label("__name__", "up");
    const auto remote = series(up, sample(1, 1)) + series(wire::label("a", "b"), sample(1, 1));
    REQUIRE(decode_samples(remote, kContentRemoteWrite, "", kLimits, table, out));
    CHECK(out.samples.size() == 1);
    CHECK(out.refused == 1);
    CHECK_THAT(out.refused_why, Catch::StartsWith("remote write: no label __name__"));
}

TEST_CASE("decode samples: JSON of senders is read without a tree, and to the same samples",
          "[schemas]") {
    const auto body = read_payload("otlp_http_json-0003.body");
    SeriesTable table({});
    DecodedSamples usual;
    vigie::schemas::detail::Budget budget(kLimits);
    vigie::schemas::detail::SampleSink sink(budget, table, usual);
    int others = 0;
    CHECK(vigie::schemas::detail::read_usual_json_metrics(
        body, budget, sink, [&](auto text, const auto&) {
            ++others;
            return text.starts_with('{') && text.ends_with('}');
        }));
    CHECK(others == 2);  // A histogram and an exponential one
    CHECK(usual.samples.size() == 3);
    for (const char* odd :
         {"{}", "[]", "{", R"({"resourceMetrics":1})", R"({"resourceMetrics":[1]})",
          R"({"resourceMetrics":[],"resourceMetrics":[]})", R"({"resourceMetrics":[]} x)",
          R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":""}]}]}]})"}) {
        INFO(odd);
        CHECK(!vigie::schemas::detail::read_usual_json_metrics(
            odd, budget, sink, [](auto, const auto&) { return true; }));
    }
    // A field that comes late, and names with escapes, are read alike.
    DecodedSamples out;
    const auto json = R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[
        {"asDouble":1.5,"flags":0,"attributes":[{"key":"a\u0062","value":{"stringValue":"\u00e9"}}],
         "timeUnixNano":"2000000000"}],"isMonotonic":true,"aggregationTemporality":2},"name":"m"}]}],
        "resource":{"attributes":[{"key":"r","value":{"intValue":7}}]}}]})";
    REQUIRE(decode_samples(json, kContentOtlpJson, "", kLimits, table, out));
    REQUIRE(out.samples.size() == 1);
    CHECK(name_of(table, out.samples[0].series) == "m{ab=\"\u00e9\",r=\"7\"}");
    CHECK(out.samples[0].kind == MetricKind::kCounter);
    CHECK(out.samples[0].value == 1.5);
}

TEST_CASE("decode samples: bodies damaged at random are read or refused, never a crash",
          "[schemas]") {
    std::mt19937 random(11);
    for (const auto& [name, type] : std::map<std::string, std::string_view>{
             {"otlp_http_json-0003.body", kContentOtlpJson},
             {"otlp_http_proto-0003.body", kContentOtlpProtobuf}}) {
        const auto body = read_payload(name);
        SeriesTable table({});
        std::size_t read = 0;
        for (int round = 0; round < 2000; ++round) {
            std::string damaged = body;
            for (unsigned i = 0; i < 1 + random() % 3; ++i) {
                const auto at = random() % damaged.size();
                switch (random() % 3) {
                    case 0: damaged[at] = static_cast<char>(random()); break;
                    case 1: damaged.erase(at, 1 + random() % 40); break;
                    default: damaged.insert(at, damaged, random() % damaged.size(), random() % 40);
                }
                if (damaged.empty()) damaged = " ";
            }
            DecodedSamples out;
            if (decode_samples(damaged, type, "", kLimits, table, out)) ++read;
            for (const Sample& sample : out.samples) {
                if (table.contains(sample.series)) CHECK(!table.metric(sample.series).empty());
            }
        }
        CHECK(read > 20);
    }
}
