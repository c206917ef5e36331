#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ingest/intake.h"
#include "schemas/events.h"

// The alert as Alertmanager words it, in both of the places where Vigie meets it.
namespace vigie::ingest {

// Alertmanager's fingerprint of a label set (FNV-1a over names and values, 16 hex digits): equal
// for an alert whether it comes from Prometheus or through an Alertmanager's webhook.
std::string alert_fingerprint(const schemas::Labels& labels);

// The alerts of a body that can be used, and what is wrong with the others.
struct PostedAlerts {
    std::vector<schemas::Alert> alerts;
    std::size_t refused = 0;
    std::string errors;  // One line about the first few refused: "alert 3: …; alert 7: …"
};

// POST /api/v2/alerts: a list. Without an end an alert ends five minutes after `now`, as
// Alertmanager's resolve_timeout; an end that is past means resolved. kInvalid for what is not
// JSON, not a list, or longer than `limits` allow. An alert is refused in the words of
// Alertmanager where it has some. Labels without a value are dropped, as Alertmanager does.
Result<PostedAlerts> parse_posted_alerts(std::string_view body, EventTime now,
                                         const schemas::DecodeLimits& limits);

// The webhook of an Alertmanager, version 4, or of Grafana, which has the same alerts in it:
// whether one is resolved is what its "status" says. kInvalid with the first thing that is wrong,
// "alert 3: labels is not an object", for a body of which not every alert can be used.
enum class NotificationKind : std::uint8_t { kAlertmanager, kGrafana };
Result<std::vector<schemas::Alert>> parse_notification(std::string_view body, NotificationKind kind,
                                                       EventTime now,
                                                       const schemas::DecodeLimits& limits);

// Our severity of the words that rule collections and other senders use; warning of an unknown one.
schemas::Severity severity_of(std::string_view word);

// Equal for a repetition that says nothing new, different when the end moves.
EventId alert_event_id(const schemas::Alert& alert);

}  // namespace vigie::ingest
