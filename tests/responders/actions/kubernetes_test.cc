#include "responders/actions/kubernetes.h"

#include <catch2/catch.hpp>

#include <fstream>

#include "tests/responders/actions/caller.h"
#include "tests/responders/actions/harness.h"

using namespace vigie;
using namespace vigie::actions;
using namespace vigie::actions::test;
using namespace std::chrono_literals;
using vigie::test::Standin;

namespace {

constexpr const char* kBadVersion =
    R"({"set_image": {"deployment": "checkout", "image": "shop/checkout:1.5.0",
        "env": {"RETRIES": "0", "DB_PASSWORD": "hunter22"}}})";

struct Cluster {
    explicit Cluster(std::vector<std::string> arguments = {},
                     std::chrono::milliseconds timeout = 10s)
        : server("kubernetes.py", std::move(arguments)) {
        KubernetesOptions options;
        options.server_url = server.url() + "/";
        options.token = "s3cret-token";
        options.timeout = timeout;
        options.replicas_max = 6;
        add_kubernetes_actions(options, catalogue);
    }

    const Action& rollback() { return *catalogue.find("kubernetes.rollback_deployment"); }
    const Action& restart() { return *catalogue.find("kubernetes.restart_deployment"); }
    const Action& scale() { return *catalogue.find("kubernetes.scale_deployment"); }
    std::string image() { return caller.inspect(restart(), checkout()).facts.at("image"); }

    static ActionRequest checkout(std::map<std::string, std::string> parameters = {}) {
        return {.id = {"act-000000000001"},
                .target = {"deployment:shop/checkout"},
                .parameters = std::move(parameters),
                .facts = {}};
    }

    Standin server;
    Catalogue catalogue;
    Caller caller;
};

}  // namespace

TEST_CASE("rollback: shows what would change, and does it", "[actions][kubernetes]") {
    Cluster cluster({"--token", "s3cret-token"});
    control(cluster.server, kBadVersion);
    const auto seen = cluster.caller.inspect(cluster.rollback(), Cluster::checkout());
    CHECK(seen.facts.at("image") == "checkout=shop/checkout:1.5.0");
    CHECK(seen.facts.at("to_image") == "checkout=shop/checkout:1.4.2");
    CHECK(seen.facts.at("revision") == "3");
    CHECK(seen.facts.at("to_revision") == "2");
    CHECK(seen.facts.at("observed") == "true");
    CHECK(seen.diff == std::vector<std::string>{"- checkout: env DB_PASSWORD=(not shown)",
                                                "- checkout: env RETRIES=0",
                                                "- checkout: image shop/checkout:1.5.0",
                                                "+ checkout: image shop/checkout:1.4.2"});

    auto request = Cluster::checkout();
    request.facts = seen.facts;
    const auto done = cluster.caller.execute(cluster.rollback(), request);
    INFO(done.message);
    CHECK(done.fate == Fate::kDone);
    CHECK(cluster.image() == "checkout=shop/checkout:1.4.2");
    const auto after = cluster.caller.inspect(cluster.rollback(), Cluster::checkout());
    CHECK(after.facts.at("revision") == "4");
    // The variables of the newer revision are gone, not merged.
    CHECK(after.diff.empty() == false);
    CHECK(count_requests(cluster.server, "PATCH") == 1);
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a duplicate and a stale request change nothing", "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kDone);
    const auto again = cluster.caller.execute(cluster.rollback(), request);
    CHECK(again.fate == Fate::kRefused);
    CHECK(again.message.find("has changed since it was inspected") != std::string::npos);
    CHECK(cluster.image() == "checkout=shop/checkout:1.4.2");
    CHECK(count_requests(cluster.server, "PATCH") == 1);
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: pods that come and go between inspection and call do not hinder it",
          "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    control(cluster.server, R"({"touch": {"deployment": "checkout"}})");
    SECTION("guarded by the generation") {
        CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kDone);
    }
    SECTION("guarded by the resource version alone, it refuses") {
        request.facts.erase("generation");
        CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kRefused);
        CHECK(count_requests(cluster.server, "PATCH") == 0);
    }
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a conflict is certainly not applied and is tried again within bounds",
          "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    const std::string conflict =
        R"(, "method": "PATCH", "status": 409, "body": {"message": "modified"}})";
    SECTION("once") {
        control(cluster.server, R"({"times": 1)" + conflict);
        CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kDone);
        CHECK(cluster.image() == "checkout=shop/checkout:1.4.2");
    }
    SECTION("always") {
        control(cluster.server, R"({"times": 100)" + conflict);
        const auto done = cluster.caller.execute(cluster.rollback(), request);
        CHECK(done.fate == Fate::kFailed);
        CHECK(done.message.find("modified") != std::string::npos);
        CHECK(count_requests(cluster.server, "PATCH") == 5);
        CHECK(cluster.image() == "checkout=shop/checkout:1.5.0");
    }
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a dropped connection leaves doubt that a look settles both ways",
          "[actions][kubernetes]") {
    const std::string when = GENERATE("before", "after");
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    control(cluster.server, R"({"method": "PATCH", "drop": ")" + when + "\"}");
    const auto done = cluster.caller.execute(cluster.rollback(), request);
    CHECK(done.fate == Fate::kUnknown);
    const auto look = cluster.caller.look(cluster.rollback(), request);
    INFO(look.message);
    CHECK(look.sight == (when == "after" ? Sight::kApplied : Sight::kNotApplied));
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a look cannot tell when somebody else changed the deployment too",
          "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    SECTION("before ours") {
        control(cluster.server,
                R"({"set_image": {"deployment": "checkout", "image": "shop/checkout:1.6.0"}})");
        CHECK(cluster.caller.look(cluster.rollback(), request).sight == Sight::kUnknown);
    }
    SECTION("after ours: its mark is still there") {
        CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kDone);
        control(cluster.server,
                R"({"set_image": {"deployment": "checkout", "image": "shop/checkout:1.6.0"}})");
        CHECK(cluster.caller.look(cluster.rollback(), request).sight == Sight::kApplied);
    }
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a timeout leaves doubt", "[actions][kubernetes]") {
    Cluster cluster({}, 2s);
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    control(cluster.server, R"({"method": "PATCH", "delay_ms": 4000})");
    CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kUnknown);
    // It arrives later; once it has, the look sees it.
    CHECK(vigie::test::eventually(
        [&] { return cluster.caller.look(cluster.rollback(), request).sight == Sight::kApplied; }));
}

TEST_CASE("rollback: errors of the server, with what is certain", "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    const auto [status, fate] = GENERATE(table<int, Fate>({{403, Fate::kFailed},
                                                           {422, Fate::kFailed},
                                                           {429, Fate::kFailed},
                                                           {500, Fate::kUnknown},
                                                           {503, Fate::kUnknown},
                                                           {504, Fate::kUnknown}}));
    control(cluster.server, R"({"method": "PATCH", "status": )" + std::to_string(status) +
                                R"(, "body": {"message": "why"}})");
    const auto done = cluster.caller.execute(cluster.rollback(), request);
    CHECK(done.fate == fate);
    CHECK(done.message == "kubernetes answered " + std::to_string(status) + ": why");
}

TEST_CASE("rollback: without an older revision there is a fact less, and nothing is done",
          "[actions][kubernetes]") {
    const std::string path = std::string(VIGIE_BINARY_DIR) + "/kubernetes_test_state.json";
    std::ofstream(path)
        << R"([{"namespace": "shop", "name": "checkout", "images": ["shop/checkout:1.0.0"]}])";
    Cluster cluster({"--state", path});
    const auto seen = cluster.caller.inspect(cluster.rollback(), Cluster::checkout());
    CHECK_FALSE(seen.facts.contains("to_revision"));
    CHECK(seen.facts.at("reason") == "there is no older revision to go back to");
    CHECK(seen.diff.empty());
    auto request = Cluster::checkout();
    request.facts = seen.facts;
    CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kRefused);
    CHECK(count_requests(cluster.server, "PATCH") == 0);
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: to a revision that was asked for", "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request =
        cluster.caller.inspected(cluster.rollback(), Cluster::checkout({{"to_revision", "1"}}));
    CHECK(request.facts.at("to_image") == "checkout=shop/checkout:1.4.1");
    CHECK(cluster.caller.execute(cluster.rollback(), request).fate == Fate::kDone);
    CHECK(cluster.image() == "checkout=shop/checkout:1.4.1");
    check_no_violations(cluster.server);
}

TEST_CASE("rollback: a paused deployment is refused, an unobserved one asks for patience",
          "[actions][kubernetes]") {
    Cluster cluster;
    SECTION("paused") {
        control(cluster.server, kBadVersion);
        control(cluster.server, R"({"pause_deployment": {"deployment": "checkout"}})");
        const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
        CHECK(request.facts.at("paused") == "true");
        const auto done = cluster.caller.execute(cluster.rollback(), request);
        CHECK(done.fate == Fate::kRefused);
        CHECK(done.message.find("paused") != std::string::npos);
    }
    SECTION("the controller has not made a ReplicaSet of the newest template yet") {
        control(cluster.server, R"({"pause_controller": true})");
        control(cluster.server, kBadVersion);
        CHECK(cluster.caller.inspect_error(cluster.rollback(), Cluster::checkout()).kind ==
              ErrorKind::kUnavailable);
    }
    check_no_violations(cluster.server);
}

TEST_CASE("kubernetes: the kill switch is asked between reading and writing",
          "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    const auto request = cluster.caller.inspected(cluster.rollback(), Cluster::checkout());
    cluster.caller.permission = fail(ErrorKind::kRefused, "the kill switch is on");
    const auto done = cluster.caller.execute(cluster.rollback(), request);
    CHECK(done.fate == Fate::kRefused);
    CHECK(done.message == "the kill switch is on");
    CHECK(count_requests(cluster.server, "PATCH") == 0);
}

TEST_CASE("kubernetes: what cannot be inspected says why", "[actions][kubernetes]") {
    Cluster cluster;
    auto request = Cluster::checkout();
    SECTION("a deployment that does not exist") {
        request.target = {"deployment:shop/nobody"};
        CHECK(cluster.caller.inspect_error(cluster.restart(), request).kind ==
              ErrorKind::kNotFound);
    }
    SECTION("a target that is no deployment") {
        request.target = {"service:checkout"};
        CHECK(cluster.caller.inspect_error(cluster.restart(), request).kind == ErrorKind::kInvalid);
    }
    SECTION("a name that would mean something else in a path") {
        request.parameters = {{"namespace", "shop"}, {"deployment", "../../nodes"}};
        CHECK(cluster.caller.inspect_error(cluster.restart(), request).kind == ErrorKind::kInvalid);
    }
    SECTION("parameters instead of a target") {
        request.target = {"service:checkout"};
        request.parameters = {{"namespace", "shop"}, {"deployment", "checkout"}};
        CHECK(cluster.caller.inspect(cluster.restart(), request).facts.at("exists") == "true");
    }
    check_no_violations(cluster.server);
}

TEST_CASE("kubernetes: a wrong token is refused, and is not shown", "[actions][kubernetes]") {
    Cluster cluster({"--token", "another"});
    const auto error = cluster.caller.inspect_error(cluster.restart(), Cluster::checkout());
    CHECK(error.kind == ErrorKind::kRefused);
    CHECK(error.message.find("401") != std::string::npos);
    CHECK(error.message.find("s3cret") == std::string::npos);
}

TEST_CASE("kubernetes: a token file is read at every call", "[actions][kubernetes]") {
    Standin server("kubernetes.py", {"--token", "fresh"});
    const std::string path = std::string(VIGIE_BINARY_DIR) + "/kubernetes_test_token";
    std::ofstream(path) << "stale\n";
    KubernetesOptions options;
    options.server_url = server.url();
    options.token_file = path;
    Catalogue catalogue;
    add_kubernetes_actions(options, catalogue);
    const auto& action = *catalogue.find("kubernetes.restart_deployment");
    Caller caller;
    CHECK(caller.inspect_error(action, Cluster::checkout()).kind == ErrorKind::kRefused);
    std::ofstream(path) << "fresh\n";
    caller.inspect(action, Cluster::checkout());
}

TEST_CASE("kubernetes: an answer that repeats the token of the file does not show it",
          "[actions][kubernetes]") {
    Standin server("kubernetes.py");
    const std::string path = std::string(VIGIE_BINARY_DIR) + "/kubernetes_test_token_shown";
    std::ofstream(path) << "FILESECRET\n";
    KubernetesOptions options;
    options.server_url = server.url();
    options.token_file = path;
    Catalogue catalogue;
    add_kubernetes_actions(options, catalogue);
    control(server, R"({"method": "GET", "path": "/apis", "status": 403,
                        "body": "{\"message\": \"no access for FILESECRET here\"}"})");
    Caller caller;
    const auto& action = *catalogue.find("kubernetes.restart_deployment");
    const auto error = caller.inspect_error(action, Cluster::checkout());
    CHECK(error.message.find("no access for *** here") != std::string::npos);
}

TEST_CASE("kubernetes: a server that is not there is certainly not changed",
          "[actions][kubernetes]") {
    KubernetesOptions options;
    options.server_url = "http://127.0.0.1:1";
    options.timeout = 2s;
    Catalogue catalogue;
    add_kubernetes_actions(options, catalogue);
    const auto& action = *catalogue.find("kubernetes.restart_deployment");
    Caller caller;
    auto request = Cluster::checkout();
    CHECK(caller.inspect_error(action, request).kind == ErrorKind::kUnavailable);
    request.facts = {{"generation", "1"}};
    CHECK(caller.execute(action, request).fate == Fate::kFailed);
    CHECK(caller.look(action, request).sight == Sight::kUnknown);
}

TEST_CASE("restart: is done once, and a look finds it again", "[actions][kubernetes]") {
    Cluster cluster;
    const auto request = cluster.caller.inspected(cluster.restart(), Cluster::checkout());
    CHECK(cluster.caller.look(cluster.restart(), request).sight == Sight::kNotApplied);
    CHECK(cluster.caller.execute(cluster.restart(), request).fate == Fate::kDone);
    CHECK(cluster.caller.look(cluster.restart(), request).sight == Sight::kApplied);
    CHECK(cluster.caller.execute(cluster.restart(), request).fate == Fate::kRefused);
    CHECK(cluster.image() == "checkout=shop/checkout:1.4.2");
    check_no_violations(cluster.server);
}

TEST_CASE("restart: without an inspection it is refused", "[actions][kubernetes]") {
    Cluster cluster;
    const auto done = cluster.caller.execute(cluster.restart(), Cluster::checkout());
    CHECK(done.fate == Fate::kRefused);
    CHECK(done.message.find("inspect first") != std::string::npos);
}

TEST_CASE("scale: to a number or by a step, within bounds", "[actions][kubernetes]") {
    Cluster cluster;
    const auto [name, value, wanted] = GENERATE(table<std::string, std::string, std::string>(
        {{"replicas", "4", "4"}, {"add", "3", "5"}, {"add", "-1", "1"}, {"replicas", "6", "6"}}));
    const auto request =
        cluster.caller.inspected(cluster.scale(), Cluster::checkout({{name, value}}));
    CHECK(request.facts.at("desired_replicas") == wanted);
    CHECK(cluster.caller.look(cluster.scale(), request).sight == Sight::kNotApplied);
    const auto done = cluster.caller.execute(cluster.scale(), request);
    INFO(done.message);
    CHECK(done.fate == Fate::kDone);
    CHECK(cluster.caller.look(cluster.scale(), request).sight == Sight::kApplied);
    CHECK(cluster.caller.inspect(cluster.restart(), request).facts.at("replicas") == wanted);
    CHECK(cluster.caller.execute(cluster.scale(), request).fate == Fate::kRefused);
    check_no_violations(cluster.server);
}

TEST_CASE("scale: outside the bounds or without a number nothing is done",
          "[actions][kubernetes]") {
    Cluster cluster;
    const auto [name, value, kind] = GENERATE(
        table<std::string, std::string, ErrorKind>({{"replicas", "7", ErrorKind::kRefused},
                                                    {"replicas", "0", ErrorKind::kRefused},
                                                    {"add", "-2", ErrorKind::kRefused},
                                                    {"add", "99999", ErrorKind::kInvalid},
                                                    {"add", "many", ErrorKind::kInvalid},
                                                    {"replicas", "-1", ErrorKind::kInvalid}}));
    CAPTURE(name, value);
    const auto request = Cluster::checkout({{name, value}});
    CHECK(cluster.caller.inspect_error(cluster.scale(), request).kind == kind);
    auto forced = request;
    forced.facts = {{"generation", "2"}, {"desired_replicas", "7"}};
    CHECK(cluster.caller.execute(cluster.scale(), forced).fate == Fate::kRefused);
    CHECK(count_requests(cluster.server, "PATCH") == 0);
}

// The whole protocol on a real server: the connection drops after the patch was applied.
TEST_CASE("rollback: in doubt on the way, it is done once and found to be done",
          "[actions][kubernetes]") {
    Cluster cluster;
    control(cluster.server, kBadVersion);
    ActionsWorld world;
    KubernetesOptions options;
    options.server_url = cluster.server.url();
    add_kubernetes_actions(options, world.catalogue);
    world.start();
    world.append(intent("act-1", ActionPhase::kInspect, "kubernetes.rollback_deployment"));
    world.settle();
    REQUIRE(world.last().status == ActionStatus::kSucceeded);
    auto execute = intent("act-2", ActionPhase::kExecute, "kubernetes.rollback_deployment");
    execute.facts = world.last().facts;
    control(cluster.server, R"({"method": "PATCH", "drop": "after"})");
    world.append(execute);
    world.settle();
    CHECK(world.story("act-2") == "intended started succeeded");
    CHECK(world.last().message.find("a look at the target shows it was applied") !=
          std::string::npos);
    CHECK(count_requests(cluster.server, "PATCH") == 1);
    CHECK(cluster.image() == "checkout=shop/checkout:1.4.2");
    check_no_violations(cluster.server);
}
