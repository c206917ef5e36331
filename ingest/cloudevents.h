#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/mapping.h"

// CloudEvents 1.0 as others send them, in their three forms.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
namespace vigie::ingest {

using Attributes = std::vector<std::pair<std::string, std::string>>;  // Names without "ce-"

// Alerts and changes of a body: one event in structured form, those of a batch, or, with the
// `attributes` of binary mode, an event whose data the body is. Vigie's own types io.vigie.alert.v1
// and io.vigie.change.v1 are taken as they are, others by the first rule for their type; what no
// rule names is of no interest. The id is made of source and id, which together name an event.
// kInvalid for what is no CloudEvent, and says which.
Result<NamedEvents> parse_cloud_events(std::string_view content_type, std::string_view body,
                                       const Attributes& attributes,
                                       const std::vector<CloudEventRule>& rules, EventTime now,
                                       const schemas::DecodeLimits& limits);

}  // namespace vigie::ingest
