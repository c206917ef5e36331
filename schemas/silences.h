#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/time.h"
#include "schemas/events.h"
#include "schemas/matchers.h"

// The one silence there is: what a decision of kind kSilence sets, changes or ends, whether it
// came from `vigie silence`, the console or Alertmanager's API. The agent and every view make it
// of the decision in the same way.
namespace vigie::schemas {

// Silences that have not ended, at one time; a further one is refused.
inline constexpr std::size_t kSilencesMax = 200;

struct Silence {
    std::string id;
    std::string scope;              // Entity pattern; "" when the matchers say what is silenced
    std::vector<Matcher> matchers;  // Empty when the scope says it
    std::string owner;
    std::string reason;
    EventTime starts_at;
    EventTime until;
    EventTime updated_at;

    bool operator==(const Silence&) const = default;
};

// The silence as the decision leaves it. It starts with the event when nothing else is said.
Silence silence_of(const EventMeta& meta, const Decision& decision);

// What is silenced, as matchers: a scope becomes one of kEntityLabel.
std::vector<Matcher> matchers_of(const Silence& silence);

// The same for people: the scope, or the matchers.
std::string subject_of(const Silence& silence);

}  // namespace vigie::schemas
