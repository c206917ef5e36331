#include <catch2/catch.hpp>

#include "http/signature.h"
#include "ingest/deliveries.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using schemas::Change;
using schemas::ChangeKind;

namespace {

// The secret, body and signature of GitHub's own documentation.
const std::string kSecret = "It's a Secret to Everybody";

constexpr std::string_view kRepository =
    R"("repository":{"name":"checkout","full_name":"shop/checkout","default_branch":"main",
       "html_url":"https://github.com/shop/checkout","pushed_at":1795239500},
       "sender":{"login":"ada"})";

std::string deployment_body(const std::string& payload, const std::string& ref = "v1.5.0") {
    return R"({"deployment":{"id":17,"sha":"c0ffee1234","ref":")" + ref + R"(","payload":)" +
           payload +
           R"(,"environment":"production","description":null,"creator":{"login":"ada"},
             "created_at":"2026-11-21T05:30:00Z"},)" +
           std::string(kRepository) + "}";
}

struct Github : Fixture {
    explicit Github(Receivers::Options options = with_secret()) : Fixture(std::move(options)) {}

    static Receivers::Options with_secret() {
        Receivers::Options options;
        options.github_secrets = {kSecret};
        return options;
    }

    http::Response deliver(const std::string& event, const std::string& body,
                           const std::string& delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958") {
        return post("/webhooks/github", body,
                    {{"content-type", "application/json"},
                     {"x-github-event", event},
                     {"x-github-delivery", delivery},
                     {"x-hub-signature-256", "sha256=" + http::hmac_sha256_hex(kSecret, body)}});
    }

    Change only_change() const {
        const auto events = events_on(topics::kChanges);
        REQUIRE(events.size() == 1);
        return std::get<Change>(events[0].data);
    }
};

}  // namespace

TEST_CASE("github: a deployment becomes a change of the repository's service", "[ingest]") {
    Github github;
    CHECK(github.deliver("deployment", deployment_body("{}")).status == 200);
    const auto change = github.only_change();
    CHECK(change.kind == ChangeKind::kDeployment);
    CHECK(change.key == "github:shop/checkout:deployment:17");
    CHECK(change.status == "created");
    CHECK(change.entity.value == "service:checkout");
    CHECK(change.version == "v1.5.0");
    CHECK(change.environment == "production");
    CHECK(change.actor == "ada");
    CHECK(change.url == "https://github.com/shop/checkout");
    CHECK(change.at == at("2026-11-21T05:30:00Z"));
    const auto events = github.events_on(topics::kChanges);
    CHECK(events[0].meta.id.value == "github-72d3162e-cc78-11e3-81ab-4c9367dc0958");
    CHECK(events[0].meta.time == at("2026-11-21T05:39:30Z"));
}

TEST_CASE("github: the payload of a deployment names service and version", "[ingest]") {
    // As an object, and as the string that some clients send.
    for (const std::string payload : {R"({"service":"cart","version":"1.6.1"})",
                                      R"("{\"service\":\"cart\",\"version\":\"1.6.1\"}")"}) {
        Github github;
        CHECK(github.deliver("deployment", deployment_body(payload)).status == 200);
        CHECK(github.only_change().entity.value == "service:cart");
        CHECK(github.only_change().version == "1.6.1");
    }
}

TEST_CASE("github: a deployment of the default branch has its commit as version", "[ingest]") {
    Github github;
    github.deliver("deployment", deployment_body("\"\"", "main"));
    CHECK(github.only_change().version == "c0ffee1234");
}

TEST_CASE("github: a configured repository stands for its entity", "[ingest]") {
    auto options = Github::with_secret();
    options.github_entities = {{"shop/checkout", {"deployment:shop/checkout"}}};
    Github github(options);
    github.deliver("deployment", deployment_body("{}"));
    CHECK(github.only_change().entity.value == "deployment:shop/checkout");
}

TEST_CASE("github: a deployment's status is the same change in a later state", "[ingest]") {
    Github github;
    std::string body = deployment_body("{}");
    body.insert(1, R"json("deployment_status":{"state":"success","environment":"production",
        "created_at":"2026-11-21T05:31:00Z","log_url":"javascript:alert(1)",
        "target_url":"https://ci.example/run/5"},)json");
    CHECK(github.deliver("deployment_status", body).status == 200);
    const auto change = github.only_change();
    CHECK(change.key == "github:shop/checkout:deployment:17");
    CHECK(change.status == "success");
    CHECK(change.at == at("2026-11-21T05:31:00Z"));
    CHECK(change.url == "https://ci.example/run/5");
}

TEST_CASE("github: a push becomes a commit, at the time of the push", "[ingest]") {
    Github github;
    const std::string body =
        R"({"ref":"refs/heads/main","after":"0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c","deleted":false,
            "compare":"https://github.com/shop/checkout/compare/a...b","pusher":{"name":"grace"},
            "head_commit":{"message":"Double the pool\n\nlong text","timestamp":"2026-10-01T00:00:00+02:00"},)" +
        std::string(kRepository) + "}";
    CHECK(github.deliver("push", body).status == 200);
    const auto change = github.only_change();
    CHECK(change.kind == ChangeKind::kCommit);
    CHECK(change.key == "github:shop/checkout:commit:0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c");
    CHECK(change.version == "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c");
    CHECK(change.actor == "grace");
    CHECK(change.summary == "push to refs/heads/main: Double the pool");
    CHECK(change.at == event_time_from_micros(1795239500000000));
}

TEST_CASE("github: a deleted branch changes nothing", "[ingest]") {
    Github github;
    const std::string body =
        R"({"ref":"refs/heads/x","after":"000","deleted":true,)" + std::string(kRepository) + "}";
    CHECK(github.deliver("push", body).status == 202);
    CHECK(github.on(topics::kChanges).empty());
}

TEST_CASE("github: a workflow run becomes a build", "[ingest]") {
    Github github;
    const std::string body =
        R"({"action":"completed","workflow_run":{"id":9,"run_attempt":2,"name":"CI","head_branch":"main",
            "head_sha":"abc","status":"completed","conclusion":"failure","updated_at":"2026-11-21T05:35:00Z",
            "html_url":"https://github.com/shop/checkout/actions/runs/9","actor":{"login":"ada"}},)" +
        std::string(kRepository) + "}";
    CHECK(github.deliver("workflow_run", body).status == 200);
    const auto change = github.only_change();
    CHECK(change.kind == ChangeKind::kBuild);
    CHECK(change.key == "github:shop/checkout:workflow_run:9:2");
    CHECK(change.status == "failure");
    CHECK(change.summary == "workflow CI on main: failure");
}

TEST_CASE("github: a text that is too long ends between two characters, on one line", "[ingest]") {
    Github github;
    const std::string body = R"({"after":"c0\nffee","pusher":{"name":")" + std::string(499, 'a') +
                             "\u00e9z\"}," + std::string(kRepository) + "}";
    github.deliver("push", body);
    CHECK(github.only_change().actor == std::string(499, 'a'));
    CHECK(github.only_change().version == "c0 ffee");
}

TEST_CASE("github: ping answers pong, other events are ignored and counted", "[ingest]") {
    Github github;
    CHECK(github.deliver("ping", R"({"zen":"Keep it logically awesome."})").body == "pong");
    CHECK(github.deliver("star", "{" + std::string(kRepository) + "}", "other").status == 202);
    CHECK(github.metric(R"(vigie_ingest_ignored_events_total{source="github"})") == 1);
    CHECK(github.on(topics::kChanges).empty());
}

TEST_CASE("github: a delivery received before is answered and not appended again", "[ingest]") {
    Github github;
    CHECK(github.deliver("deployment", deployment_body("{}"), "d-1").status == 200);
    CHECK(github.deliver("deployment", deployment_body("{}"), "d-1").status == 200);
    CHECK(github.on(topics::kChanges).size() == 1);
    CHECK(github.deliver("deployment", deployment_body("{}"), "d-2").status == 200);
    CHECK(github.on(topics::kChanges).size() == 2);
    CHECK(github.metric(R"(vigie_ingest_duplicate_deliveries_total{source="github"})") == 1);
}

TEST_CASE("github: a delivery that did not become durable is not remembered", "[ingest]") {
    Github github;
    github.bus.set_faults({.disk_full = 1000});
    CHECK(github.deliver("deployment", deployment_body("{}"), "d-1").status == 503);
    github.bus.set_faults({});
    CHECK(github.deliver("deployment", deployment_body("{}"), "d-1").status == 200);
    CHECK(github.on(topics::kChanges).size() == 1);
}

TEST_CASE("github: the signature of GitHub's documentation passes, any other does not",
          "[ingest]") {
    Github github;
    const auto post = [&](const std::string& body, const std::string& signature) {
        return github
            .post("/webhooks/github", body,
                  {{"content-type", "application/json"},
                   {"x-github-event", "deployment"},
                   {"x-github-delivery", "d-1"},
                   {"x-hub-signature-256", signature}})
            .status;
    };
    const std::string good =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    // Signed correctly, but not JSON: the signature was passed.
    CHECK(post("Hello, World!", good) == 400);
    CHECK(post("Hello, World", good) == 401);
    CHECK(post("Hello, World!", good.substr(7)) == 401);
    CHECK(post("Hello, World!", "") == 401);
    CHECK(post("Hello, World!", good.substr(0, good.size() - 1) + "6") == 401);
    // Only the body of the known sender is kept.
    CHECK(github.on(topics::kDeadLetter).size() == 1);
}

TEST_CASE("github: while a secret is changed both are good", "[ingest]") {
    Receivers::Options options;
    options.github_secrets = {"new", kSecret};
    Github github(options);
    CHECK(github.deliver("ping", "{}").status == 200);
}

TEST_CASE("github: without a secret the endpoint refuses and says what to configure", "[ingest]") {
    Github github{Receivers::Options{}};
    const auto answer = github.deliver("deployment", deployment_body("{}"));
    CHECK(answer.status == 403);
    CHECK(answer.body.find("ingest.github.secret_file") != std::string::npos);
    CHECK(github.on(topics::kChanges).empty());
}

TEST_CASE("github: what is missing in a signed delivery is named", "[ingest]") {
    Github github;
    CHECK(github.deliver("deployment", "{" + std::string(kRepository) + "}").body ==
          "/deployment/id is not a number");
    CHECK(github.deliver("push", "{}").body == "/repository/name is missing");
    CHECK(github.deliver("push", "[]").body == "the body is not an object");
    CHECK(github.deliver("push", "{}", "../etc").status == 400);
    CHECK(github.deliver("push", "{}", "").status == 400);
    const std::string body = "payload=%7B%7D";
    CHECK(github
              .post("/webhooks/github", body,
                    {{"content-type", "application/x-www-form-urlencoded"},
                     {"x-hub-signature-256", "sha256=" + http::hmac_sha256_hex(kSecret, body)}})
              .status == 415);
    CHECK(github.on(topics::kChanges).empty());
    CHECK(github.on(topics::kDeadLetter).size() == 6);
}

TEST_CASE("deliveries: the oldest is forgotten when it is full", "[ingest]") {
    SeenDeliveries seen(2);
    seen.remember("a");
    seen.remember("a");
    seen.remember("b");
    CHECK(seen.contains("a"));
    seen.remember("c");
    CHECK_FALSE(seen.contains("a"));
    CHECK(seen.contains("b"));
    CHECK(seen.contains("c"));
}

TEST_CASE("github: pull requests, jobs, checks and releases are changes too", "[ingest]") {
    struct Case {
        std::string event, body, key, status, version;
        ChangeKind kind;
    };
    const std::string repository = "," + std::string(kRepository) + "}";
    const Case cases[] = {
        {"pull_request",
         R"({"action":"closed","pull_request":{"number":7,"merged":true,"merge_commit_sha":"abc",
             "title":"T","updated_at":"2026-11-21T05:30:00Z"})",
         "pull_request:7", "merged", "abc", ChangeKind::kCommit},
        {"workflow_job",
         R"({"action":"completed","workflow_job":{"id":9,"name":"test","head_sha":"abc",
             "status":"completed","conclusion":"failure","completed_at":"2026-11-21T05:30:00Z"})",
         "workflow_job:9", "failure", "abc", ChangeKind::kBuild},
        {"check_run",
         R"({"action":"created","check_run":{"id":4,"name":"lint","head_sha":"abc",
             "status":"queued","conclusion":null,"started_at":"2026-11-21T05:30:00Z"})",
         "check_run:4", "queued", "abc", ChangeKind::kTestRun},
        {"release",
         R"({"action":"published","release":{"id":5,"tag_name":"v1.5.0",
             "published_at":"2026-11-21T05:30:00Z"})",
         "release:5", "published", "v1.5.0", ChangeKind::kBuild},
    };
    for (const auto& each : cases) {
        INFO(each.event);
        Github github;
        CHECK(github.deliver(each.event, each.body + repository).status == 200);
        const auto change = github.only_change();
        CHECK(change.kind == each.kind);
        CHECK(change.key == "github:shop/checkout:" + each.key);
        CHECK(change.status == each.status);
        CHECK(change.version == each.version);
        CHECK(change.at == at("2026-11-21T05:30:00Z"));
        // Without the member that it is about.
        CHECK(github.deliver(each.event, "{" + repository.substr(1), "other").status == 400);
    }
    Github github;
    CHECK(github
              .deliver("pull_request",
                       R"({"action":"labeled","pull_request":{"number":7})" + repository)
              .status == 202);
}
