#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "schemas/exposition.h"
#include "schemas/telemetry.h"

// Writing remote write 1.0, for values that did not come as a body of any protocol that
// vigie.metrics holds: decode_metrics() reads them back.
namespace vigie::schemas {

// The labels of prometheus.TimeSeries, with the metric as __name__, sorted: equal bytes are the
// same series. `labels` need not be sorted.
std::string encode_series(std::string_view metric, Labels labels);

// A prometheus.WriteRequest, without its snappy block, with a label more in each series: behind the
// labels that are there, so that it wins over one of the same name. The samples are not looked at.
// kInvalid when it is not protobuf.
Result<std::string> add_label(std::string_view write_request, std::string_view name,
                              std::string_view value);
// Compressed as Content-Encoding "snappy" means it.
std::string snap(std::string_view bytes);

// A prometheus.WriteRequest piece by piece.
class WriteRequest {
public:
    void add_family(std::string_view family, ExposedType type);
    // `series` is what encode_series() gave.
    void add(std::string_view series, double value, EventTime at);
    void add_stale(std::string_view series, EventTime at);

    std::size_t bytes() const { return body_.size(); }
    std::size_t samples() const { return samples_; }
    // Compressed as Content-Encoding "snappy" means it; begins anew.
    std::string take();

private:
    std::string body_;
    std::size_t samples_ = 0;
};

}  // namespace vigie::schemas
