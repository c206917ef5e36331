#pragma once

#include <cstdint>
#include <string_view>

#include "schemas/series.h"

// The decoders of remote write by version; series.h has the door. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// prometheus.WriteRequest
Status decode_remote_write_1(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                             DecodedSamples& out);
// io.prometheus.write.v2.Request
Status decode_remote_write_2(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                             DecodedSamples& out);

// A Sample of either version; false when it is not protobuf.
bool read_remote_sample(std::string_view bytes, double& value, std::int64_t& millis);

}  // namespace vigie::schemas::detail
