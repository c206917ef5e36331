#include "responders/notify/routes.h"

#include <algorithm>
#include <utility>

namespace vigie::notify {

namespace {

bool is_met(const schemas::MatcherSet& matchers, const Message& message) {
    const schemas::Labels labels{{"kind", message.kind},
                                 {"severity", std::string(schemas::to_string(message.severity))}};
    if (message.entities.empty()) return matchers.matches(labels, "");
    return std::ranges::any_of(message.entities, [&](const std::string& entity) {
        return matchers.matches(labels, entity);
    });
}

}  // namespace

Result<Routes> Routes::create(std::vector<Route> routes) {
    Routes made;
    for (auto& route : routes) {
        VIGIE_TRY_ASSIGN(auto matchers, schemas::MatcherSet::compile(route.matchers));
        made.all_.push_back({std::move(route), std::move(matchers)});
    }
    return made;
}

std::optional<std::vector<Routes::Way>> Routes::find(const Message& message, EventTime now) const {
    std::optional<std::vector<Way>> ways;
    for (const auto& [route, matchers] : all_) {
        if (!is_met(matchers, message)) continue;
        if (!ways) ways.emplace();
        const EventTime from = schemas::end_of(route.mute, now);
        for (const auto& channel : route.channels) {
            const auto known = std::ranges::find(*ways, channel, &Way::channel);
            if (known == ways->end()) {
                ways->push_back({channel, from});
            } else {
                known->from = std::min(known->from, from);
            }
        }
        if (!route.go_on) break;
    }
    return ways;
}

}  // namespace vigie::notify
