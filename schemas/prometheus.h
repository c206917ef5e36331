#pragma once

#include <cstdint>
#include <string_view>

#include <protozero/pbf_reader.hpp>

#include "schemas/otlp_series.h"

// What both versions of remote write and the scraper share. Only for schemas/*.cc.
namespace vigie::schemas::detail {

inline constexpr std::uint64_t kStaleNan = 0x7ff0000000000002;  // prometheus/model/value/value.go

// prometheus.MetricMetadata.MetricType of 1.0; 2.0 numbers the same ones alike up to summary.
enum class FamilyType : std::int32_t { kUnknown = 0, kCounter = 1, kGauge = 2, kSummary = 5 };

// From the family's type, else from the name: what ends in _total, _bucket, _count or _sum counts
// up.
MetricKind kind_of_metric(std::string_view metric, FamilyType type);

// kInvalid when it is not a time that we can hold.
Result<EventTime> time_of_millis(std::int64_t millis);

bool is_stale(double value);

// A native histogram (prometheus/prompb/types.proto, io/prometheus/write/v2/types.proto: the same
// fields) as the series that a classic one has.
Status write_native_histogram(protozero::pbf_reader fields, std::uint64_t series_hash,
                              const PointLabels& labels, MetricWriter& writer);

// The sorted labels of a series without __name__ and without empty ones, and the name on its own.
// kInvalid without a name.
Result<SeriesName> name_series(Labels labels, FamilyType type, const Budget& budget);

}  // namespace vigie::schemas::detail
