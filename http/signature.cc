#include "http/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <charconv>
#include <climits>

#include "core/result.h"

namespace vigie::http {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string to_hex(const Digest& digest) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out;
    out.reserve(digest.size() * 2);
    for (const auto byte : digest) {
        out.push_back(kHex[byte >> 4U]);
        out.push_back(kHex[byte & 15U]);
    }
    return out;
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
    VIGIE_ASSERT(key.size() <= INT_MAX);
    Digest digest{};
    unsigned size = 0;
    const auto* done =
        HMAC(EVP_sha256(), key.empty() ? "" : key.data(), static_cast<int>(key.size()),
             bytes_of(bytes), bytes.size(), digest.data(), &size);
    VIGIE_ASSERT(done != nullptr && size == digest.size());
    return digest;
}

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

// What stands before the next separator, and takes both away.
std::string_view take_until(std::string_view& text, char separator) {
    const auto end = text.find(separator);
    const auto part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    return part;
}

// "v1=…" or "v1,…": every value is tried, so that the time does not tell which one matched.
bool any_matches(std::string_view header, char separator, std::string_view prefix,
                 std::string_view expected) {
    bool valid = false;
    while (!header.empty()) {
        auto part = take_until(header, separator);
        while (part.starts_with(' ')) part.remove_prefix(1);
        if (!part.starts_with(prefix)) continue;
        valid = equal_constant_time(part.substr(prefix.size()), expected) || valid;
    }
    return valid;
}

}  // namespace

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes) {
    return to_hex(hmac_sha256(key, bytes));
}

std::string hmac_sha256_base64(std::string_view key, std::string_view bytes) {
    const Digest digest = hmac_sha256(key, bytes);
    std::array<unsigned char, 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1> text{};
    const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
    return {text.begin(), text.begin() + size};
}

std::string encode_base64(std::string_view bytes) {
    VIGIE_ASSERT(bytes.size() <= INT_MAX / 2);
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes_of(bytes),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    if (text.size() % 4 == 1) return std::nullopt;
    std::string out;
    unsigned bits = 0;
    int held = 0;
    for (const char c : text) {
        const int digit = base64_digit(c);
        if (digit < 0) return std::nullopt;
        bits = (bits << 6U | static_cast<unsigned>(digit)) & 0xffffffU;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out.push_back(static_cast<char>(bits >> static_cast<unsigned>(held) & 0xffU));
    }
    return out;
}

std::string sha256_hex(std::string_view bytes) {
    Digest digest{};
    SHA256(bytes_of(bytes), bytes.size(), digest.data());
    return to_hex(digest);
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    // Lengths are not secret: a digest's is known, and a token's shows on the wire.
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool github_signature_valid(std::string_view secret, std::string_view body,
                            std::string_view header) {
    constexpr std::string_view kPrefix = "sha256=";
    // Without a secret anybody could sign: nothing is valid then.
    if (secret.empty() || !header.starts_with(kPrefix)) return false;
    return equal_constant_time(header.substr(kPrefix.size()), hmac_sha256_hex(secret, body));
}

bool pagerduty_signature_valid(std::string_view secret, std::string_view body,
                               std::string_view header) {
    return !secret.empty() && any_matches(header, ',', "v1=", hmac_sha256_hex(secret, body));
}

bool standard_webhook_valid(std::string_view secret, std::string_view body,
                            const StandardWebhook& headers, std::chrono::seconds now,
                            std::chrono::seconds age_max) {
    constexpr std::string_view kPrefix = "whsec_";
    const auto key = secret.starts_with(kPrefix) ? decode_base64(secret.substr(kPrefix.size()))
                                                 : std::optional<std::string>(secret);
    std::int64_t sent = 0;
    const std::string_view time = headers.timestamp;
    const auto parsed = std::from_chars(time.data(), time.data() + time.size(), sent);
    if (!key || key->empty() || headers.id.empty() || headers.timestamp.empty() ||
        parsed.ec != std::errc{} || parsed.ptr != time.data() + time.size()) {
        return false;
    }
    const auto difference = now - std::chrono::seconds{sent};
    if (difference > age_max || difference < -age_max) return false;
    std::string content(headers.id);
    content += '.';
    content += headers.timestamp;
    content += '.';
    content += body;
    return any_matches(headers.signature, ' ', "v1,", hmac_sha256_base64(*key, content));
}

std::optional<std::string> authorization_secret(std::string_view header) {
    constexpr std::string_view kBearer = "Bearer ";
    constexpr std::string_view kBasic = "Basic ";
    if (header.starts_with(kBearer)) return std::string(header.substr(kBearer.size()));
    if (!header.starts_with(kBasic)) return std::nullopt;
    const auto pair = decode_base64(header.substr(kBasic.size()));
    const auto colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    return pair->substr(colon + 1);
}

bool authorized(std::string_view token, std::string_view header) {
    if (token.empty()) return true;
    const auto secret = authorization_secret(header);
    return secret && equal_constant_time(token, *secret);
}

}  // namespace vigie::http
