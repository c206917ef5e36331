#pragma once

#include <string>
#include <string_view>

#include <protozero/pbf_writer.hpp>

#include "schemas/telemetry.h"

// Writing OTLP in protobuf. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// Each as a KeyValue with a string, in field `tag`.
void write_attributes(protozero::pbf_writer& out, protozero::pbf_tag_type tag,
                      const Labels& labels);

// "" for what is not hex.
std::string bytes_of_hex(std::string_view hex);

}  // namespace vigie::schemas::detail
