#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "responders/notify/channels.h"

// What the channels share. Only they include this.
namespace vigie::notify {

// Where and how a channel posts.
struct Target {
    ChannelOptions channel;
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> secrets;  // Never shown, besides the URL and its path
};

// kInvalid, without showing it, when the URL or a header cannot be used.
Status check(const Target& target);

// Posts JSON. 2xx is delivered; 408, 429, 5xx and no answer are worth another try; the rest,
// redirects included, is rejected for good.
Sent post(const Target& target, std::string body,
          std::vector<std::pair<std::string, std::string>> headers, const Clock& clock,
          const std::stop_token& stop);

// Retry-After (RFC 9110, 10.2.3): seconds, or a date that is compared with `now`. At most one
// hour; nullopt for anything else.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text, WallTime now);

// True when `kinds` is empty or has `kind`.
bool has_kind(const std::vector<std::string>& kinds, std::string_view kind);

// At most `bytes_max` bytes, cut before a character, with "…" at the end when cut; line ends stay.
std::string cut(std::string_view text, std::size_t bytes_max);

}  // namespace vigie::notify
