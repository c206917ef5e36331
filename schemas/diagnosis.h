#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/time.h"

// What the agent believes to be the cause, and how sure it may say it is.
namespace vigie::schemas {

// What went wrong, in kind. kUnknown stands for "none of these".
enum class Mechanism : std::uint8_t {
    kBadChange,
    kResourceExhaustion,
    kCrash,
    kOverload,
    kUnknown
};

// A candidate cause. Shares sum to 1 over all causes of a diagnosis.
struct Cause {
    EntityId entity;
    Mechanism mechanism = Mechanism::kUnknown;
    std::string change_key;  // For kBadChange: the change.
    double share = 0;        // Softmax weight in [0,1]. NOT a confidence.
    EventTime onset;
    std::vector<EventId> evidence;
    std::vector<std::string> reasons;  // One sentence for each channel that spoke.

    bool operator==(const Cause&) const = default;
};

struct CauseEdge {
    EntityId cause;
    EntityId effect;
    double explained_ratio = 0;  // Of the effect's deviation.

    bool operator==(const CauseEdge&) const = default;
};

// Never shown as a bare number: to_string gives "uncalibrated (n=7)" or "0.91 (n=212)".
struct Confidence {
    bool calibrated = false;
    double value = 0;           // Meaningful only when calibrated.
    std::int64_t outcomes = 0;  // How many confirmed outcomes it rests on.

    bool operator==(const Confidence&) const = default;
};
std::string to_string(const Confidence& confidence);

struct Diagnosis {
    std::vector<Cause> causes;  // Best first, at most 10, kUnknown among them.
    std::vector<CauseEdge> edges;
    Confidence confidence;

    bool operator==(const Diagnosis&) const = default;
};

std::string_view to_string(Mechanism value);  // "bad_change", "unknown", …

}  // namespace vigie::schemas
