#include "schemas/telemetry.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>

#include <fmt/format.h>

#include "schemas/host_port.h"
#include "schemas/identity.h"
#include "schemas/metrics_body.h"
#include "schemas/otlp.h"

namespace vigie::schemas {

namespace {

// OTLP bodies of one signal: decompress, then decode.
template <class Decode>
auto decode_otlp(Decode decode, std::string_view bytes, std::string_view content_type,
                 std::string_view content_encoding, const DecodeLimits& limits, Refused& refused)
    -> decltype(decode(bytes, OtlpEncoding::kJson, limits, refused)) {
    VIGIE_TRY_ASSIGN(const auto content, detail::parse_content_type(content_type));
    if (content != detail::Content::kOtlpJson && content != detail::Content::kOtlpProtobuf) {
        return fail(ErrorKind::kInvalid, "remote write carries metrics, not logs or traces");
    }
    VIGIE_TRY_ASSIGN(const std::string body, decompress(bytes, content_encoding, limits.bytes_max));
    const auto encoding =
        content == detail::Content::kOtlpJson ? OtlpEncoding::kJson : OtlpEncoding::kProtobuf;
    return decode(body, encoding, limits, refused);
}

// What runs pods beside a deployment: OpenTelemetry's attribute, and the label of
// kube-state-metrics, which is the entity's kind.
struct Workload {
    std::string_view attribute;
    std::string_view kind;
};
constexpr std::array kWorkloads{Workload{"k8s.statefulset.name", "statefulset"},
                                Workload{"k8s.daemonset.name", "daemonset"},
                                Workload{"k8s.cronjob.name", "cronjob"}};

// Kubernetes' recommended label as it is, as the Collector writes pods' labels, as Prometheus and
// as kube-state-metrics do.
constexpr std::array<std::string_view, 4> kAppLabels{
    "app.kubernetes.io/name", "k8s.pod.labels.app.kubernetes.io/name", "app_kubernetes_io_name",
    "label_app_kubernetes_io_name"};

// The first that is there and not empty.
std::string_view first_of(const Labels& labels, std::span<const std::string_view> names) {
    for (const auto name : names) {
        if (const auto value = label(labels, name); !value.empty()) return value;
    }
    return {};
}
std::string_view first_of(const Labels& labels, std::initializer_list<std::string_view> names) {
    return first_of(labels, std::span(names.begin(), names.size()));
}

EntityId join(std::string_view kind, std::string_view parent, std::string_view name) {
    return {fmt::format("{}:{}/{}", kind, parent, name)};
}

}  // namespace

std::string_view label(const Labels& labels, std::string_view name) {
    const auto found = std::ranges::lower_bound(
        labels, name, {}, [](const auto& pair) { return std::string_view(pair.first); });
    if (found == labels.end() || found->first != name) return {};
    return found->second;
}

std::string to_string(std::string_view metric, const Labels& labels) {
    std::string text(metric);
    char before = '{';
    for (const auto& [name, value] : labels) {
        text += before;
        text += name;
        text += "=\"";
        for (const char c : value) {
            if (c == '\\' || c == '"') text += '\\';
            if (c == '\n') {
                text += "\\n";
            } else {
                text += c;
            }
        }
        text += '"';
        before = ',';
    }
    if (before == ',') text += '}';
    return text;
}

Result<std::vector<LogRecord>> decode_logs(std::string_view bytes, std::string_view content_type,
                                           std::string_view content_encoding,
                                           const DecodeLimits& limits, Refused& refused) {
    return decode_otlp(detail::decode_otlp_logs, bytes, content_type, content_encoding, limits,
                       refused);
}

Result<std::vector<LogRecord>> decode_logs(std::string_view bytes, std::string_view content_type,
                                           std::string_view content_encoding,
                                           const DecodeLimits& limits) {
    Refused refused;
    return decode_logs(bytes, content_type, content_encoding, limits, refused);
}

Result<std::vector<Span>> decode_traces(std::string_view bytes, std::string_view content_type,
                                        std::string_view content_encoding,
                                        const DecodeLimits& limits, Refused& refused) {
    return decode_otlp(detail::decode_otlp_traces, bytes, content_type, content_encoding, limits,
                       refused);
}

Result<std::vector<Span>> decode_traces(std::string_view bytes, std::string_view content_type,
                                        std::string_view content_encoding,
                                        const DecodeLimits& limits) {
    Refused refused;
    return decode_traces(bytes, content_type, content_encoding, limits, refused);
}

EntityId entity_of(const Labels& labels, std::string_view metric) {
    if (EntityId said{std::string(label(labels, kSaidEntityLabel))};
        !entity_kind(said).empty() && !entity_name(said).empty()) {
        return said;
    }
    if (const auto name = first_of(labels, {"service.name", "service", "service_name"});
        !name.empty()) {
        return make_entity("service", name);
    }
    if (const auto space = first_of(labels, {"k8s.namespace.name", "namespace"}); !space.empty()) {
        const auto deployment = first_of(labels, {"k8s.deployment.name", "deployment"});
        if (!deployment.empty()) return join("deployment", space, deployment);
        for (const auto& workload : kWorkloads) {
            const auto name = first_of(labels, {workload.attribute, workload.kind});
            if (!name.empty()) return join(workload.kind, space, name);
        }
        const auto pod = first_of(labels, {"k8s.pod.name", "pod"});
        if (!pod.empty()) return join("pod", space, pod);
    }
    const auto node = first_of(labels, {"proxmox.node", "node"});
    const auto guest = label(labels, "vmid");
    if (!node.empty() && !guest.empty()) return join("vm", node, guest);
    if (const auto app = first_of(labels, kAppLabels); !app.empty()) {
        return make_entity("service", app);
    }
    if (const auto host = label(labels, "host.name"); !host.empty()) {
        return make_entity("host", host);
    }
    if (const auto name = label(labels, "k8s.node.name"); !name.empty()) {
        return make_entity("node", name);
    }
    const auto instance = detail::without_port(label(labels, "instance"));
    const auto job = label(labels, "job");
    if (!instance.empty() && (metric.starts_with("node_") || job == "node")) {
        return make_entity("host", instance);
    }
    if (!job.empty()) return make_entity("service", job);
    if (!instance.empty()) return make_entity("host", instance);
    return {};
}

}  // namespace vigie::schemas
