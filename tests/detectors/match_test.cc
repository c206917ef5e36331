#include "detectors/match.h"

#include <catch2/catch.hpp>

namespace {

using namespace vigie::detectors;

const vigie::schemas::Labels kLabels{{"code", "503"}, {"job", "shop"}, {"path", "/a,b"}};

}  // namespace

TEST_CASE("match: globs know stars, question marks and alternatives, and are anchored",
          "[detectors]") {
    CHECK(glob_matches("*", ""));
    CHECK(glob_matches("http_*_total", "http_requests_total"));
    CHECK(glob_matches("*a*b*", "xxaxxbxx"));
    CHECK(glob_matches("5??", "503"));
    CHECK(glob_matches("4??|5??", "503"));
    CHECK(glob_matches("", ""));
    CHECK(!glob_matches("", "a"));
    CHECK(!glob_matches("5??", "5031"));
    CHECK(!glob_matches("http", "http_requests"));
    CHECK(!glob_matches("*a*b", "ab_"));
}

TEST_CASE("match: a pathological glob takes no exponential time", "[detectors]") {
    const std::string text(20'000, 'a');
    CHECK(!glob_matches("*a*a*a*a*a*a*a*a*a*b", text));
}

TEST_CASE("match: matchers compare as in Prometheus; a missing label is empty", "[detectors]") {
    const auto holds = [](std::string_view text) {
        const auto matcher = parse_matcher(text);
        REQUIRE(matcher);
        return matches(std::vector<LabelMatcher>{*matcher}, kLabels);
    };
    CHECK(holds("code=503"));
    CHECK(holds("code = \"503\""));
    CHECK(holds("code=~5??"));
    CHECK(holds("code!~4??"));
    CHECK(holds("job!=node"));
    CHECK(holds("zone="));
    CHECK(holds("zone!=a"));
    CHECK(!holds("code=~4??"));
    CHECK(!holds("zone=a"));
}

TEST_CASE("match: patterns have a name glob and matchers", "[detectors]") {
    const auto pattern = parse_pattern("http_*{job=shop, path=\"/a,b\"}");
    REQUIRE(pattern);
    CHECK(pattern->matchers.size() == 2);
    CHECK(matches(*pattern, "http_requests", kLabels));
    CHECK(!matches(*pattern, "rpc_requests", kLabels));
    CHECK(matches(*parse_pattern("{job=shop}"), "anything", kLabels));
    CHECK(matches(*parse_pattern("up{}"), "up", kLabels));
}

TEST_CASE("match: nonsense is refused and quoted back", "[detectors]") {
    for (const auto* text : {"code", "=5", "code~5", "code=\"5", "code=5\"", "co de=5", "a!b"}) {
        INFO(text);
        const auto matcher = parse_matcher(text);
        REQUIRE(!matcher);
        CHECK(matcher.error().message.find(text) != std::string::npos);
    }
    for (const auto* text : {"", "up{", "up{a=1", "up{a}", "up a", "up}", "up=1"}) {
        INFO(text);
        CHECK(!parse_pattern(text));
    }
}
