#pragma once

#include <string>
#include <string_view>

#include "schemas/incident.h"

// What people are told, as plain text. Deterministic; text from outside is one clean line of it
// and never a command, a target or a link of ours.
namespace vigie::agent {

std::string page_text(const schemas::Incident& incident);
std::string suggestion_text(const schemas::Incident& incident);
std::string blocked_text(const schemas::Incident& incident, std::string_view why);
std::string approval_text(const schemas::Incident& incident);
std::string acting_text(const schemas::Incident& incident);
std::string escalation_text(const schemas::Incident& incident, std::string_view why);
std::string resolved_text(const schemas::Incident& incident, std::string_view why);

// "bad_change of service:checkout, confidence uncalibrated (n=0)"; of the first cause.
std::string cause_line(const schemas::Incident& incident);

}  // namespace vigie::agent
