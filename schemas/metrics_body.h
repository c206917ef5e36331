#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"

// What a content type says is in a body. Only for schemas/*.cc.
namespace vigie::schemas::detail {

enum class Content : std::uint8_t { kRemoteWrite, kRemoteWrite2, kOtlpProtobuf, kOtlpJson, kText };

// Media types are compared without regard to case, spaces and parameters that do not matter.
Result<Content> parse_content_type(std::string_view text);

}  // namespace vigie::schemas::detail
