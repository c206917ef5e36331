#pragma once

#include <functional>
#include <string_view>

#include "schemas/sample_sink.h"

// OTLP metrics in JSON as senders write them, read without a tree. Only for schemas/*.cc.
namespace vigie::schemas::detail {

// Reads a metric that is neither gauge nor sum, given as JSON. False when something is wrong in it.
using ReadOtherMetric = std::function<bool(std::string_view metric, const Labels& resource)>;

// True when all of the body was read and nothing in it was wrong. False when anything was not as
// expected: what the sink has is then of no use, and the general decoder says what it is.
bool read_usual_json_metrics(std::string_view bytes, Budget& budget, SampleSink& sink,
                             const ReadOtherMetric& read_other);

}  // namespace vigie::schemas::detail
