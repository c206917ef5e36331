#include "schemas/matchers.h"

#include <catch2/catch.hpp>

#include "schemas/silences.h"

using namespace vigie;
using namespace vigie::schemas;

namespace {

bool meets(std::string_view matchers, const Labels& labels, std::string_view entity = {}) {
    const auto parsed = parse_matchers(matchers);
    REQUIRE(parsed.has_value());
    const auto set = MatcherSet::compile(*parsed);
    REQUIRE(set.has_value());
    return set->matches(labels, entity);
}

}  // namespace

TEST_CASE("matchers: all forms that amtool and alertmanager.yml write are read", "[schemas]") {
    const std::pair<std::string_view, Matcher> forms[] = {
        {"a=b", {"a", "b", false, true}},
        {R"(a="b")", {"a", "b", false, true}},
        {R"( a != "b" )", {"a", "b", false, false}},
        {"a=~b|c", {"a", "b|c", true, true}},
        {R"(a!~"b.*")", {"a", "b.*", true, false}},
        {"a=", {"a", "", false, true}},
        {R"(a="x\"y\\z\nw")", {"a", "x\"y\\z\nw", false, true}},
        {R"(a=~"\d+")", {"a", R"(\d+)", true, true}},
        {"host.name=db-1", {"host.name", "db-1", false, true}},
        {"a=é", {"a", "é", false, true}},
    };
    for (const auto& [text, expected] : forms) {
        INFO(text);
        const auto matcher = parse_matcher(text);
        REQUIRE(matcher.has_value());
        CHECK(*matcher == expected);
        CHECK(parse_matcher(to_string(*matcher)) == expected);
    }
}

TEST_CASE("matchers: what is none is refused with the reason", "[schemas]") {
    for (const std::string_view text : {"", "a", "=b", "1a=b", "a==\"", R"(a="b)", R"(a=b"c)",
                                        R"(a="b\")", "a=~(", "a b=c", "a=\xff", "a=~x{1001}"}) {
        INFO(text);
        const auto matcher = parse_matcher(text);
        REQUIRE_FALSE(matcher.has_value());
        CHECK(matcher.error().kind == ErrorKind::kInvalid);
        CHECK_FALSE(matcher.error().message.empty());
    }
    CHECK_FALSE(parse_matchers("{a=b").has_value());
    CHECK_FALSE(parse_matchers("a=b,,c=d").has_value());
    CHECK_FALSE(Pattern::compile(std::string(5000, 'a')).has_value());
}

TEST_CASE("matchers: a list is split at commas outside quotes", "[schemas]") {
    const auto matchers = parse_matchers(R"({a="x,y", b=~"c|d" , e!=f})");
    REQUIRE(matchers.has_value());
    REQUIRE(matchers->size() == 3);
    CHECK(matchers->at(0).value == "x,y");
    CHECK(to_string(*matchers) == R"({a="x,y",b=~"c|d",e!="f"})");
    CHECK(parse_matchers("{}")->empty());
    CHECK(parse_matchers("  ")->empty());
}

TEST_CASE("matchers: all must be met, and a label that is not there is empty", "[schemas]") {
    const Labels labels{{"alertname", "Down"}, {"job", "node"}};
    CHECK(meets("alertname=Down,job=~no.e", labels));
    CHECK_FALSE(meets("alertname=Down,job=other", labels));
    CHECK(meets("team!=db", labels));
    CHECK(meets("team=", labels));
    CHECK_FALSE(meets("job=~no", labels));  // The whole value
    CHECK(meets("job!~no", labels));
    CHECK(meets("", labels));
    CHECK(meets("vigie_entity=~host:.*", labels, "host:db1"));
    CHECK_FALSE(meets("vigie_entity=host:db2", labels, "host:db1"));
}

TEST_CASE("matchers: a hostile expression takes no time", "[schemas]") {
    const auto pattern = Pattern::compile("(a+)+b");
    REQUIRE(pattern.has_value());
    CHECK_FALSE(pattern->matches(std::string(50'000, 'a')));
}

TEST_CASE("silences: a scope is a matcher of the entity", "[schemas]") {
    Decision decision;
    decision.kind = DecisionKind::kSilence;
    decision.actor = "ann";
    decision.scope = "service:a.b*";
    const EventMeta meta{{"decision-1"}, "/x", event_time_from_micros(5), {"default"}};
    const auto silence = silence_of(meta, decision);
    CHECK(silence.starts_at == meta.time);
    CHECK(subject_of(silence) == "service:a.b*");
    const auto set = MatcherSet::compile(matchers_of(silence));
    REQUIRE(set.has_value());
    CHECK(set->matches({}, "service:a.bc"));
    CHECK_FALSE(set->matches({}, "service:axbc"));

    decision.scope = "host:db1";
    CHECK(matchers_of(silence_of(meta, decision)) ==
          std::vector<Matcher>{{"vigie_entity", "host:db1", false, true}});
}
