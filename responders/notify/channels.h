#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "responders/notify/channel.h"

// The channels there are. Each is kInvalid, naming the channel and never its secret, for a URL
// or key that cannot be used. `clock` (for dates in Retry-After) must outlive the channel.
namespace vigie::notify {

// What every channel has.
struct ChannelOptions {
    std::string name;
    std::vector<std::string> kinds;  // Of notices; empty: all that make sense there
    std::chrono::milliseconds timeout{10'000};
    std::string ca_file;
};

// A Slack incoming webhook. Its URL is a secret: who has it can post.
// https://api.slack.com/messaging/webhooks
struct SlackOptions {
    ChannelOptions channel{.name = "slack", .kinds = {}, .ca_file = {}};
    std::string url;
};
Result<std::shared_ptr<const Channel>> make_slack(SlackOptions options, const Clock& clock);

// PagerDuty Events API v2. The incident's id is the dedup_key, so that one incident here is one
// incident there: pages and approvals trigger it, an update of an owned incident acknowledges
// it, "resolved" resolves it. Other updates do not go there.
// https://developer.pagerduty.com/docs/events-api-v2/overview/
struct PagerDutyOptions {
    ChannelOptions channel{.name = "pagerduty", .kinds = {}, .ca_file = {}};
    std::string routing_key;  // Secret
    std::string url = "https://events.pagerduty.com/v2/enqueue";
    std::string source = "vigie";  // Shown there as the place it comes from
};
Result<std::shared_ptr<const Channel>> make_pagerduty(PagerDutyOptions options, const Clock& clock);

// Posts the message as JSON (README.md) to any URL. With a secret the header
// X-Vigie-Signature-256 is "sha256=" and the HMAC-SHA256 of the body in hex, as GitHub signs.
struct WebhookOptions {
    ChannelOptions channel{.name = "webhook", .kinds = {}, .ca_file = {}};
    std::string url;                                           // May hold a secret: never shown
    std::string secret;                                        // Empty: not signed
    std::vector<std::pair<std::string, std::string>> headers;  // Values are secrets
};
Result<std::shared_ptr<const Channel>> make_webhook(WebhookOptions options, const Clock& clock);

}  // namespace vigie::notify
