#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/id.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/events.h"

namespace vigie::ingest {

using RepositoryEntities = std::map<std::string, EntityId>;

// The change that a GitHub event tells of; nullopt for an event of no interest (a star, a deleted
// branch, ping). The entity is, in this order: deployment.payload.service, the entry of
// `entities` for "owner/name" or "name", the repository's name as a service. kInvalid names
// the member that is missing. `now` stands in where the event carries no time of its own, and
// bounds those that do.
// https://docs.github.com/webhooks/webhook-events-and-payloads
Result<std::optional<schemas::Change>> parse_github_event(std::string_view event,
                                                          std::string_view body,
                                                          const RepositoryEntities& entities,
                                                          EventTime now);

}  // namespace vigie::ingest
