// GitHub's webhook. The first line is the event's name, the second the signature that came with
// it, the rest is the body.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "http/signature.h"
#include "ingest/github_change.h"
#include "schemas/json.h"
#include "tests/fuzz/event_checks.h"

namespace {

using namespace vigie;
using fuzz::kNow;

std::string_view take_line(std::string_view& rest) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    return line;
}

// HMAC as RFC 2104 defines it, on nothing but the hash.
std::string hmac_by_definition(std::string key, std::string_view text) {
    constexpr std::size_t kBlock = 64;
    const auto raw = [](std::string_view hex) {
        const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
        std::string bytes;
        for (std::size_t i = 0; i < hex.size(); i += 2) {
            bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
        }
        return bytes;
    };
    if (key.size() > kBlock) key = raw(http::sha256_hex(key));
    key.resize(kBlock, '\0');
    std::string inner = key;
    std::string outer = key;
    for (char& c : inner) c = static_cast<char>(c ^ 0x36);
    for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
    return http::sha256_hex(outer + raw(http::sha256_hex(inner.append(text))));
}

void check_signature(const std::string& secret, std::string_view body, std::string_view header) {
    std::string right = "sha256=" + hmac_by_definition(secret, body);
    VIGIE_ASSERT(http::github_signature_valid(secret, body, right) == !secret.empty());
    VIGIE_ASSERT(http::github_signature_valid(secret, body, header) ==
                 (!secret.empty() && header == right));
    VIGIE_ASSERT(!http::github_signature_valid(secret + "x", body, right));
    VIGIE_ASSERT(!http::github_signature_valid(secret, std::string(body) + " ", right));
    VIGIE_ASSERT(!http::github_signature_valid(secret, body, right + "0"));
    char& changed = right[body.size() % right.size()];
    changed = static_cast<char>(changed ^ 1);
    VIGIE_ASSERT(!http::github_signature_valid(secret, body, right));
}

void check_change(const schemas::Change& change, std::string_view event) {
    constexpr std::size_t kTextBytesMax = 2048;
    VIGIE_ASSERT(change.key.starts_with("github:") && change.at <= kNow);
    VIGIE_ASSERT(!entity_kind(change.entity).empty() && !entity_name(change.entity).empty());
    VIGIE_ASSERT((change.kind == schemas::ChangeKind::kCommit) ==
                 (event == "push" || event == "pull_request"));
    VIGIE_ASSERT((change.kind == schemas::ChangeKind::kBuild) ==
                 (event == "workflow_run" || event == "workflow_job" || event == "release"));
    VIGIE_ASSERT((change.kind == schemas::ChangeKind::kTestRun) == (event == "check_run"));
    VIGIE_ASSERT(change.url.empty() || change.url.starts_with("http"));
    for (const auto* text : {&change.key, &change.status, &change.entity.value, &change.version,
                             &change.environment, &change.actor, &change.summary, &change.url}) {
        VIGIE_ASSERT(one_line(*text, kTextBytesMax) == *text);
    }
    fuzz::check_event(change);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto event = take_line(body);
    const auto header = take_line(body);
    for (const std::string secret :
         {std::string(), std::string("It's a Secret to Everybody"), std::string(header)}) {
        check_signature(secret, body, header);
    }

    const ingest::RepositoryEntities entities{{"shop/checkout", make_entity("service", "till")}};
    const auto change = ingest::parse_github_event(event, body, entities, kNow);
    if (!change) {
        VIGIE_ASSERT(change.error().kind == ErrorKind::kInvalid);
        fuzz::check_reason(change.error().message);
    } else if (*change) {
        check_change(**change, event);
    }
    return 0;
}
