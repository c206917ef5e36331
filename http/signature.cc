#include "http/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

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

}  // namespace

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes) {
    VIGIE_ASSERT(key.size() <= INT_MAX);
    Digest digest{};
    unsigned size = 0;
    const auto* done =
        HMAC(EVP_sha256(), key.empty() ? "" : key.data(), static_cast<int>(key.size()),
             bytes_of(bytes), bytes.size(), digest.data(), &size);
    VIGIE_ASSERT(done != nullptr && size == digest.size());
    return to_hex(digest);
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

}  // namespace vigie::http
