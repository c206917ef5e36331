#include "detectors/detector.h"

namespace vigie::detectors {

void Detector::observe(std::span<const schemas::TimeSeries> /*series*/, Findings& /*out*/) {}
void Detector::observe(std::span<const schemas::LogRecord> /*records*/, Findings& /*out*/) {}
void Detector::observe(std::span<const schemas::Span> /*spans*/, Findings& /*out*/) {}

schemas::TimeSeries text_of(const schemas::Sample& sample, const schemas::SeriesTable& table) {
    return {std::string(table.metric(sample.series)),
            table.labels(sample.series),
            sample.kind,
            {{sample.at, sample.value, sample.stale}}};
}

void Detector::observe(const SampleBatch& batch, Findings& out) {
    std::vector<schemas::TimeSeries> all;
    all.reserve(batch.samples.size());
    for (const schemas::Sample& sample : batch.samples) {
        all.push_back(text_of(sample, batch.series));
    }
    observe(std::span<const schemas::TimeSeries>(all), out);
}

void Detector::forget(std::span<const schemas::SeriesHandle> /*series*/) {}
void Detector::learn(const schemas::Event& /*event*/) {}

Counts Detector::counts() const {
    return {};
}

}  // namespace vigie::detectors
