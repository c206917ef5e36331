#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "responders/notify/channel.h"
#include "schemas/matchers.h"
#include "schemas/time_interval.h"

// Which channels a message goes to, and when: Alertmanager's routes, laid flat.
namespace vigie::notify {

// Met when all matchers are. They see the labels `severity` (info, warning, critical) and `kind`
// (page, approval, update, resolved), and `vigie_entity`, of which any symptom's entity counts.
struct Route {
    std::vector<schemas::Matcher> matchers;  // None: every message
    std::vector<std::string> channels;       // Names
    bool go_on = false;                      // Routes behind it are asked too.
    // Messages wait until none of these holds.
    std::vector<schemas::TimeInterval> mute;
};

// Immutable and safe to share.
class Routes {
public:
    // kInvalid names the matcher that is wrong.
    static Result<Routes> create(std::vector<Route> routes);

    struct Way {
        std::string channel;
        EventTime from;  // Not before
    };
    // Of the first route that is met, and of those behind it while they say go_on; a channel that
    // several name gets the earliest. nullopt when no route is met, or none is there: then every
    // channel may have the message, at once.
    std::optional<std::vector<Way>> find(const Message& message, EventTime now) const;

private:
    struct One {
        Route route;
        schemas::MatcherSet matchers;
    };
    std::vector<One> all_;
};

}  // namespace vigie::notify
