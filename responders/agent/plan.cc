#include "responders/agent/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/text.h"

namespace vigie::agent {

using schemas::Mechanism;
using schemas::Plan;
using schemas::PlanStep;
using schemas::Runbook;

namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

std::string joined(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& item : list) out += (out.empty() ? "" : ", ") + item;
    return out.empty() ? "nothing" : out;
}

// Length before content, so that no two plans give the same text.
void append(std::string& text, std::string_view part) {
    text += fmt::format("{}:{}\n", part.size(), part);
}

PlanId plan_id(const Plan& plan, const IncidentId& incident) {
    std::string text;
    append(text, incident.value);
    append(text, plan.runbook);
    for (const PlanStep& step : plan.steps) {
        append(text, step.action);
        append(text, step.target.value);
        for (const auto& [name, value] : step.parameters) {
            if (is_guard(name)) continue;
            append(text, name);
            append(text, value);
        }
        for (const auto& line : step.diff) append(text, line);
        text += "\n";
    }
    return {stable_id("plan-", text)};
}

std::vector<std::string> shown_diff(const PlanRequest& request, std::size_t step) {
    std::vector<std::string> out;
    if (step >= request.diffs.size()) return out;
    for (const auto& line : request.diffs[step]) {
        if (out.size() == kDiffLinesMax) {
            out.push_back("… cut");
            break;
        }
        out.push_back(clean(line));
    }
    return out;
}

Result<Plan> plan_from(const Runbook& runbook, const PlanRequest& request) {
    const Bindings bindings{request.entry, request.facts};
    Plan plan;
    plan.runbook = runbook.name;
    plan.title = runbook.title;
    plan.risk = runbook.risk;
    plan.cost = runbook.cost;
    plan.verify_hold = runbook.verify_hold;
    plan.verify_timeout = runbook.verify_timeout;
    if (runbook.steps.empty()) return fail(ErrorKind::kInvalid, "it has no steps");
    for (std::size_t i = 0; i < runbook.steps.size(); ++i) {
        const auto& step = runbook.steps[i];
        for (const auto& precondition : step.preconditions) {
            VIGIE_TRY(holds(precondition, bindings));
        }
        PlanStep planned;
        planned.action = step.action;
        planned.target = request.entry.entity;
        planned.risk = runbook.risk;
        planned.diff = shown_diff(request, i);
        planned.inverse = runbook.inverse;
        planned.status = "planned";
        for (const auto& [name, text] : step.parameters) {
            auto value = resolve(text, bindings);
            if (!value) return fail(std::move(value.error()).in("parameter " + name));
            planned.parameters[name] = *std::move(value);
        }
        plan.steps.push_back(std::move(planned));
    }
    plan.id = plan_id(plan, request.incident);
    return plan;
}

Status lint_template(std::string_view text) {
    static const schemas::InventoryEntry kNothing;
    static const Facts kNoFacts;
    const auto resolved = resolve(text, {kNothing, kNoFacts});
    if (!resolved && resolved.error().kind == ErrorKind::kInvalid) return fail(resolved.error());
    return {};
}

}  // namespace

bool is_guard(std::string_view parameter) {
    return parameter == "resource_version" || parameter == "digest";
}

Selection select_runbooks(const std::vector<Runbook>& runbooks, const schemas::Cause& cause) {
    Selection selection;
    const auto mechanism = schemas::to_string(cause.mechanism);
    const auto kind = entity_kind(cause.entity);
    for (const Runbook& runbook : runbooks) {
        if (cause.mechanism == Mechanism::kUnknown) {
            selection.refusals.push_back({runbook.name, "the cause is not known"});
        } else if (!contains(runbook.mechanisms, mechanism)) {
            selection.refusals.push_back(
                {runbook.name,
                 fmt::format("it addresses {}, not {}", joined(runbook.mechanisms), mechanism)});
        } else if (!contains(runbook.entity_kinds, kind)) {
            selection.refusals.push_back(
                {runbook.name, fmt::format("it is for {}, not for {}", joined(runbook.entity_kinds),
                                           clean(cause.entity.value, kNameBytesMax))});
        } else {
            selection.runbooks.push_back(runbook);
        }
    }
    std::stable_sort(selection.runbooks.begin(), selection.runbooks.end(),
                     [](const Runbook& a, const Runbook& b) {
                         if (a.cost != b.cost) return a.cost < b.cost;
                         return a.name < b.name;
                     });
    return selection;
}

Planning make_plan(const PlanRequest& request) {
    Planning planning;
    auto selection = select_runbooks(request.runbooks, request.cause);
    planning.refusals = std::move(selection.refusals);
    for (const Runbook& runbook : selection.runbooks) {
        auto plan = plan_from(runbook, request);
        if (plan) {
            planning.plan = *std::move(plan);
            return planning;
        }
        planning.refusals.push_back({runbook.name, plan.error().message});
    }
    return planning;
}

Result<std::map<std::string, std::string>> inspection_parameters(
    const schemas::RunbookStep& step, const schemas::InventoryEntry& entry) {
    static const Facts kNoFacts;
    std::map<std::string, std::string> parameters;
    for (const auto& [name, text] : step.parameters) {
        if (needs_facts(text)) continue;
        VIGIE_TRY_ASSIGN(parameters[name], resolve(text, {entry, kNoFacts}));
    }
    return parameters;
}

Status lint(const Runbook& runbook) {
    const auto wrong = [&runbook](std::string_view what) {
        return fail(ErrorKind::kInvalid, fmt::format("runbook '{}': {}", runbook.name, what));
    };
    constexpr std::array kMechanisms{Mechanism::kBadChange, Mechanism::kResourceExhaustion,
                                     Mechanism::kCrash, Mechanism::kOverload};
    if (runbook.name.empty()) return wrong("it has no name");
    if (runbook.steps.empty()) return wrong("it has no steps");
    if (runbook.mechanisms.empty()) return wrong("it addresses no mechanism");
    if (runbook.entity_kinds.empty()) return wrong("it addresses no kind of entity");
    if (!(runbook.cost >= 0)) return wrong("its cost is negative");
    if (runbook.verify_hold.count() < 0 || runbook.verify_timeout <= runbook.verify_hold) {
        return wrong("verify.timeout must be longer than verify.hold");
    }
    if (runbook.cooldown.count() < 0) return wrong("its cooldown is negative");
    for (const auto& mechanism : runbook.mechanisms) {
        const bool known = std::any_of(kMechanisms.begin(), kMechanisms.end(), [&](Mechanism m) {
            return schemas::to_string(m) == mechanism;
        });
        if (!known) return wrong(fmt::format("there is no mechanism '{}'", mechanism));
    }
    static const schemas::InventoryEntry kNothing;
    static const Facts kNoFacts;
    for (const auto& step : runbook.steps) {
        if (step.action.empty()) return wrong("a step has no action");
        for (const auto& [name, text] : step.parameters) {
            if (const auto status = lint_template(text); !status) {
                return wrong(fmt::format("parameter {}: {}", name, status.error().message));
            }
        }
        for (const auto& precondition : step.preconditions) {
            const auto status = holds(precondition, {kNothing, kNoFacts});
            if (!status && status.error().kind == ErrorKind::kInvalid) {
                return wrong(status.error().message);
            }
        }
    }
    return {};
}

}  // namespace vigie::agent
