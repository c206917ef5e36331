#pragma once

#include <string>

#include "core/result.h"
#include "core/time.h"
#include "ingest/intake.h"
#include "schemas/events.h"

// The alert as Alertmanager words it, in both of the places where Vigie meets it.
namespace vigie::ingest {

// Alertmanager's fingerprint of a label set (FNV-1a over names and values, 16 hex digits): equal
// for an alert whether it comes from Prometheus or through an Alertmanager's webhook.
std::string alert_fingerprint(const schemas::Labels& labels);

// What the two protocols do not share.
struct AlertShape {
    // POST /api/v2/alerts: without an end the alert ends this long after `now`, as Alertmanager's
    // resolve_timeout; an end that is past means resolved. The webhook instead says "status".
    std::chrono::seconds resolve_timeout{300};
    bool has_status = false;
};

// One element of the list, as JSON text. kInvalid says which member is wrong, in the words of
// Alertmanager where it has some. Labels without a value are dropped, as Alertmanager does.
Result<schemas::Alert> parse_alert(std::string_view json, const AlertShape& shape, EventTime now,
                                   const schemas::DecodeLimits& limits);

// Equal for a repetition that says nothing new, different when the end moves.
EventId alert_event_id(const schemas::Alert& alert);

}  // namespace vigie::ingest
