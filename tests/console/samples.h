#pragma once

#include <string>
#include <string_view>

#include "core/time.h"
#include "schemas/events.h"
#include "streams/bus.h"

// Incidents as the agent would publish them.
namespace vigie::console::samples {

EventTime at(std::string_view rfc3339);

// A slow checkout after a deployment, with causes, a plan and a timeline; awaiting approval.
schemas::Incident awaiting_approval(std::string id);

// The same one later: approved, run, resolved, with its post-mortem.
schemas::Incident resolved(std::string id);

// Open, and every text in it tries to become markup.
schemas::Incident hostile(std::string id);

streams::Message incident_message(const schemas::Incident& incident);
streams::Message audit_message(std::int64_t sequence, std::string what, std::string subject,
                               std::string detail);

}  // namespace vigie::console::samples
