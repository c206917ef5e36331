#include <algorithm>
#include <filesystem>

#include <catch2/catch.hpp>

#include "app/policy_config.h"
#include "responders/agent/plan.h"
#include "schemas/events.h"

using vigie::app::Complaints;
using vigie::app::RunbookFile;
using vigie::app::RunbookTest;

namespace {

std::vector<std::string> shipped_files() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(VIGIE_SOURCE_DIR "/runbooks")) {
        if (entry.path().extension() == ".yaml") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

vigie::schemas::Mechanism mechanism(const std::string& name) {
    using vigie::schemas::Mechanism;
    for (const auto value : {Mechanism::kBadChange, Mechanism::kResourceExhaustion,
                             Mechanism::kCrash, Mechanism::kOverload, Mechanism::kUnknown}) {
        if (vigie::schemas::to_string(value) == name) return value;
    }
    FAIL("unknown mechanism " << name);
    return Mechanism::kUnknown;
}

std::string reasons(const vigie::agent::Planning& planning) {
    std::string text;
    for (const auto& refusal : planning.refusals) text += refusal.reason + "\n";
    return text;
}

void run(const RunbookFile& file, const RunbookTest& test) {
    INFO(file.runbook.name << ": " << test.name);
    vigie::agent::PlanRequest request;
    request.runbooks = {file.runbook};
    request.cause.entity = test.entity;
    request.cause.mechanism = mechanism(test.mechanism);
    request.entry = {test.entity, test.attributes, {}};
    request.facts = test.facts;
    const auto planning = vigie::agent::make_plan(request);
    INFO(reasons(planning));
    REQUIRE(planning.plan.has_value() == test.expect_plan);
    if (!planning.plan) {
        CHECK(reasons(planning).find(test.expect_reason) != std::string::npos);
        return;
    }
    REQUIRE(!planning.plan->steps.empty());
    const auto& step = planning.plan->steps.front();
    if (!test.expect_action.empty()) CHECK(step.action == test.expect_action);
    for (const auto& [name, value] : test.expect_parameters) {
        INFO(name);
        REQUIRE(step.parameters.contains(name));
        CHECK(step.parameters.at(name) == value);
    }
}

}  // namespace

TEST_CASE("runbooks: each one that ships is sound and does what its own tests say", "[app]") {
    const auto files = shipped_files();
    REQUIRE(files.size() >= 5);
    for (const auto& path : files) {
        INFO(path);
        const auto text = vigie::app::read_file(path, 1 << 20);
        REQUIRE(text);
        Complaints complaints(path);
        const auto file = vigie::app::read_runbook(*text, complaints);
        REQUIRE(complaints.all() == std::vector<std::string>{});
        const auto sound = vigie::agent::lint(file.runbook);
        INFO((sound ? "" : sound.error().message));
        REQUIRE(sound);
        CHECK(file.tests.size() >= 2);
        for (const auto& test : file.tests) run(file, test);
    }
}

TEST_CASE("runbooks: the program carries those of the folder", "[app]") {
    CHECK(vigie::app::shipped_runbooks().size() == shipped_files().size());
}

TEST_CASE("runbooks: what the agent would refuse is refused when the file is read", "[app]") {
    Complaints complaints("r.yaml");
    vigie::app::read_runbook(
        "name: x\naddresses: {mechanisms: [gremlins], entity_kinds: [service]}\n"
        "steps:\n  - action: a\n",
        complaints);
    REQUIRE(complaints.all().size() == 1);
    CHECK(complaints.all()[0].find("there is no mechanism 'gremlins'") != std::string::npos);
}

TEST_CASE("runbooks: an unknown key is refused with its place", "[app]") {
    Complaints complaints("r.yaml");
    vigie::app::read_runbook("name: x\nsteps:\n  - action: a\n    parametres: {}\n", complaints);
    REQUIRE(complaints.all().size() == 1);
    CHECK(complaints.all()[0].starts_with("r.yaml:4:5: steps[0].parametres: unknown option"));
}
