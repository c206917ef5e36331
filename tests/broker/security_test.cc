// Encryption and logins, which librdkafka does: here that its properties reach it, also where
// nobody polls a handle, and that what goes wrong is said in one line.
#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "tests/broker/harness.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;
using kafka::KafkaBus;

namespace {

KafkaBus::Options secured(const KafkaHarness& harness, const std::string& servers,
                          const std::map<std::string, std::string>& properties) {
    auto options = harness.options();
    options.properties["bootstrap.servers"] = servers;
    for (const auto& [name, value] : properties) options.properties[name] = value;
    return options;
}

// Appends, takes a step and reads.
void check_works(KafkaHarness& harness, const KafkaBus::Options& options) {
    harness.open(options);
    Bus& bus = harness.bus();
    REQUIRE(make_topics(bus).has_value());
    const Status appended = append_and_wait(bus, {msg("", "1")});
    if (!appended) FAIL(appended.error().message);
    CHECK(values_on(bus, "in") == Values{"1"});
    TestListener listener;
    const auto member = bus.subscribe({"g", {"in"}}, listener);
    if (!member) FAIL(member.error().message);
    while (listener.assigned == 0) {
        const auto records = (*member)->poll({1, 20s});
        if (!records) FAIL(records.error().message);
    }
    const Status step = (*member)->commit(
        {.input = {"in", 0}, .next = 1, .state = {{"k", "v"}}, .outputs = {msg("", "2", "out")}});
    if (!step) FAIL(step.error().message);
    CHECK(values_on(bus, "out") == Values{"2"});
}

// The one line that opening ends with, at once; it names the server.
std::string refusal(KafkaHarness& harness, const KafkaBus::Options& options) {
    const SteadyTime start = harness.clock.steady();
    const auto opened = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::kRefused);
    CHECK(harness.clock.steady() - start < 8s);
    const std::string& message = opened.error().message;
    CHECK_THAT(message, Catch::StartsWith("connect to kafka: "));
    CHECK_THAT(message, Catch::Contains(options.properties.at("bootstrap.servers")));
    CHECK(message.find('\n') == std::string::npos);
    return message;
}

}  // namespace

TEST_CASE("kafka: TLS works with the brokers' CA and says when it is another's", "[broker]") {
    KafkaHarness harness;
    const Broker& broker = Broker::shared();
    const auto with_ca = [&](const std::string& file) {
        return secured(harness, broker.ssl_servers(),
                       {{"security.protocol", "SSL"}, {"ssl.ca.location", file}});
    };
    check_works(harness, with_ca(broker.ca_file()));
    CHECK_THAT(refusal(harness, with_ca(broker.stranger_file())),
               Catch::Contains("certificate verify failed"));
}

TEST_CASE("kafka: SCRAM works and says when the password is wrong", "[broker]") {
    KafkaHarness harness;
    Broker::shared().add_scram_user();
    const auto with_password = [&](const std::string& password) {
        return secured(harness, Broker::shared().sasl_servers(),
                       {{"security.protocol", "SASL_PLAINTEXT"},
                        {"sasl.mechanisms", "SCRAM-SHA-256"},
                        {"sasl.username", "scram"},
                        {"sasl.password", password}});
    };
    check_works(harness, with_password("scram"));
    const std::string message = refusal(harness, with_password("not-the-word"));
    CHECK_THAT(message, Catch::Contains("invalid credentials") && Catch::Contains("SCRAM"));
    CHECK_THAT(message, !Catch::Contains("not-the-word"));
}

TEST_CASE("kafka: OAUTHBEARER works and says when the token is not good enough", "[broker]") {
    KafkaHarness harness;
    const auto with_scope = [&](const std::string& scope) {
        return secured(
            harness, Broker::shared().sasl_servers(),
            {{"security.protocol", "SASL_PLAINTEXT"},
             {"sasl.mechanisms", "OAUTHBEARER"},
             {"enable.sasl.oauthbearer.unsecure.jwt", "true"},
             {"sasl.oauthbearer.config", "principal=token scope=" + scope + " lifeSeconds=60"}});
    };
    check_works(harness, with_scope("vigie"));
    CHECK_THAT(refusal(harness, with_scope("other")), Catch::Contains("insufficient_scope"));
}

TEST_CASE("kafka: a server that is not there is named", "[broker]") {
    KafkaHarness harness;
    auto options = secured(harness, "127.0.0.1:1", {});
    options.answer_wait_max = 1s;
    const auto opened = KafkaBus::open(options, harness.clock, harness.metrics, harness.log);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::kUnavailable);
    CHECK_THAT(opened.error().message,
               Catch::Contains("127.0.0.1:1") && Catch::Contains("Connection refused"));
}

}  // namespace vigie::streams
