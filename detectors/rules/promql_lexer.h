#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "detectors/rules/promql.h"

namespace vigie::detectors::promql {

struct Token {
    enum class Kind : std::uint8_t { kName, kNumber, kDuration, kString, kMark, kEnd };
    Kind kind = Kind::kEnd;
    std::string text;   // Of a string: what it means, without quotes. Of a name: as it stands.
    double number = 0;  // Of kDuration: milliseconds.
    std::size_t begin = 0;
    std::size_t end = 0;
};

// The words of a text; the last one is kEnd. Comments (#…) and blanks are left out. "5m" is a
// duration only where one may stand: behind "[" and "offset"; PromQL has it nowhere else.
std::expected<std::vector<Token>, Fault> tokens_of(std::string_view text);

}  // namespace vigie::detectors::promql
