#include "tests/ingest/fixture.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "http/grpc.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

void TestClock::set(std::string_view rfc3339) {
    now_ = WallTime{
        std::chrono::duration_cast<std::chrono::milliseconds>(at(rfc3339).time_since_epoch())};
}

void HeldBus::release() {
    auto held = std::move(held_);
    held_.clear();
    for (auto& [messages, done] : held) bus_.append(std::move(messages), std::move(done));
}

Fixture::Fixture(Receivers::Options options, bool hold) {
    clock.set("2026-11-21T05:39:30Z");
    std::vector<streams::TopicOptions> all;
    for (const auto topic : topics::kAll) all.push_back({.name = std::string(topic)});
    REQUIRE(bus.ensure_topics(all).has_value());
    streams::Bus& used = hold ? static_cast<streams::Bus&>(held) : bus;
    receivers = std::make_unique<Receivers>(std::move(options), used, clock, metrics, log);
    receivers->add_otlp(router);
    receivers->add_otlp_grpc(router);
    receivers->add_remote_write(router);
    receivers->add_alertmanager(router);
    receivers->add_alertmanager_webhook(router);
    receivers->add_alert_webhooks(router);
    receivers->add_github(router);
    receivers->add_change_webhooks(router);
    receivers->add_generic(router);
    receivers->add_logs(router);
    receivers->add_heartbeat(router);
    receivers->add_explain(router);
}

http::Response Fixture::post(std::string path, std::string body,
                             std::vector<std::pair<std::string, std::string>> headers) {
    http::Request request;
    request.method = "POST";
    if (const auto mark = path.find("?token="); mark != std::string::npos) {
        request.query.emplace_back("token", path.substr(mark + 7));
        path.resize(mark);
    }
    request.path = std::move(path);
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.remote = "192.0.2.7:51234";
    const auto answer = std::make_shared<http::Response>(http::Response{0, {}, ""});
    router.dispatch(std::move(request),
                    [answer](http::Response response) { *answer = std::move(response); });
    return *answer;
}

http::Response Fixture::call(std::string path, std::string body, std::string_view coding) {
    http::Request request;
    request.method = "POST";
    request.path = std::move(path);
    request.headers = {{"content-type", "application/grpc"},
                       {"grpc-encoding", std::string(coding)}};
    request.body = http::grpc_answer(body).body;
    if (!coding.empty()) request.body[0] = '\1';
    request.remote = "192.0.2.7:51234";
    request.http2 = true;
    http::Response answer{0, {}, ""};
    router.dispatch(std::move(request),
                    [&answer](http::Response response) { answer = std::move(response); });
    return answer;
}

http::Response Fixture::get(std::string path) {
    http::Request request;
    request.method = "GET";
    request.path = std::move(path);
    http::Response answer;
    router.dispatch(std::move(request),
                    [&answer](http::Response response) { answer = std::move(response); });
    return answer;
}

std::vector<schemas::Event> Fixture::events_on(std::string_view topic) const {
    std::vector<schemas::Event> events;
    for (const auto& record : on(topic)) {
        auto event = schemas::decode(record.message.value);
        INFO(record.message.value);
        REQUIRE(event.has_value());
        CHECK(event->meta.time == record.message.event_time);
        events.push_back(*std::move(event));
    }
    return events;
}

double Fixture::metric(std::string_view line_start) const {
    const std::string all = "\n" + metrics.expose();
    const auto place = all.find("\n" + std::string(line_start) + " ");
    if (place == std::string::npos) return 0;
    return std::strtod(all.c_str() + place + line_start.size() + 2, nullptr);
}

std::string payload(std::string_view name) {
    std::ifstream file(
        std::string(VIGIE_SOURCE_DIR "/tests/ingest/payloads/") + std::string(name) + ".body",
        std::ios::binary);
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string header_of(const streams::Message& message, std::string_view name) {
    for (const auto& [key, value] : message.headers) {
        if (key == name) return value;
    }
    return {};
}

EventTime at(std::string_view rfc3339) {
    const auto time = parse_rfc3339(rfc3339);
    REQUIRE(time.has_value());
    return *time;
}

}  // namespace vigie::ingest
