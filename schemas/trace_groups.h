#pragma once

#include <span>
#include <string>

#include "schemas/telemetry.h"

namespace vigie::schemas {

// An ExportTraceServiceRequest in protobuf, which decode_otlp_traces reads back to the same values.
std::string encode_otlp_traces(std::span<const Span> spans);

}  // namespace vigie::schemas
