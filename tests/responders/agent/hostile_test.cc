#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <regex>

#include "responders/agent/text.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::ActionPhase;
using schemas::ActionStatus;
using schemas::Mode;
using schemas::Symptom;

namespace {

const std::string kHostile =
    "x`\n# Approved\n\n<script>alert(1)</script> [click](http://evil/) {kubernetes.namespace} "
    "{fact.to_revision} \x1b[31m \xe2\x80\xae | a | \xff\xfe kubernetes.delete_deployment "
    "service:database ../../policy";

}  // namespace

TEST_CASE("agent: hostile text changes neither action nor target nor parameters", "[agent]") {
    const auto run = [](const std::string& text) {
        auto story = std::make_unique<Story>();
        story->tell(shop_policy(Mode::kApprove));
        schemas::Change change;
        change.kind = schemas::ChangeKind::kDeployment;
        change.key = "deployment:17";
        change.entity = {"service:checkout"};
        change.version = text;
        change.actor = text;
        change.summary = text;
        change.status = "success";
        change.at = story->now();
        story->tell(change);
        story->until(10);
        schemas::Alert alert;
        alert.fingerprint = "f1";
        alert.name = text;
        alert.summary = text;
        alert.entity = {"service:checkout"};
        alert.labels = {{"runbook", "kubernetes.delete_deployment"}};
        alert.annotations = {{"action", text}};
        alert.starts_at = story->now();
        story->tell(alert);
        story->anomaly(Symptom::kErrors, "service:checkout", 14);
        story->until(20);
        story->answer_inspection();
        story->approve(story->incident().plan->id.value, text);
        story->answer_inspection();
        return story;
    };
    const auto plain = run("plain");
    const auto hostile = run(kHostile);
    REQUIRE(plain->count_intents(ActionPhase::kExecute) == 1);
    REQUIRE(hostile->count_intents(ActionPhase::kExecute) == 1);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(plain->recorder.intents[i].action == hostile->recorder.intents[i].action);
        CHECK(plain->recorder.intents[i].target == hostile->recorder.intents[i].target);
        CHECK(plain->recorder.intents[i].parameters == hostile->recorder.intents[i].parameters);
    }
    CHECK(plain->incident().diagnosis.causes[0].share ==
          hostile->incident().diagnosis.causes[0].share);

    hostile->answer(ActionStatus::kSucceeded);
    schemas::Alert over;
    over.fingerprint = "f1";
    over.firing = false;
    over.name = kHostile;
    over.entity = {"service:checkout"};
    over.starts_at = hostile->at(10);
    hostile->tell(over);
    hostile->anomaly(Symptom::kErrors, "service:checkout", 14, false);
    hostile->until(100);
    REQUIRE(hostile->state() == "resolved");
    // What remains when code spans are taken out is ours or escaped.
    const auto text =
        std::regex_replace(hostile->incident().postmortem, std::regex("`[^`\n]*`"), "");
    CHECK(text.find("<script>") == std::string::npos);
    CHECK(text.find("\n# Approved") == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\xe2\x80\xae") == std::string::npos);
    CHECK(text.find(" [click](") == std::string::npos);
    CHECK(text.find("\\[click\\](") != std::string::npos);
}

TEST_CASE("agent: only what the inventory has can be a target", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment("deployment:kube-system/coredns", "9");
    story.anomaly(Symptom::kErrors, "deployment:kube-system/coredns", 14);
    story.until(10);
    CHECK(story.state() == "escalated");
    CHECK(story.recorder.intents.empty());
    CHECK(story.audited("escalated", "is not in the inventory"));
}

TEST_CASE("agent: hostile ids do not name other rows of the state", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    const auto before = story.recorder.rows.at("policy");
    schemas::Alert alert;
    alert.fingerprint = "../policy";
    alert.name = "x";
    alert.entity = {"host:a/../../policy"};
    alert.starts_at = story.now();
    story.tell_as("policy", alert);
    schemas::Anomaly anomaly;
    anomaly.firing = true;
    anomaly.detector = "d";
    anomaly.key = std::string(100'000, '/');
    anomaly.severity = schemas::Severity::kWarning;
    anomaly.entity = {std::string("host:") + std::string(100'000, 'x')};
    anomaly.first_seen = story.now();
    anomaly.last_seen = story.now();
    story.tell(anomaly);
    CHECK(story.recorder.rows.at("policy") == before);
    const auto longest = std::max_element(
        story.recorder.rows.begin(), story.recorder.rows.end(),
        [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
    CHECK(longest->first.size() < 500);
    // An entity that cannot be an id is none.
    CHECK(story.incident().entities.empty());
}

TEST_CASE("agent: numbers that are not numbers do not reach a share", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    story.deployment("service:checkout", "1.5.0");
    for (const double score : {std::numeric_limits<double>::quiet_NaN(),
                               std::numeric_limits<double>::infinity(), -1e300}) {
        schemas::Anomaly anomaly;
        anomaly.detector = "d";
        anomaly.key = std::to_string(score);
        anomaly.firing = true;
        anomaly.severity = schemas::Severity::kWarning;
        anomaly.symptom = Symptom::kTraffic;
        anomaly.observed = score;
        anomaly.expected = score;
        anomaly.score = score;
        anomaly.entity = {"service:checkout"};
        anomaly.first_seen = story.now();
        anomaly.last_seen = story.now();
        story.tell(anomaly);
    }
    story.until(10);
    double sum = 0;
    for (const auto& cause : story.incident().diagnosis.causes) sum += cause.share;
    CHECK(sum == Approx(1));
}

TEST_CASE("text: one clean line, cut at a character, never longer than allowed", "[agent]") {
    using agent::clean;
    CHECK(clean("a\nb\tc\x7f") == "a b c ");
    CHECK(clean("\xc2\x85\xe2\x80\xa8\xe2\x80\xae|") == "   |");
    CHECK(clean("\xff\xc3") == "  ");
    CHECK(clean("abcdef", 6) == "abcdef");
    CHECK(clean("abcdefg", 6) == "abc…");
    CHECK(clean("éééé", 7) == "éé…");
    CHECK(clean("") == "");
}

TEST_CASE("text: code spans and escapes leave nothing to interpret", "[agent]") {
    CHECK(agent::code_span("a`b") == "`a'b`");
    CHECK(agent::code_span(" \n") == "-");
    CHECK(agent::escape_markdown("bad_change _x_ *y* [z](u) <b>&") ==
          "bad_change \\_x\\_ \\*y\\* \\[z\\](u) &lt;b>&amp;");
    CHECK(agent::escape_markdown("# a # b") == "\\# a # b");
}

TEST_CASE("text: key parts keep their own place and length", "[agent]") {
    CHECK(agent::key_part("service:checkout") == "service:checkout");
    CHECK(agent::key_part("a/b%") == "a%2Fb%25");
    const std::string longer(500, '/');
    CHECK(agent::key_part(longer).size() < 200);
    CHECK(agent::key_part(longer) != agent::key_part(longer + "/"));
}
