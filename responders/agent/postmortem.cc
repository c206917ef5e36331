#include "responders/agent/postmortem.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/text.h"
#include "schemas/events.h"

namespace vigie::agent {

using schemas::Incident;
using schemas::Mechanism;

namespace {

bool acted(const Incident& incident) {
    if (!incident.plan) return false;
    return std::any_of(incident.plan->steps.begin(), incident.plan->steps.end(),
                       [](const auto& step) { return !step.action_id.empty(); });
}

std::string resolution(const Incident& incident) {
    for (auto entry = incident.timeline.rbegin(); entry != incident.timeline.rend(); ++entry) {
        if (entry->kind == "resolved") return entry->text;
    }
    return "resolved";
}

std::string summary(const Incident& incident) {
    const auto resolved_at = incident.resolved_at.value_or(incident.updated_at);
    std::string entities;
    for (const auto& entity : incident.entities) {
        entities += fmt::format("{}{}", entities.empty() ? "" : ", ", code_span(entity.value));
    }
    std::string out = "## Summary\n\n";
    out += fmt::format("- Incident: {} (domain {})\n", incident.id.value,
                       code_span(incident.domain.value));
    out += fmt::format("- Severity: {}\n", schemas::to_string(incident.severity));
    out += fmt::format("- Opened: {}\n", to_rfc3339(incident.opened_at));
    out += fmt::format("- Resolved: {}, after {}\n", to_rfc3339(resolved_at),
                       age_text(resolved_at - incident.opened_at));
    out += fmt::format("- How: {}\n", escape_markdown(resolution(incident)));
    out += fmt::format("- Owner: {}\n",
                       incident.owner.empty() ? "nobody took it" : code_span(incident.owner));
    out += fmt::format("- Affected: {}\n", entities.empty() ? "unknown" : entities);
    return out;
}

std::string causes(const Incident& incident) {
    const auto& diagnosis = incident.diagnosis;
    std::string out = "\n## Causes\n\n";
    if (diagnosis.causes.empty()) return out + "It was over before it was diagnosed.\n";
    out += fmt::format(
        "Confidence in the first: {}. Shares are weights among these candidates, not "
        "confidences.\n\n",
        to_string(diagnosis.confidence));
    for (std::size_t i = 0; i < diagnosis.causes.size(); ++i) {
        const auto& cause = diagnosis.causes[i];
        out += fmt::format("{}. ", i + 1);
        if (cause.mechanism == Mechanism::kUnknown) {
            out += "None of these";
        } else {
            out += fmt::format("{} of {}", escape_markdown(schemas::to_string(cause.mechanism)),
                               code_span(cause.entity.value));
            if (!cause.change_key.empty()) {
                out += fmt::format(", change {}", code_span(cause.change_key));
            }
        }
        out += fmt::format(" (share {})\n", number(cause.share));
        for (const auto& reason : cause.reasons) {
            out += fmt::format("   - {}\n", escape_markdown(reason));
        }
    }
    for (const auto& edge : diagnosis.edges) {
        out +=
            fmt::format("{}- {} explains {} of what {} shows\n",
                        &edge == &diagnosis.edges.front() ? "\n" : "", code_span(edge.cause.value),
                        number(edge.explained_ratio), code_span(edge.effect.value));
    }
    return out;
}

std::string evidence(const Incident& incident) {
    std::string out = "\n## Evidence\n\n";
    auto items = incident.evidence;
    std::stable_sort(items.begin(), items.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    for (const auto& item : items) {
        out += fmt::format("- {} {} at {}", to_rfc3339(item.at), item.kind,
                           code_span(item.entity.value));
        if (item.kind != "change") {
            out += fmt::format(", score {}", number(item.score));
            if (item.cleared_at) out += fmt::format(", clear {}", to_rfc3339(*item.cleared_at));
            if (item.ended == schemas::Ended::kSilent) out += ", its data stopped";
            if (item.ended == schemas::Ended::kAdapted) out += ", taken as the new normal";
        }
        out += fmt::format(": {} (event {})\n", code_span(item.text), code_span(item.event.value));
    }
    if (incident.evidence_dropped > 0) {
        out += fmt::format("- {} more were only counted\n", incident.evidence_dropped);
    }
    return out;
}

// An indented block, which no text in it can end: every line is one clean line.
std::string diff_block(const std::vector<std::string>& diff) {
    std::string out = "\n";
    for (const auto& line : diff) out += fmt::format("       {}\n", clean(line));
    return out;
}

std::string plan(const Incident& incident) {
    std::string out = "\n## Plan\n\n";
    if (!incident.plan) return out + "No plan was made.\n";
    const auto& made = *incident.plan;
    out += fmt::format("{} ({}, runbook {}), risk {}, mode {}, made {}.\n\n",
                       escape_markdown(made.title), made.id.value, code_span(made.runbook),
                       schemas::to_string(made.risk), schemas::to_string(made.mode),
                       to_rfc3339(made.created_at));
    out += made.approved_by.empty()
               ? std::string("Nobody approved it.\n\n")
               : fmt::format("Approved by {}.\n\n", code_span(made.approved_by));
    for (std::size_t i = 0; i < made.steps.size(); ++i) {
        const auto& step = made.steps[i];
        out += fmt::format("{}. {} on {}: {}\n", i + 1, code_span(step.action),
                           code_span(step.target.value), escape_markdown(step.status));
        for (const auto& [name, value] : step.parameters) {
            out += fmt::format("   - {} = {}\n", code_span(name), code_span(value));
        }
        if (!step.action_id.empty()) out += fmt::format("   - action {}\n", step.action_id.value);
        if (!step.inverse.empty()) {
            out += fmt::format("   - to undo it: {}\n", escape_markdown(step.inverse));
        }
        if (!step.diff.empty()) out += diff_block(step.diff);
    }
    out += "\nWhat the gate checked last:\n\n";
    for (const auto& check : made.gate) {
        out += fmt::format("- {} {}: {}\n", check.passed ? "passed" : "failed",
                           escape_markdown(check.name), escape_markdown(check.reason));
    }
    return out;
}

std::string timeline(const Incident& incident) {
    std::string out = "\n## Timeline\n\n";
    for (const auto& entry : incident.timeline) {
        out += fmt::format("- {} {}: {}\n", to_rfc3339(entry.at), entry.kind,
                           escape_markdown(entry.text));
    }
    return out;
}

std::string follow_ups(const Incident& incident, std::string_view verdict) {
    std::string out = "\n## Proposed follow-ups\n\n";
    const auto& found = incident.diagnosis.causes;
    const auto mechanism = found.empty() ? Mechanism::kUnknown : found.front().mechanism;
    const auto entity = found.empty() ? std::string("-") : code_span(found.front().entity.value);
    switch (mechanism) {
        case Mechanism::kBadChange:
            out += fmt::format(
                "- Fix the change {} of {} before it is rolled out again, and add a "
                "test that fails on it.\n",
                code_span(found.front().change_key), entity);
            out += fmt::format("- Roll {} out in steps, so that the next one stops by itself.\n",
                               entity);
            break;
        case Mechanism::kResourceExhaustion:
            out += fmt::format("- Give {} a forecast and a limit for the resource that ran out.\n",
                               entity);
            break;
        case Mechanism::kCrash:
            out += fmt::format("- Find out why {} stopped; a restart only ends the symptom.\n",
                               entity);
            break;
        case Mechanism::kOverload:
            out += fmt::format("- Give {} room for this much traffic, or let it refuse some.\n",
                               entity);
            break;
        case Mechanism::kUnknown:
            out +=
                "- No known cause explained it: add a detector or a runbook for the next time.\n";
            break;
    }
    if (!acted(incident) && incident.plan) {
        out += "- The plan was not run. If it would have helped, consider the next mode for it.\n";
    }
    const bool approved = incident.plan && !incident.plan->approved_by.empty() &&
                          incident.plan->approved_by != "autonomous";
    if (incident.owner.empty() && !approved)
        out += "- Nobody acknowledged it: check that the page arrived.\n";
    const bool counts = mechanism != Mechanism::kUnknown;
    if (verdict.empty() && counts) {
        out += fmt::format(
            "- Say whether the first cause was right, as confidence rests on nothing else: "
            "`vigie verdict {} right` or `wrong`.\n",
            incident.id.value);
    } else if (verdict == "wrong") {
        out += "- The diagnosis was wrong: find out which signal would have shown the cause.\n";
    }
    return out;
}

}  // namespace

std::string write_postmortem(const Incident& incident, std::string_view verdict) {
    std::string out = fmt::format("# {}\n\n", escape_markdown(incident.title));
    out += summary(incident);
    out += causes(incident);
    out += evidence(incident);
    out += plan(incident);
    out += timeline(incident);
    out += follow_ups(incident, verdict);
    out += fmt::format(
        "\n## Replay\n\nThe same log gives the same decisions, byte for byte; FILE is Vigie's "
        "configuration:\n\n    vigie replay --config FILE --incident {}\n",
        incident.id.value);
    return out;
}

}  // namespace vigie::agent
