#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace vigie::http {

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);  // Lower case
std::string sha256_hex(std::string_view bytes);                             // Lower case

std::string hmac_sha256_base64(std::string_view key, std::string_view bytes);  // RFC 4648, padded

std::string encode_base64(std::string_view bytes);  // RFC 4648, padded
// nullopt for what is not base64 (RFC 4648, section 4, padded or not).
std::optional<std::string> decode_base64(std::string_view text);

// True when equal; takes the same time wherever they differ.
bool equal_constant_time(std::string_view a, std::string_view b);

// GitHub's X-Hub-Signature-256: "sha256=" and the HMAC-SHA256 of the body in hex.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
bool github_signature_valid(std::string_view secret, std::string_view body,
                            std::string_view header);

// PagerDuty's X-PagerDuty-Signature: "v1=" and the HMAC-SHA256 of the body in hex, several of them
// with commas while a secret is being changed. Any one that matches counts.
// https://developer.pagerduty.com/docs/webhooks-v3-overview
bool pagerduty_signature_valid(std::string_view secret, std::string_view body,
                               std::string_view header);

// The headers of the Standard Webhooks specification, which GitLab sends beside its token.
struct StandardWebhook {
    std::string_view id;         // webhook-id
    std::string_view timestamp;  // webhook-timestamp: seconds since 1970
    std::string_view signature;  // webhook-signature: "v1," and base64, several with blanks
};
// `secret` as it is shown: "whsec_" and base64, or any text. A timestamp further from `now`
// (seconds since 1970) than `age_max` is refused, so that a delivery cannot be replayed later.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
bool standard_webhook_valid(std::string_view secret, std::string_view body,
                            const StandardWebhook& headers, std::chrono::seconds now,
                            std::chrono::seconds age_max);

// The secret that an Authorization header carries: the token of "Bearer …", or the password of
// "Basic …", because many programs can send no other. nullopt when it has neither.
std::optional<std::string> authorization_secret(std::string_view header);

// Whether the header carries `token`, in constant time. An empty `token` asks for nothing.
bool authorized(std::string_view token, std::string_view header);

}  // namespace vigie::http
