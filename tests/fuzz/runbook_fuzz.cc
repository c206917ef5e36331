// A runbook's file: what has no complaint is what its fields say, and can be sent to the agent.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "app/policy_config.h"
#include "tests/fuzz/config_checks.h"
#include "tests/fuzz/event_checks.h"
#include "tests/fuzz/yaml_text.h"

namespace {

using namespace vigie;
using fuzz::quoted;

std::string list_of(const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& text : texts) out += (out.empty() ? "" : ", ") + quoted(text);
    return "[" + out + "]";
}

std::string map_of(const std::map<std::string, std::string>& texts) {
    std::string out;
    for (const auto& [key, value] : texts) {
        out += (out.empty() ? "? " : ", ? ") + quoted(key) + " : " + quoted(value);
    }
    return "{" + out + "}";
}

std::string written(const schemas::Runbook& runbook) {
    const auto line = [](std::string_view key, const std::string& value) {
        return std::string(key) + ": " + value + "\n";
    };
    std::string steps;
    for (const auto& step : runbook.steps) {
        steps += "- action: " + quoted(step.action) + "\n  parameters: " + map_of(step.parameters) +
                 "\n  preconditions: " + list_of(step.preconditions) + "\n";
    }
    return line("name", quoted(runbook.name)) + line("title", quoted(runbook.title)) +
           line("addresses", "{mechanisms: " + list_of(runbook.mechanisms) +
                                 ", entity_kinds: " + list_of(runbook.entity_kinds) + "}") +
           line("risk", std::string(schemas::to_string(runbook.risk))) +
           line("inverse", quoted(runbook.inverse)) +
           line("cost", fmt::format("{}", runbook.cost)) +
           line("cooldown", to_string(runbook.cooldown)) +
           line("verify", "{hold: " + to_string(runbook.verify_hold) +
                              ", timeout: " + to_string(runbook.verify_timeout) + "}") +
           "steps:\n" + steps;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    app::Complaints complaints("runbook.yaml");
    const auto file = app::read_runbook(text, complaints);
    for (const auto& complaint : complaints.all()) {
        fuzz::check_complaint(complaint, "runbook.yaml", text);
    }
    if (!complaints.all().empty()) return 0;

    const schemas::Runbook& runbook = file.runbook;
    VIGIE_ASSERT(!runbook.name.empty() && !runbook.steps.empty());
    schemas::Policy policy;
    policy.runbooks = {runbook};
    fuzz::check_event(policy);
    app::Complaints none("again.yaml");
    const auto again = app::read_runbook(written(runbook), none);
    VIGIE_ASSERT(none.all().empty() && again.runbook == runbook);
    return 0;
}
