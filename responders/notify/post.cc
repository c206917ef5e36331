#include "responders/notify/post.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/redact.h"
#include "http/client.h"

namespace vigie::notify {

namespace {

constexpr std::chrono::hours kRetryAfterMax{1};
constexpr std::size_t kReasonBytesMax = 200;

std::string clean(const Target& target, std::string_view text) {
    auto secrets = target.secrets;
    secrets.push_back(target.url);
    if (const auto url = http::parse_url(target.url); url && url->target.size() > 1) {
        secrets.push_back(url->target);
    }
    for (const auto& [name, value] : target.headers) secrets.push_back(value);
    return one_line(redact(text, secrets), kReasonBytesMax);
}

std::optional<int> number(std::string_view text) {
    int value = 0;
    if (text.empty() || text.size() > 6) return std::nullopt;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<WallTime> parse_http_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    constexpr std::size_t kLength = 29;
    if (text.size() != kLength || text.substr(3, 2) != ", " || text.substr(25) != " GMT" ||
        text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' ||
        text[22] != ':') {
        return std::nullopt;
    }
    const auto day = number(text.substr(5, 2));
    const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
    const auto year = number(text.substr(12, 4));
    const auto hour = number(text.substr(17, 2));
    const auto minute = number(text.substr(20, 2));
    const auto second = number(text.substr(23, 2));
    if (!day || month == kMonths.end() || !year || !hour || !minute || !second || *hour > 23 ||
        *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{
        std::chrono::year{*year},
        std::chrono::month{static_cast<unsigned>(month - kMonths.begin() + 1)},
        std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} +
           std::chrono::minutes{*minute} + std::chrono::seconds{*second};
}

}  // namespace

Status check(const Target& target) {
    const auto wrong = [&target](std::string_view what) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("notification channel '{}': {}", target.channel.name, what));
    };
    if (target.channel.name.empty()) return wrong("it has no name");
    if (!http::parse_url(target.url)) return wrong("its URL is not an http or https URL");
    for (const auto& [name, value] : target.headers) {
        if (name.empty() || value.find_first_of("\r\n") != std::string::npos) {
            return wrong("one of its headers cannot be sent");
        }
    }
    for (const auto& kind : target.channel.kinds) {
        constexpr std::array<std::string_view, 4> kKinds{"page", "approval", "update", "resolved"};
        if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
            return wrong(fmt::format("there is no kind of notice '{}'", one_line(kind, 50)));
        }
    }
    return {};
}

Sent post(const Target& target, std::string body,
          std::vector<std::pair<std::string, std::string>> headers, const Clock& clock,
          const std::stop_token& stop) {
    http::ClientRequest request{
        .method = "POST", .url = target.url, .headers = target.headers, .body = std::move(body)};
    request.headers.emplace_back("Content-Type", "application/json");
    request.headers.emplace_back("User-Agent", "Vigie");
    for (auto& header : headers) request.headers.push_back(std::move(header));
    http::ClientOptions options;
    options.total_timeout = target.channel.timeout;
    options.connect_timeout = std::min(options.connect_timeout, options.total_timeout);
    options.ca_file = target.channel.ca_file;
    options.body_bytes_max = 64 * 1024;
    const auto response = http::send(request, options, stop);
    if (!response) {
        const auto& error = response.error().error;
        return {
            .delivery = error.kind == ErrorKind::kInvalid ? Delivery::kRejected : Delivery::kRetry,
            .reason = clean(target, error.message),
            .retry_after = std::nullopt};
    }
    const int status = response->status;
    if (status >= 200 && status < 300)
        return {.delivery = Delivery::kDelivered, .reason = {}, .retry_after = {}};
    const bool again = status == 408 || status == 429 || status >= 500;
    Sent sent{.delivery = again ? Delivery::kRetry : Delivery::kRejected,
              .reason = fmt::format("{} answered {}{}", target.channel.name, status,
                                    status < 400 ? ", and redirects are not followed" : ""),
              .retry_after = std::nullopt};
    if (!response->body.empty()) sent.reason += ": " + clean(target, response->body);
    if (again) {
        sent.retry_after = parse_retry_after(response->header("retry-after"), clock.wall());
    }
    return sent;
}

std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text, WallTime now) {
    constexpr auto kMax = std::chrono::milliseconds{kRetryAfterMax};
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
        const auto seconds = number(text);
        return seconds ? std::min<std::chrono::milliseconds>(std::chrono::seconds{*seconds}, kMax)
                       : kMax;
    }
    const auto date = parse_http_date(text);
    if (!date) return std::nullopt;
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*date - now);
    return std::clamp(wait, std::chrono::milliseconds{0}, kMax);
}

bool is_urgent(const Message& message) {
    return message.kind == "page" || message.kind == "approval";
}

bool has_kind(const std::vector<std::string>& kinds, std::string_view kind) {
    return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::string cut(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view kMark = "…";
    if (text.size() <= bytes_max) return std::string(text);
    auto end = bytes_max - std::min(bytes_max, kMark.size());
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return std::string(text.substr(0, end)).append(kMark);
}

}  // namespace vigie::notify
