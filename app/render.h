#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/events.h"
#include "schemas/json.h"

// How the command line shows what the API answers.
namespace vigie::app {

enum class Format : std::uint8_t { kTable, kJson, kYaml };

// The answer of /api/v1/incidents, one line for each.
std::string incident_table(const schemas::Json& answer);

// One incident in full: state, causes, plan with its diff and gate, timeline.
std::string incident_text(const schemas::Json& incident);

// What the agent said, in one line: an incident event, an action event or an audit entry.
std::string event_line(const schemas::Event& event);

// A plan: its steps with their diffs, and what the gate said.
std::string plan_text(const schemas::Json& plan);

// The answer of /api/v1/explain/ID: one line for each decision.
std::string explanation_text(const schemas::Json& answer);
std::string request_text(const schemas::Json& answer);  // What became of a request to a receiver

// Columns, as wide as their widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows);

// `json` as JSON with two blanks of indentation, or as YAML.
std::string formatted(const schemas::Json& json, Format format);

// Text from outside for a terminal: control characters, escape sequences included, become '?'.
std::string printable(std::string text);

}  // namespace vigie::app
