#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/section.h"
#include "schemas/policy.h"

// The part of the configuration that the agent is told: modes, limits, runbooks, inventory.
namespace vigie::app {

// What a runbook file's own test says must happen.
struct RunbookTest {
    std::string name;
    EntityId entity;
    std::string mechanism;
    std::map<std::string, std::string> attributes;
    std::map<std::string, std::string> facts;
    bool expect_plan = true;
    std::string expect_action;
    std::map<std::string, std::string> expect_parameters;
    std::string expect_reason;  // Part of the reason for a refusal
};

struct RunbookFile {
    schemas::Runbook runbook;
    std::vector<RunbookTest> tests;
};

// Reads one runbook. Everything wrong with it goes to `complaints`.
RunbookFile read_runbook(const std::string& text, Complaints& complaints);

// The runbooks that are part of the program, in name order. They were checked when it was built.
std::vector<schemas::Runbook> shipped_runbooks();

// Adds the *.yaml files of `folder`, in name order; one with the name of another replaces it. What
// is wrong with them goes to `complaints`; kUnavailable when the folder itself cannot be read.
Status read_runbook_folder(const std::string& folder, std::vector<schemas::Runbook>& runbooks,
                           std::vector<std::string>& complaints);

// Sections "agent" and "inventory" of the configuration.
void read_agent(Section& section, schemas::Policy& policy);
schemas::InventoryEntry read_inventory_entry(Section& section);

}  // namespace vigie::app
