#include <catch2/catch.hpp>

#include "responders/agent/limits.h"
#include "tests/responders/agent/story.h"

using namespace vigie;
using namespace vigie::agent;
using namespace vigie::agent::test;

TEST_CASE("agent: a storm of symptoms beyond the limit is counted, told now and then", "[agent]") {
    Story story;
    constexpr int kAlerts = 2000;
    story.alert("Down-0", "service:checkout");
    story.until(30);
    const auto before = story.recorder.incidents.size();
    for (int i = 1; i < kAlerts; ++i) {
        story.alert("Down-" + std::to_string(i), "service:checkout");
    }
    // Records of the incident do not grow with the storm; each alert has its audit entry.
    CHECK(story.recorder.incidents.size() - before < 100);
    CHECK(story.audited("evidence dropped", "only counted"));
    story.until(600);
    CHECK(story.incident_count() == 1);
    CHECK(story.incident().evidence.size() == kEvidenceMax);
    CHECK(story.incident().evidence_dropped == kAlerts - static_cast<int>(kEvidenceMax));
    // What is worse than all that is known is not only counted.
    story.alert("Worse", "service:checkout", true, schemas::Severity::kCritical);
    CHECK(story.incident().severity == schemas::Severity::kCritical);
}
