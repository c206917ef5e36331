#include "core/redact.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/utf8.h"

namespace vigie {

namespace {

constexpr std::size_t kSecretBytesMin = 4;
constexpr std::string_view kMask = "***";

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::string redact(std::string_view text, std::span<const std::string> secrets) {
    // Longest first: a secret that contains another is masked whole.
    std::vector<std::string_view> ordered(secrets.begin(), secrets.end());
    std::sort(ordered.begin(), ordered.end(), [](auto a, auto b) {
        return a.size() > b.size() || (a.size() == b.size() && a < b);
    });
    std::string out(text);
    for (const auto secret : ordered) {
        if (secret.size() < kSecretBytesMin) continue;
        for (auto at = out.find(secret); at != std::string::npos;
             at = out.find(secret, at + kMask.size())) {
            out.replace(at, secret.size(), kMask);
        }
    }
    return out;
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
    auto end = std::min(text.size(), bytes_max);
    if (end < text.size()) {
        while (end > 0 && is_continuation(text[end])) --end;
    }
    std::string out(text.substr(0, end));
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t size = utf8_character_size(out, at);
        const auto byte = static_cast<unsigned char>(out[at]);
        if (size == 0) out[at] = '?';
        if (byte < 0x20U || byte == 0x7FU) out[at] = ' ';
        at += std::max<std::size_t>(size, 1);
    }
    return out;
}

std::string link_or_nothing(std::string_view text) {
    const bool link = text.starts_with("https://") || text.starts_with("http://");
    const bool clean = std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
    });
    return link && clean && text.size() <= 2048 ? std::string(text) : std::string();
}

}  // namespace vigie
