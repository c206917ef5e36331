#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/id.h"
#include "core/time.h"
#include "responders/agent/text.h"

// Every key of the agent's state and every timer name, once. Parts that come from outside pass
// key_part, so that no text can name another key.
namespace vigie::agent {

// Configuration and what people switched.
inline constexpr std::string_view kPolicyKey = "policy";       // encode_policy
inline constexpr std::string_view kPolicyIdKey = "policy_id";  // changes with the policy
inline constexpr std::string_view kKillKey = "kill";           // JSON; absent: off
// Micros of the newest event, to the second: until then somebody told the agent what happens.
inline constexpr std::string_view kWatchedKey = "watched";
inline constexpr std::string_view kOutcomesKey = "outcomes";      // learn.h
inline constexpr std::string_view kModePrefix = "mode/";          // mode/SCOPE: JSON
inline constexpr std::string_view kSilencePrefix = "silence/";    // silence/ID: JSON
inline constexpr std::string_view kActedPrefix = "acted/";        // acted/MICROS/ACTION: target
inline constexpr std::string_view kCooldownPrefix = "cooldown/";  // cooldown/TARGET: JSON

// Incidents. incident/ID and work/ID hold the whole; the rest are indexes.
inline constexpr std::string_view kIncidentPrefix = "incident/";  // encode_incident
inline constexpr std::string_view kWorkPrefix = "work/";          // work.h
inline constexpr std::string_view kOpenPrefix = "open/";          // open/ID: ""
// closed/MICROS/ID: its entities, one a line; "": not known, as in rows of older versions.
inline constexpr std::string_view kClosedPrefix = "closed/";
inline constexpr std::string_view kSymptomPrefix = "symptom/";  // symptom/KIND/KEY: ID
inline constexpr std::string_view kLabelsPrefix = "labels/";    // labels/KIND/KEY: put_text pairs
inline constexpr std::string_view kAtPrefix = "at/";            // at/ENTITY/ID: last micros
inline constexpr std::string_view kSharedPrefix = "shared/";    // shared/CHANGE/ID: ""
inline constexpr std::string_view kOverflowKey = "overflow";    // ID of the overflow incident

// What is known of the world.
inline constexpr std::string_view kOutPrefix = "edge/out/";   // edge/out/FROM/TO: "FROM TO"
inline constexpr std::string_view kInPrefix = "edge/in/";     // edge/in/TO/FROM: "FROM TO"
inline constexpr std::string_view kChangePrefix = "change/";  // change/KEY: JSON
inline constexpr std::string_view kLoosePrefix = "loose/";    // loose/MICROS/KEY: JSON

// Numbers that would otherwise need a scan.
inline constexpr std::string_view kOpenCountKey = "count/open";
inline constexpr std::string_view kClosedCountKey = "count/closed";
inline constexpr std::string_view kEdgeCountKey = "count/edges";
inline constexpr std::string_view kModeCountKey = "count/modes";

// Timer names: NAME/INCIDENT.
inline constexpr std::string_view kDiagnoseTimer = "diagnose";  // Evidence has gathered.
inline constexpr std::string_view kInspectTimer = "inspect";    // An inspection did not answer.
inline constexpr std::string_view kApprovalTimer = "approval";  // An approval expires.
inline constexpr std::string_view kActionTimer = "action";      // An action did not answer.
inline constexpr std::string_view kHoldTimer = "hold";          // Symptoms stayed clear.
inline constexpr std::string_view kVerifyTimer = "verify";      // They did not clear in time.
inline constexpr std::string_view kSettleTimer = "settle";      // Reopening is over.
inline constexpr std::string_view kUpdateTimer = "update";      // Held updates are told.
inline constexpr std::string_view kSilenceTimer = "silence";    // silence/SILENCE: it ended.
inline constexpr std::string_view kSilenceStartTimer = "silence-start";  // …/SILENCE: it begins.

inline std::string state_key(std::string_view prefix, std::string_view a) {
    return fmt::format("{}{}", prefix, key_part(a));
}
inline std::string state_key(std::string_view prefix, std::string_view a, std::string_view b) {
    return fmt::format("{}{}/{}", prefix, key_part(a), key_part(b));
}

// Twenty digits, so that keys sort by time; times before 1970 count as 1970.
inline std::string sortable(EventTime at) {
    return fmt::format("{:020}", micros_of(at) < 0 ? 0 : micros_of(at));
}

inline std::string timer_name(std::string_view name, std::string_view id) {
    return fmt::format("{}/{}", name, id);
}

}  // namespace vigie::agent
