#include "responders/agent/notices.h"

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "responders/agent/recovery.h"
#include "responders/agent/text.h"
#include "schemas/events.h"

namespace vigie::agent {

using schemas::Incident;

namespace {

// Of each step: a message is read on a telephone; the whole diff is in the incident.
constexpr std::size_t kDiffLinesShown = 12;

std::string head(const Incident& incident) {
    return fmt::format("{} [{}] {}", incident.id.value, schemas::to_string(incident.severity),
                       incident.title);
}

std::string plan_lines(const schemas::Plan& plan) {
    std::string out = fmt::format("Plan {}: {} (risk {}, runbook {})\n", plan.id.value, plan.title,
                                  schemas::to_string(plan.risk), plan.runbook);
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const auto& step = plan.steps[i];
        out += fmt::format("{}. {} on {}\n", i + 1, step.action, step.target.value);
        std::size_t shown = 0;
        for (const auto& line : step.diff) {
            if (++shown > kDiffLinesShown) {
                out += fmt::format("   … {} more lines\n", step.diff.size() - kDiffLinesShown);
                break;
            }
            out += fmt::format("   {}\n", clean(line));
        }
        if (!step.inverse.empty()) out += fmt::format("   To undo it: {}\n", step.inverse);
    }
    return out;
}

std::string cause_lines(const Incident& incident) {
    return fmt::format("Most likely: {}\n", cause_line(incident));
}

}  // namespace

std::string cause_line(const Incident& incident) {
    if (incident.diagnosis.causes.empty()) return "not diagnosed yet";
    const auto& cause = incident.diagnosis.causes.front();
    const auto confidence = to_string(incident.diagnosis.confidence);
    if (cause.mechanism == schemas::Mechanism::kUnknown) {
        return fmt::format("none of the known causes, confidence {}", confidence);
    }
    return fmt::format("{} of {}{}, confidence {}", schemas::to_string(cause.mechanism),
                       clean(cause.entity.value, kNameBytesMax),
                       cause.change_key.empty()
                           ? ""
                           : fmt::format(" ({})", clean(cause.change_key, kNameBytesMax)),
                       confidence);
}

std::string page_text(const Incident& incident) {
    std::string out = head(incident);
    for (const auto& evidence : incident.evidence) {
        if (!fires(evidence)) continue;
        out += fmt::format("\n{} {}: {}", evidence.kind,
                           clean(evidence.entity.value, kNameBytesMax), clean(evidence.text));
        break;
    }
    return out;
}

std::string suggestion_text(const Incident& incident) {
    return fmt::format("{}\n{}{}Mode suggest: nothing is done, and this cannot be approved.",
                       head(incident), cause_lines(incident), plan_lines(*incident.plan));
}

std::string blocked_text(const Incident& incident, std::string_view why) {
    return fmt::format("{}\n{}{}Nothing is done: {}", head(incident), cause_lines(incident),
                       plan_lines(*incident.plan), why);
}

std::string approval_text(const Incident& incident) {
    return fmt::format("{}\n{}{}Approve until {}: vigie approve {} --plan {}", head(incident),
                       cause_lines(incident), plan_lines(*incident.plan),
                       to_rfc3339(incident.plan->expires_at), incident.id.value,
                       incident.plan->id.value);
}

std::string acting_text(const Incident& incident) {
    const auto& plan = *incident.plan;
    return fmt::format("{}\nRunning {} ({}), approved by {}.", head(incident), plan.title,
                       plan.id.value, plan.approved_by);
}

std::string escalation_text(const Incident& incident, std::string_view why) {
    return fmt::format("{}\n{}Needs a person: {}.", head(incident), cause_lines(incident), why);
}

std::string resolved_text(const Incident& incident, std::string_view why) {
    return fmt::format("{}\nResolved: {}.", head(incident), why);
}

}  // namespace vigie::agent
