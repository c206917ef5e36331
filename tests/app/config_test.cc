#include "app/config.h"

#include <catch2/catch.hpp>

using vigie::app::parse_config;

namespace {

std::vector<std::string> complaints(const std::string& text) {
    const auto config = parse_config(text, "v.yaml", {});
    return config ? std::vector<std::string>{} : config.error().lines;
}

}  // namespace

TEST_CASE("config: nothing is the safe defaults", "[app]") {
    const auto config = parse_config("", "v.yaml", {});
    REQUIRE(config);
    CHECK(config->api.address == "127.0.0.1");
    CHECK(config->policy.modes.empty());
    CHECK(config->ingest.intake.domain == config->domain);
}

TEST_CASE("config: what could never work is refused with its place", "[app]") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"data: ''", "v.yaml:1:1: data: must name a folder"},
        {"domain: ''", "v.yaml:1:1: domain: must not be empty"},
        {"tick: 2001ms", "v.yaml:1:1: tick: must be at most 2s"},
        {"ingest: {body_max: 0}",
         "v.yaml:1:10: ingest.body_max: must be from 1B to 7MiB: a body is one record of the log"},
        {"ingest: {body_max: 2MiB, in_flight_max: 1MiB}",
         "v.yaml:1:26: ingest.in_flight_max: must be at least body_max, or no such body could "
         "enter"},
        {"agent:\n  modes: [{action: '', mode: approve}]",
         "v.yaml:2:12: agent.modes[0].action: must not be empty: * is all"},
        {"agent: {diagnose_after: 36525d1s}",
         "v.yaml:1:9: agent.diagnose_after: must be at most 36525d"},
        {"runbooks:\n  folder: /nowhere/at/all",
         "v.yaml:2:3: runbooks.folder: cannot read '/nowhere/at/all': No such file or directory"},
        {"actions:\n  kubernetes: {server: '10.0.0.1:6443'}",
         "v.yaml:2:16: actions.kubernetes.server: URL does not start with http:// or https://"},
        {"actions:\n  proxmox: {server: 'https://pve:8006', certificate_sha256: 'ab:cd'}",
         "v.yaml:2:41: actions.proxmox.certificate_sha256: certificate fingerprint 'ab:cd' is not "
         "a SHA-256 in hex"},
    };
    for (const auto& [text, complaint] : cases) {
        INFO(text);
        CHECK(complaints(text) == std::vector{complaint});
    }
    CHECK(complaints("agent: {diagnose_after: 36525d}").empty());
    CHECK(complaints("ingest: {body_max: 1MiB, in_flight_max: 1MiB}").empty());
}

TEST_CASE("config: a complaint is one line, whatever the file holds", "[app]") {
    const auto lines = complaints("\"a\\nb\": 1\n? " + std::string(3000, 'k') + "\n: 1\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].starts_with("v.yaml:1:1: a b: unknown option; known here: "));
    for (const auto& line : lines) {
        CHECK(line.find('\n') == std::string::npos);
        CHECK(line.size() < 2000);
    }
}

TEST_CASE("config: on Kafka nobody settles an action whose owner may still live", "[app]") {
    const std::string kafka = "bus: {kafka: {bootstrap.servers: 'localhost:1'}}\n";
    const auto wait = [](const std::string& text) {
        const auto config = parse_config(text, "v.yaml", {});
        REQUIRE(config.has_value());
        return config->outward.orphan_wait;
    };
    CHECK(wait("") == std::chrono::seconds{5});
    // 5 minutes until an intent is too old, and twice the timeout.
    CHECK(wait(kafka) > std::chrono::minutes{15});
    CHECK(wait(kafka + "actions: {timeout: 10s, orphan_wait: 1s}\n") > std::chrono::seconds{320});
    CHECK(wait(kafka + "actions: {orphan_wait: 1h}\n") == std::chrono::hours{1});
}
