#include "app/render.h"

#include <catch2/catch.hpp>

using namespace vigie;

namespace {

std::string line_of(schemas::EventData data) {
    const EventTime at = event_time_from_micros(1'795'255'200'000'000);
    return app::event_line({{{"evt-1"}, "/agent", at, {"default"}}, std::move(data)});
}

}  // namespace

TEST_CASE("render: what the agent said is one line each", "[app]") {
    schemas::IncidentEvent change;
    change.incident.id = {"inc-1"};
    change.incident.state = schemas::IncidentState::kEscalated;
    change.previous = schemas::IncidentState::kOpen;
    change.reason = "no runbook\nfits\x1b[2J";
    CHECK(line_of(change) ==
          "2026-11-21T10:00:00Z  inc-1  open -> escalated: no runbook?fits?[2J\n");
    change.previous = change.incident.state;
    CHECK(line_of(change) == "2026-11-21T10:00:00Z  inc-1  escalated: no runbook?fits?[2J\n");

    schemas::ActionEvent action;
    action.incident = {"inc-1"};
    action.phase = schemas::ActionPhase::kInspect;
    action.action = "kubernetes.scale";
    action.target = {"service:checkout"};
    CHECK(line_of(action) ==
          "2026-11-21T10:00:00Z  inc-1  inspect kubernetes.scale of service:checkout\n");

    schemas::Audit entry;
    entry.subject = "inc-1";
    entry.what = "verdict";
    entry.detail = "right";
    CHECK(line_of(entry) == "2026-11-21T10:00:00Z  inc-1  verdict: right\n");
}
