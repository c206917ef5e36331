#include "app/detect_stage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "app/metrics.h"
#include "detectors/metrics.h"
#include "schemas/events.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace {

constexpr std::string_view kSnapshotVersion = "detect1\n";
// A table of series that is full forgets the numbers of those that were not heard of for so long,
// and looks for them at most so often.
constexpr std::chrono::hours kIdleAfter{1};
constexpr std::chrono::minutes kForgetEvery{1};

std::string_view header(const streams::Record& record, std::string_view name) {
    for (const auto& [key, value] : record.message.headers) {
        if (key == name) return value;
    }
    return {};
}

// A body that asks for too much will do so again: it is a dead letter like one that is wrong.
template <class T>
Result<T> readable(Result<T> decoded) {
    if (!decoded && decoded.error().kind == ErrorKind::kRefused) {
        decoded.error().kind = ErrorKind::kInvalid;
    }
    return decoded;
}

std::string_view name_of(Telemetry kind) {
    constexpr std::array<std::string_view, 3> names{"metrics", "logs", "spans"};
    return names.at(static_cast<std::size_t>(kind));
}

streams::Message message_of(std::string_view topic, const schemas::EventMeta& meta,
                            schemas::EventData data) {
    return {std::string(topic),
            meta.domain.value,
            schemas::encode({meta, std::move(data)}),
            {},
            meta.time};
}

}  // namespace

DetectStage::DetectStage(Telemetry kind, DomainId domain, std::int32_t partition,
                         std::vector<NamedDetector> detectors, MetricsRegistry& metrics,
                         schemas::Identity identity, schemas::SeriesTable::Options series)
    : kind_(kind),
      domain_(std::move(domain)),
      partition_(partition),
      identity_(std::move(identity)),
      metrics_(metrics),
      items_(metrics.counter(kDetectItems, {{"telemetry", std::string(name_of(kind))}})),
      overflowed_(metrics.counter(kDetectOverflowed)),
      series_(series) {
    for (auto& detector : detectors) parts_.push_back({std::move(detector), {}, {}});
}

Status DetectStage::on_record(const streams::Record& record, streams::Context& context) {
    detectors::Findings found;
    if (header(record, schemas::topics::kHeaderKind) == schemas::topics::kKindTick) {
        count();
    } else if (header(record, schemas::topics::kHeaderKind) == schemas::topics::kKindContext) {
        VIGIE_TRY_ASSIGN(const auto event, schemas::decode(record.message.value));
        for (const auto& part : parts_) part.made.detector->learn(event);
    } else {
        VIGIE_TRY(observe(record, found));
    }
    const EventTime now = context.watermark();
    if (series_.overflowed() > overflowed_before_) forget_idle(now);
    for (const auto& part : parts_) part.made.detector->advance(now, found);
    publish(found, now, context);
    return {};
}

Status DetectStage::on_timer(std::string_view, EventTime, streams::Context&) {
    return {};
}

void DetectStage::count() {
    for (auto& [made, dropped, events] : parts_) {
        const detectors::Counts now = made.detector->counts();
        metrics_
            .gauge(detectors::kTracked,
                   {{"family", made.family}, {"partition", std::to_string(partition_)}})
            .set(static_cast<double>(now.tracked));
        for (const auto& [reason, number] : now.dropped) {
            metrics_.counter(detectors::kDropped, {{"family", made.family}, {"reason", reason}})
                .add(number - std::exchange(dropped[reason], number));
        }
        for (const auto& [event, number] : now.events) {
            metrics_.counter(detectors::kEvents, {{"family", made.family}, {"event", event}})
                .add(number - std::exchange(events[event], number));
        }
        for (const auto& [what, size] : now.sizes) {
            metrics_
                .gauge(detectors::kHeld, {{"family", made.family},
                                          {"what", what},
                                          {"partition", std::to_string(partition_)}})
                .set(static_cast<double>(size));
        }
    }
}

Status DetectStage::observe(const streams::Record& record, detectors::Findings& found) {
    const schemas::DecodeLimits limits;
    const std::string& bytes = record.message.value;
    // The OpenTelemetry Collector's Kafka exporter names none, and writes this.
    const auto named = header(record, schemas::topics::kHeaderContentType);
    const auto type = named.empty() ? schemas::kContentOtlpProtobuf : named;
    const auto encoding = header(record, schemas::topics::kHeaderContentEncoding);
    const auto feed = [&](const auto& items) {
        items_.add(items.size());
        for (const auto& part : parts_) part.made.detector->observe(items, found);
    };
    switch (kind_) {
        case Telemetry::kMetrics: return observe_metrics(bytes, type, encoding, found);
        case Telemetry::kLogs: {
            VIGIE_TRY_ASSIGN(auto records,
                             readable(schemas::decode_logs(bytes, type, encoding, limits)));
            for (auto& line : records) schemas::identify(identity_, line.attributes);
            feed(std::span<const schemas::LogRecord>(records));
            break;
        }
        case Telemetry::kSpans: {
            VIGIE_TRY_ASSIGN(auto spans,
                             readable(schemas::decode_traces(bytes, type, encoding, limits)));
            for (auto& span : spans) schemas::identify(identity_, span.resource);
            feed(std::span<const schemas::Span>(spans));
            break;
        }
    }
    return {};
}

Status DetectStage::observe_metrics(std::string_view bytes, std::string_view type,
                                    std::string_view encoding, detectors::Findings& found) {
    decoded_.clear();
    schemas::IdentifyingIndex identified(series_, identity_);
    schemas::SeriesIndex& index =
        identity_ ? static_cast<schemas::SeriesIndex&>(identified) : series_;
    Status status = schemas::decode_samples(bytes, type, encoding, {}, index, decoded_);
    if (!status) {
        if (status.error().kind == ErrorKind::kRefused) status.error().kind = ErrorKind::kInvalid;
        return status;
    }
    items_.add(decoded_.samples.size());
    last_at_.resize(std::max<std::size_t>(last_at_.size(), series_.end()));
    for (const schemas::Sample& sample : decoded_.samples) {
        last_at_[sample.series] = std::max(last_at_[sample.series], sample.at);
    }
    const detectors::SampleBatch batch{decoded_.samples, series_};
    for (const auto& part : parts_) part.made.detector->observe(batch, found);
    return {};
}

void DetectStage::forget_idle(EventTime now) {
    overflowed_.add(series_.overflowed() - std::exchange(overflowed_before_, series_.overflowed()));
    if (now < full_until_) return;
    full_until_ = now + kForgetEvery;
    std::vector<schemas::SeriesHandle> idle;
    for (schemas::SeriesHandle number = 0; number < series_.end(); ++number) {
        if (series_.contains(number) && now - last_at_[number] > kIdleAfter) idle.push_back(number);
    }
    if (idle.empty()) return;
    for (const auto& part : parts_) part.made.detector->forget(idle);
    series_.forget(idle);
}

void DetectStage::publish(const detectors::Findings& found, EventTime now,
                          streams::Context& context) {
    for (const schemas::Anomaly& anomaly : found.anomalies) {
        metrics_
            .counter(kAnomalies, {{"symptom", std::string(schemas::to_string(anomaly.symptom))},
                                  {"firing", anomaly.firing ? "true" : "false"}})
            .add();
        const schemas::EventMeta meta{
            stable_event_id(
                "ano-", fmt::format("{}/{}/{}/{}/{}", domain_.value, anomaly.key,
                                    anomaly.firing ? "firing"
                                                   : schemas::to_string(schemas::ended_of(anomaly)),
                                    micros_of(anomaly.first_seen), micros_of(anomaly.last_seen))),
            "/detectors/" + anomaly.detector, now, domain_};
        context.emit(message_of(schemas::topics::kAnomalies, meta, anomaly));
    }
    for (const schemas::Change& edge : found.topology) {
        const schemas::EventMeta meta{
            stable_event_id("topo-", fmt::format("{}/{}/{}", domain_.value, edge.entity.value,
                                                 edge.peer.value)),
            "/detectors/traces", now, domain_};
        context.emit(message_of(schemas::topics::kChanges, meta, edge));
    }
}

std::string DetectStage::snapshot() const {
    std::string out(kSnapshotVersion);
    for (const auto& part : parts_) {
        const std::string saved = part.made.detector->save();
        out += fmt::format("{}\n", saved.size());
        out += saved;
    }
    return out;
}

Status DetectStage::restore(std::string_view snapshot) {
    if (snapshot.empty()) return {};
    if (!snapshot.starts_with(kSnapshotVersion)) {
        return fail(ErrorKind::kInvalid, "detector snapshot has an unknown format");
    }
    snapshot.remove_prefix(kSnapshotVersion.size());
    for (const auto& part : parts_) {
        std::size_t size = 0;
        const auto [end, error] =
            std::from_chars(snapshot.data(), snapshot.data() + snapshot.size(), size);
        const auto digits = static_cast<std::size_t>(end - snapshot.data());
        if (error != std::errc{} || digits >= snapshot.size() || snapshot[digits] != '\n' ||
            snapshot.size() - digits - 1 < size) {
            return fail(ErrorKind::kInvalid, "detector snapshot is of other detectors");
        }
        VIGIE_TRY(part.made.detector->load(snapshot.substr(digits + 1, size)));
        snapshot.remove_prefix(digits + 1 + size);
    }
    return {};
}

}  // namespace vigie::app
