#include "responders/actions/http.h"

#include <catch2/catch.hpp>

#include "tests/responders/actions/caller.h"

using namespace vigie;
using namespace vigie::actions;
using namespace vigie::actions::test;
using namespace std::chrono_literals;
using vigie::test::Standin;

namespace {

struct Receiver {
    Receiver() : server("webhooks.py") {
        HttpTarget purge{.name = "purge",
                         .method = "POST",
                         .url = server.url() + "/jobs/{queue}",
                         .headers = {{"Authorization", "Bearer hunter2hunter2"}},
                         .body = R"({"queue": "{queue}", "why": "{reason}"})",
                         .look_url = server.url() + "/jobs/{action_id}"};
        HttpTarget blind = purge;
        blind.name = "blind";
        blind.look_url.clear();
        REQUIRE(add_http_action({purge, blind}, catalogue).has_value());
    }

    const Action& action() { return *catalogue.find("http.request"); }
    static ActionRequest request(const std::string& target = "purge") {
        return {.id = {"act-000000000001"},
                .target = {"service:checkout"},
                .parameters = {{"request", target},
                               {"queue", "mail/out"},
                               {"reason", "says \"full\"\n{x}"}},
                .facts = {}};
    }

    Standin server;
    Catalogue catalogue;
    Caller caller;
};

}  // namespace

TEST_CASE("http request: fills its templates and sends the id as idempotency key",
          "[actions][http]") {
    Receiver receiver;
    const auto seen = receiver.caller.inspect(receiver.action(), Receiver::request());
    CHECK(seen.facts.at("method") == "POST");
    CHECK(seen.facts.at("host") == "127.0.0.1");
    CHECK(seen.diff == std::vector<std::string>{"+ purge: POST to 127.0.0.1"});
    CHECK(receiver.caller.look(receiver.action(), Receiver::request()).sight == Sight::kNotApplied);
    CHECK(receiver.caller.execute(receiver.action(), Receiver::request()).fate == Fate::kDone);
    CHECK(receiver.caller.look(receiver.action(), Receiver::request()).sight == Sight::kApplied);
    const auto log = ask(receiver.server, "GET", "/_requests");
    CHECK(log.find("/jobs/mail%2Fout") != std::string::npos);
    CHECK(log.find("\"idempotency-key\": \"act-000000000001\"") != std::string::npos);
    CHECK(log.find("\"authorization\": \"Bearer hunter2hunter2\"") != std::string::npos);
    check_no_violations(receiver.server);
}

TEST_CASE("http request: what a status proves, and a redirect proves nothing", "[actions][http]") {
    Receiver receiver;
    const auto [status, fate] = GENERATE(table<int, Fate>({{302, Fate::kUnknown},
                                                           {400, Fate::kFailed},
                                                           {408, Fate::kUnknown},
                                                           {502, Fate::kUnknown}}));
    control(receiver.server,
            R"({"method": "POST", "path": "/jobs", "headers": {"Location": "http://127.0.0.1:1/"},
                "body": "not with Bearer hunter2hunter2", "status": )" +
                std::to_string(status) + "}");
    const auto done = receiver.caller.execute(receiver.action(), Receiver::request());
    CHECK(done.fate == fate);
    CHECK(done.message.find("hunter2") == std::string::npos);
    CHECK(count_requests(receiver.server, "POST") == 1);
}

TEST_CASE("http request: shows nothing of its path, query and body", "[actions][http]") {
    Receiver receiver;
    Catalogue catalogue;
    REQUIRE(add_http_action({{.name = "hook",
                              .url = receiver.server.url() + "/hooks/PATHSECRET?key=QUERYSECRET",
                              .body = R"({"token": "BODYSECRET"})",
                              .look_url = receiver.server.url() + "/hooks/PATHSECRET"}},
                            catalogue)
                .has_value());
    const int status = GENERATE(200, 403, 502);
    for (const auto* method : {"POST", "GET"}) {
        control(
            receiver.server,
            R"({"path": "/hooks", "body": "no PATHSECRET, QUERYSECRET, BODYSECRET", "method": ")" +
                std::string(method) + R"(", "status": )" + std::to_string(status) + "}");
    }
    const auto& action = *catalogue.find("http.request");
    const auto request = Receiver::request("hook");
    const auto seen = receiver.caller.inspect(action, request);
    const auto done = receiver.caller.execute(action, request);
    const auto looked = receiver.caller.look(action, request);
    CHECK(count_requests(receiver.server, "POST") == 1);
    CHECK(done.message.find("answered " + std::to_string(status)) != std::string::npos);
    auto shown = done.message + looked.message;
    for (const auto& line : seen.diff) shown += line;
    for (const auto* facts : {&seen.facts, &done.facts, &looked.facts}) {
        for (const auto& [name, value] : *facts) shown += name + value;
    }
    INFO(shown);
    CHECK(shown.find("SECRET") == std::string::npos);
    CHECK(shown.find("/hooks") == std::string::npos);
}

TEST_CASE("http request: a dropped connection is in doubt; without look_url it stays so",
          "[actions][http]") {
    Receiver receiver;
    const std::string name = GENERATE("purge", "blind");
    control(receiver.server, R"({"method": "POST", "path": "/jobs", "drop": "after"})");
    const auto request = Receiver::request(name);
    CHECK(receiver.caller.execute(receiver.action(), request).fate == Fate::kUnknown);
    CHECK(receiver.caller.look(receiver.action(), request).sight ==
          (name == "purge" ? Sight::kApplied : Sight::kUnknown));
}

TEST_CASE("http request: only configured requests, with all their parameters", "[actions][http]") {
    Receiver receiver;
    auto request = Receiver::request("elsewhere");
    CHECK(receiver.caller.inspect_error(receiver.action(), request).kind == ErrorKind::kInvalid);
    request = Receiver::request();
    request.parameters.erase("reason");
    CHECK(receiver.caller.inspect_error(receiver.action(), request).message ==
          "the parameter reason is missing");
    request = Receiver::request();
    request.parameters["queue"] = "..";
    CHECK(receiver.caller.execute(receiver.action(), request).fate == Fate::kRefused);
    receiver.caller.permission = fail(ErrorKind::kRefused, "the kill switch is on");
    CHECK(receiver.caller.execute(receiver.action(), Receiver::request()).fate == Fate::kRefused);
    CHECK(count_requests(receiver.server, "POST") == 0);
}

TEST_CASE("http request: targets that cannot be used are refused by name", "[actions][http]") {
    const HttpTarget good{.name = "job", .url = "https://ci.example.org/jobs/{job}"};
    const auto refused = [&good](auto change) {
        Catalogue catalogue;
        auto target = good;
        change(target);
        const auto status = add_http_action({target}, catalogue);
        REQUIRE_FALSE(status.has_value());
        CHECK(catalogue.names().empty());
        return status.error().kind == ErrorKind::kInvalid;
    };
    CHECK(refused([](auto& target) { target.url = "ftp://ci.example.org/"; }));
    CHECK(refused([](auto& target) { target.url = "https://{host}/jobs"; }));
    CHECK(refused([](auto& target) { target.method = "GET"; }));
    CHECK(refused([](auto& target) { target.name = "a b"; }));
    CHECK(refused([](auto& target) { target.headers = {{"X", "a\r\nY: b"}}; }));
    CHECK(refused([](auto& target) { target.look_url = "nowhere"; }));
    Catalogue catalogue;
    CHECK_FALSE(add_http_action({good, good}, catalogue).has_value());
    CHECK(add_http_action({good}, catalogue).has_value());
    CHECK(catalogue.find("http.request")->risk() == schemas::Risk::kIrreversible);
}
