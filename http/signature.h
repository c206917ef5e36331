#pragma once

#include <array>
#include <string>
#include <string_view>

namespace vigie::http {

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);  // Lower case
std::string sha256_hex(std::string_view bytes);                             // Lower case

// True when equal; takes the same time wherever they differ.
bool equal_constant_time(std::string_view a, std::string_view b);

// GitHub's X-Hub-Signature-256: "sha256=" and the HMAC-SHA256 of the body in hex.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
bool github_signature_valid(std::string_view secret, std::string_view body,
                            std::string_view header);

}  // namespace vigie::http
