#include <fmt/format.h>

#include "responders/notify/channels.h"
#include "responders/notify/post.h"
#include "schemas/json.h"

namespace vigie::notify {

namespace {

using schemas::Json;

constexpr std::size_t kSummaryBytesMax = 1'024;
constexpr std::size_t kDetailBytesMax = 8'000;

class PagerDutyChannel final : public Channel {
public:
    PagerDutyChannel(Target target, std::string routing_key, std::string source, const Clock& clock)
        : target_(std::move(target)),
          routing_key_(std::move(routing_key)),
          source_(std::move(source)),
          clock_(clock) {}

    std::string_view name() const override { return target_.channel.name; }
    bool wants(const Message& message) const override {
        return has_kind(target_.channel.kinds, message.kind) && can_carry(message);
    }
    bool can_carry(const Message& message) const override { return !action_of(message).empty(); }

    Sent send(const Message& message, const std::stop_token& stop) const override {
        return post(target_, body(message), {}, clock_, stop);
    }

private:
    // "" when the message says nothing that PagerDuty has a word for.
    static std::string_view action_of(const Message& message) {
        if (is_urgent(message)) return "trigger";
        if (message.kind == "resolved") return "resolve";
        if (message.kind == "update" && !message.owner.empty()) return "acknowledge";
        return "";
    }

    std::string body(const Message& message) const {
        const auto action = action_of(message);
        Json value{{"routing_key", routing_key_},
                   {"event_action", std::string(action)},
                   {"dedup_key", message.incident.value}};
        if (action == "trigger") {
            value["payload"] = {
                {"summary", cut(message.title + ": " + message.text, kSummaryBytesMax)},
                {"source", source_},
                // Their four severities have ours among them.
                {"severity", std::string(schemas::to_string(message.severity))},
                {"timestamp", to_rfc3339(message.at)},
                {"custom_details",
                 {{"notice", message.id},
                  {"kind", message.kind},
                  {"state", message.state},
                  {"text", cut(message.text, kDetailBytesMax)}}}};
            value["client"] = "Vigie";
            if (!message.link.empty()) value["client_url"] = message.link;
        }
        return schemas::dump_json(value);
    }

    const Target target_;
    const std::string routing_key_;
    const std::string source_;
    const Clock& clock_;
};

}  // namespace

Result<std::shared_ptr<const Channel>> make_pagerduty(PagerDutyOptions options,
                                                      const Clock& clock) {
    Target target{.channel = std::move(options.channel),
                  .url = std::move(options.url),
                  .headers = {},
                  .secrets = {options.routing_key}};
    VIGIE_TRY(check(target));
    if (options.routing_key.empty() || options.source.empty()) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("notification channel '{}': it needs a routing key and a source",
                                target.channel.name));
    }
    return std::make_shared<const PagerDutyChannel>(
        std::move(target), std::move(options.routing_key), std::move(options.source), clock);
}

}  // namespace vigie::notify
