#include "app/policy_config.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "core/redact.h"
#include "responders/agent/gate.h"
#include "responders/agent/plan.h"

namespace vigie::app {

// Generated from runbooks/*.yaml.
namespace detail {
std::string_view embedded(std::string_view name);
std::vector<std::string_view> embedded_names();
}  // namespace detail

namespace {

using std::chrono::seconds;

constexpr std::size_t kRunbookBytesMax = 256 * 1024;

schemas::RunbookStep read_step(Section& section) {
    schemas::RunbookStep step;
    step.action = section.text("action");
    if (step.action.empty()) section.complain("action", "is missing");
    step.parameters = section.text_map("parameters");
    step.preconditions = section.texts("preconditions");
    return step;
}

RunbookTest read_test(Section& section) {
    RunbookTest test;
    test.name = section.text("name");
    test.entity = {section.text("entity")};
    test.mechanism = section.text("mechanism");
    test.attributes = section.text_map("attributes");
    test.facts = section.text_map("facts");
    section.child("expect", [&test](Section& expect) {
        test.expect_plan = expect.boolean("plan", true);
        test.expect_action = expect.text("action");
        test.expect_parameters = expect.text_map("parameters");
        test.expect_reason = expect.text("reason");
    });
    return test;
}

void add_runbook(std::vector<schemas::Runbook>& runbooks, schemas::Runbook runbook) {
    const auto same = std::find_if(runbooks.begin(), runbooks.end(),
                                   [&](const auto& other) { return other.name == runbook.name; });
    if (same != runbooks.end()) {
        *same = std::move(runbook);
    } else {
        runbooks.push_back(std::move(runbook));
    }
}

// What no runbook does is never done: a rule about it is a slip of the pen.
bool is_done_by(const std::vector<schemas::Runbook>& runbooks, std::string_view pattern) {
    return std::any_of(runbooks.begin(), runbooks.end(), [pattern](const auto& runbook) {
        return std::any_of(runbook.steps.begin(), runbook.steps.end(), [pattern](const auto& step) {
            return agent::matches(pattern, step.action);
        });
    });
}

schemas::ModeRule read_mode_rule(Section& section, const std::vector<schemas::Runbook>& runbooks) {
    schemas::ModeRule rule;
    rule.action = section.text("action", "*");
    rule.target = section.text("target", "*");
    for (const auto* key : {"action", "target"}) {
        if (section.text(key, "*").empty()) section.complain(key, "must not be empty: * is all");
    }
    if (!rule.action.empty() && !is_done_by(runbooks, rule.action)) {
        section.complain("action", fmt::format("no runbook has an action '{}'", rule.action));
    }
    const std::string mode = section.text("mode", "shadow");
    if (const auto known = schemas::parse_mode(mode)) {
        rule.mode = *known;
    } else {
        section.complain("mode", "must be shadow, suggest, approve or autonomous");
    }
    return rule;
}

}  // namespace

RunbookFile read_runbook(const std::string& text, Complaints& complaints) {
    RunbookFile file;
    const auto root = parse_yaml(text);
    if (!root) {
        complaints.add(root.error().message);
        return file;
    }
    Section section(&*root, "", complaints);
    schemas::Runbook& runbook = file.runbook;
    runbook.name = section.text("name");
    if (runbook.name.empty()) section.complain("name", "is missing");
    runbook.title = section.text("title", runbook.name);
    section.child("addresses", [&runbook](Section& addresses) {
        runbook.mechanisms = addresses.texts("mechanisms");
        runbook.entity_kinds = addresses.texts("entity_kinds");
    });
    if (const auto risk = schemas::parse_risk(section.text("risk", "irreversible"))) {
        runbook.risk = *risk;
    } else {
        section.complain("risk", "must be read, reversible, compensable or irreversible");
    }
    runbook.inverse = section.text("inverse");
    runbook.cost = section.number("cost", 1, 0, 1e6);
    runbook.cooldown = section.seconds("cooldown", runbook.cooldown);
    section.child("verify", [&runbook](Section& verify) {
        runbook.verify_hold = verify.seconds("hold", runbook.verify_hold);
        runbook.verify_timeout = verify.seconds("timeout", runbook.verify_timeout);
    });
    section.each("steps", [&runbook](Section& step) { runbook.steps.push_back(read_step(step)); });
    if (runbook.steps.empty()) section.complain("steps", "must have at least one step");
    section.each("tests", [&file](Section& test) { file.tests.push_back(read_test(test)); });
    if (complaints.all().empty()) {
        if (const auto sound = agent::lint(runbook); !sound) {
            section.complain("", sound.error().message);
        }
    }
    return file;
}

std::vector<schemas::Runbook> shipped_runbooks() {
    std::vector<schemas::Runbook> runbooks;
    for (const std::string_view name : detail::embedded_names()) {
        Complaints complaints{std::string(name)};
        add_runbook(runbooks,
                    read_runbook(std::string(detail::embedded(name)), complaints).runbook);
        VIGIE_ASSERT(complaints.all().empty());
    }
    return runbooks;
}

Status read_runbook_folder(const std::string& folder, std::vector<schemas::Runbook>& runbooks,
                           std::vector<std::string>& complaints) {
    std::vector<std::string> paths;
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
        if (it->path().extension() == ".yaml") paths.push_back(it->path().string());
    }
    if (error) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("cannot read '{}': {}", one_line(folder, 200), error.message()));
    }
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
        const auto text = read_file(path, kRunbookBytesMax);
        if (!text) {
            complaints.push_back(text.error().message);
            continue;
        }
        Complaints own(path);
        auto file = read_runbook(*text, own);
        complaints.insert(complaints.end(), own.all().begin(), own.all().end());
        if (own.all().empty()) add_runbook(runbooks, std::move(file.runbook));
    }
    return {};
}

void read_agent(Section& section, schemas::Policy& policy) {
    section.each("modes", [&policy](Section& rule) {
        policy.modes.push_back(read_mode_rule(rule, policy.runbooks));
    });
    policy.confidence_min = section.number("confidence_min", policy.confidence_min, 0.5, 1);
    policy.outcomes_min = section.integer("outcomes_min", policy.outcomes_min, 10, 1'000'000);
    policy.actions_per_hour_max =
        section.integer("actions_per_hour_max", policy.actions_per_hour_max, 0, 1000);
    policy.correlation_window = section.seconds("correlation_window", policy.correlation_window);
    policy.change_window = section.seconds("change_window", policy.change_window);
    policy.diagnose_after = section.seconds("diagnose_after", policy.diagnose_after);
    policy.approval_expiry = section.seconds("approval_expiry", policy.approval_expiry);
    policy.action_timeout = section.seconds("action_timeout", policy.action_timeout);
    policy.data_age_max = section.seconds("data_age_max", policy.data_age_max);
    policy.open_incidents_max =
        section.integer("open_incidents_max", policy.open_incidents_max, 1, 100'000);
    // Overrides for every runbook: a site knows how fast its symptoms clear.
    const bool hold = section.has("verify_hold");
    const bool timeout = section.has("verify_timeout");
    const auto hold_value = section.seconds("verify_hold", seconds{60});
    const auto timeout_value = section.seconds("verify_timeout", seconds{600});
    for (schemas::Runbook& runbook : policy.runbooks) {
        if (hold) runbook.verify_hold = hold_value;
        if (timeout) runbook.verify_timeout = timeout_value;
        if (const auto sound = agent::lint(runbook); !sound) {
            section.complain("", sound.error().message);
        }
    }
}

schemas::InventoryEntry read_inventory_entry(Section& section) {
    schemas::InventoryEntry entry;
    entry.entity = {section.text("entity")};
    if (entity_kind(entry.entity).empty() || entity_name(entry.entity).empty()) {
        section.complain("entity", "must be KIND:NAME, for example service:checkout");
    }
    entry.attributes = section.text_map("attributes");
    // Short for the two that people write most.
    for (const auto* key : {"owner", "tier"}) {
        const auto value = section.text(key);
        if (value.empty()) continue;
        if (entry.attributes.contains(key)) {
            section.complain(key, "stands in 'attributes' too");
        }
        entry.attributes[key] = value;
    }
    for (const std::string& id : section.texts("depends_on")) entry.depends_on.push_back({id});
    return entry;
}

}  // namespace vigie::app
