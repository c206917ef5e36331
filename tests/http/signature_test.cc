#include "http/signature.h"

#include <catch2/catch.hpp>

namespace vigie::http {

// The vector of GitHub's documentation.
constexpr std::string_view kSecret = "It's a Secret to Everybody";
constexpr std::string_view kBody = "Hello, World!";
constexpr std::string_view kSignature =
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

TEST_CASE("signature: GitHub's published example is valid", "[http]") {
    CHECK(github_signature_valid(kSecret, kBody, kSignature));
}

TEST_CASE("signature: one changed bit anywhere is not valid", "[http]") {
    CHECK_FALSE(github_signature_valid("it's a Secret to Everybody", kBody, kSignature));
    CHECK_FALSE(github_signature_valid(kSecret, "Hello, World?", kSignature));
    for (std::size_t i = 0; i < kSignature.size(); ++i) {
        std::string changed(kSignature);
        changed[i] = static_cast<char>(changed[i] ^ 1);
        CHECK_FALSE(github_signature_valid(kSecret, kBody, changed));
    }
}

TEST_CASE("signature: missing, cut, unprefixed and upper-case signatures are not valid", "[http]") {
    CHECK_FALSE(github_signature_valid(kSecret, kBody, ""));
    CHECK_FALSE(github_signature_valid(kSecret, kBody, "sha256="));
    CHECK_FALSE(github_signature_valid(kSecret, kBody, kSignature.substr(7)));
    CHECK_FALSE(github_signature_valid(kSecret, kBody, kSignature.substr(0, 70)));
    CHECK_FALSE(github_signature_valid(kSecret, kBody, "sha1=abc"));
}

TEST_CASE("signature: without a secret nothing is valid", "[http]") {
    const auto forged = "sha256=" + hmac_sha256_hex("", kBody);
    CHECK_FALSE(github_signature_valid("", kBody, forged));
}

TEST_CASE("signature: SHA-256 of nothing and of abc are the standard's", "[http]") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("signature: constant-time comparison compares", "[http]") {
    CHECK(equal_constant_time("", ""));
    CHECK(equal_constant_time("token", "token"));
    CHECK_FALSE(equal_constant_time("token", "tokem"));
    CHECK_FALSE(equal_constant_time("token", "token1"));
    CHECK_FALSE(equal_constant_time("token", ""));
}

}  // namespace vigie::http
