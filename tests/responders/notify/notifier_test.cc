#include "responders/notify/notifier.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>

#include "responders/notify/metrics.h"
#include "tests/support/memory_state.h"

using namespace vigie;
using namespace vigie::notify;
using namespace std::chrono_literals;
using schemas::IncidentEvent;

namespace {

constexpr EventTime kStart = event_time_from_micros(1'795'000'000'000'000);

// A receiver that answers as it is told, the last answer again and again.
class FakeChannel final : public Channel {
public:
    explicit FakeChannel(std::string name) : name_(std::move(name)) {}

    std::string_view name() const override { return name_; }
    bool wants(const Message& message) const override {
        return kinds.empty() || std::count(kinds.begin(), kinds.end(), message.kind) > 0;
    }
    bool can_carry(const Message&) const override { return true; }
    Sent send(const Message& message, const std::stop_token&) const override {
        tries.push_back(message.kind + " " + message.id);
        Sent sent = answers.front();
        if (answers.size() > 1) answers.pop_front();
        if (sent.delivery == Delivery::kDelivered) delivered.push_back(message.id);
        return sent;
    }

    std::vector<std::string> kinds;
    mutable std::deque<Sent> answers{
        {.delivery = Delivery::kDelivered, .reason = {}, .retry_after = {}}};
    mutable std::vector<std::string> tries;
    mutable std::vector<std::string> delivered;

private:
    const std::string name_;
};

Sent answer(Delivery delivery, std::optional<std::chrono::milliseconds> after = std::nullopt) {
    return {.delivery = delivery, .reason = "because", .retry_after = after};
}

// The notifier's partition, its process and its receivers, in one thread.
struct NotifyWorld {
    NotifyWorld() { remake(); }

    void remake() {
        work.clear();
        notifier = std::make_unique<Notifier>(
            options, Notifier::Channels(channels.begin(), channels.end()),
            [this](std::function<void(const std::stop_token&)> next) -> Status {
                if (work.size() >= work_max) return fail(ErrorKind::kOverloaded, "full");
                work.push_back(std::move(next));
                return {};
            },
            Rng(7), metrics, log);
    }
    std::shared_ptr<FakeChannel> channel(const std::string& name) {
        channels.push_back(std::make_shared<FakeChannel>(name));
        remake();
        return channels.back();
    }
    void notice(const std::string& kind, const std::string& id,
                const std::string& incident = "inc-1") {
        IncidentEvent event;
        event.incident.id = {incident};
        event.incident.title = "checkout is slow";
        event.notices.push_back({.id = id, .kind = kind, .text = "look"});
        REQUIRE(notifier->on_event(event, now, state).has_value());
        notifier->on_committed();
    }
    void run_pool() {
        for (; !work.empty(); work.pop_front()) work.front()(std::stop_token{});
    }
    // A tick so much later, its sends, and the tick that takes their results in.
    void tick(std::chrono::microseconds later = 1s) {
        now += later;
        REQUIRE(notifier->on_tick(now, state).has_value());
        notifier->on_committed();
    }
    void round(std::chrono::microseconds later = 1s) {
        tick(later);
        run_pool();
        tick(0s);
    }
    bool is_logged(const std::string& text) const {
        const auto lines = log.lines();
        return std::any_of(lines.begin(), lines.end(),
                           [&](const auto& line) { return line.find(text) != std::string::npos; });
    }
    std::uint64_t count(const MetricName& name, MetricLabels labels) {
        return metrics.counter(name, std::move(labels)).value();
    }

    Notifier::Options options{.link_prefix = {}};
    std::vector<std::shared_ptr<FakeChannel>> channels;
    std::size_t work_max = 100;
    MetricsRegistry metrics;
    MemoryLog log;
    vigie::test::MemoryState state;
    std::deque<std::function<void(const std::stop_token&)>> work;
    std::unique_ptr<Notifier> notifier;
    EventTime now = kStart;
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("notifier: a notice goes to every channel that wants it, once", "[notify]") {
    NotifyWorld world;
    const auto first = world.channel("first");
    const auto second = world.channel("second");
    second->kinds = {"page"};
    world.notice("page", "n1");
    world.notice("update", "n2");
    world.round();
    world.round();
    world.round(1h);
    CHECK(first->tries == Ids{"page n1", "update n2"});
    CHECK(second->tries == Ids{"page n1"});
    CHECK(world.state.rows.empty());
    CHECK(world.count(metric::kDeliveries, {{"channel", "first"}, {"result", "delivered"}}) == 2);
}

TEST_CASE("notifier: nothing is sent before the step is durable", "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    world.notice("page", "n1");
    world.now += 1s;
    REQUIRE(world.notifier->on_tick(world.now, world.state).has_value());
    CHECK(world.work.empty());
    world.notifier->on_committed();
    CHECK(world.work.size() == 1);
    CHECK(channel->tries.empty());
}

TEST_CASE("notifier: a delivery whose result was lost is sent again", "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    world.notice("page", "n1");
    world.tick();
    world.run_pool();
    world.remake();  // A crash before the result was taken in.
    world.round();
    CHECK(channel->delivered == Ids{"n1", "n1"});
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: tries again with growing waits until it is delivered", "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    channel->answers = {answer(Delivery::kRetry), answer(Delivery::kRetry),
                        answer(Delivery::kDelivered)};
    world.notice("page", "n1");
    world.round();
    CHECK(channel->tries.size() == 1);
    world.round(2'499ms);  // Half of the first wait is the least.
    CHECK(channel->tries.size() == 1);
    world.round(2'501ms);
    CHECK(channel->tries.size() == 2);
    world.round(4'999ms);
    CHECK(channel->tries.size() == 2);
    world.round(5'001ms);
    CHECK(channel->delivered == Ids{"n1"});
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: waits stop growing at their bound, and there is an end", "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    channel->answers = {answer(Delivery::kRetry)};
    world.notice("page", "n1");
    std::size_t tries = 0;
    for (int minute = 0; minute < 24 * 60; minute += 5) {
        world.round(5min);
        CHECK(channel->tries.size() > tries);
        tries = channel->tries.size();
    }
    CHECK_FALSE(world.state.rows.empty());
    world.round(5min);
    world.round(5min);
    CHECK(world.state.rows.empty());
    CHECK(world.is_logged("notice given up"));
    CHECK(world.is_logged("error notice reached nobody"));
    CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 1);
}

TEST_CASE("notifier: Retry-After is obeyed for the whole channel", "[notify]") {
    NotifyWorld world;
    const auto slow = world.channel("slow");
    const auto other = world.channel("other");
    slow->answers = {answer(Delivery::kRetry, 60s), answer(Delivery::kDelivered)};
    world.notice("page", "n1", "inc-1");
    world.round();
    world.notice("page", "n2", "inc-2");
    world.round(58s);
    CHECK(slow->tries.size() == 1);
    CHECK(other->delivered == Ids{"n1", "n2"});
    world.round(1s);
    world.round(1s);
    CHECK(slow->delivered == Ids{"n1", "n2"});
}

TEST_CASE("notifier: notices of one incident stay in order, other incidents do not wait",
          "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    channel->answers = {answer(Delivery::kRetry), answer(Delivery::kDelivered)};
    world.notice("page", "n1", "inc-1");
    world.round();
    world.notice("resolved", "n2", "inc-1");
    world.notice("page", "n3", "inc-2");
    world.round();
    CHECK(channel->delivered == Ids{"n3"});
    world.round(1min);
    world.round();
    CHECK(channel->delivered == Ids{"n3", "n1", "n2"});
}

TEST_CASE("notifier: a page that is rejected goes to a channel it was not meant for", "[notify]") {
    NotifyWorld world;
    const auto pager = world.channel("pager");
    const auto chat = world.channel("chat");
    chat->kinds = {"update"};
    pager->answers = {answer(Delivery::kRejected)};
    world.notice("page", "n1");
    world.round();
    world.round();
    CHECK(pager->tries == Ids{"page n1"});
    CHECK(chat->delivered == Ids{"n1"});
    CHECK(world.state.rows.empty());
    CHECK(world.is_logged("error notice rejected"));
    CHECK(world.count(metric::kFallbacks, {{"channel", "chat"}}) == 1);
    CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 0);
}

TEST_CASE("notifier: a page on a channel that does not answer goes to another one too",
          "[notify]") {
    NotifyWorld world;
    const auto pager = world.channel("pager");
    const auto chat = world.channel("chat");
    chat->kinds = {"update"};
    pager->answers = {answer(Delivery::kRetry)};
    world.notice("page", "n1");
    world.round();
    world.round(1min);
    CHECK(chat->tries.empty());
    world.round(1min);
    world.round();
    CHECK(chat->delivered == Ids{"n1"});
    // It still tries its own channel.
    pager->answers = {answer(Delivery::kDelivered)};
    world.round(10min);
    CHECK(pager->delivered == Ids{"n1"});
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: a page that no channel takes is an error and counted; an update is not one",
          "[notify]") {
    NotifyWorld world;
    const auto first = world.channel("first");
    const auto second = world.channel("second");
    first->answers = {answer(Delivery::kRejected)};
    second->answers = {answer(Delivery::kRejected)};
    world.notice("page", "n1", "inc-1");
    world.notice("update", "n2", "inc-2");
    world.round();
    world.round();
    CHECK(world.state.rows.size() == 1);  // The page is tried again later.
    CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 1);
    CHECK(world.count(metric::kLost, {{"kind", "update"}}) == 1);
    CHECK(world.is_logged("error notice reached nobody"));
    CHECK(world.is_logged("warn notice reached nobody"));
}

TEST_CASE("notifier: a page that its only channel rejects is tried until it is corrected",
          "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("only");
    channel->answers = {answer(Delivery::kRejected)};
    world.notice("page", "n1");
    for (int i = 0; i < 4; ++i) world.round(5min);
    CHECK(channel->tries.size() == 4);
    const auto lines = world.log.lines();
    CHECK(std::count_if(lines.begin(), lines.end(), [](const auto& line) {
              return line.find("error ") != std::string::npos;
          }) == 2);  // Rejected, and reached nobody: each once.
    CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 1);
    SECTION("then it is delivered, also after a restart") {
        world.remake();
        channel->answers = {answer(Delivery::kDelivered)};
        world.round(5min);
        CHECK(channel->delivered == Ids{"n1"});
        CHECK(world.state.rows.empty());
    }
    SECTION("it holds up nothing that comes later") {
        channel->answers = {answer(Delivery::kDelivered)};
        world.notice("approval", "n2");
        world.round();
        CHECK(channel->delivered == Ids{"n2"});
    }
    SECTION("a channel that is added takes it") {
        const auto fresh = world.channel("fresh");
        world.round();
        world.round();
        CHECK(fresh->delivered == Ids{"n1"});
    }
    SECTION("it does not come after the resolved") {
        channel->answers = {answer(Delivery::kDelivered)};
        world.notice("resolved", "n2");
        world.round(5min);
        world.round(5min);
        CHECK(channel->delivered == Ids{"n2"});
        CHECK(world.state.rows.empty());
    }
    SECTION("it makes room when too many are pending") {
        world.options.rows_max = 1;
        world.remake();
        channel->answers = {answer(Delivery::kDelivered)};
        world.notice("page", "n2", "inc-2");
        world.round();
        CHECK(channel->delivered == Ids{"n2"});
    }
    SECTION("it is given up after a day, and is not counted twice") {
        world.round(24h);
        world.round();
        CHECK(world.state.rows.empty());
        CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 1);
    }
    SECTION("it is given up when its channel is configured no more") {
        world.channels.clear();
        world.remake();
        world.round();
        CHECK(world.state.rows.size() == 1);
        world.round(24h);
        CHECK(world.state.rows.empty());
    }
}

TEST_CASE("notifier: an approval behind a page that is stuck goes to another channel at once",
          "[notify]") {
    NotifyWorld world;
    const auto pager = world.channel("pager");
    const auto chat = world.channel("chat");
    chat->kinds = {"none"};
    pager->answers = {answer(Delivery::kRetry)};
    world.notice("page", "n1");
    for (int i = 0; i < 4; ++i) world.round(1min);
    REQUIRE(chat->delivered == Ids{"n1"});
    world.notice("update", "n2");
    world.notice("approval", "n3");
    world.round();
    world.round();
    CHECK(chat->delivered == Ids{"n1", "n3"});
    // Its own channel still takes all of them, in order.
    pager->answers = {answer(Delivery::kDelivered)};
    for (int i = 0; i < 4; ++i) world.round(5min);
    CHECK(pager->delivered == Ids{"n1", "n2", "n3"});
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: a page for a channel that asked for a long pause goes to another at once",
          "[notify]") {
    NotifyWorld world;
    const auto pager = world.channel("pager");
    const auto chat = world.channel("chat");
    chat->kinds = {"none"};
    const auto pause = GENERATE(60s, 1h);
    pager->answers = {answer(Delivery::kRetry, pause), answer(Delivery::kDelivered)};
    world.notice("update", "n1", "inc-1");
    world.round();
    world.notice("page", "n2", "inc-2");
    world.round();
    world.round();
    CHECK(chat->delivered == (pause > 60s ? Ids{"n2"} : Ids{}));
    CHECK(pager->tries.size() == 1);
    world.round(pause);
    CHECK(pager->delivered == Ids{"n1", "n2"});
}

TEST_CASE("notifier: without any channel a page is an error, an update is nothing", "[notify]") {
    NotifyWorld world;
    world.notice("update", "n1");
    CHECK(world.log.lines().empty());
    world.notice("page", "n2");
    CHECK(world.is_logged("error notice reached nobody"));
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: when too many are pending, updates make room for pages", "[notify]") {
    NotifyWorld world;
    world.options.rows_max = 3;
    const auto channel = world.channel("first");
    world.notice("page", "n1", "inc-1");
    world.notice("update", "n2", "inc-2");
    world.notice("page", "n3", "inc-3");
    world.notice("update", "n4", "inc-4");  // Dropped itself.
    world.notice("page", "n5", "inc-5");    // Takes the place of n2.
    world.notice("page", "n6", "inc-6");    // Finds none.
    world.round();
    CHECK(channel->delivered == Ids{"n1", "n3", "n5"});
    CHECK(world.count(metric::kDropped, {{"kind", "update"}}) == 2);
    CHECK(world.count(metric::kDropped, {{"kind", "page"}}) == 1);
    CHECK(world.count(metric::kLost, {{"kind", "page"}}) == 1);
}

TEST_CASE("notifier: what the pool has no room for is sent at the next tick, without penalty",
          "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    world.work_max = 0;
    world.notice("page", "n1");
    for (int i = 0; i < 10; ++i) world.tick();
    CHECK(world.metrics.counter(metric::kPoolFull).value() == 10);
    world.work_max = 1;
    world.round();
    CHECK(channel->delivered == Ids{"n1"});
}

TEST_CASE("notifier: work that the pool drops is chosen again", "[notify]") {
    NotifyWorld world;
    const auto channel = world.channel("first");
    world.notice("page", "n1");
    world.tick();
    world.work.clear();
    world.tick();
    world.run_pool();
    CHECK(channel->delivered == Ids{"n1"});
}

TEST_CASE("notifier: no more than the bound is on its way at once", "[notify]") {
    NotifyWorld world;
    world.options.in_flight_max = 2;
    const auto channel = world.channel("first");
    for (int i = 0; i < 5; ++i) {
        world.notice("page", "n" + std::to_string(i), "inc-" + std::to_string(i));
    }
    world.tick();
    CHECK(world.work.size() == 2);
    world.run_pool();
    world.round();
    world.round();
    CHECK(channel->delivered.size() == 5);
}

TEST_CASE("notifier: a notice for a channel that is configured no more goes to another one",
          "[notify]") {
    NotifyWorld world;
    const auto gone = world.channel("gone");
    world.notice("page", "n1");
    world.channels.clear();
    const auto fresh = world.channel("fresh");
    world.round();
    world.round();
    CHECK(gone->tries.empty());
    CHECK(fresh->delivered == Ids{"n1"});
    CHECK(world.state.rows.empty());
}

TEST_CASE("notifier: a damaged row is an error of the state", "[notify]") {
    NotifyWorld world;
    world.channel("first");
    world.state.rows["notice/00000000000000000001/n1"] = "{}";
    const auto status = world.notifier->on_tick(world.now, world.state);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().kind == ErrorKind::kCorrupt);
}
