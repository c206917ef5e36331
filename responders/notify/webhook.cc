#include "http/signature.h"
#include "responders/notify/channels.h"
#include "responders/notify/post.h"
#include "schemas/json.h"

namespace vigie::notify {

namespace {

using schemas::Json;

class WebhookChannel final : public Channel {
public:
    WebhookChannel(Target target, std::string secret, const Clock& clock)
        : target_(std::move(target)), secret_(std::move(secret)), clock_(clock) {}

    std::string_view name() const override { return target_.channel.name; }
    bool wants(const Message& message) const override {
        return has_kind(target_.channel.kinds, message.kind);
    }
    bool can_carry(const Message&) const override { return true; }

    Sent send(const Message& message, const std::stop_token& stop) const override {
        const Json value{{"type", "io.vigie.notice.v1"},
                         {"id", message.id},
                         {"kind", message.kind},
                         {"text", message.text},
                         {"time", to_rfc3339(message.at)},
                         {"incident",
                          {{"id", message.incident.value},
                           {"title", message.title},
                           {"severity", std::string(schemas::to_string(message.severity))},
                           {"state", message.state},
                           {"owner", message.owner},
                           {"url", message.link}}}};
        auto body = schemas::dump_json(value);
        std::vector<std::pair<std::string, std::string>> headers{{"X-Vigie-Delivery", message.id}};
        if (!secret_.empty()) {
            headers.emplace_back("X-Vigie-Signature-256",
                                 "sha256=" + http::hmac_sha256_hex(secret_, body));
        }
        return post(target_, std::move(body), std::move(headers), clock_, stop);
    }

private:
    const Target target_;
    const std::string secret_;
    const Clock& clock_;
};

}  // namespace

Result<std::shared_ptr<const Channel>> make_webhook(WebhookOptions options, const Clock& clock) {
    Target target{.channel = std::move(options.channel),
                  .url = std::move(options.url),
                  .headers = std::move(options.headers),
                  .secrets = {options.secret}};
    VIGIE_TRY(check(target));
    return std::make_shared<const WebhookChannel>(std::move(target), std::move(options.secret),
                                                  clock);
}

}  // namespace vigie::notify
