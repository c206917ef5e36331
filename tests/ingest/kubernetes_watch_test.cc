#include "ingest/kubernetes_watch.h"

#include <catch2/catch.hpp>

#include <thread>

#include "core/system_clock.h"
#include "http/client.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"
#include "tests/support/process.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using namespace std::chrono_literals;
using vigie::test::Standin;

namespace {

struct Watched {
    explicit Watched(std::string token = "t") : server("kubernetes.py", {"--token", "t"}) {
        const std::vector<streams::TopicOptions> all{{.name = std::string(topics::kChanges)},
                                                     {.name = std::string(topics::kLogs)}};
        REQUIRE(bus.ensure_topics(all).has_value());
        intake = std::make_shared<Intake>(Intake::Options{}, bus, clock, metrics, log);
        KubernetesWatch::Options options;
        options.server_url = server.url();
        options.token = std::move(token);
        options.wait_min = 20ms;
        options.wait_max = 100ms;
        watch = std::make_unique<KubernetesWatch>(options, intake, log);
        thread = std::jthread([this](const std::stop_token& stop) { watch->run(stop); });
    }

    void control(const std::string& order) {
        http::ClientRequest request;
        request.method = "POST";
        request.url = server.url() + "/_control";
        request.body = order;
        const auto answer = http::send(request, {});
        REQUIRE(answer.has_value());
        REQUIRE(answer->status == 200);
    }
    void event(const std::string& reason, const std::string& message,
               const std::string& type = "Normal", const std::string& kind = "Deployment") {
        control(R"({"event": {"type": ")" + type + R"(", "reason": ")" + reason +
                R"(", "message": ")" + message + R"(", "count": 1, "lastTimestamp": ")" +
                to_rfc3339(intake->now()) + R"(", "source": {"component": "deployment-controller"},
                "involvedObject": {"kind": ")" +
                kind + R"(", "namespace": "shop", "name": "checkout"}}})");
    }
    bool wait_for(std::string_view topic, std::size_t count) const {
        for (int i = 0; i < 500 && bus.records(topic).size() < count; ++i) sleep_for(10ms);
        return bus.records(topic).size() >= count;
    }
    std::vector<schemas::Change> changes() const {
        std::vector<schemas::Change> all;
        for (const auto& record : bus.records(topics::kChanges)) {
            const auto event = schemas::decode(record.message.value);
            REQUIRE(event.has_value());
            all.push_back(std::get<schemas::Change>(event->data));
        }
        return all;
    }
    std::size_t requests(std::string_view part) const {
        http::ClientRequest request;
        request.url = server.url() + "/_requests";
        const auto answer = http::send(request, {});
        REQUIRE(answer.has_value());
        std::size_t count = 0;
        for (auto at = answer->body.find(part); at != std::string::npos;
             at = answer->body.find(part, at + 1)) {
            ++count;
        }
        return count;
    }
    bool wait_for_requests(std::string_view part, std::size_t count) const {
        for (int i = 0; i < 500 && requests(part) < count; ++i) sleep_for(10ms);
        return requests(part) >= count;
    }

    SystemClock clock;
    MetricsRegistry metrics;
    MemoryLog log;
    streams::MemoryBus bus;
    Standin server;
    std::shared_ptr<Intake> intake;
    std::unique_ptr<KubernetesWatch> watch;
    std::jthread thread;
};

}  // namespace

TEST_CASE("kubernetes: what is listed and what comes later becomes changes and log lines",
          "[ingest][kubernetes]") {
    Watched watched;
    watched.event("ScalingReplicaSet", "Scaled up replica set checkout-7f9c to 1");
    REQUIRE(watched.wait_for(topics::kChanges, 1));
    watched.event("BackOff", "Back-off restarting failed container", "Warning", "Pod");
    watched.event("Pulled", "Container image is there");
    watched.event("NodeNotReady", "Node checkout status is now: NodeNotReady", "Normal", "Node");
    REQUIRE(watched.wait_for(topics::kChanges, 2));
    REQUIRE(watched.wait_for(topics::kLogs, 1));
    const auto changes = watched.changes();
    CHECK(changes[0].kind == schemas::ChangeKind::kDeployment);
    CHECK(changes[0].entity.value == "deployment:shop/checkout");
    CHECK(changes[0].summary == "Scaled up replica set checkout-7f9c to 1");
    CHECK(changes[0].actor == "deployment-controller");
    CHECK(changes[1].entity.value == "host:checkout");
    CHECK(watched.bus.records(topics::kLogs)[0].message.key == "pod:shop/checkout");
}

TEST_CASE("kubernetes: a watch that ends goes on where it was, after a bookmark too",
          "[ingest][kubernetes]") {
    Watched watched;
    REQUIRE(watched.wait_for_requests("watch=true", 1));
    watched.event("ScalingReplicaSet", "one");
    REQUIRE(watched.wait_for(topics::kChanges, 1));
    watched.control(R"({"bookmark": true})");
    watched.control(R"({"end_watches": true})");
    REQUIRE(watched.wait_for_requests("watch=true", 2));
    watched.event("ScalingReplicaSet", "two");
    REQUIRE(watched.wait_for(topics::kChanges, 2));
    // It was listed once, and nothing came twice.
    CHECK(watched.requests("limit=500") == 1);
    CHECK(watched.changes().size() == 2);
}

TEST_CASE("kubernetes: when the version is gone it lists again, and tells with the same ids",
          "[ingest][kubernetes]") {
    Watched watched;
    REQUIRE(watched.wait_for_requests("watch=true", 1));
    watched.event("ScalingReplicaSet", "one");
    REQUIRE(watched.wait_for(topics::kChanges, 1));
    watched.control(R"({"expire_events": true})");
    REQUIRE(watched.wait_for_requests("limit=500", 2));
    watched.event("ScalingReplicaSet", "two");
    REQUIRE(watched.wait_for(topics::kChanges, 3));
    const auto records = watched.bus.records(topics::kChanges);
    const auto id = [&](std::size_t i) {
        return schemas::decode(records[i].message.value)->meta.id;
    };
    CHECK(id(0) == id(1));
    CHECK(id(0) != id(2));
}

TEST_CASE("kubernetes: while the server refuses it waits longer and tries again",
          "[ingest][kubernetes]") {
    SECTION("no answer for a while") {
        Watched watched;
        REQUIRE(watched.wait_for_requests("watch=true", 1));
        watched.control(R"({"status": 503, "path": "/api/v1/events", "times": 3})");
        watched.control(R"({"end_watches": true})");
        REQUIRE(watched.wait_for_requests("watch=true", 4));
        watched.event("ScalingReplicaSet", "one");
        REQUIRE(watched.wait_for(topics::kChanges, 1));
        CHECK(watched.metrics.expose().find(
                  R"(vigie_ingest_watch_failures_total{source="kubernetes"} 3)") !=
              std::string::npos);
    }
    SECTION("a wrong token") {
        Watched watched("wrong");
        REQUIRE(watched.wait_for_requests("limit=500", 3));
        CHECK(watched.bus.records(topics::kChanges).empty());
    }
}
