#include "schemas/exposition.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "schemas/compression.h"
#include "schemas/write_request.h"

using namespace vigie;
using namespace vigie::schemas;

namespace {

struct Read final : ExpositionVisitor {
    std::vector<std::pair<std::string, ExposedType>> types;
    std::vector<ExposedSample> samples;

    Status on_type(std::string_view family, ExposedType type) override {
        types.emplace_back(family, type);
        return {};
    }
    Status on_sample(const ExposedSample& sample) override {
        samples.push_back(sample);
        return {};
    }
};

Read read(std::string_view text, Exposition format = Exposition::kText) {
    Read out;
    const auto done = parse_exposition(text, format, {}, out);
    INFO((done ? "" : done.error().message));
    REQUIRE(done.has_value());
    return out;
}

std::string refusal(std::string_view text, Exposition format = Exposition::kText,
                    const ExpositionLimits& limits = {}) {
    Read out;
    const auto done = parse_exposition(text, format, limits, out);
    REQUIRE_FALSE(done.has_value());
    return done.error().message;
}

// Of the documentation of the format, with everything that it may have.
constexpr std::string_view kText = R"(# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.5",} 4773
rpc_duration_seconds_sum 1.7560473e+07
	 colons:are:fine	{ a = "1" , b = "2" }	NaN
)";

}  // namespace

TEST_CASE("exposition: the text format with all that it may have", "[schemas]") {
    const auto page = read(kText);
    REQUIRE(page.types.size() == 2);
    CHECK(page.types[0] == std::pair{std::string("http_requests_total"), ExposedType::kCounter});
    CHECK(page.types[1].second == ExposedType::kSummary);
    REQUIRE(page.samples.size() == 8);
    CHECK(page.samples[0].metric == "http_requests_total");
    CHECK(page.samples[0].labels == Labels{{"code", "200"}, {"method", "post"}});
    CHECK(page.samples[0].value == 1027);
    CHECK(page.samples[0].at == event_time_from_micros(1395066363000000));
    CHECK(label(page.samples[2].labels, "path") == "C:\\DIR\\FILE.TXT");
    CHECK(label(page.samples[2].labels, "error") == "Cannot find file:\n\"FILE.TXT\"");
    CHECK_FALSE(page.samples[2].at.has_value());
    CHECK(page.samples[3].value == 12.47);
    CHECK(std::isinf(page.samples[4].value));
    CHECK(page.samples[4].at == event_time_from_micros(-3982045000));
    CHECK(page.samples[5].value == 4773);
    CHECK(page.samples[6].value == 1.7560473e7);
    CHECK(page.samples[7].metric == "colons:are:fine");
    CHECK(page.samples[7].labels.size() == 2);
    CHECK(std::isnan(page.samples[7].value));
}

TEST_CASE("exposition: OpenMetrics with exemplars, units and times in seconds", "[schemas]") {
    const auto page = read(
        "# TYPE foo_seconds histogram\n# UNIT foo_seconds seconds\n# HELP foo_seconds h\\\"i\n"
        "foo_seconds_bucket{le=\"1.0\"} 8 1.5 # {trace_id=\"x\"} 0.67 1520879607.789\n"
        "foo_seconds_bucket{le=\"+Inf\"} 17 # {} 9.8\n"
        "foo_seconds_count 17\n# TYPE s stateset\ns{s=\"a\"} 1\n"
        "{\"my.metric\",\"a.b\"=\"c\"} 3\n# EOF\n",
        Exposition::kOpenMetrics);
    REQUIRE(page.samples.size() == 5);
    CHECK(page.samples[0].at == event_time_from_micros(1'500'000));
    CHECK(page.samples[0].has_exemplar);
    CHECK(page.samples[1].has_exemplar);
    CHECK_FALSE(page.samples[2].has_exemplar);
    CHECK(page.samples[4].metric == "my.metric");
    CHECK(page.samples[4].labels == Labels{{"a.b", "c"}});
    CHECK(page.types[1].second == ExposedType::kStateSet);
}

TEST_CASE("exposition: a wrong line is named", "[schemas]") {
    CHECK(refusal("a 1\nb\n") == "line 2: '' is not a value");
    CHECK(refusal("a 1\nb{x=1} 2\n") == "line 2: the value of label 'x' is not quoted");
    CHECK(refusal("\n\n9a 2\n").starts_with("line 3: expected the name of a metric"));
    CHECK(refusal("a{x=\"1\"y=\"2\"} 2").starts_with("line 1: expected ',' or '}'"));
    CHECK(refusal("a{x=\"1\",x=\"2\"} 2") == "line 1: the label 'x' is there twice");
    CHECK(refusal("a{x=\"1} 2\n") == "line 1: a text has no closing quote");
    CHECK(refusal("a 1 2 3\n").starts_with("line 1: more after the sample: '3'"));
    CHECK(refusal("a 1 1.5\n") == "line 1: '1.5' is not a time");
    CHECK(refusal("a ++1\n") == "line 1: '++1' is not a value");
    CHECK(refusal("a 1 99999999999999999\n") == "line 1: '99999999999999999' is not a time");
    CHECK(refusal("a{x=\"\xff\"} 1\n") == "line 1: text that is not UTF-8");
    CHECK(refusal("# TYPE a thing\n") == "line 1: 'thing' is not a type of metrics");
    CHECK(refusal("<html>\n").starts_with("line 1: expected the name of a metric"));
}

TEST_CASE("exposition: OpenMetrics must end, and has no empty lines", "[schemas]") {
    constexpr auto kOpen = Exposition::kOpenMetrics;
    CHECK(refusal("a 1\n", kOpen) == "line 1: the text does not end with '# EOF'");
    CHECK(refusal("", kOpen) == "line 0: the text does not end with '# EOF'");
    CHECK(refusal("# EOF\na 1\n", kOpen) == "line 2: there is text after '# EOF'");
    CHECK(refusal("a 1\n\n# EOF\n", kOpen) == "line 2: OpenMetrics has no empty lines");
    CHECK(refusal("# hello\n# EOF\n", kOpen).starts_with("line 1: expected '# TYPE'"));
    CHECK(refusal("a 1 # x\n# EOF\n", kOpen) == "line 1: an exemplar without labels");
    CHECK(read("# EOF", kOpen).samples.empty());
}

TEST_CASE("exposition: every bound is kept, and said", "[schemas]") {
    constexpr auto kText0 = Exposition::kText;
    ExpositionLimits limits;
    limits.samples_max = 2;
    CHECK(refusal("a 1\nb 1\nc 1\n", kText0, limits) == "line 3: more than 2 samples");
    CHECK(refusal("#\n#\n#\n#\n#\n#\n", kText0, limits) == "line 6: more than 5 lines");
    limits = {};
    limits.labels_max = 1;
    CHECK(refusal("a{x=\"1\",y=\"2\"} 1\n", kText0, limits) == "line 1: more than 1 labels");
    limits.label_value_bytes_max = 2;
    CHECK(refusal("a{x=\"123\"} 1\n", kText0, limits) == "line 1: text of more than 2 bytes");
    limits.label_name_bytes_max = 2;
    CHECK(refusal("a{xyz=\"1\"} 1\n", kText0, limits).find("more than 2 bytes") !=
          std::string::npos);
    limits.line_bytes_max = 10;
    CHECK(refusal("a 1\n" + std::string(11, ' ') + "\n", kText0, limits) ==
          "line 2: longer than 10 bytes");
}

TEST_CASE("exposition: however the page is cut, it reads the same", "[schemas]") {
    const auto whole = read(kText);
    for (std::size_t size = 1; size < 40; ++size) {
        Read out;
        ExpositionParser parser(Exposition::kText, {}, out);
        for (std::size_t at = 0; at < kText.size(); at += size) {
            REQUIRE(parser.feed(kText.substr(at, size)).has_value());
        }
        REQUIRE(parser.finish().has_value());
        REQUIRE(out.samples.size() == whole.samples.size());
        CHECK(out.samples[2].labels == whole.samples[2].labels);
    }
}

TEST_CASE("exposition: what an answer calls itself chooses the format", "[schemas]") {
    CHECK(exposition_of("application/openmetrics-text; version=1.0.0; charset=utf-8") ==
          Exposition::kOpenMetrics);
    CHECK(exposition_of("text/plain; version=0.0.4") == Exposition::kText);
    CHECK(exposition_of("") == Exposition::kText);
}

TEST_CASE("write request: what is written is read back", "[schemas]") {
    WriteRequest request;
    const auto series = encode_series("up", {{"job", "node"}, {"instance", "web-1:9100"}});
    request.add_family("temperature_total", ExposedType::kGauge);
    request.add(series, 1, event_time_from_micros(1'000'000));
    request.add_stale(series, event_time_from_micros(2'000'000));
    request.add(encode_series("temperature_total", {}), -3.5, event_time_from_micros(5'000));
    CHECK(request.samples() == 3);
    const auto body = request.take();
    CHECK(request.bytes() == 0);
    const auto all = decode_metrics(body, kContentRemoteWrite, "snappy", {});
    REQUIRE(all.has_value());
    std::vector<Point> up;
    for (const auto& one : *all) {
        if (one.metric == "up") {
            CHECK(one.labels == Labels{{"instance", "web-1:9100"}, {"job", "node"}});
            up.insert(up.end(), one.points.begin(), one.points.end());
        } else {
            CHECK(one.kind == MetricKind::kGauge);
            REQUIRE(one.points.size() == 1);
            CHECK(one.points[0].value == -3.5);
        }
    }
    REQUIRE(up.size() == 2);
    CHECK(up[0].value == 1);
    CHECK(up[1].stale);
}

TEST_CASE("write request: a label is added to every series and wins, wherever others stand",
          "[schemas]") {
    WriteRequest request;
    request.add_family("b", ExposedType::kGauge);
    request.add(encode_series("a", {{"tenant", "forged"}, {"z", "1"}}), 1,
                event_time_from_micros(1000));
    request.add(encode_series("b", {}), 2, event_time_from_micros(1000));
    std::string body = *unsnappy(request.take(), 10'000);
    // A label behind the sample.
    const std::string late("\x0a\x0a\x0a\x06tenant\x12\x00", 12);
    const std::string series = encode_series("c", {}) + std::string("\x12\x02\x10\x01", 4) + late;
    body += "\x0a" + std::string(1, static_cast<char>(series.size())) + series;
    const auto labelled = add_label(body, "tenant", "acme");
    REQUIRE(labelled.has_value());
    const auto all = decode_metrics(snap(*labelled), kContentRemoteWrite, "snappy", {});
    REQUIRE(all.has_value());
    REQUIRE(all->size() == 3);
    for (const auto& one : *all) {
        INFO(one.metric);
        CHECK(label(one.labels, "tenant") == "acme");
        CHECK(one.points.size() == 1);
        CHECK((one.kind == MetricKind::kGauge) == (one.metric == "b"));
    }
    CHECK_FALSE(add_label("\x0a\x7f", "a", "b").has_value());
}
