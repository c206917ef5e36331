#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "schemas/telemetry.h"
#include "tests/schemas/wire.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;
using namespace vigie::schemas::wire;

const DecodeLimits kLimits;

std::string body_of(const char* payload) {
    const auto body = unsnappy(read_payload(payload), 1 << 24);
    REQUIRE(body);
    return *body;
}

std::vector<TimeSeries> decoded(const std::string& bytes) {
    const auto result = decode_remote_write(bytes, kLimits);
    if (!result) FAIL(result.error().message);
    return *result;
}

std::string refusal_of(const std::string& bytes, const DecodeLimits& limits = kLimits) {
    const auto result = decode_remote_write(bytes, limits);
    REQUIRE(!result);
    const bool limit = result.error().message.find("more than") != std::string::npos;
    CHECK((result.error().kind == ErrorKind::kInvalid || limit));
    return result.error().message;
}

const std::string kUp = wire::label("__name__", "up");

}  // namespace

TEST_CASE("remote write: what Prometheus sent is read", "[schemas]") {
    std::size_t points = 0;
    for (const auto* payload :
         {"remote_write-0001.body", "remote_write-0002.body", "remote_write-0003.body"}) {
        const auto all = decoded(body_of(payload));
        CHECK(all.size() > 100);
        for (const auto& series : all) {
            CHECK(!series.metric.empty());
            CHECK(vigie::schemas::label(series.labels, "__name__").empty());
            CHECK(std::ranges::is_sorted(series.labels));
            CHECK(!series.points.empty());
            for (const auto& point : series.points) {
                CHECK(point.at > vigie::event_time_from_micros(1'700'000'000'000'000));
                ++points;
            }
        }
    }
    CHECK(points > 500);
}

TEST_CASE("remote write: labels are sorted, points keep their order", "[schemas]") {
    const auto all = decoded(series(wire::label("z", "1") + kUp + wire::label("a", "2"),
                                    sample(1.5, 2000) + sample(-0.25, 1000)));
    REQUIRE(all.size() == 1);
    CHECK(to_string(all[0].metric, all[0].labels) == "up{a=\"2\",z=\"1\"}");
    REQUIRE(all[0].points.size() == 2);
    CHECK(all[0].points[0] == Point{vigie::event_time_from_micros(2'000'000), 1.5, false});
    CHECK(all[0].points[1] == Point{vigie::event_time_from_micros(1'000'000), -0.25, false});
}

TEST_CASE("remote write: the staleness marker is not a value, other NaN are", "[schemas]") {
    const auto stale = std::bit_cast<double>(std::uint64_t{0x7ff0000000000002});
    const auto all = decoded(series(kUp, sample(stale, 1) + sample(std::nan(""), 2) +
                                             sample(std::numeric_limits<double>::infinity(), 3)));
    REQUIRE(all.at(0).points.size() == 3);
    CHECK(all[0].points[0].stale);
    CHECK(all[0].points[0].value == 0);
    CHECK(!all[0].points[1].stale);
    CHECK(std::isnan(all[0].points[1].value));
    CHECK(std::isinf(all[0].points[2].value));
}

TEST_CASE("remote write: the kind comes from metadata, else from the name", "[schemas]") {
    const auto kind = [](const std::string& metric, const std::string& metadata = {}) {
        return decoded(series(wire::label("__name__", metric), sample(1, 1)) + metadata).at(0).kind;
    };
    const auto metadata = [](std::uint64_t type, const char* family) {
        return message(3, varint(1, type) + message(2, family));
    };
    CHECK(kind("up") == MetricKind::kUnknown);
    CHECK(kind("requests_total") == MetricKind::kCounter);
    CHECK(kind("latency_bucket") == MetricKind::kCounter);
    CHECK(kind("latency_sum") == MetricKind::kCounter);
    CHECK(kind("latency_count") == MetricKind::kCounter);
    CHECK(kind("node_load1", metadata(2, "node_load1")) == MetricKind::kGauge);
    CHECK(kind("seconds", metadata(1, "seconds")) == MetricKind::kCounter);
    CHECK(kind("rpc", metadata(5, "rpc")) == MetricKind::kGauge);
    CHECK(kind("rpc_count", metadata(5, "rpc")) == MetricKind::kCounter);
    CHECK(kind("files_count", metadata(2, "files_count")) == MetricKind::kGauge);
    CHECK(kind("odd", metadata(999, "odd")) == MetricKind::kUnknown);
}

TEST_CASE("remote write: empty labels are absent, of two equal names the later wins", "[schemas]") {
    const auto all = decoded(series(
        kUp + wire::label("a", "1") + wire::label("b", "") + wire::label("a", "2"), sample(1, 1)));
    CHECK(all.at(0).labels == Labels{{"a", "2"}});
}

TEST_CASE("remote write: a body without series is empty, not wrong", "[schemas]") {
    CHECK(decoded("").empty());
    CHECK(decoded(series(kUp, "")).empty());
    CHECK(decoded(message(3, varint(1, 1) + message(2, "up"))).empty());
}

TEST_CASE("remote write: unknown fields and known fields of another type are passed over",
          "[schemas]") {
    const auto all = decoded(varint(1, 7) + message(99, "x") + fixed64(2, 1) +
                             series(kUp + varint(1, 3) + message(77, "y"),
                                    message(2, varint(1, 9) + real(1, 2.0) + real(2, 1.0))));
    REQUIRE(all.size() == 1);
    CHECK(all[0].points.at(0).value == 2.0);
}

TEST_CASE("remote write: what is wrong is refused with its place", "[schemas]") {
    CHECK(refusal_of(series("", sample(1, 1))) ==
          "remote write: no label __name__, in the series or metadata at byte 2");
    CHECK_THAT(refusal_of(series(wire::label("", "x"), sample(1, 1))),
               Catch::StartsWith("remote write: a label without a name, in the series"));
    CHECK_THAT(refusal_of(series(kUp, sample(1, std::numeric_limits<std::int64_t>::max()))),
               Catch::Contains("is not a time in milliseconds"));
    CHECK_THAT(refusal_of("\x0a\x7f"), Catch::Contains("end of buffer"));
    CHECK_THAT(refusal_of("not protobuf"), Catch::StartsWith("remote write: "));
}

TEST_CASE("remote write: limits hold on both sides", "[schemas]") {
    const auto two = series(kUp, sample(1, 1) + sample(1, 2));
    CHECK(decode_remote_write(two, {.items_max = 2}));
    CHECK_THAT(refusal_of(two, {.items_max = 1}), Catch::Contains("more than 1 items"));
    const auto labels = series(kUp + wire::label("a", "1"), sample(1, 1));
    CHECK(decode_remote_write(labels, {.labels_max = 2}));
    CHECK_THAT(refusal_of(labels, {.labels_max = 1}), Catch::Contains("more than 1 labels"));
    CHECK(decode_remote_write(two, {.bytes_max = two.size()}));
    CHECK_THAT(refusal_of(two, {.bytes_max = two.size() - 1}), Catch::Contains("more than"));
    CHECK_THAT(refusal_of(two, {.memory_bytes_max = 40}), Catch::Contains("of memory"));
}

TEST_CASE("remote write: long values are cut between characters", "[schemas]") {
    const auto value = [](const std::string& text) {
        const auto result = decode_remote_write(series(kUp + wire::label("a", text), sample(1, 1)),
                                                {.label_bytes_max = 10});
        REQUIRE(result);
        return std::string(vigie::schemas::label(result->at(0).labels, "a"));
    };
    CHECK(value("0123456789") == "0123456789");
    CHECK(value("0123456789a") == "0123456789");
    CHECK(value("01234567éx") == "01234567é");
    CHECK(value("012345678é") == "012345678");
    CHECK(value("012345\xf0\x9f\x9a\xa8x") == "012345\xf0\x9f\x9a\xa8");
    CHECK(value("0123456\xf0\x9f\x9a\xa8") == "0123456");
    CHECK(value("a\xff"
                "b") ==
          "a\xEF\xBF\xBD"
          "b");
    CHECK(value("\xe2\x82") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("remote write: cut at any byte it is read or refused, never a crash", "[schemas]") {
    const auto bytes = body_of("remote_write-0002.body");
    std::size_t refused = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        // A copy of exactly that size, so that a sanitizer sees a read beyond it.
        const std::vector<char> cut(bytes.begin(),
                                    bytes.begin() + static_cast<std::ptrdiff_t>(size));
        if (!decode_remote_write({cut.data(), cut.size()}, kLimits)) ++refused;
    }
    CHECK(refused > bytes.size() * 9 / 10);
}
