#include "http/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/client.h"

namespace vigie::http {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
constexpr std::string_view kUnreservedMarks = "-._~";

bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_visible(char c) {
    return c > ' ' && c != '\x7f';  // Bytes above 0x7f are negative, thus refused.
}

// Sent on the request line as it is, so it must be one word of visible ASCII.
bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return is_visible(c); });
}

bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
        return is_alnum(c) || c == '-' || c == '.' || c == '_';
    });
}

bool is_host6(std::string_view text) {
    return text.contains(':') && std::ranges::all_of(text, [](char c) {
               return hex_digit(c) >= 0 || c == ':' || c == '.';
           });
}

std::optional<std::string> decode_query_part(std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '+', ' ');
    return percent_decode(spaced);
}

bool parse_query(std::string_view text, Target& target) {
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto part = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (part.empty()) continue;
        const auto equals = std::min(part.find('='), part.size());
        auto key = decode_query_part(part.substr(0, equals));
        auto value = decode_query_part(part.substr(std::min(equals + 1, part.size())));
        if (!key || !value) return false;
        target.query.emplace_back(*std::move(key), *std::move(value));
    }
    return true;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') return std::nullopt;
        out.push_back(c);
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_alnum(c) || kUnreservedMarks.contains(c)) {
            out.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(kHex[byte >> 4U]);
        out.push_back(kHex[byte & 15U]);
    }
    return out;
}

std::optional<Target> parse_target(std::string_view text) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!text.starts_with(scheme)) continue;
        text.remove_prefix(scheme.size());
        const auto slash = text.find_first_of("/?#");
        if (slash == 0) return std::nullopt;
        text = slash == std::string_view::npos ? "/" : text.substr(slash);
        break;
    }
    if (text == "*") return Target{"*", {}, "*"};
    // A fragment is never sent; a client that sends one is confused about where the path ends.
    if (!text.starts_with('/') || text.contains('#')) return std::nullopt;
    const bool has_control = std::ranges::any_of(
        text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
    if (has_control) return std::nullopt;

    Target target;
    target.raw = text;
    const auto question = std::min(text.find('?'), text.size());
    auto path = percent_decode(text.substr(0, question));
    if (!path) return std::nullopt;
    target.path = *std::move(path);
    if (!parse_query(text.substr(std::min(question + 1, text.size())), target)) {
        return std::nullopt;
    }
    return target;
}

bool is_token(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || kTokenMarks.contains(c); });
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

bool is_header_value(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

Result<Url> parse_url(std::string_view text) {
    // A URL may hold a token in its query: messages name the part at fault, never the whole.
    Url url;
    std::string_view rest = text;
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
        url.tls = true;
    } else {
        return fail(ErrorKind::kInvalid, "URL does not start with http:// or https://");
    }
    if (!is_visible(rest)) {
        return fail(ErrorKind::kInvalid,
                    "URL has a blank, control or non-ASCII character: percent-encode it");
    }
    const auto authority = rest.substr(0, rest.find_first_of("/?#"));
    rest.remove_prefix(authority.size());
    rest = rest.substr(0, rest.find('#'));
    if (authority.contains('@')) {
        return fail(ErrorKind::kInvalid, "URL has a user name in it: use a header instead");
    }

    std::string_view host = authority;
    std::string_view after;
    bool host_valid = false;
    if (authority.starts_with('[')) {
        const auto close = std::min(authority.find(']'), authority.size());
        host = authority.substr(1, close - 1);
        after = authority.substr(std::min(close + 1, authority.size()));
        host_valid = close != authority.size() && is_host6(host);
    } else {
        host = authority.substr(0, authority.find(':'));
        after = authority.substr(host.size());
        host_valid = is_host(host);
    }
    if (!host_valid) {
        return fail(ErrorKind::kInvalid, fmt::format("URL host '{}' is not a name", host));
    }
    url.host = host;
    url.port = url.tls ? "443" : "80";
    if (!after.empty()) {
        if (!after.starts_with(':') || !is_port(after.substr(1))) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("URL port of host '{}' is not a number from 1 to 65535", host));
        }
        url.port = after.substr(1);
    }
    if (!rest.starts_with('/')) url.target = "/";
    url.target += rest;
    return url;
}

}  // namespace vigie::http
