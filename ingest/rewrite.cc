#include "ingest/rewrite.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "schemas/compression.h"
#include "schemas/log_groups.h"
#include "schemas/series_table.h"
#include "schemas/trace_groups.h"
#include "schemas/write_request.h"

namespace vigie::ingest {

namespace {

using schemas::Labels;
using schemas::MetricKind;

struct Overflow {
    double sum = 0;
    EventTime newest{EventClock::duration::min()};
};

class MetricsWriter {
public:
    explicit MetricsWriter(const TenantLabel& tenant) : tenant_(tenant) {}

    void add(const schemas::TimeSeries& series) {
        say_kind(series.metric, series.kind);
        Labels labels = series.labels;
        set_tenant(labels, tenant_);
        const auto encoded = schemas::encode_series(series.metric, std::move(labels));
        for (const auto& point : series.points) {
            if (point.stale) {
                request_.add_stale(encoded, point.at);
            } else {
                request_.add(encoded, point.value, point.at);
            }
        }
    }
    void overflow(const schemas::TimeSeries& series) {
        say_kind(series.metric, series.kind);
        overflowed_ += series.points.size();
        const auto newest = std::ranges::max_element(series.points, {}, &schemas::Point::at);
        if (newest == series.points.end() || newest->stale) return;
        Overflow& all = overflow_[series.metric];
        all.sum += newest->value;
        all.newest = std::max(all.newest, newest->at);
    }
    Rewritten take() {
        for (const auto& [metric, all] : overflow_) {
            Labels labels{{std::string(schemas::kOverflowLabel), "true"}};
            set_tenant(labels, tenant_);
            request_.add(schemas::encode_series(metric, std::move(labels)), all.sum, all.newest);
        }
        return {request_.take(), schemas::kContentRemoteWrite, "snappy", overflowed_};
    }

private:
    void say_kind(const std::string& metric, MetricKind kind) {
        if (kind == MetricKind::kUnknown || !told_.insert(metric).second) return;
        request_.add_family(metric, kind == MetricKind::kCounter ? schemas::ExposedType::kCounter
                                                                 : schemas::ExposedType::kGauge);
    }

    const TenantLabel& tenant_;
    schemas::WriteRequest request_;
    std::set<std::string> told_;
    std::map<std::string, Overflow> overflow_;
    std::size_t overflowed_ = 0;
};

}  // namespace

void set_tenant(Labels& labels, const TenantLabel& tenant) {
    if (tenant.value.empty()) return;
    std::erase_if(labels, [&](const auto& pair) { return pair.first == tenant.name; });
    const auto place = std::ranges::lower_bound(
        labels, tenant.name, {}, [](const auto& pair) { return std::string_view(pair.first); });
    labels.insert(place, {tenant.name, tenant.value});
}

Result<Rewritten> rewrite_metrics(std::string_view bytes, std::string_view content_type,
                                  std::string_view content_encoding,
                                  const schemas::DecodeLimits& limits, const TenantLabel& tenant,
                                  SeriesBound* bound) {
    if (bound == nullptr && content_type == schemas::kContentRemoteWrite) {
        VIGIE_TRY_ASSIGN(const auto body,
                         schemas::decompress(bytes, content_encoding, limits.bytes_max));
        VIGIE_TRY_ASSIGN(const auto labelled, schemas::add_label(body, tenant.name, tenant.value));
        return Rewritten{schemas::snap(labelled), schemas::kContentRemoteWrite, "snappy", 0};
    }
    VIGIE_TRY_ASSIGN(const auto all,
                     schemas::decode_metrics(bytes, content_type, content_encoding, limits));
    MetricsWriter writer(tenant);
    for (const auto& series : all) {
        if (bound == nullptr || bound->admit(series.metric, series.labels)) {
            writer.add(series);
        } else {
            writer.overflow(series);
        }
    }
    return writer.take();
}

Result<Rewritten> rewrite_logs(std::string_view bytes, std::string_view content_type,
                               std::string_view content_encoding,
                               const schemas::DecodeLimits& limits, const TenantLabel& tenant) {
    VIGIE_TRY_ASSIGN(auto records,
                     schemas::decode_logs(bytes, content_type, content_encoding, limits));
    for (auto& record : records) set_tenant(record.attributes, tenant);
    const std::vector<schemas::LogGroup> groups{{{}, std::move(records)}};
    return Rewritten{schemas::encode_otlp_logs(groups), schemas::kContentOtlpProtobuf, "", 0};
}

Result<Rewritten> rewrite_traces(std::string_view bytes, std::string_view content_type,
                                 std::string_view content_encoding,
                                 const schemas::DecodeLimits& limits, const TenantLabel& tenant) {
    VIGIE_TRY_ASSIGN(auto spans,
                     schemas::decode_traces(bytes, content_type, content_encoding, limits));
    for (auto& span : spans) {
        if (!tenant.value.empty()) {
            std::erase_if(span.attributes,
                          [&](const auto& pair) { return pair.first == tenant.name; });
        }
        set_tenant(span.resource, tenant);
    }
    return Rewritten{schemas::encode_otlp_traces(spans), schemas::kContentOtlpProtobuf, "", 0};
}

}  // namespace vigie::ingest
