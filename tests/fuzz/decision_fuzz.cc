// A person's decision as the page and scripts send it. The first byte says what the console knows.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "console/decision.h"
#include "schemas/json.h"
#include "tests/console/samples.h"
#include "tests/fuzz/event_checks.h"

namespace {

using namespace vigie;
using fuzz::kNow;
using schemas::Decision;
using schemas::DecisionKind;
using schemas::Json;

console::View view_of(std::uint8_t choice) {
    console::View view;
    view.caught_up = (choice & 1U) != 0;
    if ((choice & 2U) != 0) {
        auto incident = console::samples::awaiting_approval("inc-1");
        view.incidents["inc-1"] = std::make_shared<const schemas::Incident>(std::move(incident));
    }
    return view;
}

std::string written(const Decision& decision) {
    Json json{{"kind", schemas::to_string(decision.kind)},
              {"actor", decision.actor},
              {"incident", decision.incident.value},
              {"plan", decision.plan.value},
              {"reason", decision.reason},
              {"value", decision.value},
              {"scope", decision.scope}};
    if (decision.expires_at) json["expires_at"] = to_rfc3339(*decision.expires_at);
    return schemas::dump_json(json);
}

bool needs_plan(DecisionKind kind) {
    return kind == DecisionKind::kApprove || kind == DecisionKind::kReject;
}

bool needs_incident(DecisionKind kind) {
    return needs_plan(kind) || kind == DecisionKind::kAck || kind == DecisionKind::kVerdict ||
           kind == DecisionKind::kResolve;
}

void check_decision(const Decision& decision, const console::View& view) {
    VIGIE_ASSERT(decision.actor.find_first_not_of(" \t\n") != std::string::npos);
    // A name is one line wherever it is shown.
    for (const auto* name : {&decision.actor, &decision.incident.value, &decision.plan.value,
                             &decision.value, &decision.scope}) {
        VIGIE_ASSERT(one_line(*name, 128) == *name);
    }
    VIGIE_ASSERT(needs_incident(decision.kind) == !decision.incident.empty());
    VIGIE_ASSERT(needs_plan(decision.kind) == !decision.plan.empty());
    VIGIE_ASSERT((decision.kind == DecisionKind::kSilence) == decision.expires_at.has_value());
    VIGIE_ASSERT(!decision.expires_at || *decision.expires_at > kNow);
    if (!decision.incident.empty()) {
        const auto incident = view.find(decision.incident.value);
        VIGIE_ASSERT(incident != nullptr || !view.caught_up);
        const bool shown = incident && incident->plan && incident->plan->id == decision.plan;
        VIGIE_ASSERT(!needs_plan(decision.kind) || incident == nullptr || shown);
    }
    fuzz::check_event(decision);
    const auto again = console::parse_decision(written(decision), view, kNow);
    VIGIE_ASSERT(again && *again == decision);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto view = view_of(data[0]);
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto decision = console::parse_decision(text, view, kNow);
    if (decision) {
        check_decision(*decision, view);
        return 0;
    }
    fuzz::check_reason(decision.error().message);
    const ErrorKind kind = decision.error().kind;
    VIGIE_ASSERT(kind == ErrorKind::kInvalid || (kind == ErrorKind::kNotFound && view.caught_up) ||
                 (kind == ErrorKind::kConflict && !view.incidents.empty()));
    return 0;
}
