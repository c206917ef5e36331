#include "console/alert_book.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace vigie::console {

using schemas::Silence;

SilenceState state_of(const Silence& silence, EventTime now) {
    if (silence.until <= now) return SilenceState::kExpired;
    return silence.starts_at > now ? SilenceState::kPending : SilenceState::kActive;
}

bool fires(const schemas::Alert& alert, EventTime now) {
    return alert.firing && (!alert.ends_at || *alert.ends_at > now);
}

void AlertBook::apply(const schemas::Event& event, EventTime now) {
    if (const auto* alert = std::get_if<schemas::Alert>(&event.data)) {
        apply(event.meta, *alert, now);
    } else if (const auto* decision = std::get_if<schemas::Decision>(&event.data)) {
        apply(event.meta, *decision);
    }
}

void AlertBook::apply(const schemas::EventMeta& meta, const schemas::Alert& alert, EventTime now) {
    const auto known = alerts_.find(alert.fingerprint);
    if (!fires(alert, now)) {
        if (known != alerts_.end()) alerts_.erase(known);
        return;
    }
    if (known != alerts_.end()) {
        // As Alertmanager merges: the earlier start counts.
        const EventTime starts_at = std::min(known->second.alert.starts_at, alert.starts_at);
        known->second = {alert, meta.time};
        known->second.alert.starts_at = starts_at;
        return;
    }
    if (alerts_.size() >= options_.alerts_max) forget(now);
    if (alerts_.size() >= options_.alerts_max) {
        ++alerts_refused_;
        return;
    }
    alerts_.emplace(alert.fingerprint, KnownAlert{alert, meta.time});
}

// The agent decides in the same way: responders/agent/switches.cc.
void AlertBook::apply(const schemas::EventMeta& meta, const schemas::Decision& decision) {
    if (decision.kind != schemas::DecisionKind::kSilence) return;
    Silence silence = schemas::silence_of(meta, decision);
    const auto known = silences_.find(silence.id);
    const bool lives = known != silences_.end() && known->second.until > meta.time;
    if (silence.until <= meta.time) {
        if (!lives) return;
        known->second.until = meta.time;
        known->second.updated_at = meta.time;
        return;
    }
    if (!lives && count_silences(meta.time) >= schemas::kSilencesMax) return;
    silences_.insert_or_assign(silence.id, std::move(silence));
}

std::size_t AlertBook::count_silences(EventTime now) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        silences_, [now](const auto& entry) { return entry.second.until > now; }));
}

void AlertBook::forget(EventTime now) {
    std::erase_if(alerts_, [now](const auto& entry) { return !fires(entry.second.alert, now); });
    std::erase_if(silences_, [&](const auto& entry) {
        return entry.second.until + options_.silence_kept <= now;
    });
    if (silences_.size() <= options_.ended_silences_max) return;
    std::vector<std::pair<EventTime, std::string>> ended;
    for (const auto& [id, silence] : silences_) {
        if (silence.until <= now) ended.emplace_back(silence.until, id);
    }
    std::ranges::sort(ended);
    for (const auto& [until, id] : ended) {
        if (silences_.size() <= options_.ended_silences_max) return;
        silences_.erase(id);
    }
}

}  // namespace vigie::console
