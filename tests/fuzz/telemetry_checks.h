#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/result.h"
#include "schemas/json.h"
#include "schemas/telemetry.h"

// What must hold for everything that a decoder lets through.
namespace vigie::fuzz {

inline const schemas::DecodeLimits kLimits{.items_max = 10'000,
                                           .labels_max = 32,
                                           .label_bytes_max = 1024,
                                           .bytes_max = 1024 * 1024,
                                           .memory_bytes_max = 32 * 1024 * 1024};

inline void check_text(const std::string& text) {
    VIGIE_ASSERT(text.size() <= kLimits.label_bytes_max);
    // Writing replaces what is not UTF-8; then reading would not give the same back.
    const auto back = schemas::parse_json(schemas::dump_json(schemas::Json(text)));
    VIGIE_ASSERT(back && *back == text);
}

// `added` labels (le, quantile) are not counted by the limit.
inline void check_labels(const schemas::Labels& labels, std::size_t added = 0) {
    VIGIE_ASSERT(labels.size() <= kLimits.labels_max + added);
    const auto same_or_after = [](const auto& a, const auto& b) { return a.first >= b.first; };
    VIGIE_ASSERT(std::ranges::adjacent_find(labels, same_or_after) == labels.end());
    for (const auto& [name, value] : labels) {
        check_text(name);
        check_text(value);
    }
}

inline void check_series(const Result<std::vector<schemas::TimeSeries>>& result) {
    if (!result) {
        VIGIE_ASSERT(result.error().kind == ErrorKind::kInvalid ||
                     result.error().kind == ErrorKind::kRefused);
        return;
    }
    std::size_t points = 0;
    for (const auto& series : *result) {
        VIGIE_ASSERT(!series.metric.empty() && !series.points.empty());
        check_labels(series.labels, 1);
        points += series.points.size();
        schemas::entity_of(series.labels, series.metric);
        schemas::to_string(series.metric, series.labels);
    }
    VIGIE_ASSERT(points <= kLimits.items_max);
}

}  // namespace vigie::fuzz
