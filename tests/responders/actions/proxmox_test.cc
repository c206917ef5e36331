#include "responders/actions/proxmox.h"

#include <catch2/catch.hpp>

#include "tests/responders/actions/caller.h"

using namespace vigie;
using namespace vigie::actions;
using namespace vigie::actions::test;
using namespace std::chrono_literals;
using vigie::test::Standin;

namespace {

constexpr const char* kToken = "vigie@pve!agent=0f0f0f0f-1111-2222-3333-444444444444";

struct Site {
    explicit Site(std::chrono::milliseconds task_timeout = 120s)
        : server("proxmox.py", {"--token", kToken}) {
        ProxmoxOptions options;
        options.server_url = server.url();
        options.token = kToken;
        options.task_timeout = task_timeout;
        options.memory_mib_max = 32'768;
        add_proxmox_actions(options, catalogue);
    }

    const Action& start() { return *catalogue.find("proxmox.start_guest"); }
    const Action& grow() { return *catalogue.find("proxmox.grow_memory"); }

    static ActionRequest guest(const std::string& target,
                               std::map<std::string, std::string> parameters = {}) {
        return {.id = {"act-000000000001"},
                .target = {"vm:" + target},
                .parameters = std::move(parameters),
                .facts = {}};
    }
    std::string status(const std::string& target) {
        return caller.inspect(start(), guest(target)).facts.at("status");
    }

    Standin server;
    Catalogue catalogue;
    Caller caller;
};

}  // namespace

TEST_CASE("start guest: starts machines and containers and waits for the task",
          "[actions][proxmox]") {
    Site site;
    const auto* target = GENERATE("pve1/101", "pve2/201");
    const auto seen = site.caller.inspect(site.start(), Site::guest(target));
    CHECK(seen.facts.at("status") == "stopped");
    CHECK(seen.facts.at("quorate") == "true");
    CHECK(seen.facts.at("lock") == "none");
    CHECK(seen.diff.size() == 2);
    auto request = Site::guest(target);
    request.facts = seen.facts;
    CHECK(site.caller.look(site.start(), request).sight == Sight::kNotApplied);
    const auto done = site.caller.execute(site.start(), request);
    INFO(done.message);
    CHECK(done.fate == Fate::kDone);
    CHECK(done.facts.at("task").starts_with("UPID:"));
    CHECK(site.status(target) == "running");
    CHECK(site.caller.look(site.start(), request).sight == Sight::kApplied);
    check_no_violations(site.server);
}

TEST_CASE("start guest: one that runs already is as wanted, and is not touched",
          "[actions][proxmox]") {
    Site site;
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/102"));
    CHECK(site.caller.execute(site.start(), request).fate == Fate::kDone);
    CHECK(count_requests(site.server, "POST") == 0);
    check_no_violations(site.server);
}

TEST_CASE("start guest: the task's end is the result, not the 200", "[actions][proxmox]") {
    Site site;
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    SECTION("an error") {
        control(site.server, R"({"next_task": {"exitstatus": "start failed: no space left"}})");
        const auto done = site.caller.execute(site.start(), request);
        CHECK(done.fate == Fate::kFailed);
        CHECK(done.message == "the start failed: start failed: no space left");
        CHECK(site.status("pve1/101") == "stopped");
    }
    SECTION("an error that left the guest running") {
        control(site.server,
                R"({"next_task": {"exitstatus": "start failed: timeout", "apply": true}})");
        CHECK(site.caller.execute(site.start(), request).fate == Fate::kDone);
    }
    SECTION("warnings") {
        control(site.server, R"({"next_task": {"exitstatus": "WARNINGS: 1"}})");
        CHECK(site.caller.execute(site.start(), request).fate == Fate::kDone);
        CHECK(site.status("pve1/101") == "running");
    }
    check_no_violations(site.server);
}

TEST_CASE("start guest: a task that does not end in time leaves doubt, and a look waits for it",
          "[actions][proxmox]") {
    Site site(3s);
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    control(site.server, R"({"next_task": {"polls": 100}})");
    const auto done = site.caller.execute(site.start(), request);
    CHECK(done.fate == Fate::kUnknown);
    CHECK(site.caller.waiter.waited() >= 3s);
    const auto look = site.caller.look(site.start(), request);
    CHECK(look.sight == Sight::kUnknown);
    CHECK(look.message == "a task is still running for the guest");
    check_no_violations(site.server);
}

TEST_CASE("start guest: a dropped connection is settled by a look both ways",
          "[actions][proxmox]") {
    const std::string when = GENERATE("before", "after");
    Site site;
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    control(site.server, R"({"next_task": {"polls": 0}})");
    control(site.server, R"({"method": "POST", "drop": ")" + when + "\"}");
    CHECK(site.caller.execute(site.start(), request).fate == Fate::kUnknown);
    CHECK(site.caller.look(site.start(), request).sight ==
          (when == "after" ? Sight::kApplied : Sight::kNotApplied));
    check_no_violations(site.server);
}

TEST_CASE("proxmox: locks, lost quorum and templates refuse before anything is sent",
          "[actions][proxmox]") {
    Site site;
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    const auto [order, reason] = GENERATE(table<std::string, std::string>(
        {{R"({"guest": {"vmid": 101, "lock": "backup"}})", "locked (backup)"},
         {R"({"quorate": false})", "no quorum"},
         {R"({"guest": {"vmid": 101, "template": 1}})", "template"}}));
    control(site.server, order);
    const auto done = site.caller.execute(site.start(), request);
    CHECK(done.fate == Fate::kRefused);
    CHECK(done.message.find(reason) != std::string::npos);
    CHECK(count_requests(site.server, "POST") == 0);
    check_no_violations(site.server);
}

TEST_CASE("proxmox: a node that is offline hinders its own guests only", "[actions][proxmox]") {
    Site site;
    control(site.server, R"({"node": {"name": "pve2", "online": false}})");
    const auto error = site.caller.inspect_error(site.start(), Site::guest("pve2/201"));
    CHECK(error.kind == ErrorKind::kUnavailable);
    CHECK(error.message.find("595") != std::string::npos);
    const auto seen = site.caller.inspect(site.start(), Site::guest("pve1/101"));
    CHECK(seen.facts.at("nodes_online") == "2");
    CHECK(seen.facts.at("quorate") == "true");
    auto request = Site::guest("pve1/101");
    request.facts = seen.facts;
    CHECK(site.caller.execute(site.start(), request).fate == Fate::kDone);
    check_no_violations(site.server);
}

TEST_CASE("proxmox: what a failed write proves", "[actions][proxmox]") {
    Site site;
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    const auto [status, body, fate] =
        GENERATE(table<int, std::string, Fate>({{595, "No route to host", Fate::kFailed},
                                                {596, "Broken pipe", Fate::kUnknown},
                                                {500, "VM is locked (snapshot)", Fate::kFailed},
                                                {500, "something broke", Fate::kUnknown},
                                                {403, "Permission check failed", Fate::kFailed},
                                                {501, "not implemented", Fate::kFailed}}));
    control(site.server, R"({"method": "POST", "status": )" + std::to_string(status) +
                             R"(, "body": {"data": null, "message": ")" + body + "\"}}");
    const auto done = site.caller.execute(site.start(), request);
    CHECK(done.fate == fate);
    CHECK(done.message.find(body) != std::string::npos);
}

TEST_CASE("proxmox: a guest that moved is found where it is now", "[actions][proxmox]") {
    Site site;
    control(site.server, R"({"guest": {"vmid": 101, "node": "pve3"}})");
    const auto request = site.caller.inspected(site.start(), Site::guest("pve1/101"));
    CHECK(request.facts.at("node") == "pve3");
    CHECK(site.caller.execute(site.start(), request).fate == Fate::kDone);
    check_no_violations(site.server);
}

TEST_CASE("proxmox: what names no guest is said so", "[actions][proxmox]") {
    Site site;
    CHECK(site.caller.inspect_error(site.start(), Site::guest("pve1/999")).kind ==
          ErrorKind::kNotFound);
    CHECK(site.caller.inspect_error(site.start(), Site::guest("pve1/../x")).kind ==
          ErrorKind::kInvalid);
    CHECK(site.caller.inspect_error(site.start(), Site::guest("x", {{"vmid", "7"}})).kind ==
          ErrorKind::kInvalid);
    check_no_violations(site.server);
}

TEST_CASE("proxmox: a wrong token is refused, and is not shown", "[actions][proxmox]") {
    Standin server("proxmox.py", {"--token", "other@pve!x=1"});
    ProxmoxOptions options;
    options.server_url = server.url();
    options.token = kToken;
    Catalogue catalogue;
    add_proxmox_actions(options, catalogue);
    Caller caller;
    const auto error =
        caller.inspect_error(*catalogue.find("proxmox.start_guest"), Site::guest("pve1/101"));
    CHECK(error.kind == ErrorKind::kRefused);
    CHECK(error.message.find("0f0f0f0f") == std::string::npos);
}

TEST_CASE("grow memory: of machines and containers, by a step or to a size", "[actions][proxmox]") {
    Site site;
    const auto [target, name, value, wanted] =
        GENERATE(table<std::string, std::string, std::string, std::string>(
            {{"pve1/102", "add_mib", "2048", "6144"}, {"pve2/200", "memory_mib", "2048", "2048"}}));
    const auto request = site.caller.inspected(site.grow(), Site::guest(target, {{name, value}}));
    CHECK(request.facts.at("desired_memory_mib") == wanted);
    CHECK(request.facts.at("fits") == "true");
    CHECK(site.caller.look(site.grow(), request).sight == Sight::kNotApplied);
    const auto done = site.caller.execute(site.grow(), request);
    INFO(done.message);
    CHECK(done.fate == Fate::kDone);
    // A machine without memory hotplug takes it at the next start; a container at once.
    CHECK(done.facts.at("pending") == (target == "pve1/102" ? "true" : "false"));
    CHECK(site.caller.look(site.grow(), request).sight == Sight::kApplied);
    const auto again = site.caller.execute(site.grow(), request);
    CHECK(again.fate == Fate::kRefused);
    check_no_violations(site.server);
}

TEST_CASE("grow memory: the digest refuses what came between, on both sides",
          "[actions][proxmox]") {
    Site site;
    const auto request =
        site.caller.inspected(site.grow(), Site::guest("pve1/102", {{"add_mib", "1024"}}));
    SECTION("seen before the call") {
        control(site.server, R"({"guest": {"vmid": 102, "name": "db2"}})");
        CHECK(site.caller.execute(site.grow(), request).fate == Fate::kRefused);
        CHECK(count_requests(site.server, "POST") == 0);
        CHECK(site.caller.look(site.grow(), request).sight == Sight::kUnknown);
    }
    SECTION("seen by the server") {
        control(site.server,
                R"({"method": "POST", "status": 500, "body": {"data": null, "message":
                    "detected modified configuration - file changed by other user? Try again."}})");
        CHECK(site.caller.execute(site.grow(), request).fate == Fate::kFailed);
    }
    check_no_violations(site.server);
}

TEST_CASE("grow memory: a dropped connection is settled by a look both ways",
          "[actions][proxmox]") {
    const std::string when = GENERATE("before", "after");
    Site site;
    const auto request =
        site.caller.inspected(site.grow(), Site::guest("pve2/200", {{"add_mib", "512"}}));
    control(site.server, R"({"method": "PUT", "drop": ")" + when + "\"}");
    CHECK(site.caller.execute(site.grow(), request).fate == Fate::kUnknown);
    CHECK(site.caller.look(site.grow(), request).sight ==
          (when == "after" ? Sight::kApplied : Sight::kNotApplied));
    check_no_violations(site.server);
}

TEST_CASE("grow memory: never shrinks, never passes the bound, never more than the node has",
          "[actions][proxmox]") {
    Site site;
    const auto inspect = [&](const std::string& name, const std::string& value) {
        return site.caller.inspect_error(site.grow(), Site::guest("pve1/102", {{name, value}}))
            .kind;
    };
    CHECK(inspect("memory_mib", "4096") == ErrorKind::kRefused);
    CHECK(inspect("memory_mib", "1024") == ErrorKind::kRefused);
    CHECK(inspect("memory_mib", "32769") == ErrorKind::kRefused);
    CHECK(inspect("add_mib", "a lot") == ErrorKind::kInvalid);
    control(site.server, R"({"node": {"name": "pve1", "memory_free": 1073741824}})");
    const auto request =
        site.caller.inspected(site.grow(), Site::guest("pve1/102", {{"add_mib", "2048"}}));
    CHECK(request.facts.at("node_memory_free_mib") == "1024");
    CHECK(request.facts.at("fits") == "false");
    const auto done = site.caller.execute(site.grow(), request);
    CHECK(done.fate == Fate::kRefused);
    CHECK(done.message.find("1024 MiB free") != std::string::npos);
    CHECK(count_requests(site.server, "POST") == 0);
    check_no_violations(site.server);
}
