#include "schemas/metrics_body.h"

#include <unordered_map>

#include <fmt/format.h>

#include "schemas/compression.h"
#include "schemas/otlp.h"
#include "schemas/remote_write.h"
#include "schemas/series.h"
#include "schemas/text.h"

namespace vigie::schemas {

namespace {

using detail::Content;

Status check_size(std::string_view bytes, const DecodeLimits& limits) {
    if (bytes.size() <= limits.bytes_max) return {};
    return fail(ErrorKind::kRefused, fmt::format("more than {} bytes", limits.bytes_max));
}

Status decode_body(std::string_view bytes, Content content, const DecodeLimits& limits,
                   SeriesIndex& index, DecodedSamples& out) {
    VIGIE_TRY(check_size(bytes, limits));
    switch (content) {
        case Content::kRemoteWrite: return detail::decode_remote_write_1(bytes, limits, index, out);
        case Content::kRemoteWrite2:
            return detail::decode_remote_write_2(bytes, limits, index, out);
        case Content::kOtlpProtobuf: return detail::decode_proto_metrics(bytes, limits, index, out);
        case Content::kOtlpJson: return detail::decode_json_metrics(bytes, limits, index, out);
        case Content::kText: break;
    }
    return fail(ErrorKind::kInvalid, "not metrics");
}

// What could be taken is taken; nothing at all is an error.
Status decode_any(std::string_view bytes, Content content, const DecodeLimits& limits,
                  SeriesIndex& index, DecodedSamples& out) {
    out.clear();
    VIGIE_TRY(decode_body(bytes, content, limits, index, out));
    if (out.samples.empty() && out.refused > 0) {
        return fail(ErrorKind::kInvalid, out.refused_why);
    }
    return {};
}

// Series in the order in which a body names them, with their points.
class SeriesList final : public SeriesIndex {
public:
    std::optional<Known> find(std::uint64_t wire_hash) const override {
        const auto found = known_.find(wire_hash);
        if (found == known_.end()) return std::nullopt;
        return found->second;
    }
    SeriesHandle add(std::uint64_t wire_hash, MetricKind kind, std::string_view metric,
                     const Labels& labels) override {
        const auto handle = static_cast<SeriesHandle>(series_.size());
        series_.push_back({std::string(metric), labels, kind, {}});
        known_.emplace(wire_hash, Known{handle, kind});
        return handle;
    }
    std::vector<TimeSeries> take(const std::vector<Sample>& samples) {
        for (const Sample& sample : samples) {
            series_[sample.series].points.push_back({sample.at, sample.value, sample.stale});
        }
        std::erase_if(series_, [](const TimeSeries& series) { return series.points.empty(); });
        return std::move(series_);
    }

private:
    std::unordered_map<std::uint64_t, Known> known_;
    std::vector<TimeSeries> series_;
};

Result<std::vector<TimeSeries>> decode_series(std::string_view bytes, Content content,
                                              const DecodeLimits& limits) {
    SeriesList list;
    DecodedSamples out;
    VIGIE_TRY(decode_any(bytes, content, limits, list, out));
    return list.take(out.samples);
}

}  // namespace

Result<Content> detail::parse_content_type(std::string_view text) {
    std::string compact = lower(text);
    std::erase_if(compact, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    const std::string_view type = std::string_view(compact).substr(0, compact.find(';'));
    if (type == kContentOtlpJson) return Content::kOtlpJson;
    if (type == kContentOtlpProtobuf) {
        if (compact.find(";proto=prometheus.writerequest") != std::string::npos) {
            return Content::kRemoteWrite;
        }
        if (compact.find(";proto=io.prometheus.write.v2.request") != std::string::npos) {
            return Content::kRemoteWrite2;
        }
        return Content::kOtlpProtobuf;
    }
    return fail(ErrorKind::kInvalid,
                fmt::format("content type '{}' is not known", clean_text(text, 128)));
}

Status decode_samples(std::string_view bytes, std::string_view content_type,
                      std::string_view content_encoding, const DecodeLimits& limits,
                      SeriesIndex& index, DecodedSamples& out) {
    constexpr std::size_t kScratchKept = std::size_t{4} << 20U;
    VIGIE_TRY_ASSIGN(const Content content, detail::parse_content_type(content_type));
    if (content_encoding.empty()) return decode_any(bytes, content, limits, index, out);
    if (content_encoding == "snappy") {
        VIGIE_TRY(unsnappy_into(bytes, limits.bytes_max, out.scratch));
    } else {
        VIGIE_TRY_ASSIGN(out.scratch, decompress(bytes, content_encoding, limits.bytes_max));
    }
    const Status status = decode_any(out.scratch, content, limits, index, out);
    if (out.scratch.capacity() > kScratchKept) out.scratch = {};
    return status;
}

Result<std::vector<TimeSeries>> decode_metrics(std::string_view bytes,
                                               std::string_view content_type,
                                               std::string_view content_encoding,
                                               const DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const Content content, detail::parse_content_type(content_type));
    VIGIE_TRY_ASSIGN(const std::string body, decompress(bytes, content_encoding, limits.bytes_max));
    return decode_series(body, content, limits);
}

Result<std::vector<TimeSeries>> decode_otlp_metrics(std::string_view bytes, OtlpEncoding encoding,
                                                    const DecodeLimits& limits) {
    return decode_series(
        bytes, encoding == OtlpEncoding::kJson ? Content::kOtlpJson : Content::kOtlpProtobuf,
        limits);
}

Result<std::vector<TimeSeries>> decode_remote_write(std::string_view bytes,
                                                    const DecodeLimits& limits) {
    return decode_series(bytes, Content::kRemoteWrite, limits);
}

}  // namespace vigie::schemas
