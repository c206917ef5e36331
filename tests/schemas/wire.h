#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/telemetry.h"

namespace vigie::schemas::wire {

std::string read_payload(std::string_view name);  // tests/schemas/payloads/NAME

// Protobuf, field by field. Every function returns the bytes of one field.
std::string message(std::uint32_t number, std::string_view bytes);
std::string varint(std::uint32_t number, std::uint64_t value);
std::string zigzag(std::uint32_t number, std::int32_t value);
std::string fixed64(std::uint32_t number, std::uint64_t value);
std::string real(std::uint32_t number, double value);

std::string snappy(std::string_view bytes);
std::string gzip(std::string_view bytes);
std::string zstd(std::string_view bytes);

// prometheus.WriteRequest.timeseries
std::string label(std::string_view name, std::string_view value);
std::string sample(double value, std::int64_t millis);
std::string series(std::string_view labels, std::string_view samples);

// A KeyValue with a string in field `number`.
std::string attribute(std::uint32_t number, std::string_view key, std::string_view value);
// An ExportXServiceRequest with one resource and one scope of items.
std::string request(std::string_view resource_attributes, std::string_view items);

// The series of a metric whose labels contain name="value".
const TimeSeries* find_series(const std::vector<TimeSeries>& all, std::string_view metric,
                              std::string_view name = {}, std::string_view value = {});

}  // namespace vigie::schemas::wire
