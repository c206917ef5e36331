// Each *.yaml here is a story: what happens when, and what must follow, in event time.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "app/replay.h"
#include "app/section.h"
#include "schemas/topics.h"
#include "tests/world/shop.h"

namespace {

namespace schemas = vigie::schemas;
using vigie::app::Section;
using vigie::sim::Shop;
using vigie::sim::World;

struct Happening {
    std::chrono::seconds at{0};
    std::string what;     // "deploy", "repair", "silence", "speak", "approve", "reject", "kill",
                          // "mode", "crash"
    std::string subject;  // Version, switch or mode
};

struct Expectation {
    std::chrono::seconds at{0};
    std::map<std::string, std::string> facts;
};

struct Story {
    std::string mode;
    bool alerts = true;  // Otherwise incidents are known from anomalies alone.
    std::chrono::seconds length{0};
    std::vector<Happening> happenings;
    std::vector<Expectation> expectations;
};

Story read_story(const std::string& path) {
    const auto text = vigie::app::read_file(path, 1 << 20);
    REQUIRE(text);
    const auto root = vigie::app::parse_yaml(*text);
    INFO((root ? "" : root.error().message));
    REQUIRE(root);
    vigie::app::Complaints complaints(path);
    Story story;
    {
        Section section(&*root, "", complaints);
        section.text("title");
        story.mode = section.text("mode", "approve");
        story.alerts = section.boolean("alerts", true);
        story.length = section.seconds("length", std::chrono::seconds{120});
        section.each("happens", [&story](Section& part) {
            story.happenings.push_back({part.seconds("at", std::chrono::seconds{0}),
                                        part.text("what"), part.text("subject")});
        });
        section.each("expect", [&story](Section& part) {
            story.expectations.push_back(
                {part.seconds("at", std::chrono::seconds{0}), part.text_map("that")});
        });
    }
    REQUIRE(complaints.all() == std::vector<std::string>{});
    REQUIRE(!story.expectations.empty());
    return story;
}

void happen(const Happening& happening, Shop& shop) {
    const auto& [at, what, subject] = happening;
    if (what == "deploy") return shop.deploy(subject);
    if (what == "repair") return shop.repair();
    if (what == "silence") return shop.set_silent(true);
    if (what == "speak") return shop.set_silent(false);
    if (what == "approve") return shop.decide(schemas::DecisionKind::kApprove, "");
    if (what == "reject") return shop.decide(schemas::DecisionKind::kReject, "");
    if (what == "kill") return shop.decide(schemas::DecisionKind::kKill, subject);
    if (what == "mode") return shop.decide(schemas::DecisionKind::kMode, subject);
    if (what == "crash") return shop.world().crash();
    FAIL("a story cannot say '" << what << "'");
}

template <class Predicate>
std::string count_symptoms(const schemas::Incident& incident, Predicate is_counted) {
    return std::to_string(std::count_if(
        incident.evidence.begin(), incident.evidence.end(),
        [&is_counted](const auto& seen) { return seen.symptom && is_counted(seen); }));
}

// What a story can expect, by name.
std::map<std::string, std::string> facts_of(Shop& shop) {
    World& world = shop.world();
    std::map<std::string, std::string> facts{
        {"incidents", std::to_string(world.incidents().size())},
        {"rollbacks", std::to_string(shop.rollbacks())},
        {"version", shop.version()},
        {"postmortems", std::to_string(world.postmortems().size())},
        {"kill_switch", world.kill_switch_on() ? "on" : "off"}};
    if (world.incidents().empty()) return facts;
    const schemas::Incident& incident = world.incidents().begin()->second;
    facts["state"] = schemas::to_string(incident.state);
    if (!incident.diagnosis.causes.empty()) {
        facts["cause"] = incident.diagnosis.causes.front().entity.value;
        facts["mechanism"] = schemas::to_string(incident.diagnosis.causes.front().mechanism);
        facts["confidence"] = schemas::to_string(incident.diagnosis.confidence);
    }
    facts["symptoms_clear"] =
        count_symptoms(incident, [](const auto& seen) { return seen.cleared_at.has_value(); });
    facts["symptoms_silent"] = count_symptoms(
        incident, [](const auto& seen) { return seen.ended == schemas::Ended::kSilent; });
    facts["plan"] = incident.plan ? incident.plan->runbook : "none";
    if (incident.plan) {
        facts["plan_mode"] = schemas::to_string(incident.plan->mode);
        facts["step"] = incident.plan->steps.front().status;
        facts["approved_by"] = incident.plan->approved_by;
    }
    return facts;
}

void check_expectation(const Expectation& expectation, Shop& shop) {
    const auto facts = facts_of(shop);
    for (const auto& [name, wanted] : expectation.facts) {
        INFO("at " << expectation.at.count() << " s: " << name);
        REQUIRE(facts.contains(name));
        CHECK(facts.at(name) == wanted);
    }
}

void tell(const std::string& path) {
    const Story story = read_story(path);
    Shop shop(1, {}, *schemas::parse_mode(story.mode));
    shop.set_alerts(story.alerts);
    for (std::chrono::seconds t{0}; t <= story.length; ++t) {
        for (const Happening& happening : story.happenings) {
            if (happening.at == t) happen(happening, shop);
        }
        shop.second();
        for (const Expectation& expectation : story.expectations) {
            if (expectation.at == t) check_expectation(expectation, shop);
        }
    }
    // The log of the story, given to the agent again, twice: the same bytes.
    const auto replay = [&shop](std::vector<std::string>& said) {
        return vigie::app::replay_signals(
            shop.world().bus(), vigie::EventTime::max(),
            [&said](std::string_view topic, const vigie::streams::Message& message) {
                said.push_back(fmt::format("{} {} {}", topic, message.key, message.value));
            });
    };
    std::vector<std::string> first_said;
    std::vector<std::string> second_said;
    const auto first = replay(first_said);
    REQUIRE(first);
    REQUIRE(replay(second_said));
    CHECK(first_said == second_said);
    CHECK(first_said.size() == first->transitions + first->actions + first->audit);
    CHECK(first->same == first->recorded);
}

}  // namespace

TEST_CASE("stories: what is told happens, in event time", "[stories]") {
    std::vector<std::string> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(VIGIE_SOURCE_DIR "/tests/stories")) {
        if (entry.path().extension() == ".yaml") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    REQUIRE(paths.size() >= 5);
    for (const std::string& path : paths) {
        INFO(path);
        tell(path);
    }
}
