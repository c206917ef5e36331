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

TEST_CASE("signature: PagerDuty may send several, and one that matches is enough", "[http]") {
    const std::string good = "v1=" + vigie::http::hmac_sha256_hex("secret", "body");
    const std::string other = "v1=" + vigie::http::hmac_sha256_hex("old", "body");
    using vigie::http::pagerduty_signature_valid;
    CHECK(pagerduty_signature_valid("secret", "body", good));
    CHECK(pagerduty_signature_valid("secret", "body", other + "," + good));
    CHECK(pagerduty_signature_valid("secret", "body", other + ", " + good));
    CHECK_FALSE(pagerduty_signature_valid("secret", "body", other));
    CHECK_FALSE(pagerduty_signature_valid("secret", "body", good.substr(3)));
    CHECK_FALSE(pagerduty_signature_valid("secret", "other body", good));
    CHECK_FALSE(pagerduty_signature_valid("secret", "body", ""));
    CHECK_FALSE(
        pagerduty_signature_valid("", "body", "v1=" + vigie::http::hmac_sha256_hex("", "body")));
}

TEST_CASE("signature: a Standard Webhook is signed with its id and time", "[http]") {
    using namespace std::chrono_literals;
    using vigie::http::standard_webhook_valid;
    const std::string secret = "whsec_c2VjcmV0";  // "secret"
    const std::string signature = "v1," + vigie::http::hmac_sha256_base64("secret", "id.1000.body");
    const vigie::http::StandardWebhook good{"id", "1000", signature};
    CHECK(standard_webhook_valid(secret, "body", good, 1000s, 300s));
    CHECK(standard_webhook_valid("secret", "body", good, 1000s, 300s));
    CHECK(standard_webhook_valid(secret, "body", good, 1300s, 300s));
    CHECK(standard_webhook_valid(secret, "body", good, 700s, 300s));
    CHECK_FALSE(standard_webhook_valid(secret, "body", good, 1301s, 300s));
    CHECK_FALSE(standard_webhook_valid(secret, "body", good, 699s, 300s));
    CHECK_FALSE(standard_webhook_valid(secret, "other", good, 1000s, 300s));
    CHECK_FALSE(standard_webhook_valid("whsec_!", "body", good, 1000s, 300s));
    CHECK_FALSE(standard_webhook_valid("", "body", good, 1000s, 300s));
    CHECK_FALSE(standard_webhook_valid(secret, "body", {"other", "1000", signature}, 1000s, 300s));
    CHECK_FALSE(standard_webhook_valid(secret, "body", {"id", "1000x", signature}, 1000s, 300s));
    const std::string two = "v1,AAAA " + signature;
    CHECK(standard_webhook_valid(secret, "body", {"id", "1000", two}, 1000s, 300s));
}

TEST_CASE("signature: base64 is read padded or not, and nothing else is", "[http]") {
    using vigie::http::decode_base64;
    CHECK(decode_base64("") == "");
    CHECK(decode_base64("YQ==") == "a");
    CHECK(decode_base64("YWI") == "ab");
    CHECK(decode_base64("YWJj") == "abc");
    CHECK(decode_base64("/+8=") == "\xff\xef");
    CHECK_FALSE(decode_base64("Y").has_value());
    CHECK_FALSE(decode_base64("YW J").has_value());
}

TEST_CASE("signature: a token comes as Bearer, or as the password of Basic", "[http]") {
    using vigie::http::authorized;
    CHECK(authorized("", ""));
    CHECK(authorized("token", "Bearer token"));
    CHECK(authorized("token", "Basic YW5uOnRva2Vu"));  // ann:token
    CHECK_FALSE(authorized("token", "Basic dG9rZW4="));
    CHECK_FALSE(authorized("token", "Bearer tokem"));
    CHECK_FALSE(authorized("token", "token"));
    CHECK_FALSE(authorized("token", ""));
}
