#include "schemas/sample_sink.h"

namespace vigie::schemas::detail {

Status SampleSink::add_new(std::uint64_t wire_hash, EventTime at, double value, bool stale,
                           const Namer& namer) {
    VIGIE_TRY(budget_.take_item());
    auto known = index_.find(wire_hash);
    if (!known) {
        VIGIE_TRY_ASSIGN(const SeriesName name, namer.name());
        std::size_t bytes = name.metric.size();
        for (const auto& [key, text] : name.labels) bytes += key.size() + text.size() + 64;
        VIGIE_TRY(budget_.take_bytes(bytes));
        known = {index_.add(wire_hash, name.kind, name.metric, name.labels), name.kind};
    }
    VIGIE_TRY(budget_.take_bytes(sizeof(Sample)));
    out_.samples.push_back({at, stale ? 0 : value, known->series, known->kind, stale});
    return {};
}

Status SampleSink::refuse(Status status, std::size_t items) {
    if (status || status.error().kind == ErrorKind::kRefused) return status;
    if (out_.refused == 0) out_.refused_why = std::move(status).error().message;
    out_.refused += items;
    return {};
}

}  // namespace vigie::schemas::detail
