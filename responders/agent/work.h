#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "responders/agent/diagnose.h"
#include "responders/agent/facts.h"
#include "schemas/incident.h"

namespace vigie::agent {

// Why an inspection was asked for.
enum class Purpose : std::uint8_t {
    kNone,
    kPlan,      // To make a plan
    kApproved,  // To check an approved plan against the target as it is now
    kNextStep,  // To check before a later step
    kRetry,     // To check before the one retry
};

// Why nothing more is done by itself for an escalated incident.
enum class Hold : std::uint8_t {
    kNone,
    kGate,    // The mode or a check of the gate: looked at again when those change.
    kNoPlan,  // No runbook fits: looked at again when the diagnosis changes.
    kPerson,  // Rejected, expired, failed, in doubt, or beyond a limit: a person has it.
};

// One piece of evidence as the detector keeps telling of it.
struct Track {
    Channel channel = Channel::kOther;
    EventTime seen_at;  // Newest observation: an older one that arrives later changes nothing.
    std::int64_t repeats = 0;  // How often it was told again while it was known to fire.

    bool operator==(const Track&) const = default;
};

// What the agent must remember of an incident besides what people see. Stored at work/ID.
struct Work {
    std::map<std::string, Track> tracks;  // By evidence_name
    std::set<std::string> tried;          // Cause and runbook that did not lead to a plan
    bool overflow = false;                // The one that takes what no other may

    // The plan on the way.
    EntityId cause_entity;
    schemas::Mechanism cause_mechanism = schemas::Mechanism::kUnknown;
    std::string cause_change;
    std::string runbook;
    std::vector<Facts> facts;                     // One for each inspected step, of its newest
    std::vector<std::vector<std::string>> diffs;  // inspection
    EventTime facts_at;
    Purpose purpose = Purpose::kNone;
    ActionId waiting_for;  // The inspection or action whose outcome is awaited
    std::int64_t step = 0;
    std::int64_t inspections = 0;
    std::int64_t intents = 0;  // Of both phases; makes every ActionId of the incident new
    bool retried = false;
    bool acted = false;  // An execution was asked for
    Hold hold = Hold::kNone;

    // Verification.
    std::optional<EventTime> clear_until;  // Symptoms are clear and must stay so until then
    std::optional<EventTime> verify_until;

    // Telling people.
    std::int64_t notices = 0;
    std::int64_t reopened = 0;
    bool told_resolved = false;
    std::optional<schemas::Ended> told_ended;  // People know that nothing fires for this reason
    EventTime told_at;                         // The last record of the incident
    std::string held_update;                   // What changed since, and waits to be told
    std::int64_t only_counted = 0;  // Symptoms without room since; told as evidence_dropped

    bool operator==(const Work&) const = default;
};

// "alert/FINGERPRINT": which symptom a piece of evidence is about.
std::string evidence_name(std::string_view kind, std::string_view key);

// What is known of all steps; what was found for `step` outranks the others.
Facts merged_facts(const Work& work, std::size_t step);

std::string encode_work(const Work& work);
Result<Work> decode_work(std::string_view text);  // kCorrupt

}  // namespace vigie::agent
