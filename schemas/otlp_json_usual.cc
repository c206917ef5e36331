#include "schemas/otlp_json_usual.h"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "schemas/otlp_json.h"
#include "schemas/otlp_series.h"
#include "schemas/wire_cursor.h"

namespace vigie::schemas::detail {

namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

constexpr std::uint64_t kNoRecordedValue = 1;  // DataPointFlags

template <class Number>
bool parse(std::string_view text, Number& number) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && stop == text.data() + text.size();
}

// 64-bit integers are numbers, or text.
bool read(ondemand::value value, std::uint64_t& number) {
    ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return false;
    if (type == ondemand::json_type::number) {
        return value.get_uint64().get(number) == simdjson::SUCCESS;
    }
    std::string_view text;
    return value.get_string().get(text) == simdjson::SUCCESS && parse(text, number);
}

bool read(ondemand::value value, std::int64_t& number) {
    ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return false;
    if (type == ondemand::json_type::number) {
        return value.get_int64().get(number) == simdjson::SUCCESS;
    }
    std::string_view text;
    return value.get_string().get(text) == simdjson::SUCCESS && parse(text, number);
}

// The text of an array or object, which is passed over.
bool read_raw_array(ondemand::value value, std::string_view& text) {
    ondemand::array array;
    return value.get_array().get(array) == simdjson::SUCCESS &&
           array.raw_json().get(text) == simdjson::SUCCESS;
}

struct Number {
    EventTime at;
    double value = 0;
    bool stale = false;
    std::string_view attributes;
};

bool read_point(ondemand::object object, Number& number) {
    bool whole = false;  // asInt wins over asDouble.
    for (auto next : object) {
        ondemand::field field;
        std::string_view key;
        if (std::move(next).get(field) != simdjson::SUCCESS ||
            field.unescaped_key().get(key) != simdjson::SUCCESS) {
            return false;
        }
        if (key == "timeUnixNano") {
            std::uint64_t nanos = 0;
            if (!read(field.value(), nanos)) return false;
            number.at = event_time_from_micros(static_cast<std::int64_t>(nanos / 1000));
        } else if (key == "asInt") {
            std::int64_t value = 0;
            if (!read(field.value(), value)) return false;
            number.value = static_cast<double>(value);
            whole = true;
        } else if (key == "asDouble") {
            double value = 0;
            if (field.value().get_double().get(value) != simdjson::SUCCESS) return false;
            if (!whole) number.value = value;
        } else if (key == "flags") {
            std::uint64_t flags = 0;
            if (!read(field.value(), flags)) return false;
            number.stale = (flags & kNoRecordedValue) != 0;
        } else if (key == "attributes") {
            if (!number.attributes.empty() || !read_raw_array(field.value(), number.attributes)) {
                return false;
            }
        }
    }
    return true;
}

class Reader {
public:
    Reader(Budget& budget, SampleSink& sink, const ReadOtherMetric& read_other)
        : budget_(budget), sink_(sink), read_other_(read_other) {}

    bool read_all(std::string_view bytes) {
        const simdjson::padded_string padded(bytes);
        ondemand::parser parser;
        ondemand::document document;
        ondemand::object request;
        ondemand::array groups;
        if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
            document.get_object().get(request) != simdjson::SUCCESS) {
            return false;
        }
        const error_code found = request.find_field_unordered("resourceMetrics").get(groups);
        if (found != simdjson::SUCCESS) return false;
        if (!each(groups, [this](ondemand::object group) { return read_group(group); })) {
            return false;
        }
        // A name that comes twice is for the general decoder.
        ondemand::array again;
        const bool twice =
            request.find_field("resourceMetrics").get(again) != simdjson::NO_SUCH_FIELD;
        const char* rest = nullptr;
        return !twice && document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
    }

private:
    class Attributes final : public PointLabels {
    public:
        Attributes(Reader& reader, std::string_view own) : reader_(reader), own_(own) {}
        Result<Labels> labels() const override {
            VIGIE_TRY_ASSIGN(Labels resource, reader_.resource_labels());
            if (own_.empty()) return resource;
            VIGIE_TRY_ASSIGN(const Json json,
                             parse_json(fmt::format(R"({{"attributes":{}}})", own_)));
            VIGIE_TRY_ASSIGN(Labels own, attributes_in(json, "attributes", {}, reader_.budget_));
            return reader_.budget_.merge(resource, std::move(own));
        }

    private:
        Reader& reader_;
        const std::string_view own_;
    };

    template <class Visit>
    static bool each(ondemand::array array, Visit visit) {
        for (auto next : array) {
            ondemand::object object;
            if (std::move(next).get_object().get(object) != simdjson::SUCCESS || !visit(object)) {
                return false;
            }
        }
        return true;
    }

    Result<Labels> resource_labels() {
        if (resource_labels_) return *resource_labels_;
        Labels labels;
        if (!resource_.empty()) {
            VIGIE_TRY_ASSIGN(const Json json, parse_json(resource_));
            VIGIE_TRY_ASSIGN(labels, attributes_in(json, "attributes", {}, budget_));
            VIGIE_TRY_ASSIGN(labels, budget_.merge({}, std::move(labels)));
        }
        resource_labels_ = labels;
        return labels;
    }

    bool read_group(ondemand::object group) {
        resource_ = {};
        resource_labels_.reset();
        ondemand::object resource;
        const error_code found = group.find_field_unordered("resource").get(resource);
        if (found == simdjson::SUCCESS) {
            if (resource.raw_json().get(resource_) != simdjson::SUCCESS) return false;
        } else if (found != simdjson::NO_SUCH_FIELD) {
            return false;
        }
        resource_hash_ = hash_of(resource_);
        ondemand::array scopes;
        if (group.find_field_unordered("scopeMetrics").get(scopes) != simdjson::SUCCESS) {
            return false;
        }
        return each(scopes, [this](ondemand::object scope) {
            ondemand::array metrics;
            return scope.find_field_unordered("metrics").get(metrics) == simdjson::SUCCESS &&
                   each(metrics, [this](ondemand::object metric) { return read_metric(metric); });
        });
    }

    bool read_metric(ondemand::object metric) {
        std::string_view name;
        if (metric.find_field_unordered("name").get(name) != simdjson::SUCCESS || name.empty()) {
            return false;
        }
        MetricWriter writer(sink_, clean_label(name, budget_));
        // After any error but an absent field simdjson must not be asked again.
        ondemand::object of_kind;
        error_code found = metric.find_field_unordered("gauge").get(of_kind);
        if (found == simdjson::SUCCESS) return read_numbers(of_kind, false, writer);
        if (found != simdjson::NO_SUCH_FIELD) return false;
        found = metric.find_field_unordered("sum").get(of_kind);
        if (found == simdjson::SUCCESS) return read_numbers(of_kind, true, writer);
        if (found != simdjson::NO_SUCH_FIELD) return false;
        std::string_view text;
        bool some = false;
        if (metric.reset().get(some) != simdjson::SUCCESS ||
            metric.raw_json().get(text) != simdjson::SUCCESS) {
            return false;
        }
        const auto labels = resource_labels();
        return labels && read_other_(text, *labels);
    }

    bool read_numbers(ondemand::object metric, bool is_sum, MetricWriter& writer) {
        MetricKind kind = MetricKind::kGauge;
        if (is_sum) {
            std::int64_t temporality = 0;
            bool monotonic = false;
            const auto usual = [](error_code error) {
                return error == simdjson::SUCCESS || error == simdjson::NO_SUCH_FIELD;
            };
            if (!usual(metric.find_field_unordered("aggregationTemporality").get(temporality)) ||
                !usual(metric.find_field_unordered("isMonotonic").get(monotonic))) {
                return false;
            }
            kind = kind_of_sum(temporality_of(temporality), monotonic);
        }
        ondemand::array points;
        if (metric.find_field_unordered("dataPoints").get(points) != simdjson::SUCCESS) {
            return false;
        }
        const std::uint64_t seed = mix(mix(resource_hash_, writer.name_hash()), is_sum ? 1U : 0U);
        return each(points, [&](ondemand::object object) {
            Number number;
            if (!read_point(object, number)) return false;
            const PointHead head{number.at, hash_of(number.attributes, seed), number.stale};
            return writer
                .write_number(kind, head, Attributes(*this, number.attributes), number.value)
                .has_value();
        });
    }

    Budget& budget_;
    SampleSink& sink_;
    const ReadOtherMetric& read_other_;
    std::string_view resource_;  // As JSON
    std::uint64_t resource_hash_ = 0;
    std::optional<Labels> resource_labels_;  // Once asked for
};

}  // namespace

bool read_usual_json_metrics(std::string_view bytes, Budget& budget, SampleSink& sink,
                             const ReadOtherMetric& read_other) {
    return Reader(budget, sink, read_other).read_all(bytes);
}

}  // namespace vigie::schemas::detail
