#include <catch2/catch.hpp>

#include "http/signature.h"
#include "schemas/json_fields.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
using namespace vigie::schemas::fields;
namespace topics = schemas::topics;
using schemas::Alert;
using schemas::Change;
using schemas::ChangeKind;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Headers with(Headers more) {
    more.insert(more.begin(), kJsonHeaders.begin(), kJsonHeaders.end());
    return more;
}

template <class T>
T only(const Fixture& fixture, std::string_view topic) {
    const auto events = fixture.events_on(topic);
    REQUIRE(events.size() == 1);
    return std::get<T>(events[0].data);
}

Receivers::Options all_tokens() {
    Receivers::Options options;
    options.grafana_token = "grafana-token";
    options.pagerduty_secrets = {"pd-secret", "pd-old"};
    options.gitlab_tokens = {"gitlab-token"};
    options.gitlab_signing_secrets = {"whsec_c2VjcmV0"};
    options.jenkins_token = "jenkins-token";
    options.argocd_token = "argocd-token";
    options.cloudevents_token = "ce-token";
    return options;
}

const std::string kGrafana = R"({"receiver":"vigie","status":"firing","orgId":1,"version":"1",
  "alerts":[{"status":"firing","labels":{"alertname":"High latency","service":"checkout",
     "severity":"critical"},"annotations":{"summary":"p99 above 2 s"},
     "startsAt":"2026-11-21T05:30:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"",
     "fingerprint":"57c6d9296de2ad39","panelURL":"http://grafana.example/d/x?viewPanel=1",
     "values":{"B":2.5},"valueString":"[ var='B' ]"}]})";

std::string pagerduty(const std::string& type, const std::string& status,
                      const std::string& key = "srv/http", const std::string& id = "01E") {
    return R"({"event":{"id":")" + id + R"(","event_type":")" + type +
           R"(","resource_type":"incident","occurred_at":"2026-11-21T05:35:00Z","data":{
             "id":"PGR0VU2","type":"incident","html_url":"https://acme.pagerduty.com/incidents/PGR0VU2",
             "number":2,"status":")" +
           status + R"(","incident_key":")" + key +
           R"(","created_at":"2026-11-21T05:30:00Z","title":"A little bump in the road",
             "service":{"id":"PF9KMXH","summary":"checkout"},"urgency":"high"}}})";
}

Headers pagerduty_signed(const std::string& body, const std::string& secret = "pd-secret") {
    return with({{"x-pagerduty-signature",
                  "v1=00," + std::string("v1=") + http::hmac_sha256_hex(secret, body)}});
}

const std::string kProject =
    R"("project":{"name":"checkout","path_with_namespace":"shop/checkout","default_branch":"main",
       "web_url":"https://gitlab.example/shop/checkout"})";

}  // namespace

TEST_CASE("grafana: its notification becomes alerts", "[ingest]") {
    Fixture fixture(all_tokens());
    const auto headers = with({{"authorization", "Basic eDpncmFmYW5hLXRva2Vu"}});
    CHECK(fixture.post("/webhooks/grafana", kGrafana, headers).status == 200);
    const auto alert = only<Alert>(fixture, topics::kAlerts);
    CHECK(alert.name == "High latency");
    CHECK(alert.entity.value == "service:checkout");
    CHECK(alert.severity == schemas::Severity::kCritical);
    CHECK(alert.url == "http://grafana.example/d/x?viewPanel=1");
    CHECK(fixture.post("/webhooks/grafana", kGrafana, kJsonHeaders).status == 401);
    std::string other = kGrafana;
    other.replace(other.find(R"("version":"1")"), 13, R"("version":"9")");
    CHECK(fixture.post("/webhooks/grafana", other, headers).status == 400);
}

TEST_CASE("pagerduty: an incident is an alert until it is resolved", "[ingest]") {
    Fixture fixture(all_tokens());
    const auto deliver = [&](const std::string& body, const Headers& headers) {
        return fixture.post("/webhooks/pagerduty", body, headers).status;
    };
    const auto fired = pagerduty("incident.triggered", "triggered");
    CHECK(deliver(fired, pagerduty_signed(fired)) == 200);
    const auto alert = only<Alert>(fixture, topics::kAlerts);
    CHECK(alert.firing);
    CHECK(alert.name == "A little bump in the road");
    CHECK(alert.fingerprint == "pagerduty-PGR0VU2");
    CHECK(alert.entity.value == "service:checkout");
    CHECK(alert.starts_at == at("2026-11-21T05:30:00Z"));
    CHECK(alert.url == "https://acme.pagerduty.com/incidents/PGR0VU2");

    const auto over = pagerduty("incident.resolved", "resolved", "srv/http", "01F");
    CHECK(deliver(over, pagerduty_signed(over, "pd-old")) == 200);
    const auto events = fixture.events_on(topics::kAlerts);
    REQUIRE(events.size() == 2);
    CHECK(events[0].meta.id.value == "pagerduty-01E");
    CHECK_FALSE(std::get<Alert>(events[1].data).firing);
    CHECK(std::get<Alert>(events[1].data).ends_at == at("2026-11-21T05:35:00Z"));

    const auto note = pagerduty("incident.annotated", "triggered");
    CHECK(deliver(note, pagerduty_signed(note)) == 202);
    const auto ours = pagerduty("incident.triggered", "triggered", "inc-0123456789ab");
    CHECK(deliver(ours, pagerduty_signed(ours)) == 202);
    CHECK(fixture.on(topics::kAlerts).size() == 2);

    CHECK(deliver(fired, kJsonHeaders) == 401);
    CHECK(deliver(fired, pagerduty_signed(fired + " ")) == 401);
    const std::string bad = R"({"event":{"id":"x"}})";
    CHECK(deliver(bad, pagerduty_signed(bad)) == 400);
    Fixture open;
    CHECK(open.post("/webhooks/pagerduty", fired, pagerduty_signed(fired)).status == 403);
}

TEST_CASE("gitlab: each kind of event becomes its change", "[ingest]") {
    struct Case {
        std::string body;
        ChangeKind kind;
        std::string key, status, version, time;
    };
    const Case cases[] = {
        {R"({"object_kind":"push","after":"c0ffee","ref":"refs/heads/main","user_username":"ada",
            "commits":[{"message":"Fix\nmore","url":"https://gitlab.example/c"}],)",
         ChangeKind::kCommit, "commit:c0ffee", "", "c0ffee", "2026-11-21T05:39:30Z"},
        {R"({"object_kind":"merge_request","object_attributes":{"iid":7,"action":"merge",
            "state":"merged","title":"T","merge_commit_sha":"abc",
            "updated_at":"2026-11-21 05:20:00 UTC"},)",
         ChangeKind::kCommit, "merge_request:7", "merged", "abc", "2026-11-21T05:20:00Z"},
        {R"({"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","sha":"abc",
            "status":"failed","created_at":"2026-11-21 05:10:00 UTC",
            "finished_at":"2026-11-21 05:15:00 UTC"},)",
         ChangeKind::kBuild, "pipeline:31", "failed", "abc", "2026-11-21T05:15:00Z"},
        {R"({"object_kind":"build","build_id":1977,"build_name":"test","build_stage":"test",
            "build_status":"success","sha":"abc","build_finished_at":"2026-11-21 05:15:00 UTC",)",
         ChangeKind::kBuild, "job:1977", "success", "abc", "2026-11-21T05:15:00Z"},
        {R"({"object_kind":"deployment","status":"success","deployment_id":15,
            "status_changed_at":"2026-11-21 06:20:00 +0100","environment":"production",
            "short_sha":"279484c0","ref":"main","user":{"username":"ada"},)",
         ChangeKind::kDeployment, "deployment:15", "success", "279484c0", "2026-11-21T05:20:00Z"},
        {R"({"object_kind":"release","tag":"v1.1","name":"v1.1","action":"create",
            "released_at":"2026-11-21 05:00:00 UTC",)",
         ChangeKind::kBuild, "release:v1.1", "create", "v1.1", "2026-11-21T05:00:00Z"},
    };
    for (const auto& each : cases) {
        INFO(each.key);
        Fixture fixture(all_tokens());
        const auto headers = with({{"x-gitlab-token", "gitlab-token"}, {"idempotency-key", "k-1"}});
        const auto body = each.body + kProject + "}";
        CHECK(fixture.post("/webhooks/gitlab", body, headers).status == 200);
        const auto change = only<Change>(fixture, topics::kChanges);
        CHECK(change.kind == each.kind);
        CHECK(change.key == "gitlab:shop/checkout:" + each.key);
        CHECK(change.status == each.status);
        CHECK(change.version == each.version);
        CHECK(change.at == at(each.time));
        CHECK(change.entity.value == "service:checkout");
        // A retry of the same delivery.
        const auto again = fixture.post("/webhooks/gitlab", body, headers);
        CHECK(again.body == "received before");
        CHECK(fixture.on(topics::kChanges).size() == 1);
    }
}

TEST_CASE("gitlab: token or signature is needed, deleted branches and the rest are nothing",
          "[ingest]") {
    auto options = all_tokens();
    options.gitlab_entities = {{"shop/checkout", EntityId{"deployment:shop/till"}}};
    Fixture fixture(options);
    const std::string body =
        R"({"object_kind":"pipeline","object_attributes":{"id":31,"status":"running"},)" +
        kProject + "}";
    const auto post = [&](const std::string& text, Headers more) {
        return fixture.post("/webhooks/gitlab", text, with(std::move(more))).status;
    };
    CHECK(post(body, {}) == 401);
    CHECK(post(body, {{"x-gitlab-token", "gitlab-tokem"}}) == 401);
    const std::string seconds = std::to_string(micros_of(at("2026-11-21T05:38:00Z")) / 1'000'000);
    const auto signature = "v1," + http::hmac_sha256_base64("secret", "d1." + seconds + "." + body);
    const Headers good{
        {"webhook-id", "d1"}, {"webhook-timestamp", seconds}, {"webhook-signature", signature}};
    CHECK(post(body, good) == 200);
    CHECK(only<Change>(fixture, topics::kChanges).entity.value == "deployment:shop/till");
    CHECK(post(body, good) == 200);  // The same delivery
    CHECK(post(body + " ", good) == 401);
    fixture.clock.advance(std::chrono::minutes{10});
    CHECK(post(body, good) == 401);  // Replayed when it is old
    CHECK(fixture.on(topics::kChanges).size() == 1);

    const Headers token{{"x-gitlab-token", "gitlab-token"}};
    CHECK(post(R"({"object_kind":"note",)" + kProject + "}", token) == 202);
    CHECK(post(R"({"object_kind":"push","after":"0000000000",)" + kProject + "}", token) == 202);
    for (const std::string bad :
         {"", "[]", "{}", R"({"object_kind":"push"})", R"({"object_kind":"deployment",)",
          "{\"\xff\"", R"({"object_kind":"pipeline","project":{"path_with_namespace":"a/b"}})"}) {
        INFO(bad);
        CHECK(post(bad, token) == 400);
    }
    Fixture open;
    CHECK(open.post("/webhooks/gitlab", body, with(token)).status == 403);
}

TEST_CASE("jenkins: a build that completes is a change, its token may be in the query",
          "[ingest]") {
    Fixture fixture(all_tokens());
    const std::string body =
        R"({"name":"shop/checkout","url":"job/checkout/","build":{"full_url":"http://ci.example/job/checkout/7/",
          "number":7,"phase":"COMPLETED","status":"FAILURE","timestamp":1795239000000,
          "scm":{"commit":"abc"}}})";
    CHECK(fixture.post("/webhooks/jenkins", body, kJsonHeaders).status == 401);
    CHECK(fixture.post("/webhooks/jenkins", body, with({{"authorization", "Bearer jenkins-token"}}))
              .status == 200);
    CHECK(fixture.post("/webhooks/jenkins?token=jenkins-token", body, kJsonHeaders).status == 200);
    CHECK(fixture.post("/webhooks/jenkins?token=other", body, kJsonHeaders).status == 401);
    const auto events = fixture.events_on(topics::kChanges);
    REQUIRE(events.size() == 2);
    CHECK(events[0].meta.id == events[1].meta.id);  // The sequencer drops one.
    const auto change = std::get<Change>(events[0].data);
    CHECK(change.key == "jenkins:shop/checkout:7");
    CHECK(change.status == "failure");
    CHECK(change.entity.value == "service:checkout");
    CHECK(change.at == at("2026-11-21T05:30:00Z"));
    const auto with_token = with({{"authorization", "Bearer jenkins-token"}});
    CHECK(fixture
              .post("/webhooks/jenkins", R"({"name":"x","build":{"number":1,"phase":"QUEUED"}})",
                    with_token)
              .status == 202);
    CHECK(fixture.post("/webhooks/jenkins", R"({"name":"x"})", with_token).status == 400);
}

TEST_CASE("argocd: a sync is a deployment", "[ingest]") {
    Fixture fixture(all_tokens());
    const auto headers = with({{"authorization", "Bearer argocd-token"}});
    const std::string body =
        R"({"app":{"metadata":{"name":"checkout","namespace":"argocd"},
          "spec":{"project":"shop","destination":{"namespace":"prod"},
                  "source":{"repoURL":"https://git.example/shop.git"}},
          "status":{"operationState":{"phase":"Succeeded","startedAt":"2026-11-21T05:30:00Z",
            "finishedAt":"2026-11-21T05:31:00Z","syncResult":{"revision":"c0ffee"}},
            "sync":{"status":"Synced","revision":"c0ffee"}}}})";
    CHECK(fixture.post("/webhooks/argocd", body, headers).status == 200);
    const auto change = only<Change>(fixture, topics::kChanges);
    CHECK(change.kind == ChangeKind::kDeployment);
    CHECK(change.key == "argocd:argocd/checkout:2026-11-21T05:30:00Z");
    CHECK(change.status == "succeeded");
    CHECK(change.version == "c0ffee");
    CHECK(change.environment == "prod");
    CHECK(change.at == at("2026-11-21T05:31:00Z"));
    CHECK(
        fixture.post("/webhooks/argocd", R"({"app":{"metadata":{"name":"x"}}})", headers).status ==
        202);
    CHECK(fixture.post("/webhooks/argocd", "{}", headers).status == 400);
    CHECK(fixture.post("/webhooks/argocd", body, kJsonHeaders).status == 401);
}

TEST_CASE("webhook fields: times of all kinds are read", "[ingest]") {
    const auto expected = at("2026-11-21T05:30:00Z");
    for (const auto* text : {"2026-11-21T05:30:00Z", "2026-11-21 05:30:00 UTC",
                             "2026-11-21 06:30:00 +0100", "1795239000", "1795239000000"}) {
        INFO(text);
        CHECK(parse_any_time(text) == expected);
    }
    for (const auto* text : {"", "soon", "-5", "2026-11-21", "2026-11-21 05:30:00 CET", "nan",
                             "99999999999999999999", "2026-11-21 05:30:00 "}) {
        INFO(text);
        CHECK_FALSE(parse_any_time(text).has_value());
    }
}
