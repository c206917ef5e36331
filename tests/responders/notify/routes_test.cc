#include "responders/notify/routes.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "responders/notify/metrics.h"
#include "responders/notify/notifier.h"
#include "tests/support/memory_state.h"

using namespace vigie;
using namespace vigie::notify;
using namespace std::chrono_literals;

namespace {

// Wednesday, 2026-11-18T11:06:40Z
constexpr EventTime kNow = event_time_from_micros(1'795'000'000'000'000);

std::vector<schemas::Matcher> matchers(std::string_view text) {
    auto parsed = schemas::parse_matchers(text);
    REQUIRE(parsed.has_value());
    return *std::move(parsed);
}

Routes make(std::vector<Route> routes) {
    auto made = Routes::create(std::move(routes));
    REQUIRE(made.has_value());
    return *std::move(made);
}

Message message(schemas::Severity severity, std::vector<std::string> entities = {}) {
    Message out;
    out.kind = "page";
    out.severity = severity;
    out.entities = std::move(entities);
    return out;
}

std::vector<std::string> channels(const Routes& routes, const Message& message) {
    const auto ways = routes.find(message, kNow);
    if (!ways) return {"all"};
    std::vector<std::string> out;
    for (const auto& way : *ways) out.push_back(way.channel);
    return out;
}

using Names = std::vector<std::string>;

class Ear final : public Channel {
public:
    explicit Ear(std::string name) : name_(std::move(name)) {}
    std::string_view name() const override { return name_; }
    bool wants(const Message&) const override { return true; }
    bool can_carry(const Message&) const override { return true; }
    Sent send(const Message& message, const std::stop_token&) const override {
        heard.push_back(message.id);
        return {.delivery = Delivery::kDelivered, .reason = {}, .retry_after = {}};
    }
    mutable std::vector<std::string> heard;

private:
    const std::string name_;
};

// A notifier with three channels, of which the routes choose.
struct Told {
    explicit Told(std::vector<Route> routes) {
        Notifier::Options options{.link_prefix = {}};
        options.routes = std::make_shared<const Routes>(make(std::move(routes)));
        notifier = std::make_unique<Notifier>(
            options, Notifier::Channels{a, b},
            [](const std::function<void(const std::stop_token&)>& work) -> Status {
                work({});
                return {};
            },
            Rng(7), metrics, log);
    }
    void notice(schemas::Severity severity, const std::string& entity, const std::string& id) {
        schemas::IncidentEvent event;
        event.incident.id = {"inc-1"};
        event.incident.severity = severity;
        schemas::Evidence symptom;
        symptom.symptom = true;
        symptom.entity = {entity};
        event.incident.evidence.push_back(symptom);
        event.notices.push_back({.id = id, .kind = "page", .text = "look"});
        REQUIRE(notifier->on_event(event, now, state).has_value());
        tick(0s);
    }
    void tick(std::chrono::seconds later) {
        now += later;
        REQUIRE(notifier->on_tick(now, state).has_value());
        notifier->on_committed();
        REQUIRE(notifier->on_tick(now, state).has_value());
        notifier->on_committed();
    }

    std::shared_ptr<Ear> a = std::make_shared<Ear>("a");
    std::shared_ptr<Ear> b = std::make_shared<Ear>("b");
    MetricsRegistry metrics;
    MemoryLog log;
    vigie::test::MemoryState state;
    EventTime now = kNow;
    std::unique_ptr<Notifier> notifier;
};

}  // namespace

TEST_CASE("routes: the first that is met decides, unless it goes on", "[notify]") {
    using schemas::Severity;
    const auto routes = make({{matchers("severity=critical"), {"pager"}, true, {}},
                              {matchers("vigie_entity=~\"service:db.*\""), {"db"}, false, {}},
                              {matchers("severity!=info"), {"chat", "pager"}, false, {}}});
    CHECK(channels(routes, message(Severity::kCritical)) == Names{"pager", "chat"});
    CHECK(channels(routes, message(Severity::kCritical, {"service:db-1"})) == Names{"pager", "db"});
    CHECK(channels(routes, message(Severity::kWarning, {"host:x", "service:db"})) == Names{"db"});
    CHECK(channels(routes, message(Severity::kWarning)) == Names{"chat", "pager"});
    CHECK(channels(routes, message(Severity::kInfo)) == Names{"all"});
    CHECK(channels(Routes{}, message(Severity::kInfo)) == Names{"all"});
    CHECK_FALSE(Routes::create({{{{"kind", "(", true, true}}, {}, false, {}}}).has_value());
}

TEST_CASE("routes: a channel that two routes name gets the earlier time", "[notify]") {
    schemas::TimeInterval noon;
    noon.times = {{11 * 60, 12 * 60}};
    const auto routes =
        make({{{}, {"a", "b"}, true, {noon}}, {matchers("kind=page"), {"a"}, false, {}}});
    const auto ways = routes.find(message(schemas::Severity::kInfo), kNow);
    REQUIRE(ways.has_value());
    REQUIRE(ways->size() == 2);
    CHECK((*ways)[0].from == kNow);
    CHECK(to_rfc3339((*ways)[1].from) == "2026-11-18T12:00:00Z");
}

TEST_CASE("notifier: a route chooses the channels of a notice", "[notify]") {
    using schemas::Severity;
    Told told({{matchers("vigie_entity=\"service:db\""), {"b"}, false, {}},
               {matchers("severity=info"), {}, false, {}},
               {{}, {"a"}, false, {}}});
    told.notice(Severity::kCritical, "service:db", "n1");
    told.notice(Severity::kCritical, "service:web", "n2");
    told.notice(Severity::kInfo, "service:web", "n3");
    CHECK(told.b->heard == Names{"n1"});
    CHECK(told.a->heard == Names{"n2"});
    CHECK(told.metrics.counter(metric::kDropped, {{"kind", "page"}}).value() == 1);
    CHECK(told.state.rows.empty());
}

TEST_CASE("notifier: what a time mutes waits for its end, and goes elsewhere at once", "[notify]") {
    schemas::TimeInterval noon;
    noon.times = {{11 * 60, 12 * 60}};
    Told told({{{}, {"a"}, true, {noon}}, {{}, {"b"}, false, {}}});
    told.notice(schemas::Severity::kCritical, "service:db", "n1");
    CHECK(told.b->heard == Names{"n1"});
    told.tick(53min);
    CHECK(told.a->heard.empty());
    CHECK(told.state.rows.size() == 1);
    told.tick(20s);
    CHECK(told.a->heard == Names{"n1"});
    CHECK(told.b->heard.size() == 1);
    CHECK(told.state.rows.empty());
}
