// OTLP metrics from bytes to identity and value, for tests/bench/ingest.py: Vigie's decoders beside
// what a program with libprotobuf (messages on an arena) or nlohmann-json would do: read the body,
// hash the attributes of each point, and look the series up. Both sides know every series already.
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include <google/protobuf/arena.h>
#include <otlp_metrics.pb.h>
#include <xxhash.h>
#include <nlohmann/json.hpp>

#include "core/result.h"
#include "schemas/series.h"
#include "schemas/series_table.h"
#include "tests/bench/measure.h"

namespace {

using namespace vigie;
using namespace vigie::bench;
namespace wire = vigie::bench::otlp;

constexpr int kResources = 20;
constexpr int kMetrics = 20;
constexpr int kPoints = 5;
constexpr std::size_t kAll = std::size_t{kResources} * kMetrics * kPoints;
constexpr std::uint64_t kNanos = 1'764'000'000'000'000'000ULL;

void add(google::protobuf::RepeatedPtrField<wire::KeyValue>& to, std::string key,
         std::string text) {
    auto& each = *to.Add();
    each.set_key(std::move(key));
    each.mutable_value()->set_string_value(std::move(text));
}

void fill(wire::NumberDataPoint& point, int resource, int metric, int number) {
    add(*point.mutable_attributes(), "http.request.method", number % 2 == 0 ? "GET" : "POST");
    add(*point.mutable_attributes(), "http.route", fmt::format("/api/v1/items/{}", number));
    add(*point.mutable_attributes(), "server.address", "shop.example");
    point.set_start_time_unix_nano(kNanos - 3'600'000'000'000);
    point.set_time_unix_nano(kNanos);
    if (metric % 2 == 0) {
        point.set_as_double(0.5 + resource * 3.25 + number);
    } else {
        point.set_as_int(1'000'000LL * resource + number);
    }
}

wire::ExportMetricsServiceRequest request() {
    wire::ExportMetricsServiceRequest out;
    for (int r = 0; r < kResources; ++r) {
        auto& resource = *out.add_resource_metrics();
        auto& attributes = *resource.mutable_resource()->mutable_attributes();
        add(attributes, "service.name", "shop");
        add(attributes, "service.instance.id", fmt::format("shop-7d9f8b6c5d-{:05}", r));
        add(attributes, "k8s.namespace.name", "default");
        add(attributes, "k8s.pod.name", fmt::format("shop-7d9f8b6c5d-{:05}", r));
        add(attributes, "host.name", fmt::format("worker-{:03}", r));
        add(attributes, "telemetry.sdk.language", "go");
        auto& scope = *resource.add_scope_metrics();
        scope.mutable_scope()->set_name("example.com/shop");
        scope.mutable_scope()->set_version("1.4.2");
        for (int m = 0; m < kMetrics; ++m) {
            auto& metric = *scope.add_metrics();
            metric.set_name(fmt::format("shop.requests.{}", m));
            metric.set_unit("1");
            if (m % 2 == 1) {
                metric.mutable_sum()->set_is_monotonic(true);
                metric.mutable_sum()->set_aggregation_temporality(2);
            }
            for (int p = 0; p < kPoints; ++p) {
                fill(m % 2 == 1 ? *metric.mutable_sum()->add_data_points()
                                : *metric.mutable_gauge()->add_data_points(),
                     r, m, p);
            }
        }
    }
    return out;
}

using nlohmann::json;

json attributes_of(const google::protobuf::RepeatedPtrField<wire::KeyValue>& all) {
    json out = json::array();
    for (const auto& each : all) {
        out.push_back(
            {{"key", each.key()}, {"value", {{"stringValue", each.value().string_value()}}}});
    }
    return out;
}

json points_of(const google::protobuf::RepeatedPtrField<wire::NumberDataPoint>& all) {
    json out = json::array();
    for (const auto& each : all) {
        json point{{"attributes", attributes_of(each.attributes())},
                   {"startTimeUnixNano", std::to_string(each.start_time_unix_nano())},
                   {"timeUnixNano", std::to_string(each.time_unix_nano())}};
        if (each.value_case() == wire::NumberDataPoint::kAsDouble) {
            point["asDouble"] = each.as_double();
        } else {
            point["asInt"] = std::to_string(each.as_int());
        }
        out.push_back(std::move(point));
    }
    return out;
}

std::string json_of(const wire::ExportMetricsServiceRequest& request) {
    json resources = json::array();
    for (const auto& resource : request.resource_metrics()) {
        json metrics = json::array();
        for (const auto& metric : resource.scope_metrics(0).metrics()) {
            json each{{"name", metric.name()}, {"unit", metric.unit()}};
            if (metric.has_sum()) {
                each["sum"] = {{"dataPoints", points_of(metric.sum().data_points())},
                               {"aggregationTemporality", 2},
                               {"isMonotonic", true}};
            } else {
                each["gauge"] = {{"dataPoints", points_of(metric.gauge().data_points())}};
            }
            metrics.push_back(std::move(each));
        }
        const auto& scope = resource.scope_metrics(0).scope();
        resources.push_back(
            {{"resource", {{"attributes", attributes_of(resource.resource().attributes())}}},
             {"scopeMetrics",
              {{{"scope", {{"name", scope.name()}, {"version", scope.version()}}},
                {"metrics", std::move(metrics)}}}}});
    }
    return json{{"resourceMetrics", std::move(resources)}}.dump();
}

// What either of the others ends with: the number of the series, a time and a value.
struct Known {
    std::uint32_t series = 0;
    std::uint64_t nanos = 0;
    double value = 0;
};

class Series {
public:
    void take(std::uint64_t hash, std::uint64_t nanos, double value) {
        const auto at =
            numbers_.try_emplace(hash, static_cast<std::uint32_t>(numbers_.size())).first;
        out_.push_back({at->second, nanos, value});
    }
    void clear() { out_.clear(); }
    std::size_t taken() const { return out_.size(); }

private:
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
    std::vector<Known> out_;
};

std::uint64_t mix(std::uint64_t hash, const std::string& text) {
    return XXH3_64bits_withSeed(text.data(), text.size(), hash);
}

std::uint64_t mix_all(std::uint64_t hash,
                      const google::protobuf::RepeatedPtrField<wire::KeyValue>& all) {
    for (const auto& each : all) hash = mix(mix(hash, each.key()), each.value().string_value());
    return hash;
}

void with_protobuf(const std::string& bytes, Series& series) {
    google::protobuf::Arena arena;
    auto* request =
        google::protobuf::Arena::CreateMessage<wire::ExportMetricsServiceRequest>(&arena);
    VIGIE_ASSERT(request->ParseFromString(bytes));
    for (const auto& resource : request->resource_metrics()) {
        const auto base = mix_all(0, resource.resource().attributes());
        for (const auto& scope : resource.scope_metrics()) {
            for (const auto& metric : scope.metrics()) {
                const auto named = mix(base, metric.name());
                const auto& points =
                    metric.has_sum() ? metric.sum().data_points() : metric.gauge().data_points();
                for (const auto& point : points) {
                    series.take(mix_all(named, point.attributes()), point.time_unix_nano(),
                                point.value_case() == wire::NumberDataPoint::kAsDouble
                                    ? point.as_double()
                                    : static_cast<double>(point.as_int()));
                }
            }
        }
    }
}

std::uint64_t mix_all(std::uint64_t hash, const json& all) {
    for (const auto& each : all) {
        hash = mix(mix(hash, each.at("key").get_ref<const std::string&>()),
                   each.at("value").at("stringValue").get_ref<const std::string&>());
    }
    return hash;
}

void with_nlohmann(const std::string& bytes, Series& series) {
    const json request = json::parse(bytes);
    for (const auto& resource : request.at("resourceMetrics")) {
        const auto base = mix_all(0, resource.at("resource").at("attributes"));
        for (const auto& scope : resource.at("scopeMetrics")) {
            for (const auto& metric : scope.at("metrics")) {
                const auto named = mix(base, metric.at("name").get_ref<const std::string&>());
                const auto sum = metric.find("sum");
                const json& data = sum == metric.end() ? metric.at("gauge") : *sum;
                for (const auto& point : data.at("dataPoints")) {
                    const auto number = point.find("asDouble");
                    const double value =
                        number != point.end()
                            ? number->get<double>()
                            : static_cast<double>(
                                  std::stoll(point.at("asInt").get_ref<const std::string&>()));
                    series.take(mix_all(named, point.at("attributes")),
                                std::stoull(point.at("timeUnixNano").get_ref<const std::string&>()),
                                value);
                }
            }
        }
    }
}

class Ours {
public:
    explicit Ours(std::string_view type) : type_(type), table_({}) {}
    void operator()(const std::string& bytes) {
        out_.clear();
        VIGIE_ASSERT(schemas::decode_samples(bytes, type_, "", {}, table_, out_).has_value());
        VIGIE_ASSERT(out_.samples.size() == kAll);
    }

private:
    std::string_view type_;
    schemas::SeriesTable table_;
    schemas::DecodedSamples out_;
};

// Nanoseconds a point, median of five, both in turns.
template <class A, class B>
std::array<double, 2> compare(A ours, B theirs) {
    constexpr int kBodies = 200;
    std::vector<double> a;
    std::vector<double> b;
    ours();
    theirs();
    const auto cost = [](auto& work) {
        return cost_of([&] {
                   for (int i = 0; i < kBodies; ++i) work();
               }).cpu *
               1e9 / kBodies / kAll;
    };
    for (int round = 0; round < 5; ++round) {
        a.push_back(cost(ours));
        b.push_back(cost(theirs));
    }
    return {median(a), median(b)};
}

}  // namespace

int main() {
    const auto made = request();
    const std::string protobuf = made.SerializeAsString();
    const std::string text = json_of(made);
    Series series;
    Ours our_protobuf(schemas::kContentOtlpProtobuf);
    const auto proto = compare([&] { our_protobuf(protobuf); },
                               [&] {
                                   series.clear();
                                   with_protobuf(protobuf, series);
                                   VIGIE_ASSERT(series.taken() == kAll);
                               });
    say("otlp_protobuf_vigie", proto[0], "cpu ns/point", "");
    say("otlp_protobuf_libprotobuf", proto[1], "cpu ns/point", "");
    say("otlp_protobuf_ratio", proto[1] / proto[0], "x", ">= 8");
    Series json_series;
    Ours our_json(schemas::kContentOtlpJson);
    const auto texts = compare([&] { our_json(text); },
                               [&] {
                                   json_series.clear();
                                   with_nlohmann(text, json_series);
                                   VIGIE_ASSERT(json_series.taken() == kAll);
                               });
    say("otlp_json_vigie", texts[0], "cpu ns/point", "");
    say("otlp_json_nlohmann", texts[1], "cpu ns/point", "");
    say("otlp_json_ratio", texts[1] / texts[0], "x", ">= 10");
    return 0;
}
