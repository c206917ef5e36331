#include <fmt/format.h>

#include "responders/notify/channels.h"
#include "responders/notify/post.h"
#include "schemas/json.h"

namespace vigie::notify {

namespace {

using schemas::Json;

// Slack allows 3,000 characters in a section; escaping may lengthen what is cut before it.
constexpr std::size_t kTitleBytesMax = 300;
constexpr std::size_t kTextBytesMax = 2'400;
constexpr std::size_t kSectionBytesMax = 2'990;

// What is not escaped could address people or hide links: "<!channel>", "<http://…|text>".
std::string escape(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            default: out += c;
        }
    }
    return out;
}

// Escaped text cut to a length, never inside an entity.
std::string escape_within(std::string_view text, std::size_t bytes_max) {
    auto room = bytes_max;
    auto out = escape(cut(text, room));
    while (out.size() > bytes_max && room > 0) {
        room -= std::min(room, out.size() - bytes_max);
        out = escape(cut(text, room));
    }
    return out;
}

class SlackChannel final : public Channel {
public:
    SlackChannel(Target target, const Clock& clock) : target_(std::move(target)), clock_(clock) {}

    std::string_view name() const override { return target_.channel.name; }
    bool wants(const Message& message) const override {
        return has_kind(target_.channel.kinds, message.kind);
    }
    bool can_carry(const Message&) const override { return true; }

    Sent send(const Message& message, const std::stop_token& stop) const override {
        return post(target_, body(message), {}, clock_, stop);
    }

private:
    static std::string body(const Message& message) {
        const auto title = fmt::format("*{}: {}*", escape(message.kind),
                                       escape_within(message.title, kTitleBytesMax));
        const auto text = escape_within(message.text, kTextBytesMax);
        auto footer = fmt::format("{} · {} · {}", escape(message.incident.value),
                                  schemas::to_string(message.severity), escape(message.state));
        if (!message.owner.empty()) footer += " · " + escape_within(message.owner, 100);
        if (!message.link.empty()) footer += fmt::format(" · <{}|open>", escape(message.link));
        const Json section{
            {"type", "section"},
            {"text", {{"type", "mrkdwn"}, {"text", cut(title + "\n" + text, kSectionBytesMax)}}}};
        const Json context{{"type", "context"},
                           {"elements", Json::array({Json{{"type", "mrkdwn"}, {"text", footer}}})}};
        // "text" is what notifications and old clients show.
        const Json value{{"text", cut(title + " " + text, kSectionBytesMax)},
                         {"blocks", Json::array({section, context})}};
        return schemas::dump_json(value);
    }

    const Target target_;
    const Clock& clock_;
};

}  // namespace

Result<std::shared_ptr<const Channel>> make_slack(SlackOptions options, const Clock& clock) {
    Target target{.channel = std::move(options.channel),
                  .url = std::move(options.url),
                  .headers = {},
                  .secrets = {}};
    VIGIE_TRY(check(target));
    return std::make_shared<const SlackChannel>(std::move(target), clock);
}

}  // namespace vigie::notify
