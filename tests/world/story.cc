#include "tests/world/story.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "app/replay.h"
#include "schemas/topics.h"
#include "tests/world/faultless.h"
#include "tests/world/shop.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;
constexpr int kDeployAt = 20;
constexpr int kLastSecond = 120;
constexpr int kLastTries = 10;
constexpr int kCalmSecondsMax = 300;

// Nothing more is to come: the story has an end.
bool is_over(const World& world) {
    const auto& incidents = world.incidents();
    return std::ranges::all_of(incidents, [](const auto& each) {
        return each.second.state == schemas::IncidentState::kResolved ||
               each.second.state == schemas::IncidentState::kEscalated;
    });
}

void check_incident(const World& world, Outcome& outcome) {
    const auto& incidents = world.incidents();
    if (incidents.size() != 1) {
        outcome.broken.push_back(fmt::format("{} incidents instead of one", incidents.size()));
        return;
    }
    const schemas::Incident& incident = incidents.begin()->second;
    const auto state = schemas::to_string(incident.state);
    if (outcome.rollbacks > 1) {
        outcome.broken.push_back(fmt::format("rolled back {} times", outcome.rollbacks));
    }
    const bool done = incident.state == schemas::IncidentState::kResolved && outcome.rollbacks == 1;
    outcome.handed_over = incident.state == schemas::IncidentState::kEscalated;
    if (!done && !outcome.handed_over) {
        outcome.broken.push_back(
            fmt::format("ended {} after {} rollbacks", state, outcome.rollbacks));
    }
    const auto& causes = incident.diagnosis.causes;
    if (causes.empty() || causes.front().entity.value != "service:checkout" ||
        causes.front().mechanism != schemas::Mechanism::kBadChange) {
        outcome.broken.emplace_back("the deployment of checkout is not the first cause");
    }
    if (done && !world.postmortems().contains(incident.id.value)) {
        outcome.broken.emplace_back("resolved without a post-mortem");
    }
}

void check_pages(const World& world, Outcome& outcome) {
    for (const auto& event : world.transitions()) {
        for (const auto& notice : event.notices) {
            if (!world.pages().contains(notice.id)) {
                outcome.broken.push_back(fmt::format("notice {} never sent", notice.id));
            }
        }
    }
}

void check_log(const World& world, Outcome& outcome) {
    for (const auto& record : world.bus().records(topics::kDeadLetter)) {
        outcome.broken.push_back("dead letter: " + record.message.value.substr(0, 200));
    }
    std::set<std::string> ids;
    for (const auto& record : world.bus().records(topics::kSignals)) {
        const auto event = schemas::decode(record.message.value);
        if (!event || std::holds_alternative<schemas::Tick>(event->data)) continue;
        if (!ids.insert(event->meta.id.value).second) {
            outcome.broken.push_back("signal twice: " + event->meta.id.value);
        }
    }
    for (const auto* topic : {&topics::kAlerts, &topics::kAnomalies, &topics::kDecisions}) {
        for (const auto& record : world.bus().records(*topic)) {
            const auto event = schemas::decode(record.message.value);
            if (!event || std::holds_alternative<schemas::Tick>(event->data)) continue;
            if (!ids.contains(event->meta.id.value)) {
                outcome.broken.push_back("signal lost: " + event->meta.id.value);
            }
        }
    }
}

// What the agent said through all crashes is what it says when nothing goes wrong.
void check_replay(const World& world, Outcome& outcome) {
    const auto replay = app::replay_signals(world.bus(), EventTime::max(),
                                            [](std::string_view, const streams::Message&) {});
    if (!replay) {
        outcome.broken.push_back("replay: " + replay.error().message);
    } else if (replay->same != replay->recorded || replay->transitions != replay->recorded) {
        outcome.broken.push_back(
            fmt::format("replay repeats {} of {} transitions", replay->same, replay->recorded));
    }
}

}  // namespace

Hazards all_hazards() {
    Hazards hazards;
    hazards.crash = 3;
    hazards.bus = 15;
    hazards.outage = 2;
    hazards.inside = 2;
    hazards.stall = 10;
    hazards.member = 10;
    hazards.call = 300;
    hazards.page = 200;
    hazards.clock = 20;
    hazards.shuffle = true;
    return hazards;
}

Outcome run_story(std::uint64_t seed, const Hazards& hazards) {
    Shop shop(seed, hazards, schemas::Mode::kApprove);
    for (int t = 0; t <= kLastSecond; ++t) {
        if (t == kDeployAt) shop.deploy("1.5.0");
        shop.approve_what_is_shown();
        shop.second();
    }
    World& world = shop.world();
    world.settle();
    // A clock that was ahead shortly before the end: events wait until the others have caught up.
    for (int t = 0; t < kCalmSecondsMax && !is_over(world); ++t) shop.second();
    // What was not sent yet is tried again.
    for (int t = 0; t < kLastTries; ++t) world.advance();

    Outcome outcome;
    outcome.met = world.met();
    outcome.crashes = world.crashes();
    outcome.rollbacks = shop.rollbacks();
    check_incident(world, outcome);
    check_pages(world, outcome);
    check_log(world, outcome);
    check_replay(world, outcome);
    for (std::string& difference : compare_with_faultless(world)) {
        outcome.broken.push_back(std::move(difference));
    }
    for (const auto& event : world.transitions()) {
        outcome.trace += fmt::format("{} {} <- {}: {}\n", to_rfc3339(event.incident.updated_at),
                                     schemas::to_string(event.incident.state),
                                     schemas::to_string(event.previous), event.reason);
    }
    return outcome;
}

}  // namespace vigie::sim
