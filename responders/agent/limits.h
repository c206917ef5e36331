#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every bound of the agent that is not in the policy, and what happens at it.
namespace vigie::agent {

// Evidence of one incident. When full, the oldest cleared or non-symptom evidence makes room;
// when there is none the new one is counted in evidence_dropped.
inline constexpr std::size_t kEvidenceMax = 200;
// Timeline of one incident: the oldest "evidence" entry goes first, then the oldest of all.
inline constexpr std::size_t kTimelineMax = 500;
// Entities of one incident; a further one is named in its evidence only.
inline constexpr std::size_t kEntitiesMax = 100;
inline constexpr std::size_t kCausesMax = 10;
// Changes attached to one incident as evidence; the ones nearest to the onset stay.
inline constexpr std::size_t kIncidentChangesMax = 20;
// Recent changes remembered; the oldest is forgotten.
inline constexpr std::size_t kChangesMax = 500;
// Evidence without an incident yet; the oldest is forgotten.
inline constexpr std::size_t kLooseMax = 500;
// Learned topology edges; a further one is refused and said in the audit.
inline constexpr std::int64_t kEdgesMax = 20'000;
// Neighbours of one entity that are looked at, in name order.
inline constexpr std::size_t kNeighboursMax = 64;
// Entities in the graph of one diagnosis, and how many calls a causal path may have.
inline constexpr std::size_t kGraphMax = 200;
inline constexpr std::size_t kPathMax = 6;
// Resolved incidents kept for a verdict; the oldest is forgotten.
inline constexpr std::int64_t kClosedMax = 500;
// Mode decisions; a further one is refused, as is a silence beyond schemas::kSilencesMax.
inline constexpr std::size_t kModesMax = 100;
// Labels of one alert that are kept for matchers; of one with more, only its entity can be matched.
inline constexpr std::size_t kLabelBytesMax = 16 * 1024;
// Inspections for one incident, after which it is a person's; reset when it reopens.
inline constexpr std::int64_t kInspectionsMax = 12;
// An incident with more evidence than this is told of at most once a second when only evidence
// changed; transitions are always told at once.
inline constexpr std::size_t kUpdatesAtOnceMax = 20;
inline constexpr std::chrono::seconds kUpdateInterval{1};
// Facts of one inspection or outcome that are kept; the rest are ignored.
inline constexpr std::size_t kFactsMax = 64;
// Lines of a diff that are shown and hashed.
inline constexpr std::size_t kDiffLinesMax = 100;
// Notices of one incident; further ones are held and said in the audit.
inline constexpr std::int64_t kNoticesMax = 30;

// Symptoms that cleared without an action must stay clear this long.
inline constexpr std::chrono::seconds kSelfClearHold{60};
// Ticks come every second, at most every two (app/config.cc). A deadline counts as watched when an
// event came this shortly before it; otherwise it is put off until kUnwatchedMin after that event.
inline constexpr std::chrono::seconds kTickLate{3};
// No event for so long: Vigie did not run, or heard nothing. What must stay clear, or become clear,
// gets its time again.
inline constexpr std::chrono::seconds kUnwatchedMin{15};
// Then an alert that is clear must stay so for this long at least: Prometheus tells of one that
// fires at the first evaluation, of one minute by default, after --rules.alert.resend-delay, 1m.
inline constexpr std::chrono::seconds kAlertRepeat{180};
// How long a caller's symptom may be seen before its callee's and still be explained by it:
// detectors differ in delay.
inline constexpr std::chrono::seconds kOnsetTolerance{120};
// How long after the onset a change may be reported and still be suspect: clocks differ.
inline constexpr std::chrono::seconds kChangeTolerance{15};

}  // namespace vigie::agent
