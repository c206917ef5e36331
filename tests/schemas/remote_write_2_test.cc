#include <bit>

#include <catch2/catch.hpp>

#include "schemas/series_table.h"
#include "tests/schemas/wire.h"

namespace {

using namespace vigie::schemas;
using namespace vigie::schemas::wire;

const DecodeLimits kLimits;

// Its symbols: 0 is "", then __name__, up, job, shop.
std::string symbols(std::vector<std::string> more = {}) {
    std::string out;
    for (const auto* text : {"", "__name__", "up", "job", "shop"}) out += message(4, text);
    for (const auto& text : more) out += message(4, text);
    return out;
}

std::string refs(std::vector<int> numbers) {
    std::string packed;
    for (const int number : numbers) packed += static_cast<char>(number);
    return message(1, packed);
}

std::string point(double value, std::int64_t millis) {
    return message(2, real(1, value) + varint(2, static_cast<std::uint64_t>(millis)));
}

struct Read {
    SeriesTable table{SeriesTable::Options{}};
    DecodedSamples out;
    vigie::Status status;

    explicit Read(
        const std::string& body,
        std::string_view type = "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        : status(decode_samples(body, type, "", kLimits, table, out)) {}

    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& sample : out.samples) {
            all.push_back(to_string(table.metric(sample.series), table.labels(sample.series)));
        }
        return all;
    }
    double value(std::string_view metric, std::string_view le = {}) const {
        for (const auto& sample : out.samples) {
            if (table.metric(sample.series) == metric && table.label(sample.series, "le") == le) {
                return sample.value;
            }
        }
        FAIL("no " << metric << " " << le);
        return 0;
    }
};

// Spans (0, 2) and (1, 1): buckets 0, 1 and 3 with 1, 3 and 2 observations, as integers.
const std::string kNative = varint(1, 7) + real(3, 12.5) + varint(4, 0) + real(5, 0.001) +
                            varint(6, 1) + message(11, varint(2, 2)) +
                            message(11, zigzag(1, 1) + varint(2, 1)) +
                            message(12, std::string("\x02\x04\x01")) + varint(15, 2000);

}  // namespace

TEST_CASE("remote write 2.0: series refer to their labels by number", "[schemas]") {
    const Read read(symbols() + message(5, refs({1, 2, 3, 4}) + point(1, 1000) + point(0, 2000)));
    REQUIRE(read.status);
    CHECK(read.names() == std::vector<std::string>{"up{job=\"shop\"}", "up{job=\"shop\"}"});
    CHECK(read.out.samples[1].at == vigie::event_time_from_micros(2'000'000));
    CHECK(read.out.samples[0].kind == MetricKind::kUnknown);
}

TEST_CASE("remote write 2.0: the kind comes with the series", "[schemas]") {
    const auto kind = [](int type) {
        const Read read(symbols() +
                        message(5, refs({1, 2}) + point(1, 1) +
                                       message(5, varint(1, static_cast<unsigned>(type)))));
        REQUIRE(read.status);
        return read.out.samples.at(0).kind;
    };
    CHECK(kind(0) == MetricKind::kUnknown);
    CHECK(kind(1) == MetricKind::kCounter);
    CHECK(kind(2) == MetricKind::kGauge);
}

TEST_CASE("remote write 2.0: symbols may come after the series, stale markers mark", "[schemas]") {
    const auto stale = std::bit_cast<double>(std::uint64_t{0x7ff0000000000002});
    const Read read(message(5, refs({1, 2}) + point(stale, 1)) + symbols());
    REQUIRE(read.status);
    CHECK(read.out.samples.at(0).stale);
    CHECK(read.out.samples.at(0).value == 0);
}

TEST_CASE("remote write 2.0: native histograms become buckets, exemplars are counted",
          "[schemas]") {
    const Read read(symbols() +
                    message(5, refs({1, 2}) + message(3, kNative) + message(4, real(2, 1))));
    REQUIRE(read.status);
    CHECK(read.out.counts.histograms == 1);
    CHECK(read.out.counts.exemplars == 1);
    CHECK(read.value("up_count") == 7);
    CHECK(read.value("up_sum") == 12.5);
    CHECK(read.value("up_bucket", "0.001") == 1);
    CHECK(read.value("up_bucket", "1") == 2);  // Bucket 0 is (0.5, 1].
    CHECK(read.value("up_bucket", "2") == 5);  // Bucket 1 is (1, 2].
    CHECK(read.value("up_bucket", "8") == 7);
    CHECK(read.value("up_bucket", "+Inf") == 7);
    CHECK(read.out.samples.at(0).kind == MetricKind::kCounter);
    CHECK(read.out.samples.at(0).at == vigie::event_time_from_micros(2'000'000));
}

TEST_CASE("remote write 1.0: native histograms are read alike", "[schemas]") {
    const Read read(
        message(1, wire::label("__name__", "up") + message(4, kNative) + message(3, real(2, 1))),
        kContentRemoteWrite);
    REQUIRE(read.status);
    CHECK(read.out.counts.histograms == 1);
    CHECK(read.out.counts.exemplars == 1);
    CHECK(read.value("up_bucket", "2") == 5);
    CHECK(read.value("up_count") == 7);
}

TEST_CASE("remote write: histograms with bounds of their own, of floats, of gauges", "[schemas]") {
    const std::string custom =
        real(2, 3.5) + real(3, 9) + zigzag(4, -53) + message(11, varint(2, 3)) +
        message(13, real(1, 0).substr(1) + real(1, 1.5).substr(1) + real(1, 2).substr(1)) +
        message(16, real(1, 0.5).substr(1) + real(1, 10).substr(1)) + varint(14, 3) + varint(15, 1);
    const Read read(symbols() + message(5, refs({1, 2}) + message(3, custom)));
    REQUIRE(read.status);
    CHECK(read.value("up_bucket", "0.5") == 0);
    CHECK(read.value("up_bucket", "10") == 1.5);
    CHECK(read.value("up_bucket", "+Inf") == 3.5);
    CHECK(read.out.samples.at(0).kind == MetricKind::kGauge);
}

TEST_CASE("remote write 2.0: a series that is wrong is left out, the others are taken",
          "[schemas]") {
    const auto good = message(5, refs({1, 2}) + point(1, 1));
    const auto refused = [&](const std::string& series) {
        const Read read(symbols() + good + message(5, series) + good);
        REQUIRE(read.status);
        CHECK(read.out.samples.size() == 2);
        CHECK(read.out.refused == 1);
        CHECK(read.out.counts.histograms == 0);
        return read.out.refused_why;
    };
    CHECK_THAT(refused(refs({1, 9}) + point(1, 1)), Catch::Contains("there is no symbol 9"));
    CHECK_THAT(refused(refs({1}) + point(1, 1)), Catch::Contains("a label without a value"));
    CHECK_THAT(refused(refs({3, 4}) + point(1, 1)), Catch::Contains("no label __name__"));
    CHECK_THAT(refused(refs({0, 4}) + point(1, 1)), Catch::Contains("a label without a name"));
    CHECK_THAT(refused(refs({1, 2}) + message(2, "\x09")), Catch::Contains("not protobuf"));
    CHECK_THAT(refused(refs({1, 2}) + message(3, varint(15, 1) + message(11, varint(2, 9)))),
               Catch::Contains("fewer buckets than spans"));
    CHECK_THAT(refused(refs({1, 2}) + message(3, varint(15, 1) + zigzag(4, 9))),
               Catch::Contains("9 is not a schema"));
    CHECK_THAT(refused(refs({1, 2}) + message(3, message(11, varint(2, 1)) +
                                                     message(11, zigzag(1, -1) + varint(2, 1)) +
                                                     message(12, std::string("\x02\x02")))),
               Catch::Contains("overlap"));
    CHECK_THAT(
        refused(refs({1, 2}) + message(3, message(11, varint(2, 1)) +
                                              message(11, zigzag(1, 2'000'000'000) + varint(2, 1)) +
                                              message(12, std::string("\x02\x02")))),
        Catch::Contains("more than 16384 buckets"));
}

TEST_CASE("remote write 2.0: a body that is not one is refused whole", "[schemas]") {
    CHECK_THAT(Read(message(4, "x")).status.error().message,
               Catch::Contains("the first symbol is not empty"));
    CHECK(!Read("\x2a\x7f").status);
    CHECK(Read("").status);
    const auto body =
        symbols() + message(5, refs({1, 2, 3, 4}) + point(1, 1000) + message(3, kNative));
    std::size_t refused = 0;
    for (std::size_t size = 0; size < body.size(); ++size) {
        const std::vector<char> cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
        if (!Read(std::string(cut.begin(), cut.end())).status) ++refused;
    }
    CHECK(refused > body.size() / 2);
}
