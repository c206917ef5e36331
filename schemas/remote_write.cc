#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include "schemas/budget.h"
#include "schemas/telemetry.h"

// prometheus.WriteRequest (prometheus/prompb/remote.proto, types.proto), read field by field.
namespace vigie::schemas {

namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::tag_and_type;

constexpr std::uint64_t kStaleNan = 0x7ff0000000000002;  // prometheus/model/value/value.go

constexpr auto kTimeseries = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kMetadata = tag_and_type(3, pbf_wire_type::length_delimited);
constexpr auto kSeriesLabel = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kSeriesSample = tag_and_type(2, pbf_wire_type::length_delimited);
constexpr auto kLabelName = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kLabelValue = tag_and_type(2, pbf_wire_type::length_delimited);
constexpr auto kSampleValue = tag_and_type(1, pbf_wire_type::fixed64);
constexpr auto kSampleTime = tag_and_type(2, pbf_wire_type::varint);
constexpr auto kMetadataType = tag_and_type(1, pbf_wire_type::varint);
constexpr auto kMetadataName = tag_and_type(2, pbf_wire_type::length_delimited);

// prometheus.MetricMetadata.MetricType
enum class FamilyType : std::int32_t { kCounter = 1, kGauge = 2, kHistogram = 3, kSummary = 5 };

std::string_view view_of(protozero::data_view view) {
    return {view.data(), view.size()};
}

bool counts_up(std::string_view part) {
    return part == "_bucket" || part == "_count" || part == "_sum";
}

class Decoder {
public:
    Decoder(std::string_view bytes, const DecodeLimits& limits)
        : bytes_(bytes), budget_(limits), sink_(budget_) {}

    Result<std::vector<TimeSeries>> decode() {
        const Status status = guarded();
        if (!status) {
            return fail(status.error().kind,
                        fmt::format("remote write: {}, in the series or metadata at byte {}",
                                    status.error().message, at_));
        }
        return sink_.take();
    }

private:
    Status guarded() {
        try {
            // Metadata follows the series it speaks of.
            VIGIE_TRY(read_all_metadata());
            return read_all_series();
        } catch (const protozero::exception& error) {
            return fail(ErrorKind::kInvalid, error.what());
        }
    }

    pbf_reader enter(pbf_reader& reader) {
        const auto view = reader.get_view();
        at_ = static_cast<std::size_t>(view.data() - bytes_.data());
        return pbf_reader(view);
    }

    Status read_all_metadata() {
        pbf_reader request(bytes_.data(), bytes_.size());
        while (request.next()) {
            if (request.tag_and_type() != kMetadata) {
                request.skip();
                continue;
            }
            pbf_reader metadata = enter(request);
            VIGIE_TRY(budget_.take_item());
            std::int32_t type = 0;
            std::string name;
            while (metadata.next()) {
                switch (metadata.tag_and_type()) {
                    case kMetadataType: type = metadata.get_int32(); break;
                    case kMetadataName:
                        name = clean_label(view_of(metadata.get_view()), budget_);
                        break;
                    default: metadata.skip();
                }
            }
            VIGIE_TRY(budget_.take_bytes(name.size() + 64));
            families_[std::move(name)] = static_cast<FamilyType>(type);
        }
        return {};
    }

    Status read_all_series() {
        pbf_reader request(bytes_.data(), bytes_.size());
        while (request.next()) {
            if (request.tag_and_type() != kTimeseries) {
                request.skip();
                continue;
            }
            VIGIE_TRY(read_series(enter(request)));
        }
        return {};
    }

    Status read_series(pbf_reader series) {
        Labels labels;
        pbf_reader fields = series;
        while (fields.next()) {
            if (fields.tag_and_type() != kSeriesLabel) {
                fields.skip();
                continue;
            }
            VIGIE_TRY(budget_.check_count(labels));
            VIGIE_TRY(read_label(fields.get_message(), labels));
        }
        VIGIE_TRY_ASSIGN(labels, budget_.merge({}, std::move(labels)));
        std::erase_if(labels, [](const auto& pair) { return pair.second.empty(); });
        const std::string metric(label(labels, "__name__"));
        if (metric.empty()) return fail(ErrorKind::kInvalid, "no label __name__");
        std::erase_if(labels, [](const auto& pair) { return pair.first == "__name__"; });
        const MetricKind kind = kind_of(metric);
        while (series.next()) {
            if (series.tag_and_type() != kSeriesSample) {
                series.skip();
                continue;
            }
            VIGIE_TRY_ASSIGN(const Point point, read_sample(series.get_message()));
            VIGIE_TRY(sink_.add(metric, labels, kind, point));
        }
        return {};
    }

    Status read_label(pbf_reader fields, Labels& labels) const {
        std::string name;
        std::string value;
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kLabelName: name = clean_label(view_of(fields.get_view()), budget_); break;
                case kLabelValue: value = clean_label(view_of(fields.get_view()), budget_); break;
                default: fields.skip();
            }
        }
        if (name.empty()) return fail(ErrorKind::kInvalid, "a label without a name");
        labels.emplace_back(std::move(name), std::move(value));
        return {};
    }

    static Result<Point> read_sample(pbf_reader fields) {
        double value = 0;
        std::int64_t millis = 0;
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kSampleValue: value = fields.get_double(); break;
                case kSampleTime: millis = fields.get_int64(); break;
                default: fields.skip();
            }
        }
        constexpr std::int64_t kMillisMax = std::numeric_limits<std::int64_t>::max() / 1000;
        if (millis > kMillisMax || millis < -kMillisMax) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("{} is not a time in milliseconds", millis));
        }
        Point point{.at = event_time_from_micros(millis * 1000), .value = value};
        if (std::bit_cast<std::uint64_t>(value) == kStaleNan) {
            point.value = 0;
            point.stale = true;
        }
        return point;
    }

    MetricKind kind_of(std::string_view metric) const {
        if (const auto found = families_.find(metric); found != families_.end()) {
            if (found->second == FamilyType::kCounter) return MetricKind::kCounter;
            // The family's own name is a quantile of a summary.
            if (found->second == FamilyType::kGauge || found->second == FamilyType::kSummary) {
                return MetricKind::kGauge;
            }
        }
        const auto part_at = metric.rfind('_');
        if (part_at == std::string_view::npos) return MetricKind::kUnknown;
        const auto part = metric.substr(part_at);
        return part == "_total" || counts_up(part) ? MetricKind::kCounter : MetricKind::kUnknown;
    }

    std::string_view bytes_;  // Outlives the decoder, which lives for one call.
    detail::Budget budget_;
    detail::SeriesSink sink_;
    std::map<std::string, FamilyType, std::less<>> families_;
    std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<TimeSeries>> decode_remote_write(std::string_view bytes,
                                                    const DecodeLimits& limits) {
    if (bytes.size() > limits.bytes_max) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("remote write: more than {} bytes", limits.bytes_max));
    }
    return Decoder(bytes, limits).decode();
}

}  // namespace vigie::schemas
