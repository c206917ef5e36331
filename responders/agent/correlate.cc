#include "responders/agent/correlate.h"

#include <algorithm>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "responders/agent/text.h"

namespace vigie::agent {

namespace {

// Latest activity first, then the lowest id.
bool is_better(const Presence& a, const Presence& b) {
    if (a.last_at != b.last_at) return a.last_at > b.last_at;
    return a.incident < b.incident;
}

bool is_close(EventTime a, EventTime b, EventClock::duration window) {
    return (a > b ? a - b : b - a) <= window;
}

std::string shown(const EntityId& entity) {
    return clean(entity.value, kNameBytesMax);
}

}  // namespace

Result<std::optional<Match>> correlate(const EntityId& entity, EventTime at, const Memory& memory,
                                       const World& world, const PolicyView& view) {
    if (entity.empty()) return std::nullopt;
    const auto window = view.policy().correlation_window;

    VIGIE_TRY_ASSIGN(const auto here, memory.present_at(entity));
    if (!here.empty()) {
        const auto best = *std::min_element(here.begin(), here.end(), is_better);
        return Match{best.incident, fmt::format("it is already at {}", shown(entity))};
    }

    VIGIE_TRY_ASSIGN(const auto neighbours, world.neighbours(entity));
    std::optional<Presence> nearest;
    std::string because;
    const auto look = [&](const std::set<EntityId>& there, std::string_view how) -> Status {
        for (const auto& neighbour : there) {
            VIGIE_TRY_ASSIGN(const auto found, memory.present_at(neighbour));
            for (const auto& presence : found) {
                if (!is_close(presence.last_at, at, window)) continue;
                if (nearest && !is_better(presence, *nearest)) continue;
                nearest = presence;
                because = fmt::format("{} {} {}, where it was active {} before", shown(entity), how,
                                      shown(neighbour), age_text(at - presence.last_at));
            }
        }
        return {};
    };
    VIGIE_TRY(look(neighbours.dependencies, "depends on"));
    VIGIE_TRY(look(neighbours.dependents, "is used by"));
    if (nearest) return Match{nearest->incident, because};

    VIGIE_TRY_ASSIGN(const auto changes, world.changes());
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
        if (!view.touched_by(change->entity).contains(entity)) continue;
        if (!is_close(change->latest_at, at, view.policy().change_window)) continue;
        VIGIE_TRY_ASSIGN(const auto incidents, memory.suspecting(change->key));
        for (const auto& incident : incidents) {
            VIGIE_TRY_ASSIGN(const auto item, memory.load(incident));
            if (!item || !is_close(item->incident.updated_at, at, window)) continue;
            return Match{incident, fmt::format("both may come from the change {}",
                                               clean(change->key, kNameBytesMax))};
        }
    }
    return std::nullopt;
}

}  // namespace vigie::agent
