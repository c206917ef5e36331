#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/events.h"
#include "schemas/telemetry.h"

// The bytes of alerts, read and written without a tree in between: what every alert on its way in
// costs. Both say exactly what the general code says.
namespace vigie::schemas {

// An alert as it is posted to Alertmanager's API, its members as they stand.
struct PostedAlert {
    Labels labels;  // Sorted, without those that are empty
    Labels annotations;
    std::string starts_at;
    std::string ends_at;
    std::string url;
};

// The alerts of a body that is in every way as usual; nullopt for any other, which is for the
// general reader to read, or to refuse with the reason. Never reads outside `body`.
std::optional<std::vector<PostedAlert>> read_posted_alerts(std::string_view body,
                                                           const DecodeLimits& limits);

// The same bytes as encode({meta, alert}).
std::string encode_alert(const EventMeta& meta, const Alert& alert);

}  // namespace vigie::schemas
