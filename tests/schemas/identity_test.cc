#include "schemas/identity.h"

#include <catch2/catch.hpp>

#include "schemas/series_table.h"

using namespace vigie;
using namespace vigie::schemas;

namespace {

IdentityRules rules(const std::vector<IdentityRule>& list) {
    auto made = IdentityRules::create(list);
    REQUIRE(made.has_value());
    return *std::move(made);
}

std::string refusal(const std::string& entity) {
    const auto made = IdentityRules::create({{entity, {}}});
    REQUIRE_FALSE(made.has_value());
    return made.error().message;
}

}  // namespace

TEST_CASE("identity: the first rule whose labels are there names the entity", "[schemas]") {
    const auto all = rules({{"deployment:{namespace}/{label_app|app}", {}},
                            {"service:{app|label_app}", {}},
                            {"host:{instance:host}", {}}});
    CHECK(all.find({{"app", "cart"}, {"namespace", "shop"}}).value == "deployment:shop/cart");
    CHECK(all.find({{"app", "cart"}, {"label_app", "x"}, {"namespace", "shop"}}).value ==
          "deployment:shop/x");
    CHECK(all.find({{"app", "cart"}}).value == "service:cart");
    CHECK(all.find({{"app", ""}, {"instance", "web-1:9100"}}).value == "host:web-1");
    CHECK(all.find({{"namespace", "shop"}}).value.empty());
    CHECK(all.find({}).value.empty());
}

TEST_CASE("identity: a rule holds only where its labels are as it says", "[schemas]") {
    const auto all = rules({{"queue:{queue}", {{"job", "rabbit*"}, {"vhost", "*"}}},
                            {"metric:{__name__}", {{"__name__", "probe_*"}}}});
    CHECK(all.find({{"job", "rabbitmq"}, {"queue", "q"}, {"vhost", "/"}}).value == "queue:q");
    CHECK(all.find({{"job", "rabbitmq"}, {"queue", "q"}}).value.empty());
    CHECK(all.find({{"job", "kafka"}, {"queue", "q"}, {"vhost", "/"}}).value.empty());
    CHECK(all.find({}, "probe_success").value == "metric:probe_success");
    CHECK(all.find({}, "up").value.empty());
}

TEST_CASE("identity: a rule that could not work is refused", "[schemas]") {
    CHECK(refusal("cart") == "'cart': must be KIND:NAME, for example service:{app}");
    CHECK(refusal("{a}:b").find("must be KIND:NAME") != std::string::npos);
    CHECK(refusal("service:x").find("names no label") != std::string::npos);
    CHECK(refusal("service:{app").find("'{' without '}'") != std::string::npos);
    CHECK(refusal("service:app}").find("'}' without '{'") != std::string::npos);
    CHECK(refusal("service:{}").find("a label without a name") != std::string::npos);
    CHECK(refusal("service:{a||b}").find("a label without a name") != std::string::npos);
    CHECK(refusal("service:{a{b}}").find("a label without a name") != std::string::npos);
}

TEST_CASE("identity: what a rule finds is believed first, else the usual labels", "[schemas]") {
    const auto identity = std::make_shared<const IdentityRules>(rules({{"queue:{queue}", {}}}));
    CHECK(entity_of(identity, {{"queue", "q"}, {"service", "s"}}).value == "queue:q");
    CHECK(entity_of(identity, {{"service", "s"}}).value == "service:s");
    CHECK(entity_of(Identity{}, {{"queue", "q"}, {"service", "s"}}).value == "service:s");

    Labels labels{{"queue", "q"}, {"service", "s"}, {"zone", "z"}};
    identify(identity, labels);
    CHECK(labels ==
          Labels{{"queue", "q"}, {"service", "s"}, {"vigie.entity", "queue:q"}, {"zone", "z"}});
    CHECK(entity_of(labels).value == "queue:q");
    identify(identity, labels);
    CHECK(labels.size() == 4);
    Labels others{{"service", "s"}};
    identify(identity, others);
    identify({}, labels);
    CHECK(others.size() == 1);
    CHECK(labels.size() == 4);

    SeriesTable table({});
    IdentifyingIndex index(table, identity);
    const auto series = index.add(7, MetricKind::kGauge, "depth", {{"queue", "q"}});
    CHECK(index.find(7)->series == series);
    CHECK(table.label(series, "vigie.entity") == "queue:q");
    IdentifyingIndex plain(table, {});
    CHECK(table.labels(plain.add(8, MetricKind::kGauge, "depth", {{"queue", "p"}})).size() == 1);
}

TEST_CASE("identity: without rules, attributes and labels of Kubernetes are understood",
          "[schemas]") {
    const std::vector<std::pair<Labels, std::string>> cases{
        {{{"vigie.entity", "queue:q"}, {"service", "s"}}, "queue:q"},
        {{{"service", "s"}, {"vigie.entity", "nonsense"}}, "service:s"},
        {{{"k8s.namespace.name", "shop"}, {"k8s.statefulset.name", "db"}}, "statefulset:shop/db"},
        {{{"namespace", "shop"}, {"pod", "db-0"}, {"statefulset", "db"}}, "statefulset:shop/db"},
        {{{"daemonset", "agent"}, {"namespace", "ops"}}, "daemonset:ops/agent"},
        {{{"cronjob", "backup"}, {"namespace", "ops"}}, "cronjob:ops/backup"},
        {{{"namespace", "shop"}, {"pod", "db-0"}, {"app_kubernetes_io_name", "x"}}, ""},
        {{{"app.kubernetes.io/name", "cart"}}, "service:cart"},
        {{{"k8s.pod.labels.app.kubernetes.io/name", "cart"}}, "service:cart"},
        {{{"job", "kube-state-metrics"}, {"label_app_kubernetes_io_name", "cart"}}, "service:cart"},
        {{{"host.name", "h"}, {"k8s.node.name", "n"}}, "host:h"},
        {{{"k8s.node.name", "n"}}, "node:n"},
    };
    for (auto [labels, entity] : cases) {
        std::ranges::sort(labels);
        INFO(to_string("", labels));
        CHECK(entity_of(labels).value == (entity.empty() ? "pod:shop/db-0" : entity));
    }
}
