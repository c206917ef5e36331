#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"
#include "detectors/codec.h"
#include "schemas/events.h"

// What keeps true but useless alarms from people: a budget for each entity, what people said of
// earlier alarms, known events of the calendar, deployments.
namespace vigie::detectors {

// A time at which something unusual is expected: a batch, a backup, a maintenance window.
struct KnownEvent {
    std::string name;
    std::string entities = "*";  // A glob as in match.h.
    EventTime begin;
    std::chrono::seconds lasts{0};
    std::chrono::seconds every{0};  // Repeats; 0: once.
};

struct NoiseOptions {
    // How many false alarms of an entity a day are borne. Alarms that come close together count
    // as one.
    double false_alarms_per_day = 0.05;
    std::chrono::seconds deployment_grace{300};  // So long after a deployment the bar is higher.
    std::vector<KnownEvent> calendar;
    std::size_t entities_max = 100'000;  // With alarms or deployments lately,
    std::size_t verdicts_max = 10'000;   // and keys with verdicts. Beyond, the oldest goes.
};

// What people say of an alarm: it was real, it was not, or it was and is known.
enum class AlarmVerdict : std::uint8_t { kTrue, kFalse, kKnown };

// An alarm that a detector would tell.
struct Claim {
    std::string_view key;
    const EntityId& entity;
    EventTime at;
    double score = 1;  // In multiples of the detector's threshold.
    // Where the detector calibrates it: -log10 of how often a row is as odd, and how many rows
    // of the entity are judged in a day. 0 where it does not.
    double rarity = 0;
    double rows_per_day = 0;
};

// Why a claim is not told; it may be a little later, when it still stands. kUsual: the deep
// detector knows such values from this time of other days.
enum class Hold : std::uint8_t { kNone, kBudget, kVerdict, kCalendar, kDeployment, kUsual };
inline constexpr std::size_t kHolds = 6;

// Decides which claims are told. Pure, as the detector that owns it.
//
// Budget: with a calibrated claim, a row must be rarer than one in rows_per_day /
// false_alarms_per_day. Each alarm of the last day beyond the budget (it is forgotten with a
// half-life of a day) asks the next for half a decade more, or a tenth more of score.
// Verdicts, of the same key: `false` asks for a decade or a quarter more each time, `true` takes
// half of that back, `known` asks for half as much again as what is known, for thirty days.
class NoiseGate {
public:
    explicit NoiseGate(NoiseOptions options) : options_(std::move(options)) {}

    Hold hold(const Claim& claim) const;
    void told(const Claim& claim);

    // `key`: of the alarm, as in Anomaly::key. A verdict on an alarm that is not remembered counts
    // too; `known` then takes the threshold for what is known.
    void learn(std::string_view key, AlarmVerdict verdict, EventTime at);
    void deployed(const EntityId& entity, std::string_view version, EventTime at);
    // "; 1.5.0 was deployed 3 min before" or "".
    std::string deployment_note(const EntityId& entity, EventTime at) const;

    std::size_t forgotten() const { return forgotten_; }  // For want of room, since it was made.
    std::size_t bytes() const;                            // About.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct OfEntity {
        double alarms = 0;  // As of `alarm_at`.
        EventTime alarm_at;
        EventTime deployed_at;
        std::string version;
    };
    struct OfKey {
        double raised = 0;  // Steps.
        double told = 0;    // Score of the last that was told,
        double known = 0;   // and what is known of it, until
        EventTime known_until;
        EventTime used_at;
    };

    double recent(const OfEntity& entity, EventTime at) const;
    bool in_calendar(const EntityId& entity, EventTime at) const;
    OfEntity& entity_of(const EntityId& entity, EventTime at);
    OfKey& key_of(std::string_view key, EventTime at);

    NoiseOptions options_;
    std::map<std::string, OfEntity, std::less<>> entities_;
    std::map<std::string, OfKey, std::less<>> keys_;
    std::size_t forgotten_ = 0;
};

// Of a verdict on an incident: "right" and "true" are kTrue, "false", "known". nullopt for anything
// else, "wrong" too: that speaks of the cause that was named, not of what was seen.
std::optional<AlarmVerdict> parse_alarm_verdict(std::string_view text);
std::string_view to_string(Hold hold);  // "budget", …; "none".

}  // namespace vigie::detectors
