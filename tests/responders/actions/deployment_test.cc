#include "responders/actions/deployment.h"

#include <catch2/catch.hpp>

using namespace vigie;
using namespace vigie::actions;

namespace {

using Lines = std::vector<std::string>;

std::string pod(const std::string& containers) {
    return R"({"metadata": {}, "spec": {"containers": [)" + containers + "]}}";
}

}  // namespace

TEST_CASE("template diff: images, variables, containers and the rest by name", "[actions]") {
    const auto from = pod(R"({"name": "app", "image": "app:2", "args": ["-x"],
                              "env": [{"name": "MODE", "value": "new"}, {"name": "SAME"},
                                      {"name": "API_TOKEN", "value": "hunter2"}]},
                             {"name": "extra", "image": "e:1"})");
    const auto to = pod(R"({"name": "app", "image": "app:1", "args": [],
                            "env": [{"name": "MODE", "value": "old"}, {"name": "SAME"},
                                    {"name": "HOST", "valueFrom": {}}]},
                           {"name": "proxy", "image": "p:1"})");
    CHECK(template_diff(from, to) == Lines{"~ app: args", "- app: env API_TOKEN=(not shown)",
                                           "+ app: env HOST=(from elsewhere)",
                                           "- app: env MODE=new", "+ app: env MODE=old",
                                           "- app: image app:2", "+ app: image app:1",
                                           "- container extra", "+ container proxy: image p:1"});
    CHECK(template_diff(from, from).empty());
    CHECK(images_of(from) == "app=app:2 extra=e:1");
}

TEST_CASE("template diff: whatever it is given, it answers", "[actions]") {
    CHECK(template_diff("", "not json").empty());
    CHECK(template_diff(R"({"spec": 7})", R"({"spec": {"containers": "x"}})").empty());
    CHECK(template_diff(R"({"spec": {"hostNetwork": true}})", R"({"metadata": {"labels": {}}})") ==
          Lines{"~ pod: hostNetwork", "~ pod: labels or annotations"});
    CHECK(images_of("[]").empty());
}

TEST_CASE("deployment: an answer that is none is not taken for one", "[actions]") {
    CHECK_FALSE(parse_deployment("").has_value());
    CHECK_FALSE(parse_deployment("{}").has_value());
    CHECK_FALSE(parse_deployment(R"({"metadata": {"name": "x"}, "spec": {"template": {}}})"));
    CHECK_FALSE(parse_revisions("{}", "u").has_value());
    CHECK(parse_revisions(R"({"items": [{}, 7]})", "u")->empty());
}

TEST_CASE("deployment: its selector is written as the query takes it", "[actions]") {
    const auto deployment = parse_deployment(
        R"({"metadata": {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "7"},
            "spec": {"template": {}, "selector": {"matchLabels": {"app": "d", "tier": "web"},
              "matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]},
                                   {"key": "b", "operator": "Exists"},
                                   {"key": "c", "operator": "DoesNotExist"},
                                   {"key": "e", "operator": "NotIn", "values": ["z"]}]}}})");
    REQUIRE(deployment.has_value());
    CHECK(deployment->label_selector == "app=d,tier=web,a in (x,y),b,!c,e notin (z)");
    CHECK(deployment->replicas == 1);
}

TEST_CASE("deployment: revisions are its own ReplicaSets, the newest first", "[actions]") {
    const auto set = [](const std::string& name, const std::string& uid,
                        const std::string& number) {
        return R"({"metadata": {"name": ")" + name +
               R"(", "annotations": {"deployment.kubernetes.io/revision": ")" + number +
               R"("}, "ownerReferences": [{"uid": ")" + uid +
               R"(", "controller": true}]}, "spec": {"template": {"metadata": {"labels":
               {"app": "d", "pod-template-hash": "abc"}}}}})";
    };
    const auto list = R"({"items": [)" + set("old", "u", "9") + "," + set("new", "u", "10") + "," +
                      set("foreign", "v", "11") + "]}";
    const auto revisions = parse_revisions(list, "u");
    REQUIRE(revisions.has_value());
    REQUIRE(revisions->size() == 2);
    CHECK(revisions->front().replica_set == "new");
    CHECK(revisions->front().number == 10);
    CHECK(revisions->front().pod_template == R"({"metadata":{"labels":{"app":"d"}}})");
}

TEST_CASE("names: only what a path can hold unchanged", "[actions]") {
    for (const auto* good : {"a", "checkout", "shop-1.eu", "A9"}) CHECK(is_dns_name(good));
    for (const auto* bad : {"", "-a", "a-", ".", "..", "a..b", "a/b", "a b", "a%2f", "a?b"}) {
        CHECK_FALSE(is_dns_name(bad));
    }
    CHECK(parse_number("007") == 7);
    for (const auto* bad : {"", "-1", "1.5", "1234567890123456789", " 1"}) {
        CHECK_FALSE(parse_number(bad).has_value());
    }
}
