#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "http/message.h"
#include "schemas/observations.h"
#include "streams/record.h"

namespace vigie::ingest {

class Intake;

// What the configuration says of heartbeats.
struct HeartbeatOptions {
    std::string token;  // Of /heartbeat/…; empty: none is asked for.
    std::chrono::seconds every{300};
    std::chrono::seconds grace{60};
    // Expected from the start on, so that one that never came is missed too.
    std::vector<schemas::Heartbeat> expected;
    // Names of alerts that fire for ever to show that the way of alerts works: each is a heartbeat,
    // and no symptom.
    std::vector<std::string> watchdogs{"Watchdog", "DeadMansSwitch"};
    // How long one may be silent that comes without an end, through an Alertmanager's webhook.
    std::chrono::seconds watchdog_every{600};
};

// The beat that a request to /heartbeat/{name} is; query parameters every, grace ("5m"), entity,
// severity and summary count above what is expected of that name. kInvalid names what is wrong.
Result<schemas::Heartbeat> parse_heartbeat(const std::string& name, const http::Request& request,
                                           const HeartbeatOptions& options);

// The beat of an alert that is a watchdog, and the alert is made evidence only; else nullopt.
std::optional<schemas::Heartbeat> take_watchdog(schemas::Alert& alert,
                                                const HeartbeatOptions& options, EventTime now);

streams::Message heartbeat_message(const Intake& intake, schemas::Heartbeat beat);

}  // namespace vigie::ingest
