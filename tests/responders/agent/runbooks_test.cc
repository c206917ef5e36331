#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>

#include <yaml-cpp/yaml.h>

#include "responders/agent/plan.h"

using namespace vigie;
using namespace vigie::agent;

namespace {

// Only what the tests in the files need: app/ has the reader that complains well.
schemas::Runbook read_runbook(const YAML::Node& root) {
    schemas::Runbook runbook;
    runbook.name = root["name"].as<std::string>();
    runbook.title = root["title"].as<std::string>();
    runbook.mechanisms = root["addresses"]["mechanisms"].as<std::vector<std::string>>();
    runbook.entity_kinds = root["addresses"]["entity_kinds"].as<std::vector<std::string>>();
    runbook.risk = schemas::parse_risk(root["risk"].as<std::string>()).value();
    runbook.inverse = root["inverse"].as<std::string>();
    runbook.cost = root["cost"].as<double>();
    const auto seconds = [](const YAML::Node& node) {
        return std::chrono::duration_cast<std::chrono::seconds>(
            parse_duration(node.as<std::string>()).value());
    };
    runbook.cooldown = seconds(root["cooldown"]);
    runbook.verify_hold = seconds(root["verify"]["hold"]);
    runbook.verify_timeout = seconds(root["verify"]["timeout"]);
    for (const auto& node : root["steps"]) {
        schemas::RunbookStep step;
        step.action = node["action"].as<std::string>();
        step.parameters = node["parameters"].as<std::map<std::string, std::string>>();
        step.preconditions = node["preconditions"].as<std::vector<std::string>>();
        runbook.steps.push_back(step);
    }
    return runbook;
}

schemas::Mechanism mechanism_named(const std::string& name) {
    for (const auto mechanism :
         {schemas::Mechanism::kBadChange, schemas::Mechanism::kResourceExhaustion,
          schemas::Mechanism::kCrash, schemas::Mechanism::kOverload}) {
        if (schemas::to_string(mechanism) == name) return mechanism;
    }
    return schemas::Mechanism::kUnknown;
}

void run_test(const schemas::Runbook& runbook, const YAML::Node& test) {
    INFO(runbook.name << ": " << test["name"].as<std::string>());
    PlanRequest request;
    request.runbooks = {runbook};
    request.cause.entity = {test["entity"].as<std::string>()};
    request.cause.mechanism = mechanism_named(test["mechanism"].as<std::string>());
    request.entry.entity = request.cause.entity;
    request.entry.attributes = test["attributes"].as<std::map<std::string, std::string>>();
    request.facts = test["facts"].as<std::map<std::string, std::string>>();
    const auto planning = make_plan(request);
    const auto expect = test["expect"];
    REQUIRE(planning.plan.has_value() == expect["plan"].as<bool>());
    if (planning.plan) {
        CHECK(planning.plan->steps[0].action == expect["action"].as<std::string>());
        CHECK(planning.plan->steps[0].parameters ==
              expect["parameters"].as<std::map<std::string, std::string>>());
        return;
    }
    REQUIRE(planning.refusals.size() == 1);
    INFO(planning.refusals[0].reason);
    CHECK(planning.refusals[0].reason.find(expect["reason"].as<std::string>()) !=
          std::string::npos);
}

}  // namespace

TEST_CASE("runbooks: every one that ships passes lint and its own tests", "[agent][runbooks]") {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(
             std::filesystem::path(VIGIE_SOURCE_DIR) / "runbooks")) {
        if (file.path().extension() == ".yaml") files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());
    REQUIRE(files.size() >= 5);
    for (const auto& file : files) {
        const auto root = YAML::LoadFile(file.string());
        const auto runbook = read_runbook(root);
        INFO(file.string());
        CHECK(runbook.name == file.stem().string());
        CHECK(lint(runbook));
        CHECK_FALSE(runbook.inverse.empty());
        std::size_t plans = 0;
        std::size_t refusals = 0;
        for (const auto& test : root["tests"]) {
            run_test(runbook, test);
            ++(test["expect"]["plan"].as<bool>() ? plans : refusals);
        }
        // A test that expects a refusal is what keeps a runbook from doing harm.
        CHECK(plans >= 1);
        CHECK(refusals >= 1);
    }
}
