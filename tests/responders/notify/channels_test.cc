#include "responders/notify/channels.h"

#include <catch2/catch.hpp>

#include "core/system_clock.h"
#include "http/client.h"
#include "responders/notify/post.h"
#include "schemas/json.h"
#include "tests/support/process.h"

using namespace vigie;
using namespace vigie::notify;
using namespace std::chrono_literals;
using schemas::Json;
using vigie::test::Standin;

namespace {

constexpr const char* kSlackPath = "/services/T000/B000/hunter2hunter2";

struct Receiver {
    explicit Receiver(std::vector<std::string> arguments = {})
        : server("webhooks.py", std::move(arguments)) {}

    std::string ask(const std::string& method, const std::string& target,
                    const std::string& body = {}) const {
        const auto response = http::send(
            {.method = method, .url = server.url() + target, .headers = {}, .body = body}, {});
        REQUIRE(response.has_value());
        REQUIRE(response->status == 200);
        return response->body;
    }
    void control(const std::string& order) const { ask("POST", "/_control", order); }
    // The body of the last request.
    Json last() const {
        const auto requests = schemas::parse_json(ask("GET", "/_requests"));
        REQUIRE(requests.has_value());
        REQUIRE_FALSE(requests->empty());
        const auto body =
            schemas::parse_json(schemas::string_at(requests->back(), "/body").value_or(""));
        REQUIRE(body.has_value());
        return *body;
    }
    void check_no_violations() const {
        const auto answer = ask("GET", "/_violations");
        INFO(answer);
        CHECK(answer.find("\"count\": 0") != std::string::npos);
    }

    std::shared_ptr<const Channel> slack() const {
        SlackOptions options;
        options.url = server.url() + kSlackPath;
        auto channel = make_slack(options, clock);
        REQUIRE(channel.has_value());
        return *channel;
    }
    std::shared_ptr<const Channel> pagerduty(const std::string& key = "hunter2hunter2") const {
        PagerDutyOptions options;
        options.url = server.url() + "/v2/enqueue";
        options.routing_key = key;
        auto channel = make_pagerduty(options, clock);
        REQUIRE(channel.has_value());
        return *channel;
    }
    std::shared_ptr<const Channel> webhook(const std::string& secret = {}) const {
        WebhookOptions options;
        options.url = server.url() + "/hook?key=hunter2hunter2";
        options.secret = secret;
        auto channel = make_webhook(options, clock);
        REQUIRE(channel.has_value());
        return *channel;
    }

    SystemClock clock;
    Standin server;
};

Message page() {
    return {.id = "notice-1",
            .kind = "page",
            .text = "p99 of checkout is 4 s <!channel> & rising\nsince <http://x|1.5.0>",
            .incident = {"inc-000000000001"},
            .title = "checkout is <slow>",
            .severity = schemas::Severity::kCritical,
            .state = "awaiting_approval",
            .owner = {},
            .link = "https://vigie.example.org/#/incidents/inc-000000000001",
            .at = event_time_from_micros(1'795'000'000'000'000)};
}

}  // namespace

TEST_CASE("slack: text from outside cannot address people or hide links", "[notify]") {
    const Receiver receiver;
    CHECK(receiver.slack()->send(page(), {}).delivery == Delivery::kDelivered);
    const auto body = receiver.last();
    const auto text = schemas::string_at(body, "/blocks/0/text/text").value_or("");
    CHECK(text ==
          "*page: checkout is &lt;slow&gt;*\np99 of checkout is 4 s &lt;!channel&gt; &amp; rising\n"
          "since &lt;http://x|1.5.0&gt;");
    CHECK(schemas::string_at(body, "/blocks/1/elements/0/text")
              ->find("<https://vigie.example.org/#/incidents/inc-000000000001|open>") !=
          std::string::npos);
    receiver.check_no_violations();
}

TEST_CASE("slack: a text too long is cut, also when escaping makes it longer", "[notify]") {
    const Receiver receiver;
    auto message = page();
    message.text = std::string(20'000, '<');
    message.title = std::string(1'000, '&');
    CHECK(receiver.slack()->send(message, {}).delivery == Delivery::kDelivered);
    message.text.clear();
    for (int i = 0; i < 2'000; ++i) message.text += "é";
    CHECK(receiver.slack()->send(message, {}).delivery == Delivery::kDelivered);
    receiver.check_no_violations();
}

TEST_CASE("slack: its URL is in no error", "[notify]") {
    const Receiver receiver;
    receiver.control(
        R"({"status": 404, "body": "no_service at /services/T000/B000/hunter2hunter2"})");
    const auto sent = receiver.slack()->send(page(), {});
    CHECK(sent.delivery == Delivery::kRejected);
    CHECK(sent.reason == "slack answered 404: no_service at ***");

    SystemClock clock;
    SlackOptions options;
    options.url = std::string("http://127.0.0.1:1") + kSlackPath;
    const auto gone = make_slack(options, clock);
    REQUIRE(gone.has_value());
    const auto unreachable = (*gone)->send(page(), {});
    CHECK(unreachable.delivery == Delivery::kRetry);
    CHECK_FALSE(unreachable.reason.empty());
    CHECK(unreachable.reason.find("hunter2") == std::string::npos);

    options.url = std::string("slack://") + kSlackPath;
    const auto bad = make_slack(options, clock);
    REQUIRE_FALSE(bad.has_value());
    CHECK(bad.error().message.find("hunter2") == std::string::npos);
}

TEST_CASE("pagerduty: one incident here is one incident there", "[notify]") {
    const Receiver receiver({"--routing-key", "hunter2hunter2"});
    const auto channel = receiver.pagerduty();
    auto message = page();
    CHECK(channel->send(message, {}).delivery == Delivery::kDelivered);
    auto body = receiver.last();
    CHECK(schemas::string_at(body, "/event_action") == "trigger");
    CHECK(schemas::string_at(body, "/dedup_key") == "inc-000000000001");
    CHECK(schemas::string_at(body, "/payload/severity") == "critical");
    CHECK(schemas::string_at(body, "/payload/timestamp") == to_rfc3339(message.at));

    message.kind = "update";
    CHECK_FALSE(channel->wants(message));
    message.owner = "dana";
    REQUIRE(channel->wants(message));
    CHECK(channel->send(message, {}).delivery == Delivery::kDelivered);
    CHECK(schemas::string_at(receiver.last(), "/event_action") == "acknowledge");

    message.kind = "resolved";
    CHECK(channel->send(message, {}).delivery == Delivery::kDelivered);
    body = receiver.last();
    CHECK(schemas::string_at(body, "/event_action") == "resolve");
    CHECK(schemas::string_at(body, "/dedup_key") == "inc-000000000001");
    receiver.check_no_violations();
}

TEST_CASE("pagerduty: severities and long texts are as it wants them", "[notify]") {
    const Receiver receiver;
    auto message = page();
    message.title = std::string(3'000, 'x');
    for (const auto severity :
         {schemas::Severity::kInfo, schemas::Severity::kWarning, schemas::Severity::kCritical}) {
        message.severity = severity;
        CHECK(receiver.pagerduty()->send(message, {}).delivery == Delivery::kDelivered);
    }
    receiver.check_no_violations();
}

TEST_CASE("pagerduty: a wrong routing key is rejected, and not shown", "[notify]") {
    const Receiver receiver({"--routing-key", "the-right-one"});
    const auto sent = receiver.pagerduty()->send(page(), {});
    CHECK(sent.delivery == Delivery::kRejected);
    CHECK(sent.reason.find("Invalid routing key") != std::string::npos);
    CHECK(sent.reason.find("hunter2") == std::string::npos);
    SystemClock clock;
    CHECK_FALSE(make_pagerduty({}, clock).has_value());
}

TEST_CASE("webhook: is signed, and says all there is", "[notify]") {
    const Receiver receiver({"--secret", "a secret of ours"});
    CHECK(receiver.webhook("a secret of ours")->send(page(), {}).delivery == Delivery::kDelivered);
    receiver.check_no_violations();
    const auto body = receiver.last();
    CHECK(schemas::string_at(body, "/id") == "notice-1");
    CHECK(schemas::string_at(body, "/incident/id") == "inc-000000000001");
    CHECK(schemas::string_at(body, "/incident/severity") == "critical");
    CHECK(schemas::string_at(body, "/text") == page().text);
    CHECK(receiver.webhook("another")->send(page(), {}).delivery == Delivery::kRejected);
}

TEST_CASE("channels: what a status means for another try", "[notify]") {
    const Receiver receiver;
    const auto [status, delivery] = GENERATE(table<int, Delivery>({{302, Delivery::kRejected},
                                                                   {400, Delivery::kRejected},
                                                                   {403, Delivery::kRejected},
                                                                   {408, Delivery::kRetry},
                                                                   {429, Delivery::kRetry},
                                                                   {500, Delivery::kRetry},
                                                                   {503, Delivery::kRetry}}));
    receiver.control(R"({"headers": {"Retry-After": "17"}, "status": )" + std::to_string(status) +
                     "}");
    const auto sent = receiver.webhook()->send(page(), {});
    CHECK(sent.delivery == delivery);
    CHECK(sent.retry_after == (delivery == Delivery::kRetry
                                   ? std::optional<std::chrono::milliseconds>(17s)
                                   : std::nullopt));
}

TEST_CASE("channels: a dropped connection and a timeout are worth another try", "[notify]") {
    const Receiver receiver;
    receiver.control(R"({"drop": "after"})");
    CHECK(receiver.webhook()->send(page(), {}).delivery == Delivery::kRetry);
    WebhookOptions options;
    options.url = receiver.server.url() + "/hook";
    options.channel.timeout = 200ms;
    SystemClock clock;
    const auto channel = make_webhook(options, clock);
    REQUIRE(channel.has_value());
    receiver.control(R"({"delay_ms": 1500})");
    CHECK((*channel)->send(page(), {}).delivery == Delivery::kRetry);
}

TEST_CASE("channels: options that cannot work are refused without showing them", "[notify]") {
    SystemClock clock;
    WebhookOptions options;
    options.url = "https://example.org/hunter2";
    const auto refused = [&clock](const WebhookOptions& wrong) {
        const auto channel = make_webhook(wrong, clock);
        REQUIRE_FALSE(channel.has_value());
        CHECK(channel.error().message.find("hunter2") == std::string::npos);
        return channel.error().kind == ErrorKind::kInvalid;
    };
    CHECK(make_webhook(options, clock).has_value());
    auto wrong = options;
    wrong.url = "example.org/hunter2";
    CHECK(refused(wrong));
    wrong = options;
    wrong.headers = {{"X-Key", "hunter2\r\nX-Other: 1"}};
    CHECK(refused(wrong));
    wrong = options;
    wrong.channel.kinds = {"pages"};
    CHECK(refused(wrong));
    wrong = options;
    wrong.channel.name.clear();
    CHECK(refused(wrong));
}

TEST_CASE("Retry-After: seconds, dates, and nonsense", "[notify]") {
    const WallTime now{std::chrono::sys_days{std::chrono::year{1994} / 11 / 6} + 8h + 49min + 7s};
    CHECK(parse_retry_after("0", now) == 0ms);
    CHECK(parse_retry_after("120", now) == 120s);
    CHECK(parse_retry_after("3600", now) == 1h);
    CHECK(parse_retry_after("3601", now) == 1h);
    CHECK(parse_retry_after("99999999999999999999", now) == 1h);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) == 30s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now) == 0ms);
    CHECK(parse_retry_after("Sun, 06 Nov 2094 08:49:00 GMT", now) == 1h);
    for (const auto* bad : {"", "soon", "-1", "1.5", " 1", "Sun, 31 Feb 1994 08:49:37 GMT",
                            "Sun, 06 Nov 1994 24:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                            "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"}) {
        CHECK_FALSE(parse_retry_after(bad, now).has_value());
    }
}

TEST_CASE("cut: never inside a character, and says that it did", "[notify]") {
    CHECK(cut("abc", 3) == "abc");
    CHECK(cut("abcdef", 5) == "ab…");
    CHECK(cut("aéé", 4) == "a…");
    CHECK(cut("a\nb", 3) == "a\nb");
}
