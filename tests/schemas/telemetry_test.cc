#include "schemas/telemetry.h"

#include <catch2/catch.hpp>

#include "tests/schemas/wire.h"

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;

const DecodeLimits kLimits;

}  // namespace

TEST_CASE("telemetry: a label is found by its name", "[schemas]") {
    const Labels labels{{"a", "1"}, {"b", "2"}, {"d", "4"}};
    CHECK(label(labels, "a") == "1");
    CHECK(label(labels, "d") == "4");
    CHECK(label(labels, "c").empty());
    CHECK(label({}, "a").empty());
}

TEST_CASE("telemetry: a series is named as in Prometheus", "[schemas]") {
    CHECK(to_string("up", {}) == "up");
    CHECK(to_string("up", {{"instance", "web-1:9100"}, {"job", "a\"b\\c\nd"}}) ==
          "up{instance=\"web-1:9100\",job=\"a\\\"b\\\\c\\nd\"}");
}

TEST_CASE("telemetry: the entity is the first that the labels name", "[schemas]") {
    const auto entity = [](const Labels& labels, std::string_view metric = "up") {
        return entity_of(labels, metric).value;
    };
    CHECK(entity({{"host.name", "web-1"}, {"service.name", "checkout"}}) == "service:checkout");
    CHECK(entity({{"service", "checkout"}}) == "service:checkout");
    CHECK(entity({{"service_name", "checkout"}}) == "service:checkout");
    CHECK(entity({{"host.name", "web-1"}, {"service.name", ""}}) == "host:web-1");
    CHECK(entity({{"k8s.deployment.name", "api"},
                  {"k8s.namespace.name", "shop"},
                  {"k8s.pod.name", "api-1"}}) == "deployment:shop/api");
    CHECK(entity({{"deployment", "api"}, {"namespace", "shop"}}) == "deployment:shop/api");
    CHECK(entity({{"namespace", "shop"}, {"pod", "api-1"}}) == "pod:shop/api-1");
    CHECK(entity({{"instance", "x:1"}, {"pod", "api-1"}}) == "host:x");
    CHECK(entity({{"node", "pve1"}, {"vmid", "101"}}) == "vm:pve1/101");
    CHECK(entity({{"proxmox.node", "pve2"}, {"vmid", "101"}}) == "vm:pve2/101");
    CHECK(entity({{"instance", "web-1:9100"}, {"job", "linux"}}, "node_load1") == "host:web-1");
    CHECK(entity({{"instance", "web-1:9100"}, {"job", "node"}}) == "host:web-1");
    CHECK(entity({{"instance", "web-1:9100"}, {"job", "api"}}) == "service:api");
    CHECK(entity({{"instance", "web-1:9100"}}) == "host:web-1");
    CHECK(entity({{"instance", "[fe80::1]:9100"}}) == "host:fe80::1");
    CHECK(entity({{"instance", "fe80::1"}}) == "host:fe80::1");
    CHECK(entity({{"instance", "web-1"}}) == "host:web-1");
    CHECK(entity({{"instance", "web-1:http"}}) == "host:web-1:http");
    CHECK(entity({{"zone", "a"}}).empty());
    CHECK(entity({}).empty());
}

TEST_CASE("telemetry: the decoder is picked by content type and encoding", "[schemas]") {
    const auto remote_write = wire::read_payload("remote_write-0001.body");
    CHECK(decode_metrics(remote_write, kContentRemoteWrite, "snappy", kLimits));
    CHECK(decode_metrics(remote_write, "Application/X-Protobuf; proto=\"prometheus.WriteRequest\"",
                         "Snappy", kLimits));
    CHECK(decode_metrics(wire::read_payload("otlp_http_proto-0003.body"), kContentOtlpProtobuf, "",
                         kLimits));
    CHECK(decode_metrics(wire::read_payload("otlp_http_proto_gzip_delta-0003.body"),
                         kContentOtlpProtobuf, "gzip", kLimits));
    CHECK(decode_metrics(wire::read_payload("otlp_http_json-0003.body"),
                         "application/json; charset=utf-8", "identity", kLimits));
    CHECK(
        decode_logs(wire::read_payload("otlp_http_json-0002.body"), kContentOtlpJson, "", kLimits));
    CHECK(decode_logs(wire::read_payload("otlp_grpc_logs-0002.body"), kContentOtlpProtobuf, "",
                      kLimits));
    CHECK(decode_traces(wire::snappy(wire::read_payload("otlp_http_proto-0001.body")),
                        kContentOtlpProtobuf, "snappy", kLimits));
}

TEST_CASE("telemetry: content that is not known is refused", "[schemas]") {
    const auto refused = [](const auto& result) {
        REQUIRE(!result);
        CHECK((result.error().kind == ErrorKind::kInvalid ||
               result.error().kind == ErrorKind::kRefused));
        return result.error().message;
    };
    CHECK(refused(decode_metrics("", "text/plain", "", kLimits)) ==
          "content type 'text/plain' is not known");
    CHECK(refused(decode_metrics("", "", "", kLimits)) == "content type '' is not known");
    CHECK(refused(decode_metrics("", kContentOtlpProtobuf, "br", kLimits)) ==
          "content encoding 'br' is not known");
    CHECK(refused(decode_logs("", kContentRemoteWrite, "", kLimits)) ==
          "remote write carries metrics, not logs or traces");
    CHECK_THAT(refused(decode_traces("{}", kContentOtlpJson, "gzip", kLimits)),
               Catch::StartsWith("gzip: "));
    CHECK(refused(decode_traces("{  }", kContentOtlpJson, "", {.bytes_max = 3})) ==
          "body: more than 3 bytes after decompression");
}
