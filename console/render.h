#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "console/views.h"
#include "schemas/events.h"

// The API's answers as JSON text. docs/reference/api.md describes them.
namespace vigie::console {

std::string render_error(std::string_view reason);

// What a list needs of an incident.
std::string render_summary(const schemas::Incident& incident);

// "active": neither resolved, reviewed nor suppressed. Otherwise a state by its name; empty: all.
// False when `state` is none of these.
bool is_state_filter(std::string_view state);
std::string render_incidents(const View& view, std::string_view state, std::size_t limit);

std::string render_incident(const schemas::Incident& incident);

// The audit entries about an event, incident, plan or action, with those of what belongs to it,
// in the order of the log. nullopt when nothing is known about it.
std::optional<std::string> render_explanation(const View& view, std::string_view id);

// What a WebSocket client receives.
std::string render_hello(const View& view);
std::string render_change(const schemas::Incident& incident);

}  // namespace vigie::console
