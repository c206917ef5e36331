#include "detectors/detector.h"

namespace vigie::detectors {

void Detector::observe(std::span<const schemas::TimeSeries> /*series*/, Findings& /*out*/) {}
void Detector::observe(std::span<const schemas::LogRecord> /*records*/, Findings& /*out*/) {}
void Detector::observe(std::span<const schemas::Span> /*spans*/, Findings& /*out*/) {}

void Detector::learn(const schemas::Event& /*event*/) {}

Counts Detector::counts() const {
    return {};
}

}  // namespace vigie::detectors
