#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "schemas/events.h"
#include "schemas/silences.h"

namespace vigie::console {

struct KnownAlert {
    schemas::Alert alert;
    EventTime updated_at;
};

enum class SilenceState : std::uint8_t { kPending, kActive, kExpired };
SilenceState state_of(const schemas::Silence& silence, EventTime now);

// The alerts that fire and the silences there are, as the records of vigie.alerts and
// vigie.decisions say, in the order in which they are applied. Not thread-safe.
class AlertBook {
public:
    struct Options {
        std::size_t alerts_max = 100'000;
        // Ended silences are shown for so long, as Alertmanager does, the newest so many.
        std::chrono::seconds silence_kept{std::chrono::hours{120}};
        std::size_t ended_silences_max = 10'000;
    };
    explicit AlertBook(Options options) : options_(options) {}

    // An alert or a decision; others are of no interest. Once there are `alerts_max` alerts,
    // those that ended by `now` make room; without any the new one is not taken.
    void apply(const schemas::Event& event, EventTime now);
    // Alerts and silences whose time is over leave.
    void forget(EventTime now);

    // By fingerprint. One whose end is past no longer fires: who lists them looks at `now`.
    const std::map<std::string, KnownAlert, std::less<>>& alerts() const { return alerts_; }
    const std::map<std::string, schemas::Silence, std::less<>>& silences() const {
        return silences_;
    }
    std::size_t alerts_refused() const { return alerts_refused_; }

    // Silences that have not ended at `now`.
    std::size_t count_silences(EventTime now) const;

private:
    void apply(const schemas::EventMeta& meta, const schemas::Alert& alert, EventTime now);
    void apply(const schemas::EventMeta& meta, const schemas::Decision& decision);

    const Options options_;
    std::map<std::string, KnownAlert, std::less<>> alerts_;
    std::map<std::string, schemas::Silence, std::less<>> silences_;
    std::size_t alerts_refused_ = 0;
};

// Whether the alert fires at `now`.
bool fires(const schemas::Alert& alert, EventTime now);

}  // namespace vigie::console
