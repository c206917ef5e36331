#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "responders/agent/limits.h"
#include "story.h"

using namespace vigie;
using namespace vigie::agent::test;
using schemas::DecisionKind;
using schemas::Mode;
using schemas::Severity;
using schemas::Symptom;

TEST_CASE("agent: unrelated incidents stay apart", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kShadow));
    story.edge("service:frontend", "service:checkout");
    story.alert("DiskFull", "host:backup-1");
    story.alert("SlowPages", "service:frontend");
    CHECK(story.incident_count() == 2);
    CHECK(story.incident(0).evidence.size() == 1);
    CHECK(story.incident(1).evidence.size() == 1);
}

TEST_CASE("agent: alerts without an entity are never joined by guess", "[agent]") {
    Story story;
    story.alert("A", "");
    story.alert("B", "");
    CHECK(story.incident_count() == 2);
}

TEST_CASE("agent: a neighbour joins within the correlation window and not after", "[agent]") {
    Story story;
    story.edge("service:frontend", "service:checkout");
    story.alert("Slow", "service:checkout");
    SECTION("within") {
        story.until(600);
        story.alert("Slow", "service:frontend");
        CHECK(story.incident_count() == 1);
        CHECK(story.audited("signal merged", "service:frontend depends on service:checkout"));
    }
    SECTION("after") {
        story.until(601);
        story.alert("Slow", "service:frontend");
        CHECK(story.incident_count() == 2);
    }
    SECTION("a repeat keeps it active") {
        story.until(500);
        story.alert("Slow", "service:checkout");
        story.until(1000);
        story.alert("Slow", "service:frontend");
        CHECK(story.incident_count() == 1);
    }
}

TEST_CASE("agent: neighbours are declared by the inventory, too", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kShadow);
    schemas::InventoryEntry db;
    db.entity = {"database:orders"};
    db.attributes = {{"proxmox.node", "pve1"}, {"proxmox.vmid", "101"}};
    policy.inventory.push_back(db);
    policy.inventory[0].depends_on = {{"database:orders"}};
    story.tell(policy);
    story.alert("Slow", "service:checkout");
    SECTION("what it depends on") {
        story.alert("Down", "database:orders");
    }
    SECTION("by the name of its guest") {
        story.alert("Down", "vm:pve1/101");
    }
    SECTION("the same thing by the name of its pod") {
        story.alert("Restarts", "pod:shop/checkout-7f9c4-x2x8q");
    }
    SECTION("the same thing by the name of its deployment") {
        story.alert("Restarts", "deployment:shop/checkout");
    }
    CHECK(story.incident_count() == 1);
}

TEST_CASE("agent: the host of a guest is its neighbour", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kShadow);
    schemas::InventoryEntry db;
    db.entity = {"database:orders"};
    db.attributes = {{"proxmox.node", "pve1"}, {"proxmox.vmid", "101"}};
    policy.inventory.push_back(db);
    story.tell(policy);
    story.alert("NodeDown", "host:pve1");
    story.alert("Down", "database:orders");
    CHECK(story.incident_count() == 1);
}

TEST_CASE("agent: two services changed by one deployment are one incident", "[agent]") {
    Story story;
    auto policy = shop_policy(Mode::kShadow);
    schemas::InventoryEntry cart;
    cart.entity = {"service:cart"};
    cart.attributes = {{"repository", "shop/checkout"}};
    policy.inventory.push_back(cart);
    story.tell(policy);
    story.deployment("repository:shop/checkout", "1.5.0");
    story.until(30);
    story.anomaly(Symptom::kErrors, "service:checkout", 5);
    story.anomaly(Symptom::kErrors, "service:cart", 5);
    CHECK(story.incident_count() == 1);
    CHECK(story.audited("signal merged", "both may come from the change"));
    story.until(40);
    CHECK(story.incident().diagnosis.causes[0].mechanism == schemas::Mechanism::kBadChange);
}

TEST_CASE("agent: the same alert again is a duplicate and says nothing", "[agent]") {
    Story story;
    story.alert("Slow", "service:checkout");
    const auto records = story.recorder.incidents.size();
    story.until(5);
    story.alert("Slow", "service:checkout");
    CHECK(story.incident_count() == 1);
    CHECK(story.recorder.incidents.size() == records);
    CHECK(story.incident().evidence.size() == 1);
    CHECK(story.audited("signal dropped", "dropped as duplicate"));
}

TEST_CASE("agent: repeats of an alert are audited at 1, 2, 4, 8 and so on", "[agent]") {
    Story story;
    story.alert("Slow", "service:checkout");
    for (int minute = 1; minute <= 100; ++minute) {
        story.until(minute * 60);
        story.alert("Slow", "service:checkout");
    }
    const auto& audits = story.recorder.audits;
    const auto repeats = std::count_if(audits.begin(), audits.end(), [](const auto& entry) {
        return entry.detail.find("dropped as duplicate") != std::string::npos;
    });
    CHECK(repeats == 7);
    CHECK(story.audited("signal dropped", "repeat 64"));
}

TEST_CASE("agent: an observation older than the newest one is late and changes nothing",
          "[agent]") {
    Story story;
    story.until(50);
    story.alert("Slow", "service:checkout");
    story.until(60);
    story.alert("Slow", "service:checkout", false);
    schemas::Alert old;
    old.fingerprint = "Slow-service:checkout";
    old.name = "Slow";
    old.entity = {"service:checkout"};
    old.starts_at = story.at(50);
    vigie::agent::Agent agent;
    const schemas::Event event{{{"late"}, "/test", story.at(55), {"default"}}, old};
    REQUIRE(agent.on_event(event, story.at(60), story.recorder));
    CHECK(story.audited("signal dropped", "dropped as late"));
    story.until(200);
    CHECK(story.state() == "resolved");
}

TEST_CASE("agent: informative anomalies are evidence and open nothing", "[agent]") {
    Story story;
    story.anomaly(Symptom::kLogPattern, "service:checkout", 3, true, Severity::kInfo);
    CHECK(story.incident_count() == 0);
    CHECK(story.audited("evidence kept", "evidence only"));
    story.until(20);
    story.alert("Slow", "service:checkout");
    REQUIRE(story.incident_count() == 1);
    REQUIRE(story.incident().evidence.size() == 2);
    CHECK_FALSE(story.incident().evidence[1].symptom);
    // It never has to clear.
    story.until(30);
    story.alert("Slow", "service:checkout", false);
    story.until(90);
    CHECK(story.state() == "resolved");
}

TEST_CASE("agent: evidence that ended before an incident is not taken into it", "[agent]") {
    Story story;
    story.anomaly(Symptom::kLogPattern, "service:checkout", 3, true, Severity::kInfo);
    story.anomaly(Symptom::kLogPattern, "service:checkout", 3, false, Severity::kInfo);
    story.alert("Slow", "service:checkout");
    CHECK(story.incident().evidence.size() == 1);
}

TEST_CASE("agent: the same symptom within the window reopens the incident, later opens a new one",
          "[agent]") {
    Story story;
    story.alert("Slow", "service:checkout");
    story.until(10);
    story.alert("Slow", "service:checkout", false);
    story.until(70);
    REQUIRE(story.state() == "resolved");
    SECTION("reopens") {
        story.until(70 + 599);
        story.alert("Slow", "service:checkout");
        CHECK(story.incident_count() == 1);
        CHECK(story.state() == "reopened");
        CHECK(story.notices("page").size() == 2);
        story.until(700);
        CHECK(story.state() == "escalated");
    }
    SECTION("is new") {
        story.until(70 + 600);
        story.alert("Slow", "service:checkout");
        CHECK(story.incident_count() == 2);
    }
}

TEST_CASE("agent: flapping is held to few notices, and its end is told once", "[agent]") {
    Story story;
    int second = 0;
    for (int round = 0; round < 20; ++round) {
        story.alert("Slow", "service:checkout");
        story.until(second += 5);
        story.alert("Slow", "service:checkout", false);
        story.until(second += 65);
        REQUIRE(story.state() == "resolved");
    }
    CHECK(story.incident_count() == 1);
    // Each time that people were told that it is over, they were told that it is not.
    CHECK(story.notices("page").size() == 3);
    CHECK(story.notices("resolved").size() == 2);
    story.until(second + 600);
    CHECK(story.notices("resolved").size() == 3);
    CHECK(story.audited("notice held", "flapping"));
}

TEST_CASE("agent: who was told that it is over is paged when it is not", "[agent]") {
    Story story;
    int second = 0;
    for (int round = 0; round < 6; ++round) {
        story.alert("Slow", "service:checkout");
        story.until(second += 5);
        std::string last;
        for (const auto& notice : story.notices()) {
            if (notice.kind == "page" || notice.kind == "resolved") last = notice.kind;
        }
        CHECK(last == "page");
        story.alert("Slow", "service:checkout", false);
        story.until(second += 65);
    }
}

TEST_CASE("agent: what a person resolved stays so while the same alert is repeated", "[agent]") {
    Story story;
    story.alert("Slow", "service:checkout");
    story.decide(DecisionKind::kResolve);
    CHECK(story.state() == "resolved");
    story.until(60);
    story.alert("Slow", "service:checkout");
    CHECK(story.state() == "resolved");
    CHECK(story.incident_count() == 1);
    CHECK(story.audited("signal dropped", "which a person resolved"));
}

TEST_CASE("agent: an acknowledgement makes an owner", "[agent]") {
    Story story;
    story.alert("Slow", "service:checkout");
    story.decide(DecisionKind::kAck, "", "zoe");
    CHECK(story.incident().owner == "zoe");
    CHECK(story.audits("incident acknowledged").size() == 1);
    REQUIRE(!story.notices("update").empty());
    CHECK(story.notices("update").back().text == "zoe has it");
}

TEST_CASE("agent: a silence with owner and end suppresses, and its end wakes", "[agent]") {
    Story story;
    schemas::Decision silence;
    silence.kind = DecisionKind::kSilence;
    silence.actor = "ann";
    silence.scope = "service:check*";
    silence.expires_at = story.at(300);
    story.tell(silence);
    story.until(10);
    story.alert("Slow", "service:checkout");
    CHECK(story.state() == "suppressed");
    CHECK(story.notices().empty());
    story.until(200);
    CHECK(story.state() == "suppressed");
    SECTION("it still fires") {
        story.until(300);
        CHECK(story.state() == "open");
        CHECK(story.notices("page").size() == 1);
    }
    SECTION("it cleared") {
        story.alert("Slow", "service:checkout", false);
        story.until(299);
        CHECK(story.state() == "resolved");
        CHECK(story.notices().empty());
    }
    SECTION("another symptom joins that it does not cover") {
        story.edge("service:frontend", "service:checkout");
        story.alert("Slow", "service:frontend");
        CHECK(story.state() == "open");
        CHECK(story.notices("page").size() == 1);
    }
}

namespace {

schemas::Decision silence_of_labels(std::string_view matchers, EventTime until) {
    schemas::Decision silence;
    silence.kind = DecisionKind::kSilence;
    silence.actor = "ann";
    silence.expires_at = until;
    silence.terms = schemas::SilenceTerms{"s1", *schemas::parse_matchers(matchers), std::nullopt};
    return silence;
}

void tell_alert(Story& story, const std::string& name, const std::string& team) {
    schemas::Alert alert;
    alert.labels = {{"alertname", name}, {"team", team}};
    alert.fingerprint = name + team;
    alert.name = name;
    alert.entity = {"service:checkout"};
    alert.severity = schemas::Severity::kCritical;
    alert.starts_at = story.now();
    story.tell(alert);
}

}  // namespace

TEST_CASE("agent: a silence chooses alerts by their labels, before and after they fire",
          "[agent]") {
    const bool restarting = GENERATE(false, true);
    Story story(restarting);
    SECTION("it is there first") {
        story.tell(silence_of_labels("team=~sh.p", story.at(300)));
        tell_alert(story, "Slow", "shop");
        CHECK(story.state() == "suppressed");
        CHECK(story.notices().empty());
        tell_alert(story, "Slow", "other");
        CHECK(story.state() == "open");
    }
    SECTION("it comes later, and is ended by hand") {
        tell_alert(story, "Slow", "shop");
        story.tell(silence_of_labels("team=shop,alertname=Slow", story.at(300)));
        CHECK(story.state() == "suppressed");
        story.until(10);
        story.tell(silence_of_labels("team=shop", story.now()));  // An end that is not to come
        CHECK(story.state() == "open");
        CHECK(story.audited("silence ended", "ended by ann"));
        story.until(310);
        CHECK(story.audits("silence ended").size() == 1);
    }
    SECTION("another label is not covered") {
        story.tell(silence_of_labels("team=shop", story.at(300)));
        tell_alert(story, "Slow", "other");
        CHECK(story.state() == "open");
    }
    SECTION("the entity is a label too") {
        story.tell(silence_of_labels("vigie_entity=~service:.*", story.at(300)));
        tell_alert(story, "Slow", "shop");
        CHECK(story.state() == "suppressed");
    }
}

TEST_CASE("agent: a silence that is to come begins at its time, and can be changed", "[agent]") {
    Story story;
    auto silence = silence_of_labels("team=shop", story.at(300));
    silence.terms->starts_at = story.at(60);
    story.tell(silence);
    tell_alert(story, "Slow", "shop");
    CHECK(story.state() == "open");
    story.until(59);
    CHECK(story.state() != "suppressed");
    story.until(61);
    CHECK(story.state() == "suppressed");
    // The same silence with another end: there is still one.
    story.tell(silence_of_labels("team=shop", story.at(100)));
    story.until(99);
    CHECK(story.state() == "suppressed");
    story.until(101);
    CHECK(story.state() == "open");
    CHECK(story.audits("silence ended").size() == 1);
}

TEST_CASE("agent: a silence of bad matchers, or of none, is refused", "[agent]") {
    Story story;
    auto silence = silence_of_labels("team=shop", story.at(300));
    silence.terms->matchers[0] = {"team", "(", true, true};
    story.tell(silence);
    silence.terms->matchers.clear();
    story.tell(silence);
    silence.terms->matchers = {{"team", "shop", false, true}};
    silence.scope = "*";
    story.tell(silence);
    CHECK(story.audits("silence refused").size() == 3);
}

TEST_CASE("agent: a silence without an end or an owner is refused", "[agent]") {
    Story story;
    schemas::Decision silence;
    silence.kind = DecisionKind::kSilence;
    silence.actor = "ann";
    silence.scope = "*";
    story.tell(silence);
    silence.expires_at = story.at(0);
    story.tell(silence);
    silence.expires_at = story.at(100);
    silence.actor = "";
    story.tell(silence);
    CHECK(story.audits("silence refused").size() == 3);
    story.alert("Slow", "service:checkout");
    CHECK(story.state() == "open");
}

TEST_CASE("agent: every signal is in the audit once at least, ticks never", "[agent]") {
    Story story;
    story.tell(shop_policy(Mode::kApprove));
    bad_deployment(story);
    const auto before = story.recorder.audits.size();
    story.tell(schemas::Tick{});
    CHECK(story.recorder.audits.size() == before);
    for (int i = 1; i <= 9; ++i) {
        const auto id = fmt::format("evt-{}", i);
        const bool found = std::any_of(story.recorder.audits.begin(), story.recorder.audits.end(),
                                       [&id](const auto& entry) { return entry.subject == id; });
        INFO(id);
        // The policy is known by its own id.
        CHECK(found == (i != 1));
    }
    CHECK(story.audits("configuration loaded").size() == 1);
}
